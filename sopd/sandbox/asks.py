"""One API call as the endpoints see it: its fields with WeCom's complaints about them, and paging.

`Ask` is built by `api` from the request; endpoint functions take `(world, ask)` and return the reply's fields or raise
Refusal. Codes: WeCom 9 (40058 and 40035 for bad parameters, 40031/40032 for lists).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from machines.calendar import Instant
from sopd.sandbox.refusals import Refusal
from sopd.sandbox.world import World

Row = TypeVar("Row")
Reply = dict[str, Any]
#: A sort key made of texts and numbers; it becomes the cursor.
Key = tuple[str | int, ...]


@dataclass(frozen=True)
class Call:
    """One endpoint: how it answers, and the empty fields its failed replies still carry (WeCom 1.2)."""

    answer: Callable[[World, Ask], Reply]
    empty: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Ask:
    """The parameters of one call: the query for GET, the JSON body for POST."""

    query: Mapping[str, str]
    fields: Mapping[str, Any]
    body: bytes
    content_type: str
    now: Instant

    def text(self, name: str, *, code_if_missing: int = 40058) -> str:
        """A required string, from the body or the query."""
        value = self.fields.get(name, self.query.get(name))
        if value is None:
            raise Refusal(code_if_missing, f"missing {name}")
        if value == "":
            raise Refusal(code_if_missing, f"field {name} unexpected empty string")
        if not isinstance(value, str):
            raise Refusal(40035, f"invalid parameter {name}, a string is expected")
        return value

    def optional(self, name: str) -> str | None:
        """A string that may be left out but not be empty (40058, seen on live tenants)."""
        return self.text(name) if name in self.fields or name in self.query else None

    def number(self, name: str, default: int | None = None) -> int:
        """A whole number; required unless there is a default."""
        value = self.fields.get(name, default)
        if value is None:
            raise Refusal(40058, f"missing {name}")
        if isinstance(value, bool) or not isinstance(value, int):
            raise Refusal(40035, f"invalid parameter {name}, a number is expected")
        return value

    def ids(self, name: str, *, most: int | None = None) -> list[str]:
        """A list of ids without repetitions, empty if left out; 40031 if it holds no strings, 40032 if too long."""
        value = self.fields.get(name)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
            raise Refusal(40031, f"invalid {name}")
        if most is not None and len(value) > most:
            raise Refusal(40032, f"invalid {name} size")
        return list(dict.fromkeys(value))

    def limit(self, default: int, most: int, cap: int | None) -> int:
        """The page size: above the maximum WeCom falls back to the default (WeCom 5.3, 11)."""
        asked = self.number("limit", default)
        chosen = asked if 1 <= asked <= most else default
        return chosen if cap is None else min(chosen, cap)

    def cursor(self) -> str:
        """The cursor of the body or the query, "" at the beginning."""
        value = self.fields.get("cursor", self.query.get("cursor", ""))
        if not isinstance(value, str):
            raise Refusal(40035, "invalid cursor")
        return value


def page(rows: Iterable[Row], key: Callable[[Row], Key], cursor: str, size: int) -> tuple[list[Row], str]:
    """One page of the rows sorted by `key`, and the next cursor ("" at the end).

    The cursor is the last row's key, so rows that come or go between two pages shift nothing.
    """
    ordered = sorted(rows, key=key)
    if cursor:
        ordered = _after(_decode(cursor), ordered, key)
    part = ordered[:size]
    return part, _encode(key(part[-1])) if len(ordered) > size else ""


def _after(last: list[Any], rows: list[Row], key: Callable[[Row], Key]) -> list[Row]:
    try:
        return [row for row in rows if list(key(row)) > last]
    except TypeError:  # a cursor of another call, whose key has other types
        raise Refusal(40035, "invalid cursor") from None


def _encode(key: Key) -> str:
    return base64.urlsafe_b64encode(json.dumps(list(key)).encode()).decode()


def _decode(cursor: str) -> list[Any]:
    try:
        found = json.loads(base64.urlsafe_b64decode(cursor.encode()))
    except ValueError:
        raise Refusal(40035, "invalid cursor") from None
    if not isinstance(found, list):
        raise Refusal(40035, "invalid cursor")
    return found
