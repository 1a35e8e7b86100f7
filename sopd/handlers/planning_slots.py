"""Into which slots and tasks the pushes of an owner go (SPEC 7.4, 7.5, D12, D14). A part of planning.

All pushes that passed their checks are grouped into loads of like ones, `machines.slots` places whole loads, and each
placement joins the planned task that is just the same or opens one.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

from machines.calendar import DAY_MS, Instant, local_date
from machines.slots import Load, Placement, Slot, creation_minute, place
from sopd.handlers import planning_quota
from sopd.handlers.app import App
from sopd.handlers.planning_facts import Candidate
from sopd.store import Transaction
from sopd.store.queries import planning as queries
from sopd.store.queries.planning import SlotRow, TaskKey

TAKE_NO_SLOT = ("call",)
"""Of the channels that are planned these take no slot (D12)."""


class LoadKey(NamedTuple):
    """What pushes of one owner must have in common to be one load."""

    version_id: int
    step_id: str
    channel: str
    expires_at: int


@dataclass(frozen=True)
class Seat:
    """Where a push goes: the task it is part of and when that is to be created."""

    task: TaskKey
    create_at: Instant


@dataclass(frozen=True)
class Seated:
    """What came of placing: `seats` by push, and the expiry of those that found no room before it, by push."""

    seats: Mapping[int, Seat]
    without: Mapping[int, Instant]
    slots: Sequence[SlotRow]


def seat(tx: Transaction, app: App, ready: Sequence[Candidate]) -> Seated:
    """Place the pushes of all owners at hand. Nothing is written yet."""
    by_owner: defaultdict[int, list[Candidate]] = defaultdict(list)
    for one in ready:
        by_owner[one.owner.id].append(one)
    known = queries.slots_of(tx, by_owner)
    tasks_on = _tasks_on(tx, app, by_owner)
    seats: dict[int, Seat] = {}
    without: dict[int, Instant] = {}
    slots: list[SlotRow] = []
    for owner_id, mine in by_owner.items():
        loads = _loads(mine, tx.now)
        for key in [key for key in loads if key.channel in TAKE_NO_SLOT]:
            _seat_at_once(key, loads.pop(key), tx.now, seats)
        before = [Slot(row.opens_at, row.closes_at, row.used) for row in known.get(owner_id, ())]
        placed = place(
            before,
            [_load(key, group, tx.now) for key, group in loads.items()],
            tx.now,
            tasks_per_day=app.company.tasks_per_member_day,
            tasks_on=tasks_on.get(owner_id),
        )
        slots += [SlotRow(owner_id, one.opens_at, one.closes_at, one.used) for one in placed.slots if one not in before]
        left = {key: list(group) for key, group in loads.items()}
        for placement in placed.placements:
            _take_seats(left[_key(placement)], placement, seats)
        without |= {one.push.id: key.expires_at for key, group in left.items() for one in group}
    return Seated(seats, without, slots)


def write(tx: Transaction, seated: Seated, pushes: Iterable[int]) -> dict[int, int]:
    """Write the slots and the tasks of these pushes; returns each push's task."""
    if seated.slots:
        queries.save_slots(tx, seated.slots)
    seats = {push_id: seated.seats[push_id] for push_id in pushes}
    sizes = Counter(one.task for one in seats.values())
    create_at = {one.task: one.create_at for one in seats.values()}
    if not sizes:
        return {}
    joined = queries.join_tasks(tx, sizes)
    if joined:
        queries.enlarge_tasks(tx, [(joined[key], n) for key, n in sizes.items() if key in joined])
    new = [(key, create_at[key], n) for key, n in sizes.items() if key not in joined]
    opened = queries.open_tasks(tx, new) if new else {}
    return {push_id: (joined | opened)[one.task] for push_id, one in seats.items()}


def _loads(mine: Sequence[Candidate], now: Instant) -> dict[LoadKey, list[Candidate]]:
    """Like pushes together, in the order in which they fell due, then of the runs (as among rivals, SPEC 7.3)."""
    loads: defaultdict[LoadKey, list[Candidate]] = defaultdict(list)
    for one in sorted(mine, key=lambda one: (one.push.due_at, one.run.id)):
        expires_at = planning_quota.expires_at(one, now)
        loads[LoadKey(one.push.version_id, one.push.step_id, one.push.channel, expires_at)].append(one)
    return dict(loads)


def _load(key: LoadKey, group: Sequence[Candidate], now: Instant) -> Load:
    program = group[0].program
    return Load(
        key=key,
        count=len(group),
        ready_at=now,
        expires_at=key.expires_at,
        size=program.batch_size,
        every_ms=program.batch_every_ms,
        timetable=program.timetable,
        priority=program.priority,
    )


def _key(placement: Placement) -> LoadKey:
    key = placement.key
    assert isinstance(key, LoadKey)  # `_load` made it
    return key


def _take_seats(left: list[Candidate], placement: Placement, seats: dict[int, Seat]) -> None:
    key, taken = _key(placement), left[: placement.count]
    del left[: placement.count]
    for one in taken:
        seats[one.push.id] = Seat(_task(one, key, placement.opens_at), placement.create_at)


def _seat_at_once(key: LoadKey, group: Sequence[Candidate], now: Instant, seats: dict[int, Seat]) -> None:
    """Phone tasks are no batches: they go out as they fall due (D12), in full minutes that are not slow."""
    create_at = creation_minute(now, key.expires_at, group[0].program.timetable)
    for one in group:
        seats[one.push.id] = Seat(_task(one, key, create_at), create_at)


def _task(one: Candidate, key: LoadKey, slot_at: Instant) -> TaskKey:
    return TaskKey(
        member_id=one.owner.id,
        sop_id=one.push.sop_id,
        version_id=one.push.version_id,
        step_id=one.step.id,
        channel=key.channel,
        content_hash=one.step.content_hash,
        slot_at=slot_at,
        expires_at=key.expires_at,
    )


def _tasks_on(
    tx: Transaction, app: App, owners: Mapping[int, Sequence[Candidate]]
) -> dict[int, Mapping[date, int]]:
    """How many tasks each owner has per local date, if the company limits them (D12)."""
    if app.company.tasks_per_member_day is None:
        return {}
    counts: defaultdict[int, Counter[date]] = defaultdict(Counter)
    for member_id, send_at in queries.task_instants(tx, owners, tx.now - DAY_MS):
        counts[member_id][local_date(send_at, app.company.zone)] += 1
    return dict(counts)
