"""The loop of long pieces of work: one batch of one of them a call. Decides nothing itself."""

from __future__ import annotations

from collections.abc import Callable

from sopd import outside_sends, reconcile
from sopd.handlers import forgetting, initialising, observe_jobs, pruning, sop_jobs
from sopd.handlers import outside_sends as outside_send_jobs
from sopd.handlers.app import App
from sopd.store.queries import jobs as queries

LEADERS: tuple[tuple[tuple[str, ...], Callable[[App], int]], ...] = (
    (sop_jobs.KINDS, sop_jobs.run_once),
    (initialising.KINDS, initialising.run_once),
    (observe_jobs.KINDS, reconcile.run_once),
    ((outside_send_jobs.KIND,), outside_sends.run_once),
    ((forgetting.KIND,), forgetting.run_once),
    ((pruning.KIND,), pruning.run_once),
)
"""Which kinds of jobs are led on by whom, the most urgent first."""


def run_once(app: App) -> int:
    """Lead a resumed, stopped or started SOP on, else read some more of WeCom, forget, prune; returns rows handled.

    What is due is asked once, without a lock: each claim is a transaction of the one writer that SQLite has.
    """
    with app.store.reading() as tx:
        due = queries.due_kinds(tx)
    leaders = (lead_on for kinds, lead_on in LEADERS if due.intersection(kinds))
    return next((rows for lead_on in leaders if (rows := lead_on(app))), 0)
