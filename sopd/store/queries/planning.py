"""Statements of the planner: locking, what it looks at, slots and tasks. Called by the planning handlers only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from machines.calendar import DAY_MS
from sopd.store.queries.pushes import PushRow
from sopd.store.tables import Dispatch, Slot
from sopd.store.transaction import Transaction


class Owner(NamedTuple):
    """A member whose pushes are planned now. `able`: may send to customers."""

    id: int
    userid: str
    able: bool


class RunFacts(NamedTuple):
    """What planning looks at of an enrollment, open or not. `handover_until`: only where the row is locked."""

    id: int
    sop_id: int
    version_id: int
    customer_id: int
    relation_id: int
    member_id: int
    state: str
    anchor_at: int
    entered_at: int
    closed_at: int | None
    reason: str | None
    anchor_moves_ms: int
    due_at: int | None
    counts_from: int | None
    waits_reply: bool
    parked_at: int | None
    handover_until: int | None = None


class Wanted(NamedTuple):
    """A due push before anything is locked."""

    id: int
    member_id: int
    customer_id: int
    enrollment_id: int


class Rival(NamedTuple):
    """An unsettled push of a customer that takes quota."""

    id: int
    enrollment_id: int
    sop_id: int
    version_id: int
    step_id: str
    customer_id: int
    relation_id: int
    member_id: int
    state: str
    reason: str | None
    due_at: int
    plan_at: int | None


RUN = (  # of `enrollment e`, as RunFacts takes them
    "e.id, e.sop_id, e.version_id, e.customer_id, e.relation_id, e.member_id, e.state, e.anchor_at, e.entered_at,"
    " e.closed_at, e.reason, e.anchor_moves_ms, e.due_at, e.counts_from, e.waits_reply,"
    " e.parked_at"
)


def due_ids(tx: Transaction, limit: int) -> list[int]:
    """Pushes that planning must look at, the longest waiting first."""
    rows = tx.rows("select id from push where plan_at <= ? order by plan_at limit ?", (tx.now, limit))
    return [row[0] for row in rows]


def wanted(tx: Transaction, ids: Iterable[int]) -> list[Wanted]:
    """Those of `ids` that are due still, not locked yet."""
    given = tx.ids(ids)
    rows = tx.rows(
        "select id, member_id, customer_id, enrollment_id from push"
        f" where id in (select id from {given.sql} g) and plan_at <= ? order by id",
        (*given.params, tx.now),
    )
    return [Wanted(*row) for row in rows]


def lock_owners(tx: Transaction, member_ids: Iterable[int]) -> dict[int, Owner]:
    """Those of these members that no other planner has, locked."""
    given = tx.ids(sorted(set(member_ids)))
    rows = tx.rows(
        "select id, userid, case when can_send and in_scope then 1 else 0 end from member"
        f" where id in (select id from {given.sql} g) order by id{tx.skip_locked}",
        given.params,
    )
    return {row[0]: Owner(row[0], row[1], bool(row[2])) for row in rows}


def lock_customers(tx: Transaction, customer_ids: Iterable[int]) -> dict[int, bool]:
    """Whether each of these customers is muted, locked: quota and claims are decided by one planner at a time."""
    given = tx.ids(sorted(set(customer_ids)))
    rows = tx.rows(
        "select id, case when muted_at is null then 0 else 1 end from customer"
        f" where id in (select id from {given.sql} g) order by id{tx.for_update('customer')}",
        given.params,
    )
    return {row[0]: bool(row[1]) for row in rows}


def lock_runs(tx: Transaction, enrollment_ids: Iterable[int]) -> dict[int, RunFacts]:
    """These enrollments, locked, ended ones too."""
    given = tx.ids(sorted(set(enrollment_ids)))
    rows = tx.rows(
        f"select {RUN}, (select r.handover_until from relation r where r.id = e.relation_id) from enrollment e"
        f" where id in (select id from {given.sql} g) order by id{tx.for_update('e')}",
        given.params,
    )
    return {row[0]: RunFacts(*row) for row in rows}


# -- who else wants the same -------------------------------------------------------------------------------------------


class SameStep(NamedTuple):
    """An unsettled push of a step; `userid` is its member's."""

    sop_id: int
    step_id: str
    customer_id: int
    push_id: int
    due_at: int
    entered_at: int
    run_id: int
    userid: str


def same_step(tx: Transaction, keys: Sequence[tuple[int, str, int]]) -> list[SameStep]:
    """Unsettled pushes of these steps (SOP, step, customer), whoever sends them."""
    given = tx.table({"sop_id": "bigint", "step_id": "text", "customer_id": "bigint"}, keys)
    rows = tx.rows(
        "select p.sop_id, p.step_id, p.customer_id, p.id, p.due_at, e.entered_at, e.id, m.userid"
        f" from {given.sql} g join push p on p.customer_id = g.customer_id and p.sop_id = g.sop_id"
        " and p.step_id = g.step_id and p.settled_at is null"
        " join enrollment e on e.id = p.enrollment_id and e.closed_at is null join member m on m.id = p.member_id",
        given.params,
    )
    return [SameStep(*row) for row in rows]


def lagging_runs(tx: Transaction, pairs: Sequence[tuple[int, int]]) -> list[tuple[RunFacts, str]]:
    """Open runs of these (SOP, customer) whose next step is due and has not fired yet, with the member's userid."""
    given = tx.table({"sop_id": "bigint", "customer_id": "bigint"}, pairs)
    rows = tx.rows(
        f"select {RUN}, m.userid from {given.sql} g"
        " join enrollment e on e.customer_id = g.customer_id and e.sop_id = g.sop_id and e.closed_at is null"
        " and e.due_at <= ? join member m on m.id = e.member_id",
        (*given.params, tx.now),
    )
    return [(RunFacts(*row[:-1]), row[-1]) for row in rows]


def rival_pushes(tx: Transaction, customer_ids: Iterable[int]) -> list[Rival]:
    """Every unsettled push of these customers that takes quota."""
    given = tx.ids(sorted(set(customer_ids)))
    rows = tx.rows(
        f"select {', '.join(Rival._fields)} from push where customer_id in (select id from {given.sql} g)"
        " and settled_at is null and takes_quota order by id",
        given.params,
    )
    return [Rival(*row) for row in rows]


def rival_runs(tx: Transaction, customer_ids: Iterable[int], until: int) -> list[RunFacts]:
    """Open runs of these customers whose next mass send falls due before `until` and is not held up by a push."""
    given = tx.ids(sorted(set(customer_ids)))
    rows = tx.rows(
        f"select {RUN} from enrollment e where e.customer_id in (select id from {given.sql} g)"
        " and e.closed_at is null and e.mass_at < ? and e.due_at is not null order by e.id",
        (*given.params, until),
    )
    return [RunFacts(*row) for row in rows]


def able_relations(tx: Transaction, relation_ids: Iterable[int]) -> set[int]:
    """Those of these relations whose members may send to customers, and that are not being handed over."""
    given = tx.ids(sorted(set(relation_ids)))
    rows = tx.rows(
        "select r.id from relation r join member m on m.id = r.member_id and m.can_send and m.in_scope"
        f" where r.id in (select id from {given.sql} g) and r.handover_until is null",
        given.params,
    )
    return {row[0] for row in rows}


# -- slots and tasks ---------------------------------------------------------------------------------------------------


class SlotRow(NamedTuple):
    """A sending slot of a member."""

    member_id: int
    opens_at: int
    closes_at: int
    used: int


class TaskKey(NamedTuple):
    """What makes one task (D14)."""

    member_id: int
    sop_id: int
    version_id: int
    step_id: str
    channel: str
    content_hash: str
    slot_at: int
    expires_at: int


def slots_of(tx: Transaction, member_ids: Iterable[int]) -> dict[int, list[SlotRow]]:
    """The members' slots that have not closed yet. None is longer than a day (`machines.sop.LONGEST_BATCH`)."""
    given = tx.ids(member_ids)
    rows = tx.rows(
        f"select member_id, opens_at, closes_at, used from slot where member_id in (select id from {given.sql} g)"
        " and opens_at >= ? and closes_at > ? order by opens_at",
        (*given.params, tx.now - DAY_MS, tx.now),
    )
    found: dict[int, list[SlotRow]] = {}
    for row in rows:
        found.setdefault(row[0], []).append(SlotRow(*row))
    return found


def save_slots(tx: Transaction, rows: Sequence[SlotRow]) -> None:
    """Open slots and write how many customers are in them."""
    conflict = "(member_id, opens_at) do update set used = excluded.used"
    tx.insert(Slot, [row._asdict() for row in rows], returning=(), on_conflict=conflict)


def task_instants(tx: Transaction, member_ids: Iterable[int], since: int) -> list[tuple[int, int]]:
    """(member, creation instant) of every task of these members from `since` on that was not given up."""
    given = tx.ids(member_ids)
    return tx.rows(
        f"select member_id, send_at from dispatch where member_id in (select id from {given.sql} g)"
        " and send_at >= ? and state <> 'cancelled'",
        (*given.params, since),
    )


def join_tasks(tx: Transaction, keys: Iterable[TaskKey]) -> dict[TaskKey, int]:
    """The planned tasks that are just these, locked: more pushes may go into them."""
    given = tx.table(
        {"member_id": "bigint", "version_id": "bigint", "step_id": "text", "slot_at": "bigint", "expires_at": "bigint"},
        [(key.member_id, key.version_id, key.step_id, key.slot_at, key.expires_at) for key in keys],
    )
    columns = ", ".join(f"d.{name}" for name in TaskKey._fields)
    rows = tx.rows(
        f"select {columns}, d.id from {given.sql} g join dispatch d on d.state = 'planned' and d.reissue_of is null"
        " and d.member_id = g.member_id and d.version_id = g.version_id and d.step_id = g.step_id"
        f" and d.slot_at = g.slot_at and d.expires_at = g.expires_at order by d.id{tx.for_update('d')}",
        given.params,
    )
    return {TaskKey(*row[:-1]): row[-1] for row in reversed(rows)}


def open_tasks(tx: Transaction, rows: Sequence[tuple[TaskKey, int, int]]) -> dict[TaskKey, int]:
    """Make tasks (key, creation instant, customers in it); returns their ids."""
    made = [
        {**key._asdict(), "send_at": send_at, "act_at": send_at, "size": size} for key, send_at, size in rows
    ]
    written = tx.insert(Dispatch, made, returning=(*TaskKey._fields, "id"))
    return {TaskKey(*row[:-1]): row[-1] for row in written}


def enlarge_tasks(tx: Transaction, rows: Sequence[tuple[int, int]]) -> None:
    """More customers (dispatch, how many) in planned tasks."""
    given = tx.table({"id": "bigint", "more": "bigint"}, rows)
    tx.run(
        f"update dispatch set size = dispatch.size + n.more from {given.sql} n where dispatch.id = n.id", given.params
    )


def push_rows(tx: Transaction, ids: Iterable[int]) -> list[PushRow]:
    """Due pushes as they are under the locks of their enrollments."""
    from_ids = tx.ids(ids)
    rows = tx.rows(
        "select id, enrollment_id, sop_id, version_id, step_id, customer_id, relation_id, member_id, takes_quota,"
        " state, reason, due_at, next_due_at, plan_at, deferred, expires_at, dispatch_id, null, channel from push"
        f" where id in (select id from {from_ids.sql} g) and plan_at <= ? and settled_at is null order by id",
        (*from_ids.params, tx.now),
    )
    return [PushRow(*row) for row in rows]
