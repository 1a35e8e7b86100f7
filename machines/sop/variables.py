"""Per-customer variables in the text of a reminder or a phone task: `{{customer}}`, `{{member}}`, `{{attribute.NAME}}`.

A small fixed set, so that a misspelt one is found when the definition is checked. Filling them in is the business of
the shell; here stands what there is.
"""

from __future__ import annotations

CUSTOMER, MEMBER = "customer", "member"
"""The customer's name; the name of the member whose customer it is."""
_ATTRIBUTE = "attribute."
ALLOWED = f"{{{{{CUSTOMER}}}}}, {{{{{MEMBER}}}}} and {{{{{_ATTRIBUTE}NAME}}}}"


def attribute_of(variable: str) -> str | None:
    """The customer's attribute a variable stands for, None if it stands for something else."""
    name = variable.removeprefix(_ATTRIBUTE)
    return name.strip() if name != variable and name.strip() else None


def is_known(variable: str) -> bool:
    """Whether there is such a variable."""
    return variable in (CUSTOMER, MEMBER) or attribute_of(variable) is not None
