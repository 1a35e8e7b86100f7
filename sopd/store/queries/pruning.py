"""Statements of pruning, except those about runs (`pruning_runs`): what is over, page by page, and its deletion.

Every walk goes along a primary key from the oldest row on, and what it looks at is bounded by `limit`. The row with the
highest id of a table always stays: SQLite would give its id to the next one, and ids must never come back (signals are
compared by id, reservations remember their push). Called by `handlers.pruning` only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sopd.store.transaction import Transaction

Key = tuple[Any, ...]
"""A primary key, also as the place where a walk goes on."""


class Page(NamedTuple):
    """Some of what may go, by primary key, and where the walk goes on; None: it is over."""

    keys: list[Key]
    after: Key | None


class Prunable(NamedTuple):
    """Which rows of a table may go.

    over: the condition, `?` wherever the instant is asked for before which they were over.
    began: a column that rises along the key: a walk ends where it reaches that instant. None: every row is looked at.
    still: the part of `over` that is asked once more at the deletion, because a row may come to life after its page.
    key: the columns of the primary key, with their types.
    """

    table: str
    over: str
    began: str | None = None
    still: str = "true"
    key: Mapping[str, str] = {"id": "bigint"}

    @property
    def first(self) -> Key:
        """Where a walk begins."""
        return tuple("" if kind == "text" else 0 for kind in self.key.values())

    @property
    def columns(self) -> str:
        """The primary key, as SQL lists it."""
        return ", ".join(f'"{name}"' for name in self.key)


INBOX = Prunable("inbox", "state = 'done' and last_at < ?", began="received_at", still="state = 'done'")
"""Handled callbacks, by when they were last heard. What was set aside stays until somebody has looked."""

ACTS = Prunable("outbox", "state in ('done', 'failed') and done_at < ?", began="created_at")
"""Welcomes and tag writes that were done, or given up."""

JOBS = Prunable(
    "job",
    "ended_at < ? and exists (select 1 from job n where n.kind = job.kind and n.key = job.key and n.id > job.id)",
    began="started_at",
)
"""Long pieces of work that ended and were not the last of their kind."""

AUDIT = Prunable("audit", "at < ?", began="at")
"""What people did."""

SIGNALS = Prunable(
    "signal",
    "received_at < ? and handled_at is not null"
    " and not exists (select 1 from enrollment e where e.customer_id = signal.customer_id and e.closed_at is null"
    " and (e.after_signal < signal.id or e.entered_at <= signal.at))"
    " and not exists (select 1 from set_aside a where a.kind = 'signal' and a.row_key = cast(signal.id as text))",
    began="received_at",
)
"""Handled signals that no rule can ask for any more: rules of open runs ask for what came after their entry."""

SLOTS = Prunable("slot", "closes_at < ?")
"""Sending slots that closed."""

TASKS = Prunable(
    "dispatch",
    "settled_at < ? and send_at < ? and act_at is null and state in ('settled', 'failed', 'cancelled')"
    " and (select min(p.dispatch_id) from push p where p.dispatch_id = dispatch.id) is null",
)
"""Tasks and cards that were over and that no push refers to any more. MIN is one seek; for NOT EXISTS, here and in
CLAIMS, a database may read the whole table, whose figures tell nothing of these few."""

PLACES = Prunable("reservation", "true", key={"customer_id": "bigint", "window": "text", "place": "int"})
"""Reservations; whether their window has closed only its name tells, which is not for SQL to read."""

REFUSALS = Prunable(
    "refusal",
    "last_at < ? and not (reason = 'sop paused' and exists (select 1 from sop s where s.id = refusal.sop_id"
    " and (s.state = 'paused' or exists (select 1 from job j where j.kind = 'resume' and j.key = s.key"
    " and j.ended_at is null))))",
    still="last_at < ?",
    key={"sop_id": "bigint", "subject_id": "bigint", "reason": "text"},
)
"""Refusals, by when they were last repeated; those that a resume may still admit stay (SPEC 12)."""

CLAIMS = Prunable(
    "claim",
    "exists (select 1 from sop s where s.id = claim.sop_id and s.state = 'ended'"
    " and (select min(e.subject_id) from enrollment e where e.sop_id = s.id and e.closed_at is null) is null)",
    key={"sop_id": "bigint", "step_id": "text", "customer_id": "bigint"},
)
"""Claims of SOPs that have ended and that nobody is inside: nothing of theirs is sent any more."""


def page(tx: Transaction, what: Prunable, after: Key, before: int, limit: int) -> Page:
    """The next `limit` rows behind `after`, and those of them that were over before then."""
    but_newest = f" and id < (select max(id) from {what.table})" if "id" in what.key else ""
    rows = tx.rows(
        f"select {what.columns}, {what.began or 0}, case when {what.over} then 1 else 0 end from {what.table}"
        f" where ({what.columns}) > ({', '.join('?' * len(what.key))}){but_newest} order by {what.columns} limit ?",
        (*[before] * what.over.count("?"), *after, limit),
    )
    is_young = [what.began is not None and row[-2] >= before for row in rows]
    keys = [row[:-2] for row, young in zip(rows, is_young, strict=True) if row[-1] and not young]
    return Page(keys, rows[-1][:-2] if len(rows) == limit and not is_young[-1] else None)


def delete(tx: Transaction, what: Prunable, keys: Sequence[Key], before: int) -> list[Key]:
    """Delete these rows, which were over before then; returns those that were there still, and over."""
    if not keys:
        return []
    those = tx.those(what.table, what.key, keys)
    return tx.rows(
        f"delete from {what.table} where {those.sql} and {what.still} returning {what.columns}",
        (*those.params, *[before] * what.still.count("?")),
    )


def delete_nags(tx: Transaction, dispatch_keys: Sequence[Key]) -> int:
    """Delete the nags of these tasks."""
    if not dispatch_keys:
        return 0
    given = tx.ids(key[0] for key in dispatch_keys)
    return tx.run(f"delete from nag where dispatch_id in (select id from {given.sql} g)", given.params)
