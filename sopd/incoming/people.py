"""Lists of people: customers with attributes, and audiences (SPEC 10). Rows of a file, checked line by line.

The columns that name a customer are external_userid, unionid, crm_id, phone and phone_hash. The surest that is filled
in says who is meant; crm_id and phone beside it become known of that customer. A phone number is hashed at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple

from pydantic import BeforeValidator, Field, WithJsonSchema

from sopd.incoming import files
from sopd.incoming.events import MOST_PROPERTIES, Who
from sopd.incoming.files import Line, Rows
from sopd.incoming.identities import KEYS, PHONE_HASH, Identity, identity
from sopd.incoming.shapes import Name, Plain, Shape, Value

LEARNED = ("crm_id", PHONE_HASH)
"""Identities that an import may teach us; external_userid and unionid are WeCom's to tell."""


class Person(NamedTuple):
    """One line: who is meant, what else they are called, and their values (None: the field was empty)."""

    line: int
    who: Identity
    learned: tuple[Identity, ...]
    values: Mapping[str, Plain | None]


def _called(key: str) -> BeforeValidator:
    def read(value: Any) -> Identity | None:
        if value is None:
            return None
        if not isinstance(value, str):
            raise ValueError("must be a text")
        return identity(key, value)

    return BeforeValidator(read)


_TEXT = WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "null"}]})


class CustomerIn(Shape):
    """What is known of a customer. Attributes that are not named stay as they are; null takes one away."""

    customer: Who
    attributes: Annotated[dict[Name, Value | None], Field(max_length=MOST_PROPERTIES)] = Field(default_factory=dict)
    crm_id: Annotated[Identity | None, _called("crm_id"), _TEXT] = None
    phone: Annotated[Identity | None, _called("phone"), _TEXT, Field(description="Only its hash is kept")] = None

    def person(self, index: int) -> Person:
        """The same as a line of a file."""
        learned = tuple(one for one in (self.crm_id, self.phone) if one is not None)
        return Person(index, self.customer, learned, self.attributes)


def people(rows: Rows) -> list[Person]:
    """Customers with their attributes. What is wrong is blamed in `rows`."""
    _need_a_key(rows)
    columns = files.typed_columns(rows, KEYS)
    found = []
    for line in rows.lines:
        named = _named(rows, line)
        values: dict[str, Plain | None] = {}
        for name, value, fault in files.values(line, columns):
            values[name] = value
            if fault is not None:
                rows.blame(line.number, fault)
        if named:
            learned = tuple(one for one in named[1:] if one.kind in LEARNED)
            found.append(Person(line.number, named[0], learned, values))
    return found


def members(rows: Rows) -> list[tuple[int, Identity]]:
    """(line, who) of an audience's file; its other columns are not looked at."""
    _need_a_key(rows)
    named = [(line.number, _named(rows, line)) for line in rows.lines]
    return [(number, names[0]) for number, names in named if names]


def bare(name: str, data: bytes) -> Rows:
    """As `files.read`; a list of external_userids, one a line and without a head line, is taken for a table."""
    rows = files.read(name, data)
    if rows.is_table and len(rows.columns) == 1 and rows.columns[0] not in KEYS:
        first = Line(1, {rows.columns[0]: rows.columns[0]})
        lines = [Line(line.number, {"external_userid": next(iter(line.fields.values()))})
                 for line in (first, *rows.lines)]  # fmt: skip
        return Rows(name, True, ("external_userid",), lines, rows.faults)
    return rows


def _need_a_key(rows: Rows) -> None:
    if not rows.is_table:
        rows.blame(1, "is no table; write a head line with the columns, then one customer a line")
    elif not set(rows.columns) & set(KEYS):
        rows.blame(1, f"no column says who is meant; there must be one of {', '.join(KEYS)}")


def _named(rows: Rows, line: Line) -> list[Identity]:
    """Every identity of a line, the surest first; blames the line if there is none, or a faulty one."""
    named = []
    for key in KEYS:
        text = line.fields.get(key)
        if not text or not isinstance(text, str):
            continue
        try:
            named.append(identity(key, text))
        except ValueError as fault:
            rows.blame(line.number, f"{key} {fault}")
            return []
    if not named and rows.is_table and set(rows.columns) & set(KEYS):
        rows.blame(line.number, "says nobody: every column that names a customer is empty")
    return named
