"""Events and messages from files and from the command line, in the shapes that the HTTP API takes too.

A line without a `ref` gets one from what it says, so that importing a file twice changes nothing; for that it needs an
`at`. Times without an offset are the company's.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from sopd.incoming import files
from sopd.incoming.conversation import Either, Ignored, Message
from sopd.incoming.events import EventIn
from sopd.incoming.files import Line, Rows
from sopd.incoming.identities import KEYS
from sopd.incoming.shapes import Plain, Shape, read

S = TypeVar("S", bound=Shape)

_EVENT = ("ref", "name", "at", "customer", *KEYS)
Numbered = list[tuple[int, S]]
"""Items with the numbers of their lines."""


def events(rows: Rows, zone: str) -> Numbered[EventIn]:
    """The events of a file. What is wrong is blamed in `rows`."""
    if rows.is_table:
        columns = files.typed_columns(rows, _EVENT)
        found = [(line.number, _event_of(rows, line, columns)) for line in rows.lines]
    else:
        found = [(line.number, line.fields) for line in rows.lines]
    return _checked(rows, EventIn, [(number, _with_ref(fields)) for number, fields in found], zone)


def _event_of(rows: Rows, line: Line, columns: Iterable[files.Typed]) -> dict[str, Any]:
    fields: dict[str, Any] = {name: line.fields[name] for name in ("ref", "name", "at") if line.fields.get(name)}
    named = {key: line.fields[key] for key in KEYS if line.fields.get(key)}
    if line.fields.get("customer"):
        named = {"external_userid": line.fields["customer"], **named}
    if named:
        key, text = next(iter(named.items()))  # the surest of them
        fields["customer"] = {key: text}
    found: dict[str, Plain] = {}
    for name, value, fault in files.values(line, columns):
        if fault is not None:
            rows.blame(line.number, fault)
        if value is not None:
            found[name] = value
    return fields | ({"properties": found} if found else {})


def _with_ref(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    if fields.get("ref") or not fields.get("at"):
        return fields
    told = json.dumps(fields, sort_keys=True, ensure_ascii=False, default=str)
    return {**fields, "ref": f"sha256/{hashlib.sha256(told.encode('utf-8', 'replace')).hexdigest()}"}


def messages(rows: Rows, zone: str) -> tuple[Numbered[Message], int]:
    """(the messages of a file, how many records say nothing about a customer and a member)."""
    adapter, ignored = Either(), 0
    found: list[tuple[int, Mapping[str, Any]]] = []
    for line in rows.lines:
        try:
            told = {name: value for name, value in line.fields.items() if value != "" or not rows.is_table}
            found.append((line.number, _with_ref(adapter.message(told))))
        except Ignored:
            ignored += 1
        except ValueError as fault:
            rows.blame(line.number, str(fault))
    return _checked(rows, Message, found, zone), ignored


def _checked(rows: Rows, shape: type[S], items: list[tuple[int, Mapping[str, Any]]], zone: str) -> Numbered[S]:
    found = read(shape, [fields for _, fields in items], zone=zone)
    for fault in found.faults:
        number, fields = items[fault.index]
        is_missing = fault.field == "ref" and "ref" not in fields
        rows.blame(number, f"{fault}{', and so is `at`: without both, a second import would count twice' * is_missing}")
    return [(items[index][0], item) for index, item in found.items]
