"""Small regular chores of the engine: folding counters, keeping the recurring jobs alive."""

from __future__ import annotations

from sopd.handlers import outside_sends, pruning
from sopd.handlers.app import App
from sopd.store import Transaction
from sopd.store.counters import fold_counters
from sopd.store.queries import jobs
from sopd.store.tables import Job


def fold(app: App) -> int:
    """Fold the counters' deltas into their sums; returns how many deltas. Writes only if there are any."""
    with app.store.reading() as tx:
        if tx.one("select 1 from counter_delta limit 1") is None:
            return 0
    with app.store.transaction() as tx:
        return fold_counters(tx)


def ensure_jobs(app: App) -> None:
    """Make sure that the recurring jobs exist, due at once on a new database: the daily full read (SPEC 15.1), and the
    reading of mass sends that others made, if it is wanted (D9). Pruning waits for its hour."""
    with app.store.transaction() as tx:
        if pruning.is_wanted(app.settings.retention):
            pruning.schedule(tx, app)
        else:
            jobs.end(tx, pruning.KIND, "", "not wanted by the settings")
        _ensure_outside_sends(tx, bool(app.settings.quota.own_sends_every_minutes))
        if tx.one("select 1 from job where kind = 'reconcile' and ended_at is null") is None:
            tx.insert(Job, [{"kind": "reconcile", "key": "", "started_at": tx.now, "act_at": tx.now}])


def _ensure_outside_sends(tx: Transaction, is_wanted: bool) -> None:
    if is_wanted:
        jobs.begin(tx, outside_sends.KIND, "")
    else:
        jobs.end(tx, outside_sends.KIND, "", "not wanted by the settings")
