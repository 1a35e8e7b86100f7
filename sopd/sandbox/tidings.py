"""What people say and do, on its way to the company's engine: the archive's puller and the shop, played in one.

WeCom raises no event for a chat or an order. A company learns of them through its message archive and its own systems,
and those push to the engine's API: the sandbox does it for them. Reports wait here until they are taken; the stage
brings them. Without anybody to bring them to, nothing is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any, Literal

from machines.calendar import HOUR_MS, SECOND_MS, Instant

Kind = Literal["events", "messages"]

Push = Callable[[Kind, list[dict[str, Any]]], tuple[int, Collection[int]]]
"""POST reports of one kind: (HTTP status, 0 if there was no answer; the indexes that were refused). Must not raise."""

RETRY_MS = 5 * SECOND_MS
"""A push that was not taken for the engine's own reasons comes again that soon."""

REFUSED_MS, MOST_REFUSALS = HOUR_MS, 48
"""One that was refused, because the engine does not know the customer yet, comes again that soon, and so often."""

AT_ONCE = 200


@dataclass
class Report:
    """One event or message. `due_at` moves on with every attempt that failed."""

    kind: Kind
    body: dict[str, Any]
    due_at: Instant
    refusals: int = 0


@dataclass
class Tidings:
    """Reports of one world. `is_heard`: somebody brings them."""

    is_heard: bool = False
    waiting: list[Report] = field(default_factory=list)
    taken: int = 0
    given_up: list[Report] = field(default_factory=list)
    in_delivery: int = 0

    def tell(self, kind: Kind, body: dict[str, Any], at: Instant) -> None:
        """Something happened."""
        if self.is_heard:
            self.waiting.append(Report(kind, body, at))

    def due(self, now: Instant) -> list[list[Report]]:
        """Everything due at `now`, in the order in which it happened, in batches of one kind each."""
        batches: list[list[Report]] = []
        for one in self.waiting:
            if one.due_at > now:
                continue
            if not batches or batches[-1][0].kind != one.kind or len(batches[-1]) == AT_ONCE:
                batches.append([])
            batches[-1].append(one)
        return batches

    def take_due(self, now: Instant) -> list[list[Report]]:
        """Take out what is `due`; each batch must come back through `settle`."""
        batches = self.due(now)
        self.waiting = [one for one in self.waiting if one.due_at > now]
        self.in_delivery += sum(map(len, batches))
        return batches

    def settle(self, batch: list[Report], status: int, refused: Collection[int], now: Instant) -> None:
        """Record the answer to one push."""
        self.in_delivery -= len(batch)
        for index, one in enumerate(batch):
            if 200 <= status < 300 and index not in refused:
                self.taken += 1
            elif 200 <= status < 300 or status == 422:
                self._refused(one, now)
            else:
                one.due_at = now + RETRY_MS
                self.waiting.append(one)

    def is_busy(self, now: Instant) -> bool:
        """Whether a report is due or under way: time must not jump then."""
        return self.in_delivery > 0 or any(one.due_at <= now for one in self.waiting)

    def next_at(self) -> Instant | None:
        """When the next report is due."""
        return min((one.due_at for one in self.waiting), default=None)

    def _refused(self, one: Report, now: Instant) -> None:
        one.refusals += 1
        if one.refusals > MOST_REFUSALS:
            self.given_up.append(one)
            return
        one.due_at = now + REFUSED_MS
        self.waiting.append(one)
