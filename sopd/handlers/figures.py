"""What /metrics shows of the whole company, from the folded counters: its cost grows with SOPs and steps only."""

from __future__ import annotations

from collections import Counter

from sopd import metrics
from sopd.handlers.app import App
from sopd.store.counters import read_counters
from sopd.store.queries import aside


def show(app: App) -> None:
    """Set the gauges that are read from the database. Raises Unavailable if it does not answer."""
    with app.store.reading() as tx:
        counters, rows_aside = read_counters(tx, "sop/"), aside.count(tx)
    pushes: Counter[str] = Counter()
    runs: Counter[str] = Counter()
    for key, n in counters.items():
        match key.split("/"):
            case [_, _, "push", _, state, *_]:
                pushes[state] += n
            case [_, _, "entered", _]:
                runs["entered"] += n
            case [_, _, "ended", end]:
                runs[end] += n
    metrics.show(metrics.PUSHES, pushes)
    metrics.show(metrics.ENROLLMENTS, runs)
    metrics.SET_ASIDE.set(rows_aside)
