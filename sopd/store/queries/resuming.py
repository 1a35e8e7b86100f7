"""Statements of `resume`: what was laid aside during a pause, and what becomes of it (SPEC 12). Called by handlers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sopd.store.transaction import Transaction, types_of


class Waiting(NamedTuple):
    """What a paused SOP holds, for people who are about to resume it.

    runs: open ones. missed: those whose next step fell due meanwhile. pushes: fired, and waiting to be planned.
    recorded: people who would have entered.
    """

    runs: int
    missed: int
    pushes: int
    recorded: int


class Moved(NamedTuple):
    """A run whose instants are shifted."""

    id: int
    anchor_at: int
    anchor_moves_ms: int
    counts_from: int | None


class Ahead(NamedTuple):
    """What a run waits for that goes on behind the pause."""

    id: int
    due_at: int | None
    mass_at: int | None


def waiting(tx: Transaction, sop_id: int, paused_at: int) -> Waiting:
    """Counts of a SOP, each by an index."""
    row = tx.one(
        "select (select count(*) from enrollment where sop_id = ? and closed_at is null),"
        " (select count(*) from enrollment where sop_id = ? and closed_at is null and state <> 'settling'"
        " and (parked_at is not null or due_at <= ?)),"
        " (select count(*) from push where sop_id = ? and settled_at is null and state in ('due', 'waiting')),"
        " (select count(*) from refusal where sop_id = ? and reason = 'sop paused' and last_at >= ?)",
        (sop_id, sop_id, tx.now, sop_id, sop_id, paused_at),
    )
    return Waiting(*(row or (0, 0, 0, 0)))


def paused_at(tx: Transaction, sop_id: int) -> int | None:
    """Since when a SOP is paused."""
    at: int | None = tx.value("select paused_at from sop where id = ?", (sop_id,))
    return at


def park_all(tx: Transaction, sop_id: int) -> None:
    """Lay every run aside that has steps to come: none fires before it is shifted."""
    tx.run(
        "update enrollment set parked_at = ?, due_at = null, rev = rev + 1"
        " where sop_id = ? and closed_at is null and parked_at is null and state <> 'settling'",
        (tx.now, sop_id),
    )


def park_waiting(tx: Transaction, sop_id: int) -> None:
    """Lay the pushes aside that planning would look at now, or whose next step has fallen due."""
    tx.run(
        "update push set plan_at = null where sop_id = ? and plan_at is not null and settled_at is null"
        " and state in ('due', 'waiting') and (plan_at <= ? or next_due_at <= ?)",
        (sop_id, tx.now, tx.now),
    )


# -- pages of ids ------------------------------------------------------------------------------------------------------


def push_page(tx: Transaction, sop_id: int, until: int, after: int, limit: int) -> list[int]:
    """Pushes that fired until then and wait without an instant for it."""
    rows = tx.rows(
        "select id from push where sop_id = ? and plan_at is null and state in ('due','waiting') and fired_at <= ?"
        " and settled_at is null and id > ? order by id limit ?",
        (sop_id, until, after, limit),
    )
    return [row[0] for row in rows]


def run_page(tx: Transaction, sop_id: int, after: int, limit: int) -> list[int]:
    """Runs that are laid aside."""
    rows = tx.rows(
        "select id from enrollment where sop_id = ? and parked_at is not null and id > ? order by id limit ?",
        (sop_id, after, limit),
    )
    return [row[0] for row in rows]


def recorded_page(tx: Transaction, sop_id: int, since: int, after: int, limit: int) -> list[int]:
    """Subjects who would have entered since then, had the SOP not been paused."""
    rows = tx.rows(
        "select subject_id from refusal where sop_id = ? and reason = 'sop paused' and last_at >= ? and subject_id > ?"
        " order by subject_id limit ?",
        (sop_id, since, after, limit),
    )
    return [row[0] for row in rows]


def recorded(tx: Transaction, sop_id: int, subjects: Iterable[int]) -> list[tuple[int, int, int | None]]:
    """(subject, customer, relation) of these recorded ones."""
    given = tx.ids(subjects)
    return tx.rows(
        "select subject_id, customer_id, relation_id from refusal where sop_id = ? and reason = 'sop paused'"
        f" and subject_id in (select id from {given.sql} g) order by subject_id",
        (sop_id, *given.params),
    )


def cut_short(tx: Transaction, key: str) -> str | None:
    """What the SOP's last resume job kept, if something else ended it; None if it went through, or was none."""
    row = tx.one("select cursor, reason from job where kind = 'resume' and key = ? order by id desc limit 1", (key,))
    return row[0] if row is not None and row[1] is not None else None


# -- writing -----------------------------------------------------------------------------------------------------------


def shift(tx: Transaction, rows: Sequence[Moved]) -> None:
    """Move what locked runs count from."""
    given = tx.table(types_of(Moved), rows)
    tx.run(
        "update enrollment set anchor_at = n.anchor_at, anchor_moves_ms = n.anchor_moves_ms,"
        f" counts_from = n.counts_from from {given.sql} n where enrollment.id = n.id",
        given.params,
    )


def go_on(tx: Transaction, rows: Sequence[Ahead]) -> None:
    """Let runs that were laid aside wait for what is to come."""
    given = tx.table(types_of(Ahead), rows)
    tx.run(
        "update enrollment set due_at = n.due_at, mass_at = n.mass_at, parked_at = null, rev = enrollment.rev + 1"
        f" from {given.sql} n where enrollment.id = n.id",
        given.params,
    )


def plan_again(tx: Transaction, push_ids: Iterable[int]) -> None:
    """Let these pushes be planned now, if they still wait without an instant for it."""
    given = tx.ids(push_ids)
    tx.run(
        f"update push set plan_at = ? where id in (select id from {given.sql} g) and plan_at is null"
        " and settled_at is null and state in ('due', 'waiting')",
        (tx.now, *given.params),
    )


def cap(tx: Transaction, rows: Sequence[tuple[int, int | None]]) -> None:
    """Write when the step after these pushes (id, instant) falls due now; it caps their expiry (D11)."""
    given = tx.table({"id": "bigint", "next_due_at": "bigint"}, rows)
    tx.run(f"update push set next_due_at = n.next_due_at from {given.sql} n where push.id = n.id", given.params)


def policies(tx: Transaction, sop_ids: Iterable[int]) -> dict[int, str]:
    """How each of these SOPs was resumed last, for those that ever were."""
    given = tx.ids(sop_ids)
    rows = tx.rows(
        # CROSS: SQLite keeps this order, by the SOP to its jobs and not through all jobs.
        "select s.id, j.id, j.cursor from sop s cross join job j"
        f" where s.id in (select id from {given.sql} g) and j.kind = 'resume' and j.key = s.key",
        given.params,
    )
    return {sop_id: json.loads(cursor)["missed"] for sop_id, _, cursor in sorted(rows) if cursor is not None}
