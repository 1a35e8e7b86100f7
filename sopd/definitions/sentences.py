"""What pydantic found wrong with a value, said to an operator: what is wrong, and what is allowed instead.

Used by `sopd.definitions.parsing` only. A sentence does not name the key it is about; the caller puts it in front.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import date
from difflib import get_close_matches
from typing import Any

from machines.errors import DefinitionError
from machines.rules import BLOCKS
from machines.rules.scalars import shown
from machines.sop.content import ATTACHMENTS
from sopd.definitions.schema import allowed_keys

Error = dict[str, Any]


def sentence(error: Error) -> str:
    """One fault as a sentence. `error` is an item of pydantic's `ValidationError.errors()`."""
    kind, value = error["type"], error.get("input")
    if kind == "value_error":
        cause = error["ctx"]["error"]
        return cause.message if isinstance(cause, DefinitionError) else str(cause)
    if kind == "literal_error":
        return _word(value, error["ctx"], allowed_keys(error["loc"][:-1]) if error["loc"][-1] == "<word>" else ())
    if kind in _SAID:
        return _SAID[kind](value, error.get("ctx", {}))
    return f"{shown(value)} is not allowed: {error['msg']}"


def unknown_key(key: str, allowed: Iterable[str]) -> str:
    """A key that the place does not know, with the one that was probably meant."""
    known = tuple(allowed)
    near = nearest(key, known)
    guess = f"did you mean `{near}`? " if near else ""
    return f"unknown key `{key}`; {guess}allowed here: {', '.join(known)}"


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that was probably meant, or None."""
    found = get_close_matches(word.lower().replace("-", "_"), list(known), n=1, cutoff=0.6)
    return found[0] if found else None


def missing_key(where: tuple[str | int, ...]) -> str:
    """A key that has to be there; `where` is pydantic's location of it."""
    return f"key `{where[-1]}` is missing; {_NEEDED.get(str(where[-1]), 'it is required here')}"


_NEEDED = {
    "sop": "it is the SOP's own key, such as `sop: new-customer-30d`",
    "title": "it is what people see, such as `title: 新客户30天`",
    "kind": "write new_customer, nurture, stage or group",
    "steps": "a SOP has at least one step",
    "id": "every step has one of its own, such as `id: welcome`",
    "by": "write the channel: welcome, mass_send, remind, call, moment, group_send or webhook",
    "when": "write the rule, such as `when: {tag: [组/名]}`",
    "within": "write a duration: 30m, 2h, 3d",
}


def _one_key_of(what: str, blocks: dict[str, Any], example: str) -> Callable[[Any, Any], str]:
    def say(value: Any, _: Any) -> str:
        if not isinstance(value, dict):
            return f"{shown(value)} is not {what}; write one such as {example}"
        keys, allowed = list(value), f"allowed here: {', '.join(blocks)}"
        strange = next((key for key in keys if key not in blocks), None)
        if strange is not None:
            near = nearest(strange, blocks)
            return f"`{strange}` is not {what}; " + (f"did you mean `{near}`? " if near else "") + allowed
        if not keys:
            return f"is empty; write {what} such as {example}"
        together = "; put several under `all` or `any`" if "all" in blocks else "; make each an item of the list"
        return f"{what} has one key, and here are {len(keys)}: {', '.join(keys)}{together}"

    return say


def _quoted(value: Any, _: Any) -> str:
    if isinstance(value, list | dict):
        return f"must be a text, not {shown(value)}"
    text = value.isoformat() if isinstance(value, date) else shown(value)
    return f'{text} is no text; write "{text}" in quotes'


def _word(value: Any, ctx: dict[str, Any], keys: tuple[str, ...]) -> str:
    """A word that is none of the known ones; `keys` are those of the mapping that may stand there instead."""
    known = re.findall(r"'([^']+)'", ctx["expected"])
    near = nearest(value, known) if isinstance(value, str) else None
    allowed = ", ".join([*known, *(f"{{{key}: ...}}" for key in keys)])
    return f"{shown(value)} is unknown; " + (f"did you mean {near}? " if near else "") + f"allowed: {allowed}"


def _limit(value: Any, ctx: dict[str, Any]) -> str:
    bound, limit = next(item for item in ctx.items() if item[0] in ("ge", "le"))
    if "timedelta" in str(limit):
        return f"{value} is too long; at most {re.sub(r'[^0-9]', '', str(limit))}d are allowed"
    return f"{value} is too {'small; at least' if bound == 'ge' else 'large; at most'} {limit} is allowed"


def _pattern(value: Any, ctx: dict[str, Any]) -> str:
    if "owner" in ctx["pattern"]:
        return f"{shown(value)} is unknown; write owner, supervisor or member:ID"
    return f"{shown(value)} is no key; use small letters, digits, - and _, at most 64, such as new-customer-30d"


def _too_long(_: Any, ctx: dict[str, Any]) -> str:
    return f"has too many items; at most {ctx['max_length']} are allowed"


_SAID: dict[str, Callable[[Any, dict[str, Any]], str]] = {
    "not_a_rule": _one_key_of("a condition", BLOCKS, "{tag: [组/名]}"),
    "not_an_attachment": _one_key_of("an attachment", ATTACHMENTS, '{link: {title: "...", url: "https://..."}}'),
    "string_type": _quoted,
    "greater_than_equal": _limit,
    "less_than_equal": _limit,
    "string_pattern_mismatch": _pattern,
    "too_long": _too_long,
    "string_too_long": lambda value, ctx: f"has {len(value)} characters; at most {ctx['max_length']} are allowed",
    "string_too_short": lambda value, ctx: "must not be empty",
    "too_short": lambda value, ctx: "is empty; at least one is needed",
    "int_type": lambda value, ctx: f"{shown(value)} is not a whole number; write for example 5, without quotes",
    "bool_type": lambda value, ctx: f"{shown(value)} is neither true nor false",
    "model_type": lambda value, ctx: f"{shown(value)} is no mapping; write `key: value` lines below it",
    "dict_type": lambda value, ctx: f"{shown(value)} is no mapping; write `key: value` lines below it",
    "tuple_type": lambda value, ctx: f"{shown(value)} is no list; write `[a, b]`, or lines that begin with `- `",
}
