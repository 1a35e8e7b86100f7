"""Statements about tasks (dispatches) and the pushes in them: whole pages in, whole pages out. For handlers only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sopd.store.queries import locks
from sopd.store.queries.due import CARDS, DISPATCH_LOOPS
from sopd.store.tables import Dispatch
from sopd.store.transaction import Transaction, types_of


class TaskRow(NamedTuple):
    """A dispatch with its member's userid. `able`: the member may send to customers now."""

    id: int
    userid: str
    able: bool
    member_id: int
    sop_id: int
    version_id: int
    step_id: str
    channel: str
    content_hash: str
    state: str
    reason: str | None
    send_at: int
    expires_at: int
    act_at: int | None
    lease_until: int | None
    attempts: int
    attempted_at: int | None
    msgid: str | None
    requested_at: int | None
    confirmed_at: int | None
    settled_at: int | None
    stop_at: int | None
    reissue_of: int | None
    nags: int
    nag_at: int | None
    polls: int
    memory: str | None


class Saved(NamedTuple):
    """What a task becomes."""

    id: int
    state: str
    reason: str | None
    act_at: int | None
    lease_until: int | None
    attempted_at: int | None
    msgid: str | None
    requested_at: int | None
    confirmed_at: int | None
    settled_at: int | None
    stop_at: int | None
    nags: int
    nag_at: int | None
    polls: int
    memory: str | None


class Inside(NamedTuple):
    """An unsettled push of a task, with its customer and what its run has come to. `has_moved`: to another owner."""

    id: int
    enrollment_id: int
    sop_id: int
    step_id: str
    relation_id: int
    state: str
    reason: str | None
    dispatch_id: int
    task_state: str
    stopped_at: int | None
    closed_at: int | None
    end_reason: str | None
    external_userid: str
    is_muted: bool
    is_friend: bool
    has_moved: bool


_OF_MEMBER = {"userid": "m.userid", "able": "case when m.can_send and m.in_scope then 1 else 0 end"}
_TASK = ", ".join(_OF_MEMBER.get(name, f"d.{name}") for name in TaskRow._fields)
_INSIDE = (
    "p.id, p.enrollment_id, p.sop_id, p.step_id, p.relation_id, p.state, p.reason, p.dispatch_id, d.state,"
    " p.stopped_at, e.closed_at, e.reason, c.external_userid,"
    " case when c.muted_at is null then 0 else 1 end, case when r.state = 'lost' then 0 else 1 end,"
    " case when e.relation_id <> p.relation_id then 1 else 0 end"
)


# -- tasks -----------------------------------------------------------------------------------------------------------


def lease(tx: Transaction, loop: str, *, limit: int, lease_ms: int) -> dict[int, int]:
    """Lease due tasks of this loop (see `due.DISPATCH_LOOPS`), the longest waiting first: the claim's number by id.

    The number is `attempts`: whoever claims the row later has another, so an outcome that comes too late is known.
    """
    return lease_among(tx, f"not {CARDS}", DISPATCH_LOOPS[loop], limit, lease_ms)


def lease_among(tx: Transaction, those: str, states: Iterable[str], limit: int, lease_ms: int) -> dict[int, int]:
    """As `lease`, among the dispatches for which the condition `those` holds."""
    named = ", ".join(f"'{state}'" for state in states)
    return dict(
        tx.claim(
            Dispatch, f"state in ({named}) and act_at <= ? and {those}", (tx.now,), order="act_at", limit=limit,
            lease_ms=lease_ms, returning=("id", "attempts"),
        )
    )  # fmt: skip


def lock(tx: Transaction, ids: Iterable[int]) -> list[TaskRow]:
    """These tasks, locked, by id."""
    given = tx.ids(sorted(set(ids)))
    rows = tx.rows(
        f"select {_TASK} from dispatch d join member m on m.id = d.member_id"
        f" where d.id in (select id from {given.sql} g) order by d.id{tx.for_update('d')}",
        given.params,
    )
    return [TaskRow(*row) for row in rows]


def lock_runs(tx: Transaction, dispatch_ids: Iterable[int]) -> set[int]:
    """Lock the runs of the unsettled pushes in these tasks, with their customers, before the tasks; returns them."""
    dispatch_ids = list(dispatch_ids)
    locks.of_tasks(tx, dispatch_ids)
    given = tx.ids(dispatch_ids)
    rows = tx.rows(
        "select id from enrollment where id in (select enrollment_id from push"
        f" where dispatch_id in (select id from {given.sql} g) and settled_at is null)"
        f" order by id{tx.for_update('enrollment')}",
        given.params,
    )
    return {row[0] for row in rows}


def save(tx: Transaction, rows: Sequence[NamedTuple]) -> None:
    """Write what locked tasks, or cards, become: `Saved` rows, all of one kind, at least one."""
    columns = types_of(type(rows[0]))
    given = tx.table(columns, rows)
    changes = ", ".join(f"{name} = n.{name}" for name in columns if name != "id")
    tx.run(
        f"update dispatch set {changes}, rev = dispatch.rev + 1 from {given.sql} n where dispatch.id = n.id",
        given.params,
    )


def postpone(tx: Transaction, states: Sequence[str], until: int) -> int:
    """Let every task in these states that is due wait until then, at most until it expires; returns how many."""
    given = tx.table({"name": "text"}, [(state,) for state in states])
    return tx.run(
        "update dispatch set act_at = case when expires_at > ? and expires_at < ? then expires_at else ? end"
        f" where state in (select name from {given.sql} g) and act_at <= ?"
        " and (lease_until is null or lease_until <= ?) and (state <> 'requested' or expires_at > ?)",
        (tx.now, until, until, *given.params, tx.now, tx.now, tx.now),
    )


def outstanding(tx: Transaction, member_ids: Iterable[int]) -> dict[tuple[int, str], int | None]:
    """Creates of these members that are under way or in doubt, by (member, content).

    The value is when one in doubt is looked up next; None for one that is under way and will be answered soon.
    """
    given = tx.ids(sorted(set(member_ids)))
    rows = tx.rows(
        "select member_id, content_hash, case when state = 'uncertain' then act_at end from dispatch"
        f" where state in ('sending','uncertain') and member_id in (select id from {given.sql} g)",
        given.params,
    )
    return {(row[0], row[1]): row[2] for row in rows}


def begin_attempt(tx: Transaction, dispatch_id: int, attempts: int, state: str, lease_ms: int) -> bool:
    """Note that the call is about to be made, with a fresh lease, if the claim still holds; False if it does not.

    `state`: that of a task, or a card, for which a call is being made.
    """
    until = tx.now + lease_ms
    return bool(
        tx.run(
            "update dispatch set attempted_at = ?, lease_until = ?, act_at = ? where id = ? and attempts = ?"
            " and state = ? and lease_until > ?",
            (tx.now, until, until, dispatch_id, attempts, state, tx.now),
        )
    )


def known_msgids(tx: Transaction, msgids: Iterable[str]) -> set[str]:
    """Those of these tasks of WeCom that belong to a dispatch already."""
    given = tx.table({"msgid": "text"}, [(msgid,) for msgid in sorted(set(msgids))])
    return {row[0] for row in tx.rows(f"select msgid from dispatch where msgid in (select msgid from {given.sql} g)",
                                      given.params)}  # fmt: skip


def reissue(tx: Transaction, rows: Sequence[dict[str, object]]) -> dict[int, int]:
    """Make tasks that stand for stopped ones; returns the new id by the old one."""
    return dict(tx.insert(Dispatch, rows, returning=("reissue_of", "id")))


def of_pushes(tx: Transaction, push_ids: Iterable[int]) -> list[int]:
    """The tasks these pushes are in."""
    given = tx.ids(push_ids)
    rows = tx.rows(
        f"select distinct dispatch_id from push where id in (select id from {given.sql} g) and dispatch_id is not null",
        given.params,
    )
    return [row[0] for row in rows]


# -- the pushes in them ------------------------------------------------------------------------------------------------


def inside(tx: Transaction, dispatch_ids: Iterable[int]) -> list[Inside]:
    """The unsettled pushes of these tasks, by id."""
    return _inside(tx, dispatch_ids, "p.settled_at is null")


def doubted(tx: Transaction, dispatch_ids: Iterable[int]) -> list[Inside]:
    """The pushes of tasks that need an operator: settled for order alone (D20)."""
    return _inside(tx, dispatch_ids, "p.state in ('planned','requested','confirmed')")


def given_up(tx: Transaction, dispatch_ids: Iterable[int]) -> list[Inside]:
    """The pushes of these cards that an end or the expiry took out of them."""
    return _inside(tx, dispatch_ids, "p.state in ('cancelled','expired')")


def _inside(tx: Transaction, dispatch_ids: Iterable[int], which: str) -> list[Inside]:
    given = tx.ids(dispatch_ids)
    rows = tx.rows(
        f"select {_INSIDE} from push p join dispatch d on d.id = p.dispatch_id"
        " join enrollment e on e.id = p.enrollment_id join customer c on c.id = p.customer_id"
        " join relation r on r.id = p.relation_id"
        f" where p.dispatch_id in (select id from {given.sql} g) and {which} order by p.id",
        given.params,
    )
    return [Inside(*row) for row in rows]


def refused(tx: Transaction, dispatch_ids: Iterable[int], reason: str, limit: int) -> list[tuple[int, str]]:
    """(task, customer) of unsettled pushes whose relations must be read again: all of a failed task's, else those that
    carry this reason."""
    given = tx.ids(dispatch_ids)
    return tx.rows(
        "select p.dispatch_id, c.external_userid from push p join dispatch d on d.id = p.dispatch_id"
        f" join customer c on c.id = p.customer_id where p.dispatch_id in (select id from {given.sql} g)"
        " and p.settled_at is null and (d.state = 'failed' or p.reason = ?) order by p.id limit ?",
        (*given.params, reason, limit),
    )


def still_inside(tx: Transaction, pairs: Sequence[tuple[int, str]]) -> list[tuple[int, str]]:
    """Those of these (task, customer) whose push is not settled."""
    given = tx.table({"dispatch_id": "bigint", "external_userid": "text"}, pairs)
    return tx.rows(
        f"select p.dispatch_id, c.external_userid from {given.sql} g"
        " join customer c on c.external_userid = g.external_userid"
        " join push p on p.dispatch_id = g.dispatch_id and p.customer_id = c.id and p.settled_at is null",
        given.params,
    )


def move(tx: Transaction, rows: Sequence[tuple[int, str, str | None]]) -> None:
    """Write (push, state, reason) of pushes that stay in their task."""
    given = tx.table({"id": "bigint", "state": "text", "reason": "text"}, rows)
    tx.run(
        f"update push set state = n.state, reason = n.reason from {given.sql} n where push.id = n.id", given.params
    )


def note_sent(tx: Transaction, rows: Sequence[tuple[int, int]]) -> None:
    """Write when pushes were sent, as WeCom tells it."""
    given = tx.table({"id": "bigint", "sent_at": "bigint"}, rows)
    tx.run(f"update push set sent_at = n.sent_at from {given.sql} n where push.id = n.id", given.params)


def hand_over(tx: Transaction, rows: Sequence[tuple[int, int]]) -> None:
    """Put pushes (push, new task) into the task that stands for their stopped one; nothing is held against them."""
    given = tx.table({"id": "bigint", "dispatch_id": "bigint"}, rows)
    tx.run(
        "update push set dispatch_id = n.dispatch_id, state = 'planned', reason = null, stopped_at = null"
        f" from {given.sql} n where push.id = n.id",
        given.params,
    )


def settle_for_order(tx: Transaction, dispatch_ids: Iterable[int]) -> list[tuple[int, int, str]]:
    """Let nothing wait for these tasks' pushes any more, though nobody knows of them (D20).

    Returns (task, enrollment, step) of each; their places in the quota windows stay taken.
    """
    given = tx.ids(dispatch_ids)
    return tx.rows(
        f"update push set settled_at = ? where dispatch_id in (select id from {given.sql} g) and settled_at is null"
        " returning dispatch_id, enrollment_id, step_id",
        (tx.now, *given.params),
    )
