"""Statements about the jobs that read WeCom: the tag library when it changed, everybody once a day."""

from __future__ import annotations

from sopd.store.tables import Job
from sopd.store.transaction import Transaction


def want(tx: Transaction, kind: str) -> None:
    """Have the job of this kind done as soon as may be, and once more if it is being done now.

    `cursor` counts how often it was wanted: who ends the job compares it with what he began with.
    """
    tx.insert(
        Job,
        [{"kind": kind, "key": "", "cursor": "1", "started_at": tx.now, "act_at": tx.now}],
        returning=(),
        on_conflict="(kind, key) where ended_at is null do update"
        " set cursor = cast(cast(job.cursor as bigint) + 1 as text),"
        " act_at = case when job.lease_until > excluded.act_at then job.act_at else excluded.act_at end",
    )


def begin(tx: Transaction, job_id: int, cursor: str, total: int) -> None:
    """The claimed job really starts now; what it was waiting for has come."""
    tx.run(
        "update job set started_at = ?, cursor = ?, done = 0, total = ?, act_at = ?, lease_until = null, attempts = 0,"
        " reason = null where id = ? and ended_at is null",
        (tx.now, cursor, total, tx.now, job_id),
    )


def go_on(tx: Transaction, job_id: int, cursor: str, rows: int, act_at: int, reason: str | None) -> None:
    """Note what is done and when to go on."""
    tx.run(
        "update job set done = done + ?, cursor = ?, act_at = ?, lease_until = null, attempts = 0, reason = ?"
        " where id = ? and ended_at is null",
        (rows, cursor, act_at, reason, job_id),
    )


def retry(tx: Transaction, job_id: int, act_at: int, reason: str) -> None:
    """Try the same again later; `attempts` goes on counting."""
    tx.run(
        "update job set act_at = ?, lease_until = null, reason = ? where id = ? and ended_at is null",
        (act_at, reason, job_id),
    )


def end(tx: Transaction, job_id: int, state: str, reason: str | None) -> None:
    """The job is over: done | held | failed."""
    tx.run(
        "update job set state = ?, reason = ?, ended_at = ?, act_at = null, lease_until = null where id = ?"
        " and ended_at is null",
        (state, reason, tx.now, job_id),
    )


def end_if_unwanted(tx: Transaction, job_id: int, cursor: str | None) -> None:
    """The job is done, unless it was wanted again since its cursor read so: then it is due at once."""
    tx.run(
        "update job set state = 'done', done = done + 1, reason = null, ended_at = ?, act_at = null, lease_until = null"
        " where id = ? and ended_at is null and coalesce(cursor, '') = ?",
        (tx.now, job_id, cursor or ""),
    )
    tx.run(
        "update job set act_at = ?, lease_until = null, attempts = 0 where id = ? and ended_at is null",
        (tx.now, job_id),
    )


def schedule(tx: Transaction, kind: str, act_at: int) -> None:
    """Have a job of this kind wait for its time; the one before it has ended."""
    row = {"kind": kind, "key": "", "started_at": tx.now, "act_at": act_at}
    tx.insert(Job, [row], returning=(), on_conflict="ignore")


def reading_since(tx: Transaction) -> int | None:
    """Since when a full read has been going on, None if none is: until it has begun its job has no cursor."""
    return tx.value("select started_at from job where kind = 'reconcile' and ended_at is null and cursor is not null")
