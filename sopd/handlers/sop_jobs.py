"""What a resumed or stopped SOP means to everybody inside, led through in batches (SPEC 12, D23). Called by `jobs`.

A job is claimed with its batch in one transaction and is due again at once, until nothing is left; a crash loses at
most the batch that was not committed.
"""

from __future__ import annotations

from collections.abc import Sequence

from machines.calendar import Instant
from machines.events import PushSkipped, Stopped
from machines.push import PushFacts
from machines.reasons import PAUSED
from sopd.handlers import enrollments, firing, pushes
from sopd.handlers.app import App
from sopd.handlers.consequences import follow
from sopd.handlers.happened import NOTHING, Consequences
from sopd.store import Transaction
from sopd.store.queries import enrollments as run_queries
from sopd.store.queries import jobs as queries
from sopd.store.queries import pushes as push_queries
from sopd.store.queries import sops
from sopd.store.queries.enrollments import Run
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
        sop = sops.by_key(tx, job.key)
        assert sop is not None  # SOPs are never deleted
        batch = {"resume": _resume, "stop": _stop}[job.kind]
        rows = batch(tx, app, job, sop.id)
        if rows:
            queries.go_on(tx, job, rows)
        else:
            queries.finish(tx, job)
        return max(rows, 1)


def _resume(tx: Transaction, app: App, job: JobRow, sop_id: int) -> int:
    """`skip`: first the pushes that wait, then the runs whose steps fell due meanwhile."""
    waiting = sops.parked_pushes(tx, sop_id, job.started_at, BATCH)
    if waiting:
        follow(tx, app, _skip_pushes(tx, waiting))
        return len(waiting)
    parked = run_queries.lock_parked(tx, sop_id, BATCH)
    follow(tx, app, _pass_over(tx, app, parked, job.started_at))
    return len(parked)


def _skip_pushes(tx: Transaction, ids: Sequence[int]) -> Consequences:
    """These pushes are `skipped: paused`. A step that had waited for one of them since before the pause goes on now."""
    run_queries.lock(tx, push_queries.enrollments_of(tx, ids))
    rows = push_queries.unsettled(tx, ids)
    return pushes.tell(
        tx, [pushes.Told(row, pushes.decide(row.state, PushSkipped(PAUSED), PushFacts())) for row in rows]
    )


def _pass_over(tx: Transaction, app: App, runs: Sequence[Run], until: Instant) -> Consequences:
    """Runs go on behind the moments that passed; one that came to its end meanwhile ends now."""
    return firing.fire(tx, app, runs, until, missed="skip") if runs else NOTHING


def _stop(tx: Transaction, app: App, job: JobRow, sop_id: int) -> int:
    """End some more of the open runs."""
    ids = run_queries.open_ids_of_sop(tx, sop_id, BATCH)
    who = str(job.memory().get("who", ""))
    if ids:
        follow(tx, app, enrollments.end(tx, app, ids, Stopped(who), by=who or None))
    return len(ids)
