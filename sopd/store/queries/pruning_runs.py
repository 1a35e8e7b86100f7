"""Statements that prune the stories of ended runs: journal and pushes go, the run itself stays.

The run tells `reenter`, `ended_sop` and every count who was inside and how it ended; a claim remembers that a step was
sent after its push is gone. Ended runs are found along the journal, whose oldest rows come first, so no index is kept
for pruning alone. Called by `handlers.pruning` only.
"""

from __future__ import annotations

from collections.abc import Iterable

from sopd.store.queries.pruning import Key, Page
from sopd.store.queries.pushes import FINAL
from sopd.store.transaction import Transaction

_NEWEST = (
    "e.id <> (select enrollment_id from journal order by id desc limit 1)"
    " and e.id <> coalesce((select enrollment_id from push order by id desc limit 1), 0)"
)
_IN_DOUBT = (
    "exists (select 1 from push p left join dispatch d on d.id = p.dispatch_id where p.enrollment_id = e.id"
    f" and (p.settled_at is null or p.state not in {FINAL} or d.act_at is not null or d.state = 'needs_operator'))"
)


def page(tx: Transaction, after: Key, before: int, limit: int) -> Page:
    """Runs that ended before then and of which nothing is open or doubtful, locked, as far as `limit` rows tell."""
    rows = tx.rows("select id, enrollment_id, at from journal where id > ? order by id limit ?", (*after, limit))
    old = sorted({run_id for _, run_id, at in rows if at < before})
    given = tx.ids(old)
    found = tx.rows(
        f"select e.id from enrollment e where e.id in (select id from {given.sql} g) and e.closed_at < ?"
        f" and {_NEWEST} and not {_IN_DOUBT} order by e.id",
        (*given.params, before),
    ) if old else []  # fmt: skip
    is_over = len(rows) < limit or rows[-1][2] >= before
    return Page([(row[0],) for row in found], None if is_over else (rows[-1][0],))


def lock(tx: Transaction, run_ids: Iterable[int]) -> list[int]:
    """Those of these ended runs that nobody else works on, locked."""
    given = tx.ids(run_ids)
    rows = tx.rows(
        f"select id from enrollment where id in (select id from {given.sql} g) and closed_at is not null"
        f" order by id{tx.skip_locked}",
        given.params,
    )
    return [row[0] for row in rows]


def count(tx: Transaction, run_ids: Iterable[int]) -> dict[str, int]:
    """How many rows of the journal and pushes these runs have."""
    given = tx.ids(run_ids)
    return {
        table: int(tx.value(
            f"select count(*) from {table} where enrollment_id in (select id from {given.sql} g)", given.params
        ))
        for table in ("journal", "push")
    }  # fmt: skip


def delete(tx: Transaction, run_ids: Iterable[int]) -> dict[str, int]:
    """Delete the stories of locked runs; returns how many rows of each table went."""
    given = tx.ids(run_ids)
    pushes = f"select id from push where enrollment_id in (select id from {given.sql} g)"
    tx.run(
        "update claim set sent_by = p.member_id from push p where p.id = claim.push_id and p.state = 'sent'"
        f" and claim.push_id in ({pushes})",
        given.params,
    )
    gone = {"claim": tx.run(f"delete from claim where push_id in ({pushes}) and sent_by is null", given.params)}
    for table in ("journal", "push"):
        gone[table] = tx.run(
            f"delete from {table} where enrollment_id in (select id from {given.sql} g)", given.params
        )
    tx.run(f"update enrollment set pruned_at = ? where id in (select id from {given.sql} g)", (tx.now, *given.params))
    return gone
