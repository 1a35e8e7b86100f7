"""Statements about pushes, the reservations and claims they hold, and the tasks they leave. Called by handlers only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sopd.store.tables import Reservation
from sopd.store.transaction import Transaction, types_of

WAITS_FOR_OTHER = "same content via %"
FINAL = ("sent", "failed", "skipped", "expired", "cancelled")
"""States in which a push is over. Written out here, for who only looks must not load the machines; a test holds it
against them."""


class PushRow(NamedTuple):
    """An unsettled push with all that planning and its life's decisions look at."""

    id: int
    enrollment_id: int
    sop_id: int
    version_id: int
    step_id: str
    customer_id: int
    relation_id: int
    member_id: int
    takes_quota: bool
    state: str
    reason: str | None
    due_at: int
    next_due_at: int | None
    plan_at: int | None
    deferred: int
    expires_at: int | None
    dispatch_id: int | None
    task_state: str | None
    channel: str


class Changed(NamedTuple):
    """What a push becomes. `deferred` is added; None leaves `mark` and `sent_at`, a settlement the expiry as it was."""

    id: int
    state: str
    reason: str | None
    mark: str | None
    plan_at: int | None
    deferred: int
    expires_at: int | None
    dispatch_id: int | None
    settled_at: int | None
    sent_at: int | None


_ROW = (
    "p.id, p.enrollment_id, p.sop_id, p.version_id, p.step_id, p.customer_id, p.relation_id, p.member_id,"
    " p.takes_quota, p.state, p.reason, p.due_at, p.next_due_at, p.plan_at, p.deferred, p.expires_at, p.dispatch_id,"
    " d.state, p.channel"
)


def unsettled(tx: Transaction, ids: Iterable[int]) -> list[PushRow]:
    """Those of `ids` that are not settled. Their enrollments are locked by the caller."""
    given = tx.ids(ids)
    rows = tx.rows(
        f"select {_ROW} from push p left join dispatch d on d.id = p.dispatch_id"
        f" where p.id in (select id from {given.sql} g) and p.settled_at is null order by p.id",
        given.params,
    )
    return [PushRow(*row) for row in rows]


def enrollments_of(tx: Transaction, ids: Iterable[int]) -> list[int]:
    """The enrollments these pushes belong to: to be locked before the pushes are looked at."""
    given = tx.ids(ids)
    rows = tx.rows(
        f"select distinct enrollment_id from push where id in (select id from {given.sql} g)", given.params
    )
    return sorted(row[0] for row in rows)


def lock_tasks(tx: Transaction, dispatch_ids: Iterable[int]) -> dict[int, str]:
    """The states of these tasks, locked so that no relay takes one meanwhile."""
    given = tx.ids(sorted(set(dispatch_ids)))
    locking = tx.for_update("dispatch")
    return dict(
        tx.rows(
            f"select id, state from dispatch where id in (select id from {given.sql} g) order by id{locking}",
            given.params,
        )
    )


def leave_tasks(tx: Transaction, push_ids: Iterable[int]) -> list[int]:
    """Take pushes out of the planned tasks they are in; returns the tasks that nobody is in any more."""
    given = tx.ids(push_ids)
    left = tx.rows(
        "update dispatch set size = dispatch.size - n.gone from"
        " (select dispatch_id, count(*) as gone from push"
        f" where id in (select id from {given.sql} g) and dispatch_id is not null group by dispatch_id) n"
        " where dispatch.id = n.dispatch_id and dispatch.state = 'planned' returning dispatch.id, dispatch.size",
        given.params,
    )
    return sorted(row[0] for row in left if row[1] <= 0)


def close_tasks(tx: Transaction, dispatch_ids: Sequence[int], state: str, reason: str | None) -> None:
    """End planned tasks that were never asked for."""
    given = tx.ids(dispatch_ids)
    tx.run(
        "update dispatch set state = ?, reason = ?, settled_at = ?, act_at = null, rev = rev + 1"
        f" where id in (select id from {given.sql} g)",
        (state, reason, tx.now, *given.params),
    )


def change(tx: Transaction, rows: Sequence[Changed]) -> None:
    """Write what pushes become."""
    given = tx.table(types_of(Changed), rows)
    tx.run(
        "update push set state = n.state, reason = n.reason, mark = coalesce(n.mark, push.mark), plan_at = n.plan_at,"
        " deferred = push.deferred + n.deferred, dispatch_id = n.dispatch_id,"
        " expires_at = case when n.settled_at is null then n.expires_at else push.expires_at end,"
        " settled_at = n.settled_at, sent_at = coalesce(n.sent_at, push.sent_at)"
        f" from {given.sql} n where push.id = n.id",
        given.params,
    )


def become_reminders(tx: Transaction, push_ids: Iterable[int]) -> None:
    """From now on these pushes are cards to their owners, without a place in any quota, and due to be planned."""
    given = tx.ids(push_ids)
    tx.run(
        "update push set channel = 'remind', takes_quota = false, plan_at = ?"
        f" where id in (select id from {given.sql} g)",
        (tx.now, *given.params),
    )


def mark_stopped(tx: Transaction, push_ids: Iterable[int]) -> None:
    """Their enrollments ended now while their tasks are out; the first end counts (D22)."""
    given = tx.ids(push_ids)
    tx.run(
        f"update push set stopped_at = ? where id in (select id from {given.sql} g) and stopped_at is null",
        (tx.now, *given.params),
    )


def withdraw_welcomes(tx: Transaction, push_ids: Sequence[int]) -> set[int]:
    """Take back those of these welcomes that nobody has begun to send; returns their pushes."""
    if not push_ids:
        return set()
    given = tx.ids(push_ids)
    rows = tx.rows(
        "update outbox set state = 'failed', reason = 'withdrawn', act_at = null, done_at = ?"
        f" where relation_id in (select relation_id from push where id in (select id from {given.sql} g))"
        f" and push_id in (select id from {given.sql} g) and kind = 'welcome' and state = 'pending' returning push_id",
        (tx.now, *given.params, *given.params),
    )
    return {row[0] for row in rows}


def wake_claimants(tx: Transaction, push_ids: Iterable[int]) -> None:
    """Let planning look again at pushes that waited for one of these, which is settled now (D5)."""
    given = tx.ids(push_ids)
    tx.run(
        "update push set plan_at = ? from"
        f" (select distinct sop_id, step_id, customer_id from push where id in (select id from {given.sql} g)) s"
        " where push.customer_id = s.customer_id and push.sop_id = s.sop_id and push.step_id = s.step_id"
        " and push.settled_at is null and push.state = 'waiting' and push.reason like ?",
        (tx.now, *given.params, WAITS_FOR_OTHER),
    )


# -- places in quota windows -------------------------------------------------------------------------------------------


def free_places(tx: Transaction, push_ids: Iterable[int]) -> None:
    """Give back every place these pushes hold."""
    given = tx.ids(push_ids)
    tx.run(f"delete from reservation where push_id in (select id from {given.sql} g)", given.params)


def keep_places(tx: Transaction, sent: Sequence[tuple[int, str]]) -> list[tuple[int, int, str]]:
    """Of sent pushes, keep the place in the window of the sending (push, window) and give back the others.

    Returns (push, customer, window) of those that hold no place there.
    """
    given = tx.table({"id": "bigint", "window": "text"}, sent)
    tx.run(
        f"delete from reservation where push_id in (select id from {given.sql} g)"
        f" and exists (select 1 from {given.sql} n where reservation.push_id = n.id"
        ' and reservation."window" <> n."window")',
        (*given.params, *given.params),
    )
    return tx.rows(
        f'select p.id, p.customer_id, n."window" from {given.sql} n join push p on p.id = n.id where not exists'
        ' (select 1 from reservation r where r.push_id = n.id and r."window" = n."window") order by p.id',
        given.params,
    )


def taken_places(tx: Transaction, customers: Iterable[int], windows: Iterable[str]) -> dict[tuple[int, str], set[int]]:
    """The places taken in these windows, by (customer, window)."""
    given = tx.ids(sorted(set(customers)))
    named = tx.table({"name": "text"}, [(name,) for name in sorted(set(windows))])
    taken: dict[tuple[int, str], set[int]] = {}
    rows = tx.rows(
        f'select customer_id, "window", place from reservation where customer_id in (select id from {given.sql} g)'
        f' and "window" in (select name from {named.sql} w)',
        (*given.params, *named.params),
    )
    for customer_id, window, place in rows:
        taken.setdefault((customer_id, window), set()).add(place)
    return taken


def take_places(tx: Transaction, rows: Sequence[tuple[int, str, int, int]]) -> set[int]:
    """Book (customer, window, place, push); returns the pushes of which a place was gone already."""
    # In one order, so that two planners that meet at a customer wait for each other instead of both.
    made = [
        {"customer_id": customer, "window": window, "place": place, "push_id": push, "at": tx.now}
        for customer, window, place, push in sorted(rows)
    ]
    booked = set(tx.insert(Reservation, made, returning=("push_id", "window"), on_conflict="ignore"))
    return {push for _, window, _, push in rows if (push, window) not in booked}
