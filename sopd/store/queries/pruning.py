"""Statements of pruning, except those about runs (`pruning_runs`): what is over, page by page, and its deletion.

Every walk goes along a primary key from the oldest row on, and what it looks at is bounded by `limit`. The row with the
highest id of a table always stays: SQLite would give its id to the next one, and ids must never come back (signals are
compared by id, reservations remember their push). Called by `handlers.pruning` only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sopd.store.transaction import Transaction

Key = tuple[Any, ...]
"""A primary key, also as the place where a walk goes on."""


class Page(NamedTuple):
    """Some of what may go, by primary key, and where the walk goes on; None: it is over."""

    keys: list[Key]
    after: Key | None


def inbox(tx: Transaction, after: Key, before: int, limit: int) -> Page:
    """Handled callbacks that were last heard before then. What was set aside stays until somebody has looked."""
    rows = tx.rows(
        "select id, received_at, case when state = 'done' and last_at < ? then 1 else 0 end from inbox"
        " where id > ? and id < (select max(id) from inbox) order by id limit ?",
        (before, *after, limit),
    )
    return _page(rows, before, limit)


def acts(tx: Transaction, after: Key, before: int, limit: int) -> Page:
    """Welcomes and tag writes that were done, or given up, before then."""
    rows = tx.rows(
        "select id, created_at, case when state in ('done', 'failed') and done_at < ? then 1 else 0 end from outbox"
        " where id > ? and id < (select max(id) from outbox) order by id limit ?",
        (before, *after, limit),
    )
    return _page(rows, before, limit)


def jobs(tx: Transaction, after: Key, before: int, limit: int) -> Page:
    """Long pieces of work that ended before then and were not the last of their kind."""
    rows = tx.rows(
        "select id, started_at, case when ended_at < ? and exists (select 1 from job n where n.kind = job.kind"
        " and n.key = job.key and n.id > job.id) then 1 else 0 end from job where id > ? order by id limit ?",
        (before, *after, limit),
    )
    return _page(rows, before, limit)


def audit(tx: Transaction, after: Key, before: int, limit: int) -> Page:
    """What people did before then."""
    rows = tx.rows(
        "select id, at, 1 from audit where id > ? and id < (select max(id) from audit) order by id limit ?",
        (*after, limit),
    )
    return _page(rows, before, limit)


def signals(tx: Transaction, after: Key, before: int, limit: int) -> Page:
    """Handled signals received before then that no rule can ask for any more.

    Rules of open runs ask for what came after their entry.
    """
    rows = tx.rows(
        "select s.id, s.received_at, case when s.handled_at is not null"
        " and not exists (select 1 from enrollment e where e.customer_id = s.customer_id and e.closed_at is null"
        " and (e.after_signal < s.id or e.entered_at <= s.at))"
        " and not exists (select 1 from set_aside a where a.kind = 'signal' and a.row_key = cast(s.id as text))"
        " then 1 else 0 end from signal s where s.id > ? and s.id < (select max(id) from signal)"
        " order by s.id limit ?",
        (*after, limit),
    )
    return _page(rows, before, limit)


def slots(tx: Transaction, after: Key, before: int, limit: int) -> Page:
    """Sending slots that closed before then."""
    rows = tx.rows(
        "select id, opens_at, case when closes_at < ? then 1 else 0 end from slot"
        " where id > ? and id < (select max(id) from slot) order by id limit ?",
        (before, *after, limit),
    )
    return _page(rows, None, limit)


def tasks(tx: Transaction, after: Key, before: int, limit: int) -> Page:
    """Tasks and cards that were over before then and that no push refers to any more."""
    rows = tx.rows(
        "select d.id, 0, case when d.settled_at < ? and d.send_at < ? and d.act_at is null"
        " and d.state in ('settled', 'failed', 'cancelled')"
        " and not exists (select 1 from push p where p.dispatch_id = d.id) then 1 else 0 end from dispatch d"
        " where d.id > ? and d.id < (select max(id) from dispatch) order by d.id limit ?",
        (before, before, *after, limit),
    )
    return _page(rows, None, limit)


def places(tx: Transaction, after: Key, limit: int) -> list[tuple[int, str, int]]:
    """Reservations, in the order of their key: (customer, window, place)."""
    return tx.rows(
        'select customer_id, "window", place from reservation where (customer_id, "window", place) > (?, ?, ?)'
        ' order by customer_id, "window", place limit ?',
        (*after, limit),
    )


def refusals(tx: Transaction, after: Key, before: int, limit: int) -> Page:
    """Refusals last repeated before then; those that a resume may still admit stay (SPEC 12)."""
    rows = tx.rows(
        "select r.sop_id, r.subject_id, r.reason, case when r.last_at < ? and not (r.reason = 'sop paused' and exists"
        " (select 1 from sop s where s.id = r.sop_id and (s.state = 'paused' or exists (select 1 from job j"
        " where j.kind = 'resume' and j.key = s.key and j.ended_at is null)))) then 1 else 0 end from refusal r"
        " where (r.sop_id, r.subject_id, r.reason) > (?, ?, ?) order by r.sop_id, r.subject_id, r.reason limit ?",
        (before, *after, limit),
    )
    keys: list[Key] = [tuple(row[:3]) for row in rows if row[3]]
    return Page(keys, tuple(rows[-1][:3]) if len(rows) == limit else None)


def claims(tx: Transaction, after: Key, limit: int) -> Page:
    """Claims of SOPs that have ended and that nobody is inside: nothing of theirs is sent any more."""
    rows = tx.rows(
        "select c.sop_id, c.step_id, c.customer_id, case when s.state = 'ended' and not exists (select 1"
        " from enrollment e where e.sop_id = s.id and e.closed_at is null) then 1 else 0 end"
        " from claim c join sop s on s.id = c.sop_id where (c.sop_id, c.step_id, c.customer_id) > (?, ?, ?)"
        " order by c.sop_id, c.step_id, c.customer_id limit ?",
        (*after, limit),
    )
    keys: list[Key] = [tuple(row[:3]) for row in rows if row[3]]
    return Page(keys, tuple(rows[-1][:3]) if len(rows) == limit else None)


def _page(rows: Sequence[tuple[Any, ...]], before: int | None, limit: int) -> Page:
    """Of (id, when it began, whether it may go), in the order of ids; nothing that began since `before` may."""
    keys: list[Key] = [(row[0],) for row in rows if row[2] and (before is None or row[1] < before)]
    young = before is not None and bool(rows) and rows[-1][1] >= before
    return Page(keys, (rows[-1][0],) if len(rows) == limit and not young else None)


_KEYS = {
    "reservation": {"customer_id": "bigint", "window": "text", "place": "int"},
    "refusal": {"sop_id": "bigint", "subject_id": "bigint", "reason": "text"},
    "claim": {"sop_id": "bigint", "step_id": "text", "customer_id": "bigint"},
}
"""Tables whose key is more than an id."""

_STILL = {"inbox": " and state = 'done'", "refusal": " and last_at < {before}"}
"""What is asked once more at the deletion: these rows may have come to life since the page was read."""


def delete(tx: Transaction, table: str, keys: Sequence[Key], before: int) -> int:
    """Delete these rows, which were over before then; returns how many there were still."""
    if not keys:
        return 0
    still = _STILL.get(table, "").format(before=int(before))
    if table not in _KEYS:
        given = tx.ids(key[0] for key in keys)
        return tx.run(f"delete from {table} where id in (select id from {given.sql} g){still}", given.params)
    columns = _KEYS[table]
    named, given = ", ".join(f'"{name}"' for name in columns), tx.table(columns, keys)
    return tx.run(f"delete from {table} where ({named}) in (select {named} from {given.sql} g){still}", given.params)


def delete_nags(tx: Transaction, dispatch_keys: Sequence[Key]) -> int:
    """Delete the nags of these tasks."""
    if not dispatch_keys:
        return 0
    given = tx.ids(key[0] for key in dispatch_keys)
    return tx.run(f"delete from nag where dispatch_id in (select id from {given.sql} g)", given.params)
