"""Pruning: what is over and old enough is deleted, in small batches, each a transaction of its own (docs/retention.md).

One walk per kind of row, from the oldest on. Nothing goes that a rule, a look-up or a promise may still ask for,
however short the retention is: the shortest lives are in `LEAST_MS`. Sums are counted when things happen, or, where
only rows know them (refusals), in the transaction that deletes the rows. The daemon does it once a day as a job;
`sopd db prune` does it at once, beside a running daemon.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from machines.calendar import DAY_MS, MINUTE_MS, Instant
from machines.quota import end_of
from sopd.commands import PruneRows
from sopd.config import Retention
from sopd.handlers import replies
from sopd.handlers.app import App
from sopd.handlers.observe_jobs import next_time
from sopd.store import Transaction
from sopd.store.queries import audit, jobs, reading_jobs
from sopd.store.queries import pruning as queries
from sopd.store.queries import pruning_runs as run_queries
from sopd.store.queries.pruning import Key, Page

KIND = "prune"
LEASE_MS = 5 * MINUTE_MS
BATCH = 500
"""Rows a batch looks at: some milliseconds of the one writer that SQLite has."""

LEAST_MS: Mapping[str, int] = {
    "inbox": DAY_MS,  # WeCom repeats a callback within seconds, a proxy perhaps within hours
    "acts": DAY_MS,
    "jobs": DAY_MS,
    "runs": replies.LISTENS_MS + DAY_MS,  # `on_reply` listens so long after a normal end
    "tasks": 35 * DAY_MS,  # WeCom lists a month of tasks: one that we forgot would be taken for somebody else's
    "slots": 2 * DAY_MS,
    "places": DAY_MS,
    "signals": replies.LISTENS_MS + DAY_MS,
    "refusals": 0,
    "claims": 0,
    "audit": 0,
}
"""How long each kind of row is kept at least, in the order in which they are pruned."""

KINDS = tuple(LEAST_MS)
_DAYS_OF = {"tasks": "runs", "slots": "runs", "places": "runs", "claims": "runs"}
"""Kinds that follow the setting of another one."""

_ROWS: Mapping[str, queries.Prunable] = {
    "inbox": queries.INBOX, "acts": queries.ACTS, "jobs": queries.JOBS, "tasks": queries.TASKS, "slots": queries.SLOTS,
    "places": queries.PLACES, "signals": queries.SIGNALS, "refusals": queries.REFUSALS, "claims": queries.CLAIMS,
    "audit": queries.AUDIT,
}  # fmt: skip
"""The rows of each kind, except `runs`: these go as whole stories."""


@dataclass(frozen=True)
class Batch:
    """What one batch deleted, or would, by table; `after`: where the walk of this kind goes on, None if it is over."""

    rows: Mapping[str, int]
    after: Key | None


@dataclass
class Walk:
    """What the job keeps between two batches: which kind it is at, and where."""

    kind: str = KINDS[0]
    after: list[object] = field(default_factory=list)

    def text(self) -> str:
        """For the job's row."""
        return json.dumps({"kind": self.kind, "after": self.after}, ensure_ascii=False)


def kept_since(retention: Retention, kind: str, now: Instant) -> Instant | None:
    """Rows of this kind that were over before then may go, by the settings; None: they are kept for ever."""
    days: int = getattr(retention, f"{_DAYS_OF.get(kind, kind)}_days")
    return now - max(days * DAY_MS, LEAST_MS[kind]) if days else None


def is_wanted(retention: Retention) -> bool:
    """Whether the settings have anything pruned."""
    return any(kept_since(retention, kind, 0) is not None for kind in KINDS)


# -- at once -----------------------------------------------------------------------------------------------------------


def count(app: App, kind: str, before: Instant, after: Key | None = None) -> Batch:
    """What one batch would delete of a kind; nothing is changed or locked."""
    with app.store.reading() as tx:
        before = min(before, tx.now - LEAST_MS[kind])
        page = _page(tx, kind, before, after)
        if kind == "runs":
            return Batch(run_queries.count(tx, _ids(page.keys)), page.after)
        return Batch({_ROWS[kind].table: len(page.keys)}, page.after)


def prune(app: App, kind: str, before: Instant, after: Key | None = None) -> Batch:
    """Delete one batch of a kind: of what was over before then, and longer ago than its least life."""
    with app.store.transaction() as tx:
        return _prune(tx, kind, before, after)


def note(app: App, command: PruneRows) -> None:
    """Write into the audit what an operator had pruned, by table."""
    with app.store.transaction() as tx:
        audit.write(tx, command.who, "db prune", " ".join(command.kinds), json.dumps(dict(command.rows)))


def _prune(tx: Transaction, kind: str, before: Instant, after: Key | None) -> Batch:
    before = min(before, tx.now - LEAST_MS[kind])
    page = _page(tx, kind, before, after)
    if kind == "runs":
        locked = run_queries.lock(tx, _ids(page.keys)) if page.keys else []
        gone = run_queries.delete(tx, locked) if locked else {}
        return Batch(gone, page.after)
    gone = queries.delete(tx, _ROWS[kind], page.keys, before)
    rows = {_ROWS[kind].table: len(gone)}
    if kind == "refusals":
        _keep_sums(tx, gone)
    if kind == "tasks":
        rows["nag"] = queries.delete_nags(tx, gone)
    return Batch(rows, page.after)


def _keep_sums(tx: Transaction, keys: Sequence[Key]) -> None:
    """`sop show` tells how many were refused; from now on this sum does."""
    for (sop_id, reason), n in Counter((key[0], key[2]) for key in keys).items():
        tx.count(f"sop/{sop_id}/pruned/{reason}", n)


def _ids(keys: Sequence[Key]) -> list[int]:
    return [key[0] for key in keys]


def _page(tx: Transaction, kind: str, before: Instant, after: Key | None) -> Page:
    if kind == "runs":
        return run_queries.page(tx, after or (0,), before, BATCH)
    page = queries.page(tx, _ROWS[kind], after or _ROWS[kind].first, before, BATCH)
    return _closed(page, before) if kind == "places" else page


def _closed(page: Page, before: Instant) -> Page:
    """Of these places the ones in windows that closed before then: nobody is counted in them any more."""
    over = {window: end_of(window) < before for window in {key[1] for key in page.keys}}
    return page._replace(keys=[key for key in page.keys if over[key[1]]])


# -- by the clock ------------------------------------------------------------------------------------------------------


def run_once(app: App) -> int:
    """One batch of the daily pruning, if it is due; returns how many rows went, at least 1 while it is at work."""
    with app.store.transaction() as tx:
        job = jobs.claim(tx, (KIND,), LEASE_MS)
        if job is None:
            return 0
        walk = Walk(**job.memory())  # type: ignore[arg-type]  # what `Walk.text` wrote
        before = kept_since(app.settings.retention, walk.kind, tx.now)
        batch = Batch({}, None) if before is None else _prune(tx, walk.kind, before, tuple(walk.after) or None)
        rows = sum(batch.rows.values())
        following = _following(walk, batch)
        if following is not None:
            reading_jobs.go_on(tx, job.id, following.text(), rows, tx.now, None)
        else:
            reading_jobs.go_on(tx, job.id, walk.text(), rows, tx.now, None)
            jobs.finish(tx, job)
            schedule(tx, app)
        return max(rows, 1)


def _following(walk: Walk, batch: Batch) -> Walk | None:
    if batch.after is not None:
        return Walk(walk.kind, list(batch.after))
    place = KINDS.index(walk.kind) + 1
    return Walk(KINDS[place]) if place < len(KINDS) else None


def schedule(tx: Transaction, app: App) -> None:
    """The next pruning, at the hour of the settings; one that waits or works already stays as it is."""
    reading_jobs.schedule(tx, KIND, next_time(tx.now, app.settings.retention.at, app.company.zone))
