"""Statements about who may own runs and who does. Called by the handlers of owners and of hand-overs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sopd.store.transaction import Transaction, types_of


def relations(tx: Transaction, customer_ids: Iterable[int]) -> list[tuple[Any, ...]]:
    """Every relation of these customers, by id, lost ones too.

    (relation, customer, member, userid, whether the member may send to customers as 0 or 1, state, channel, add_way,
    began_at, last_talk_at, learned_at). A lost one is `handed_over` for so long as its runs wait for somebody who takes
    over.
    """
    given = tx.ids(customer_ids)
    return tx.rows(
        "select r.id, r.customer_id, r.member_id, m.userid, case when m.can_send and m.in_scope then 1 else 0 end,"
        " case when r.state = 'lost' and r.handover_until is not null then 'handed_over' else r.state end,"
        " r.channel, r.add_way, r.began_at, r.last_talk_at, r.learned_at from relation r"
        f" join member m on m.id = r.member_id where r.customer_id in (select id from {given.sql} g) order by r.id",
        given.params,
    )


# -- runs that go on through another relation --------------------------------------------------------------------------


class Bound(NamedTuple):
    """Whose an open run is to be from now on; `subject_id` and `run_no` differ only where the subject is a relation."""

    id: int
    member_id: int
    relation_id: int
    subject_id: int
    run_no: int | None


def bind(tx: Transaction, rows: Sequence[Bound]) -> None:
    """Give locked open runs to other relations."""
    given = tx.table(types_of(Bound), rows)
    # The plus sign: by an index on `closed_at` SQLite would read all runs that are open, not these few.
    tx.run(
        "update enrollment set member_id = n.member_id, relation_id = n.relation_id, subject_id = n.subject_id,"
        f" run_no = coalesce(n.run_no, enrollment.run_no), rev = enrollment.rev + 1 from {given.sql} n"
        " where enrollment.id = n.id and +enrollment.closed_at is null",
        given.params,
    )


def bind_pushes(tx: Transaction, run_ids: Iterable[int], waited: str) -> int:
    """Let pushes that are in no task go through the present owners of their runs; returns how many.

    Those that waited for the reason `waited` are planned now. A welcome is on its way by itself.
    """
    given = tx.ids(run_ids)
    return tx.run(
        "update push set member_id = e.member_id, relation_id = e.relation_id, plan_at = case when push.reason = ?"
        " and push.plan_at is not null then cast(? as bigint) else push.plan_at end from enrollment e"
        f" where push.enrollment_id in (select id from {given.sql} g) and e.id = push.enrollment_id"
        " and push.settled_at is null and push.dispatch_id is null and push.channel <> 'welcome'",
        (waited, tx.now, *given.params),
    )


def follow_owners(tx: Transaction, push_ids: Iterable[int]) -> None:
    """Let pushes that come back from a task go through whoever owns their runs by now, where that has changed."""
    given = tx.ids(push_ids)
    tx.run(
        "update push set member_id = e.member_id, relation_id = e.relation_id from enrollment e"
        f" where push.id in (select id from {given.sql} g) and e.id = push.enrollment_id"
        " and push.relation_id <> e.relation_id and push.settled_at is null",
        given.params,
    )


# -- relations that are handed over ------------------------------------------------------------------------------------


class Leaving(NamedTuple):
    """A relation that is over for its runs. by: member | customer | transfer | reconciliation."""

    relation_id: int
    customer_id: int
    userid: str
    by: str
    at: int


_LEAVING = (
    # One that has begun anew meanwhile says no longer when it ended; only transfers wait, for a day.
    "select r.id, r.customer_id, m.userid, 'transfer', coalesce(r.lost_at, r.handover_until - 86400000) from relation r"
    " join member m on m.id = r.member_id where r.handover_until is not null and {which} order by r.id"
)


def set_handover(tx: Transaction, rows: Sequence[tuple[int, int | None]]) -> None:
    """Until when the runs of these relations wait for somebody who takes over, as (relation, instant or None)."""
    if not rows:
        return
    given = tx.table({"id": "bigint", "until": "bigint"}, rows)
    tx.run(f"update relation set handover_until = n.until from {given.sql} n where relation.id = n.id", given.params)


def over_ids(tx: Transaction, limit: int) -> list[int]:
    """Relations for whose runs nobody has come in time, the longest waiting first."""
    rows = tx.rows(
        "select id from relation where handover_until is not null and handover_until <= ? order by handover_until"
        " limit ?",
        (tx.now, limit),
    )
    return [row[0] for row in rows]


def lock_over(tx: Transaction, relation_ids: Iterable[int]) -> list[Leaving]:
    """Those of these relations whose time is over still, locked; what another has is left out."""
    given = tx.ids(relation_ids)
    mine = tx.rows(
        f"select id from relation where handover_until <= ? and id in (select id from {given.sql} g)"
        f" order by id{tx.skip_locked}",
        (tx.now, *given.params),
    )
    held = tx.ids([row[0] for row in mine])
    rows = tx.rows(_LEAVING.format(which=f"r.id in (select id from {held.sql} g)"), held.params) if mine else []
    return [Leaving(*row) for row in rows]


def lock_waiting(tx: Transaction, customer_ids: Iterable[int], relation_ids: Iterable[int]) -> list[Leaving]:
    """Relations whose runs wait for somebody who takes over: all of these customers', and these; locked."""
    customers, given = tx.ids(sorted(set(customer_ids))), tx.ids(sorted(set(relation_ids)))
    which = f"(r.customer_id in (select id from {customers.sql} c) or r.id in (select id from {given.sql} g))"
    sql = _LEAVING.format(which=which) + tx.for_update("r")
    return [Leaving(*row) for row in tx.rows(sql, (*customers.params, *given.params))]


def other_pairs(tx: Transaction, relation_ids: Iterable[int]) -> list[tuple[str, str]]:
    """(userid, external_userid) of the other active relations of the same customers that carry open runs."""
    given = tx.ids(relation_ids)
    return tx.rows(
        "select distinct m.userid, c.external_userid from relation b join relation r on r.customer_id = b.customer_id"
        " and r.id <> b.id and r.state = 'active' join member m on m.id = r.member_id"
        " join customer c on c.id = r.customer_id join enrollment e on e.relation_id = r.id and e.closed_at is null"
        f" where b.id in (select id from {given.sql} g)",
        given.params,
    )
