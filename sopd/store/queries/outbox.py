"""Statements about outside acts other than tasks: welcomes and tag writes on their way to WeCom. For handlers only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sopd.store.tables import Outbox
from sopd.store.transaction import Transaction

TAGS, WELCOME = "mark_tag", "welcome"
_BEHIND = (
    "exists (select 1 from outbox o where o.relation_id = outbox.relation_id and o.id < outbox.id"
    f" and o.state in ('pending','sending') and o.kind = '{TAGS}')"
)
"""An older tag write of the same relation is not done yet."""


class Act(NamedTuple):
    """A claimed tag write. `attempts` is the number of our claim on it."""

    id: int
    attempts: int
    relation_id: int
    userid: str
    external_userid: str
    payload: str
    lease_until: int


class Greeting(NamedTuple):
    """A claimed welcome, and what its run and its customer have come to. `state` is what it was before the claim."""

    id: int
    attempts: int
    state: str
    reason: str | None
    payload: str
    give_up_at: int | None
    lease_until: int
    push_id: int
    closed_at: int | None
    end_reason: str | None
    sop_state: str
    is_muted: bool
    is_friend: bool


class Finished(NamedTuple):
    """What a claimed row becomes."""

    id: int
    state: str
    reason: str | None
    act_at: int | None
    done_at: int | None


def hold_back(tx: Transaction, until: int) -> None:
    """Tag writes of a relation follow each other: a younger one waits until then, or until the older one is done."""
    tx.run(
        f"update outbox set act_at = ? where kind = '{TAGS}' and fast = false and act_at <= ? and {_BEHIND}",
        (until, tx.now),
    )


def claim_tags(tx: Transaction, *, limit: int, lease_ms: int) -> list[Act]:
    """Lease due tag writes, the oldest of each relation. Call `hold_back` before."""
    claimed = tx.claim(
        Outbox, f"fast = false and act_at <= ? and not {_BEHIND}", (tx.now,), order="act_at, id", limit=limit,
        lease_ms=lease_ms, returning=("id",),
    )  # fmt: skip
    if not claimed:
        return []
    given = tx.ids(row[0] for row in claimed)
    tx.run(f"update outbox set state = 'sending' where id in (select id from {given.sql} g)", given.params)
    rows = tx.rows(
        "select o.id, o.attempts, o.relation_id, m.userid, c.external_userid, o.payload, o.lease_until from outbox o"
        " join relation r on r.id = o.relation_id join member m on m.id = r.member_id"
        f" join customer c on c.id = r.customer_id where o.id in (select id from {given.sql} g) order by o.id",
        given.params,
    )
    return [Act(*row) for row in rows]


def claim_welcomes(tx: Transaction, *, limit: int, lease_ms: int, doubtful: str) -> list[Greeting]:
    """Lease due welcomes. One that was begun before is marked with the reason `doubtful` until it is certain."""
    claimed = dict(
        tx.claim(
            Outbox, "fast = true and act_at <= ?", (tx.now,), order="act_at, id", limit=limit, lease_ms=lease_ms,
            returning=("id", "attempts"),
        )
    )  # fmt: skip
    if not claimed:
        return []
    given = tx.ids(claimed)
    rows = tx.rows(
        "select o.id, o.attempts, o.state, o.reason, o.payload, o.give_up_at, o.lease_until, o.push_id, e.closed_at,"
        " e.reason, s.state, case when c.muted_at is null then 0 else 1 end,"
        " case when r.state = 'lost' then 0 else 1 end"
        " from outbox o join push p on p.id = o.push_id join enrollment e on e.id = p.enrollment_id"
        " join sop s on s.id = p.sop_id join customer c on c.id = p.customer_id join relation r on r.id = p.relation_id"
        f" where o.id in (select id from {given.sql} g) order by o.id",
        given.params,
    )
    tx.run(
        "update outbox set reason = case when state in ('sending','uncertain') then ? else reason end,"
        f" state = 'sending' where id in (select id from {given.sql} g)",
        (doubtful, *given.params),
    )
    return [Greeting(*row) for row in rows]


def lock_claimed(tx: Transaction, claims: Iterable[tuple[int, int]]) -> set[int]:
    """Those of these rows, given as (id, claim's number), on which our claim still holds, locked."""
    given = tx.table({"id": "bigint", "attempts": "bigint"}, list(claims))
    rows = tx.rows(
        f"select o.id from outbox o join {given.sql} g on g.id = o.id and g.attempts = o.attempts"
        f" where o.state = 'sending' order by o.id{tx.for_update('o')}",
        given.params,
    )
    return {row[0] for row in rows}


def finish(tx: Transaction, rows: Sequence[Finished]) -> None:
    """Write what became of claimed rows; their leases end."""
    given = tx.table({"id": "bigint", "state": "text", "reason": "text", "act_at": "bigint", "done_at": "bigint"}, rows)
    tx.run(
        "update outbox set state = n.state, reason = n.reason, act_at = n.act_at, done_at = n.done_at,"
        f" lease_until = null from {given.sql} n where outbox.id = n.id",
        given.params,
    )


def wake_next(tx: Transaction, relation_ids: Iterable[int]) -> None:
    """Let the next tag write of each of these relations go."""
    given = tx.ids(sorted(set(relation_ids)))
    tx.run(
        "update outbox set act_at = ? where state = 'pending' and id in (select min(id) from outbox"
        f" where relation_id in (select id from {given.sql} g) and state in ('pending','sending') and kind = '{TAGS}'"
        " group by relation_id)",
        (tx.now, *given.params),
    )


def postpone(tx: Transaction, kind: str, until: int) -> None:
    """Let every row of this kind that is due wait until then: its path of the API is closed."""
    tx.run("update outbox set act_at = ? where kind = ? and state = 'pending' and act_at <= ?", (until, kind, tx.now))


def stopped_at(tx: Transaction, push_ids: Iterable[int]) -> dict[int, int]:
    """By push, when its run ended while it was on its way; those whose run goes on are left out."""
    given = tx.ids(push_ids)
    return dict(
        tx.rows(
            f"select id, stopped_at from push where id in (select id from {given.sql} g) and stopped_at is not null",
            given.params,
        )
    )


def settle_unknown(tx: Transaction, push_ids: Iterable[int], reason: str) -> list[tuple[int, str]]:
    """Let nothing wait for these welcomes any more, though nobody knows of them (D20): (enrollment, step) of each."""
    given = tx.ids(push_ids)
    return tx.rows(
        f"update push set settled_at = ?, reason = ?, plan_at = null where id in (select id from {given.sql} g)"
        " and settled_at is null returning enrollment_id, step_id",
        (tx.now, reason, *given.params),
    )
