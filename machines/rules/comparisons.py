"""Typed comparisons of named values: attributes of a customer, properties of an event (SPEC 3).

Values of different types are never equal, larger or smaller: the comparison is simply false. A date is compared as a
date; the text 1990-05-01 counts as one. Used by the atoms only.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field, PlainSerializer, model_validator

from machines.facts import Attribute, kind_of
from machines.rules.scalars import Block, Day, Flag, Name, Number, Plain, refuse, shown


def _plain_list(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else [value]


class Test(Block):
    """What is asked of one value; everything given must hold. A missing value, or one of another type, fails it."""

    __test__: ClassVar[bool] = False

    exists: Flag | None = None
    equals: Plain | None = Field(default=None, alias="is")
    differs: Plain | None = Field(default=None, alias="is_not")
    one_of: Annotated[tuple[Plain, ...], Field(min_length=1), BeforeValidator(_plain_list, list[Plain])] | None = None
    contains: Name | None = None
    above: Number | None = None
    at_least: Number | None = None
    below: Number | None = None
    at_most: Number | None = None
    before: Day | None = None
    after: Day | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Test:
        if not self.asked():
            allowed = ", ".join(field.alias or name for name, field in Test.model_fields.items())
            raise refuse(f"compares with nothing; allowed here: {allowed}")
        return self

    def asked(self) -> dict[str, Any]:
        """What the value is compared with, by field."""
        return {name: wanted for name, wanted in self.__dict__.items() if wanted is not None}

    def passes(self, found: Attribute | None) -> bool:
        """Whether the value found (None: there is none) answers all that is asked."""
        asked = self.asked()
        if asked.pop("exists", found is not None) is not (found is not None):
            return False
        return all(found is not None and _COMPARE[name](found, wanted) for name, wanted in asked.items())


def _same(found: Attribute, wanted: Any) -> bool:
    if found.kind == "date":
        return bool(str(found.value) == wanted)
    return bool(found.kind == kind_of(wanted) and found.value == wanted)


def _number(found: Attribute) -> float | None:
    return found.value if found.kind == "number" else None  # type: ignore[return-value]


def day_of(found: Attribute | None) -> date | None:
    """The date an attribute holds, as a date or as the text 1990-05-01; else None."""
    if found is None or found.kind not in ("date", "text"):
        return None
    try:
        return found.value if isinstance(found.value, date) else date.fromisoformat(str(found.value))
    except ValueError:
        return None


_COMPARE: dict[str, Any] = {
    "equals": _same,
    "differs": lambda found, wanted: not _same(found, wanted),
    "one_of": lambda found, wanted: any(_same(found, one) for one in wanted),
    "contains": lambda found, wanted: found.kind == "text" and wanted.casefold() in found.value.casefold(),
    "above": lambda found, wanted: (value := _number(found)) is not None and value > wanted,
    "at_least": lambda found, wanted: (value := _number(found)) is not None and value >= wanted,
    "below": lambda found, wanted: (value := _number(found)) is not None and value < wanted,
    "at_most": lambda found, wanted: (value := _number(found)) is not None and value <= wanted,
    "before": lambda found, wanted: (day := day_of(found)) is not None and day < wanted,
    "after": lambda found, wanted: (day := day_of(found)) is not None and day > wanted,
}


class Comparison(Block):
    """One named value and what is asked of it."""

    name: Name
    test: Annotated[Test, BeforeValidator(lambda value: value if isinstance(value, dict | Test) else {"is": value},
                                          Plain | Test)]


def _comparisons(value: Any) -> Any:
    if isinstance(value, dict):
        return [{"name": name, "test": test} for name, test in value.items()]
    if isinstance(value, tuple):
        return value
    raise refuse(f"{shown(value)} names no value; write a mapping such as {{level: gold, amount: {{at_least: 100}}}}")


Comparisons = Annotated[
    tuple[Comparison, ...],
    Field(min_length=1),
    BeforeValidator(_comparisons, dict[str, Plain | Test]),
    PlainSerializer(lambda tests: {one.name: one.test.model_dump(mode="json", exclude_none=True) for one in tests}),
]
"""Values by name, all of which must pass; in a file a mapping from name to a value or to comparisons."""
