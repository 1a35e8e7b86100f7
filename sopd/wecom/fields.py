"""Reads single fields of WeCom's replies, so that a reply that is not what the call answers with is noticed.

A list that is missing from a success is never read as "none": nobody must be taken for lost because of it. Unknown
fields are ignored. Raises Malformed, which the client turns into `Unreachable`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from machines.calendar import SECOND_MS, Instant

Row = Mapping[str, Any]


class Malformed(ValueError):
    """A field that must be there is missing or of another kind; the text names the field, never its content."""


def rows(reply: Row, key: str) -> list[Row]:
    """The list of objects under `key`, which must be there."""
    found = reply.get(key)
    if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
        raise Malformed(f"{key} is not a list of objects")
    return found


def row(reply: Row, key: str) -> Row:
    """The object under `key`, which must be there."""
    found = reply.get(key)
    if not isinstance(found, dict):
        raise Malformed(f"{key} is not an object")
    return found


def names(reply: Row, key: str) -> tuple[str, ...]:
    """The list of strings under `key`, which must be there."""
    found = reply.get(key)
    if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
        raise Malformed(f"{key} is not a list of strings")
    return tuple(found)


def optional_names(reply: Row, key: str) -> tuple[str, ...]:
    """The same where WeCom leaves an empty list out."""
    return () if reply.get(key) is None else names(reply, key)


def text(reply: Row, key: str) -> str:
    """The string under `key`; '' if it is missing. Numbers are taken as their digits."""
    found = reply.get(key)
    return "" if found is None else str(found)


def identity(reply: Row, key: str) -> str:
    """The id under `key`, which must be there and not be empty."""
    found = reply.get(key)
    if not isinstance(found, str) or not found:
        raise Malformed(f"{key} is not an id")
    return found


def number(reply: Row, key: str, default: int = 0) -> int:
    """The whole number under `key` (WeCom writes some as strings); `default` if it is missing."""
    found = reply.get(key)
    if found is None or found == "":
        return default
    try:
        return int(found)
    except (TypeError, ValueError):
        raise Malformed(f"{key} is not a number") from None


def instant(reply: Row, key: str) -> Instant | None:
    """Unix seconds under `key` as an Instant; None if missing or 0, which WeCom writes for "never"."""
    seconds = number(reply, key)
    return seconds * SECOND_MS if seconds else None


def duration_ms(reply: Row, key: str) -> int:
    """Seconds under `key`, which must be there and above 0, as milliseconds."""
    seconds = number(reply, key)
    if seconds <= 0:
        raise Malformed(f"{key} is not a duration")
    return seconds * SECOND_MS


def required_instant(reply: Row, key: str) -> Instant:
    """Unix seconds under `key`, which must be there, as an Instant."""
    found = instant(reply, key)
    if found is None:
        raise Malformed(f"{key} is not a time")
    return found
