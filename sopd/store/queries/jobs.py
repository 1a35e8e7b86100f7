"""Statements about long pieces of work: begun by commands, led on in batches, ended once. Called by handlers only."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sopd.store.tables import Job
from sopd.store.transaction import Transaction


class JobRow(NamedTuple):
    """A claimed job. `cursor` is the JSON that it keeps between batches."""

    id: int
    kind: str
    key: str
    cursor: str | None
    done: int
    total: int | None
    started_at: int
    attempts: int

    def memory(self) -> dict[str, object]:
        """What it kept."""
        return {} if self.cursor is None else dict(json.loads(self.cursor))


def begin(
    tx: Transaction, kind: str, key: str, memory: Mapping[str, object] | None = None, *, total: int | None = None
) -> None:
    """Begin a job, due at once; one that runs already goes on. `total`: how many rows there are, if that is known."""
    cursor = None if memory is None else json.dumps(dict(memory))
    row = {"kind": kind, "key": key, "started_at": tx.now, "act_at": tx.now, "cursor": cursor, "total": total}
    tx.insert(Job, [row], returning=(), on_conflict="ignore")


def due_kinds(tx: Transaction) -> set[str]:
    """The kinds of which a job may be claimed now."""
    sql = "select kind from job where act_at <= ? and ended_at is null and (lease_until is null or lease_until <= ?)"
    return {kind for (kind,) in tx.rows(sql, (tx.now, tx.now))}


def claim(tx: Transaction, kinds: Sequence[str], lease_ms: int) -> JobRow | None:
    """Lease the job of these kinds that is due longest, if nobody has it."""
    named = ", ".join(f"'{kind}'" for kind in kinds)
    where = f"act_at <= ? and ended_at is null and kind in ({named})"
    rows = tx.claim(
        Job, where, (tx.now,), order="act_at", limit=1, lease_ms=lease_ms, returning=JobRow._fields
    )
    return JobRow(*rows[0]) if rows else None


def is_running(tx: Transaction, kind: str, key: str) -> bool:
    """Whether a job is not over."""
    return tx.one("select 1 from job where kind = ? and key = ? and ended_at is null", (kind, key)) is not None


def go_on(tx: Transaction, job: JobRow, rows: int) -> None:
    """Note a batch that is done; the next one is due at once."""
    tx.run(
        "update job set done = done + ?, act_at = ?, lease_until = null, attempts = 0"
        " where id = ? and ended_at is null",
        (rows, tx.now, job.id),
    )


def remember(tx: Transaction, job: JobRow, memory: Mapping[str, object]) -> bool:
    """Have a job keep this for its next batch; False if it has ended or somebody else has led it on."""
    kept = json.dumps(dict(memory))
    sql = "update job set cursor = ? where id = ? and ended_at is null and coalesce(cursor, '') = ?"
    return tx.run(sql, (kept, job.id, job.cursor or "")) == 1


def finish(tx: Transaction, job: JobRow) -> None:
    """Nothing is left to do."""
    tx.run(
        "update job set state = 'done', ended_at = ?, act_at = null, lease_until = null where id = ?"
        " and ended_at is null",
        (tx.now, job.id),
    )


def end(tx: Transaction, kind: str, key: str, reason: str) -> None:
    """End a running job that something else made pointless."""
    tx.run(
        "update job set state = 'done', ended_at = ?, act_at = null, lease_until = null, reason = ?"
        " where kind = ? and key = ? and ended_at is null",
        (tx.now, reason, kind, key),
    )
