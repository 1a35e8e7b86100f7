"""What a resumed or stopped SOP means to everybody inside, led through in batches (SPEC 12, D23). Called by `jobs`.

A stop is claimed with its batch in one transaction and is due again at once, until nothing is left; a crash loses at
most the batch that was not committed. How a resumed SOP goes on is in `resuming`.
"""

from __future__ import annotations

from machines.events import Stopped
from sopd.handlers import enrollments, resuming
from sopd.handlers.app import App
from sopd.handlers.consequences import follow
from sopd.store import Transaction
from sopd.store.queries import enrollments as run_queries
from sopd.store.queries import flips, sops
from sopd.store.queries import jobs as queries
from sopd.store.queries.jobs import JobRow

BATCH = 500
LEASE_MS = 60_000
KINDS = ("resume", "stop")


def run_once(app: App) -> int:
    """One batch of the job that is due longest; returns how many rows it led on, 1 for a job that is done with it."""
    with app.store.transaction() as tx:
        job = queries.claim(tx, KINDS, LEASE_MS)
        if job is None:
            return 0
        if job.kind == "stop":
            return _lead_stop(tx, app, job)
    return resuming.lead_on(app, job)


def _lead_stop(tx: Transaction, app: App, job: JobRow) -> int:
    sop = sops.by_key(tx, job.key)
    assert sop is not None  # SOPs are never deleted
    rows = _stop(tx, app, job, sop.id)
    if rows:
        queries.go_on(tx, job, rows)
    else:
        queries.finish(tx, job)
    return max(rows, 1)


def _stop(tx: Transaction, app: App, job: JobRow, sop_id: int) -> int:
    """End some more of the open runs; after the last of them, time changes nothing for those outside either."""
    ids = run_queries.open_ids_of_sop(tx, sop_id, BATCH)
    who = str(job.memory().get("who", ""))
    if not ids:
        return flips.drop_of_sop(tx, sop_id, BATCH)
    follow(tx, app, enrollments.end(tx, app, ids, Stopped(who), by=who or None))
    return len(ids)
