"""Read-only questions about pushes and the tasks that carry them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sopd.store.queries.views import RUNS_OF_CUSTOMER, Where
from sopd.store.transaction import Transaction


@dataclass(frozen=True)
class PushFilter:
    """Which pushes; None: any. `reason` is met with or without a detail behind it."""

    sop_ids: Sequence[int] | None = None
    states: Sequence[str] | None = None
    step_id: str | None = None
    member_id: int | None = None
    customer_id: int | None = None
    enrollment_id: int | None = None
    dispatch_id: int | None = None
    reason: str | None = None
    since: int | None = None

    def where(self) -> Where:
        """The conditions, on `p`."""
        where = Where().among("p.sop_id", self.sop_ids).among("p.state", self.states)
        where.add("p.step_id = ?", self.step_id).add("p.member_id = ?", self.member_id)
        where.add(f"p.enrollment_id in ({RUNS_OF_CUSTOMER})", *[self.customer_id] * 3)
        where.add("p.enrollment_id = ?", self.enrollment_id)
        where.add("p.dispatch_id = ?", self.dispatch_id).add("p.fired_at >= ?", self.since)
        if self.reason is not None:
            where.add("p.reason = ? or p.reason like ? or p.reason like ?", *_with_details(self.reason))
        return where


def _with_details(reason: str) -> tuple[str, str, str]:
    """A reason as it may stand in rows: alone, with a detail after a blank, or after a colon."""
    plain = reason.replace("%", "").replace("_", " ")
    return reason, f"{plain} %", f"{plain}: %"


class PushRow(NamedTuple):
    """One push with the names of all that belongs to it, and the task it is in."""

    id: int
    enrollment: int
    sop: str
    step: str
    channel: str
    customer: str
    name: str
    member: str
    state: str
    reason: str | None
    mark: str | None
    due_at: int
    fired_at: int
    plan_at: int | None
    expires_at: int | None
    task: int | None
    task_state: str | None
    sent_at: int | None
    settled_at: int | None
    stopped_at: int | None
    deferred: int
    next_due_at: int | None
    takes_quota: bool
    sop_id: int
    version_id: int
    customer_id: int


_PUSH = (
    "select p.id, p.enrollment_id, s.key, p.step_id, p.channel, c.external_userid, c.name, m.userid, p.state, p.reason,"
    " p.mark, p.due_at, p.fired_at, p.plan_at, p.expires_at, p.dispatch_id, d.state, p.sent_at, p.settled_at,"
    " p.stopped_at, p.deferred, p.next_due_at, p.takes_quota, p.sop_id, p.version_id, p.customer_id"
    " from push p join sop s on s.id = p.sop_id join customer c on c.id = p.customer_id"
    " join member m on m.id = p.member_id left join dispatch d on d.id = p.dispatch_id"
)


def pushes(tx: Transaction, wanted: PushFilter, before: int | None, limit: int) -> list[PushRow]:
    """A page of pushes, the newest first: those with an id below `before`."""
    where = wanted.where().add("p.id < ?", before)
    rows = tx.rows(f"{_PUSH}{where} order by p.id desc limit ?", (*where.params, limit))
    return [PushRow(*row) for row in rows]


def push(tx: Transaction, push_id: int) -> PushRow | None:
    """One push by its id."""
    row = tx.one(f"{_PUSH} where p.id = ?", (push_id,))
    return None if row is None else PushRow(*row)


class Place(NamedTuple):
    """A place in one of a customer's quota windows; `push` None: a member's own send that was read."""

    window: str
    place: int
    push: int | None
    at: int


def places_of_push(tx: Transaction, push_id: int) -> list[Place]:
    """The places one push holds."""
    rows = tx.rows(
        'select "window", place, push_id, at from reservation where push_id = ? order by "window"', (push_id,)
    )
    return [Place(*row) for row in rows]


def places_of_customer(tx: Transaction, customer_id: int, limit: int) -> list[Place]:
    """A customer's latest booked places."""
    rows = tx.rows(
        'select "window", place, push_id, at from reservation where customer_id = ? order by at desc, "window" limit ?',
        (customer_id, limit),
    )
    return [Place(*row) for row in rows]


@dataclass(frozen=True)
class TaskFilter:
    """Which tasks; None: any."""

    sop_ids: Sequence[int] | None = None
    states: Sequence[str] | None = None
    member_id: int | None = None
    since: int | None = None

    def where(self) -> Where:
        """The conditions, on `d`."""
        where = Where().among("d.sop_id", self.sop_ids).among("d.state", self.states)
        return where.add("d.member_id = ?", self.member_id).add("d.send_at >= ?", self.since)


class TaskRow(NamedTuple):
    """One task with the names of all that belongs to it."""

    id: int
    sop: str
    version: int
    step: str
    channel: str
    member: str
    size: int
    state: str
    reason: str | None
    send_at: int
    slot_at: int
    expires_at: int
    requested_at: int | None
    confirmed_at: int | None
    settled_at: int | None
    act_at: int | None
    msgid: str | None
    attempts: int
    attempted_at: int | None
    stop_at: int | None
    reissue_of: int | None
    polls: int
    memory: str | None
    sop_id: int
    version_id: int
    nags: int
    nag_at: int | None
    to_userid: str | None
    card_no: int


_TASK = (
    "select d.id, s.key, v.number, d.step_id, d.channel, m.userid, d.size, d.state, d.reason, d.send_at, d.slot_at,"
    " d.expires_at, d.requested_at, d.confirmed_at, d.settled_at, d.act_at, d.msgid, d.attempts, d.attempted_at,"
    " d.stop_at, d.reissue_of, d.polls, d.memory, d.sop_id, d.version_id, d.nags, d.nag_at, d.to_userid,"
    " d.card_no from dispatch d join sop s on s.id = d.sop_id join sop_version v on v.id = d.version_id"
    " join member m on m.id = d.member_id"
)


def tasks(tx: Transaction, wanted: TaskFilter, before: int | None, limit: int) -> list[TaskRow]:
    """A page of tasks, the newest first: those with an id below `before`."""
    where = wanted.where().add("d.id < ?", before)
    rows = tx.rows(f"{_TASK}{where} order by d.id desc limit ?", (*where.params, limit))
    return [TaskRow(*row) for row in rows]


def task(tx: Transaction, dispatch_id: int) -> TaskRow | None:
    """One task by its id."""
    row = tx.one(f"{_TASK} where d.id = ?", (dispatch_id,))
    return None if row is None else TaskRow(*row)


def tasks_by_id(tx: Transaction, dispatch_ids: Sequence[int]) -> dict[int, TaskRow]:
    """Tasks by their ids."""
    given = tx.ids(sorted(set(dispatch_ids)))
    rows = tx.rows(f"{_TASK} where d.id in (select id from {given.sql} g)", given.params)
    return {row[0]: TaskRow(*row) for row in rows}


def reissued_as(tx: Transaction, dispatch_id: int) -> list[int]:
    """The tasks that were issued in place of this one."""
    return [row[0] for row in tx.rows("select id from dispatch where reissue_of = ? order by id", (dispatch_id,))]


class NagRow(NamedTuple):
    """One reminder; `by` is who wanted it, None if its time had come."""

    at: int
    state: str
    by: str | None
    reason: str | None


def nags_of(tx: Transaction, dispatch_id: int) -> list[NagRow]:
    """The reminders that a task's member got, or was to get."""
    rows = tx.rows("select at, state, wanted_by, reason from nag where dispatch_id = ? order by id", (dispatch_id,))
    return [NagRow(*row) for row in rows]
