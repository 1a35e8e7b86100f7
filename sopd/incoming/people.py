"""Lists of people: customers with attributes, and audiences (SPEC 10). Rows of a file, checked line by line.

The columns that name a customer are external_userid, unionid, crm_id, phone and phone_hash. The surest that is filled
in says who is meant; crm_id and phone beside it become known of that customer. A phone number is hashed at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from sopd.incoming import files
from sopd.incoming.files import Line, Rows
from sopd.incoming.identities import KEYS, PHONE_HASH, Identity, identity
from sopd.incoming.shapes import Plain

LEARNED = ("crm_id", PHONE_HASH)
"""Identities that an import may teach us; external_userid and unionid are WeCom's to tell."""


class Person(NamedTuple):
    """One line: who is meant, what else they are called, and their values (None: the field was empty)."""

    line: int
    who: Identity
    learned: tuple[Identity, ...]
    values: Mapping[str, Plain | None]


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
