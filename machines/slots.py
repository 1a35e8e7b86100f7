"""Which of a member's slots the owner's due pushes go into (SPEC 7.4, D12).

A slot opens with its first push and lasts the `every` of the SOP that opened it. All SOPs of an owner share its slots:
a SOP fills a slot up to its own `size`, counting everybody already in it. Slots of one owner never overlap. Whole
groups of like pushes (one `Load`) are placed at once, so the work grows with the slots used and not with the
customers. The planner claims the owner's slot rows, calls `place` and writes what it says; nothing here is stored.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import NamedTuple

from machines.calendar import (
    MINUTE_MS,
    Instant,
    local_date,
    local_datetime,
    local_time,
)
from machines.errors import DefinitionError
from machines.lateness import next_allowed_day_same_time
from machines.timetable import Timetable, earliest_send

CUSTOMERS_PER_TASK = 10_000
"""WeCom 5.1, add_msg_template: at most so many customers in one call."""
MANY_TASKS = 10
"""More tasks than this for one member on one day are warned of (D12): people stop confirming them."""
SLOW_MINUTES = frozenset({0, 30})
"""WeCom 1.3: pushes to staff are slow at these minutes of the hour."""


@dataclass(frozen=True)
class Slot:
    """One slot of an owner: from `opens_at` until just before `closes_at`; `used` counts the customers in it."""

    opens_at: Instant
    closes_at: Instant
    used: int


@dataclass(frozen=True)
class Load:
    """A group of like pushes of one owner: one step version, one content, one expiry (D14).

    `size` and `every_ms` are the SOP's batch, `timetable` brings its quiet hours and off days, `ready_at` is the
    instant for which the pushes are planned and `expires_at` the first at which they are of no use.
    """

    key: Hashable
    count: int
    ready_at: Instant
    expires_at: Instant
    size: int
    every_ms: int
    timetable: Timetable
    priority: int = 50

    def __post_init__(self) -> None:
        if self.size < 1 or self.every_ms < MINUTE_MS:
            raise DefinitionError(f"a batch of {self.size} every {self.every_ms} ms is not allowed: from 1, from 1 min")


@dataclass(frozen=True)
class Placement:
    """One task to create at `create_at` for `count` pushes of the load `key`, in the slot that opens at `opens_at`."""

    key: Hashable
    count: int
    opens_at: Instant
    create_at: Instant


class Placed(NamedTuple):
    """What came of it: the tasks, all slots afterwards (ascending), and what found no room before its expiry.

    `unplaced` holds (key, count); those pushes are `expired: capacity` when their expiry comes.
    """

    placements: tuple[Placement, ...]
    slots: tuple[Slot, ...]
    unplaced: tuple[tuple[Hashable, int], ...]


def place(
    slots: Iterable[Slot],
    loads: Sequence[Load],
    now: Instant,
    *,
    tasks_per_day: int | None = None,
    tasks_on: Mapping[date, int] | None = None,
) -> Placed:
    """Put one owner's loads into its slots, opening new ones where needed; whole loads, at most 10,000 a task.

    `slots` are the owner's slots that have not closed yet. Order: priority (high first), due, order given. With the
    company setting `tasks_per_member_day` (`tasks_per_day`; `tasks_on` counts the owner's tasks per local date so far)
    it is priority, customers in the load, due, and what a full day does not take goes to the next at the same time.
    """
    owner = _Owner(sorted(slots, key=lambda slot: slot.opens_at), tasks_per_day, dict(tasks_on or {}))
    placements: list[Placement] = []
    unplaced: list[tuple[Hashable, int]] = []
    for load in sorted(loads, key=lambda load: _rank(load, by_size=tasks_per_day is not None)):
        tasks = owner.take(load, max(now, load.ready_at))
        placements += tasks
        if left := load.count - sum(task.count for task in tasks):
            unplaced.append((load.key, left))
    return Placed(tuple(placements), tuple(owner.slots), tuple(unplaced))


def creation_minute(
    opens_at: Instant, closes_at: Instant, timetable: Timetable, slow_minutes: frozenset[int] = SLOW_MINUTES
) -> Instant:
    """The first good instant to create a task: `opens_at`, or the next full minute that is not slow.

    If none comes before `closes_at` (the slot's end or the expiry) outside quiet hours, `opens_at` itself.
    """
    at = opens_at
    while at < closes_at and not timetable.quiet.contains(at, timetable.zone):
        if local_datetime(at, timetable.zone).minute not in slow_minutes:
            return at
        at += MINUTE_MS - at % MINUTE_MS
    return opens_at


def _rank(load: Load, *, by_size: bool) -> tuple[int, int, Instant]:
    return (-load.priority, -load.count if by_size else 0, load.ready_at)


class _Owner:
    """The slots of one owner while loads are put into them: ascending, never overlapping."""

    def __init__(self, slots: list[Slot], tasks_per_day: int | None, tasks_on: dict[date, int]) -> None:
        self.slots = slots
        self._tasks_per_day = tasks_per_day
        self._tasks_on = tasks_on

    def take(self, load: Load, at: Instant) -> list[Placement]:
        """Place as much of the load as fits from `at` until its expiry; one pass, forwards only."""
        tasks: list[Placement] = []
        left = load.count
        while left > 0 and (room := self._room(load, at)) is not None:
            place, slot, at = room
            create_at = creation_minute(at, min(slot.closes_at, load.expires_at), load.timetable)
            if not self._take_task(local_date(create_at, load.timetable.zone)):
                own = local_time(load.ready_at, load.timetable.zone)
                at = next_allowed_day_same_time(create_at, load.timetable, own)
                continue
            count = min(left, load.size - slot.used, CUSTOMERS_PER_TASK)
            self._put(place, replace(slot, used=slot.used + count))
            tasks.append(Placement(load.key, count, slot.opens_at, create_at))
            left -= count
        return tasks

    def _room(self, load: Load, at: Instant) -> tuple[int, Slot, Instant] | None:
        """The first slot with room for the load from `at` on, its place in the list, and when it can be used.

        Free time becomes a new slot, unless that would run into a later one: both together would then give the member
        more than `size` in one `every`, so the later one is used. None if the expiry comes first.
        """
        planned_on = local_date(load.ready_at, load.timetable.zone)
        while (at := earliest_send(at, load.timetable, planned_on)) < load.expires_at:
            place = bisect_right(self.slots, at, key=lambda slot: slot.opens_at)
            current = self.slots[place - 1] if place else None
            if current is not None and at < current.closes_at:
                if current.used < load.size:
                    return place - 1, current, at
                at = current.closes_at
            elif place < len(self.slots) and self.slots[place].opens_at < at + load.every_ms:
                at = self.slots[place].opens_at
            else:
                return place, Slot(at, at + load.every_ms, 0), at
        return None

    def _put(self, place: int, slot: Slot) -> None:
        is_known = place < len(self.slots) and self.slots[place].opens_at == slot.opens_at
        self.slots[place:place + is_known] = [slot]

    def _take_task(self, on: date) -> bool:
        """Count one more task on this local date; False if the company's limit is reached."""
        if self._tasks_per_day is None:
            return True
        made = self._tasks_on.get(on, 0)
        if made >= self._tasks_per_day:
            return False
        self._tasks_on[on] = made + 1
        return True
