"""What is true in WeCom: who is whose friend, which tags stand, what a confirmed task becomes (WeCom 3.1, 5.1-5.4).

Beside it stands what the engine has learned so far, for the two differ while news is under way; and what the company
knows of its customers without WeCom: attributes, audiences, and signals such as orders and answers.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import Any

SHANGHAI_MS = 8 * 3_600_000
DAY_MS = 86_400_000

SENT, NO_FRIEND, WINDOW_FULL = 1, 2, 3


@dataclass
class Relation:
    """One member and one customer. `known` and `seen_tags` are the engine's picture of it; `talked` is the last
    message of either side, `learned` when we heard of its beginning, `lost_at` and `lost_by` what we know of its end.
    `ended_by` is who really ended it. `handed_over`: runs wait until then for whoever takes over."""

    number: int
    member: str
    customer: str
    source: str = ""
    add_way: int = 1
    began: int = 0
    friends: bool = False
    half: bool = False
    chatting: bool = False
    tags: set[str] = field(default_factory=set)
    known: bool = False
    known_since: int = 0
    seen_tags: set[str] = field(default_factory=set)
    talked: int | None = None
    learned: int = 0
    lost_at: int = 0
    lost_by: str = ""
    ended_by: str = ""
    handed_over: int | None = None


@dataclass
class Customer:
    """What the company knows of somebody beside the relations."""

    name: str
    attributes: dict[str, Any] = field(default_factory=dict)
    audiences: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Signal:
    """Something a customer did or wrote, or (`message`) a member wrote; signals are handled in the order of numbers."""

    number: int
    kind: str
    customer: str
    at: int
    name: str = ""
    properties: tuple[tuple[str, Any], ...] = ()
    relation: Relation | None = None
    text: str = ""


@dataclass
class Letter:
    """News of a relation under way. WeCom tries four times, 5 s apart; with `code` a welcome may be sent for 20 s.
    `half`: it was only one-way when this was written."""

    relation: Relation
    written: int
    arrives: int
    code: bool = False
    ended_by: str = ""
    half: bool = False


def shanghai_day(at: int) -> dt.date:
    """WeCom's day, whatever the company's zone."""
    return dt.date(1970, 1, 1) + dt.timedelta(days=(at + SHANGHAI_MS) // DAY_MS)


class Wecom:
    """Mass sends that reached each customer, and whether one more may (WeCom 5.2)."""

    def __init__(self, mode: str) -> None:
        self.mode = mode
        self.received: dict[str, list[int]] = {}

    def deliver(self, relation: Relation | None, customer: str, now: int) -> int:
        """The status of one recipient at the member's confirmation."""
        if relation is None or not relation.friends:
            return NO_FRIEND
        if self.used(customer, now) >= capacity(self.mode, window(self.mode, now)):
            return WINDOW_FULL
        self.received.setdefault(customer, []).append(now)
        return SENT

    def used(self, customer: str, now: int) -> int:
        return sum(window(self.mode, at) == window(self.mode, now) for at in self.received.get(customer, []))


def window(mode: str, at: int) -> dt.date:
    """A quota window, named by its first day."""
    day = shanghai_day(at)
    if mode == "day:1":
        return day
    if mode == "week:7":
        return day - dt.timedelta(days=day.weekday())
    return day.replace(day=1)


def capacity(mode: str, first: dt.date) -> int:
    """How many mass sends a customer may receive in the window."""
    if mode == "month:days":
        return ((first + dt.timedelta(days=32)).replace(day=1) - first).days
    return {"day:1": 1, "week:7": 7}[mode]


def windows(mode: str, start: int, end: int) -> set[dt.date]:
    """Every window that [start, end) reaches into; at least that of `start` (D7)."""
    found, at = {window(mode, start)}, start
    while at < end:
        found.add(window(mode, at))
        at += DAY_MS // 2
    return found | ({window(mode, end - 1)} if end > start else set())
