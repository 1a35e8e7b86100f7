"""What /metrics shows of the whole company. Its cost grows with SOPs, steps and backlogs, never with who waits."""

from __future__ import annotations

import time
from collections import Counter

from machines.calendar import SECOND_MS, local_date
from machines.reasons import TEXTS
from sopd import holidays, metrics
from sopd.handlers.app import App
from sopd.store import Transaction
from sopd.store.counters import read_counters
from sopd.store.errors import Unavailable
from sopd.store.queries import figures, views_health

OTHER = "other"
"""The class of every reason that is not in our own list: what WeCom or a person wrote is no label."""


def show(app: App) -> None:
    """Set the gauges that are read from the database. Raises Unavailable if it does not answer."""
    try:
        with app.store.reading() as tx:
            _work(tx)
            _trouble(tx)
            _sums(read_counters(tx, "sop/"))
            now = tx.now
    except Unavailable:
        metrics.DATABASE_UP.set(0)
        raise
    metrics.DATABASE_UP.set(1)
    missing = holidays.missing_years(app.company.workdays, local_date(now, app.company.zone))
    metrics.CALENDAR_YEARS_MISSING.set(len(missing))


def _work(tx: Transaction) -> None:
    """What waits, and whether the clocks agree. Ages are those of the engine's time, skew is of the real one."""
    asked = (figures.callbacks, figures.signals, figures.rereads, figures.acts)
    backlogs = {ask.__name__: ask(tx) for ask in asked}
    metrics.show(metrics.BACKLOG_ROWS, {queue: waiting.count for queue, waiting in backlogs.items()})
    metrics.show(metrics.BACKLOG_OLDEST_SECONDS, {
        queue: max(0, tx.now - (backlogs[queue].oldest_at or tx.now)) / SECOND_MS for queue in ("callbacks", "signals")
    })  # fmt: skip
    skew = time.time_ns() // 1_000_000 - views_health.database_time(tx)
    metrics.CLOCK_SKEW_SECONDS.set(skew / SECOND_MS)


def _trouble(tx: Transaction) -> None:
    """What waits for a person, or for WeCom."""
    metrics.show(metrics.TASKS_IN_DOUBT, figures.in_doubt(tx))
    relations, members = figures.held(tx)
    metrics.HELD_RELATIONS.set(relations)
    metrics.HELD_MEMBERS.set(members)
    metrics.show(metrics.SET_ASIDE, figures.set_aside(tx))
    metrics.show(metrics.JOBS, figures.jobs(tx))
    resting = figures.resting(tx)
    metrics.show(
        metrics.WECOM_BACKOFF_SECONDS, {path: (until - tx.now) / SECOND_MS for path, until in resting.items()}
    )


def _sums(counters: dict[str, int]) -> None:
    """Pushes, runs and refusals so far, over all SOPs and steps."""
    pushes: Counter[tuple[str, str]] = Counter()
    runs: Counter[str] = Counter()
    refusals: Counter[str] = Counter()
    for key, n in counters.items():
        match key.split("/", 5):
            case [_, _, "push", _, state]:
                pushes[state, ""] += n
            case [_, _, "push", _, state, reason]:
                pushes[state, _class_of(reason)] += n
            case [_, _, "entered", *_]:
                runs["entered"] += n
            case [_, _, "ended", end]:
                runs[end] += n
            case [_, _, "refused", *reason]:
                refusals[_class_of("/".join(reason))] += n
    metrics.show(metrics.PUSHES, pushes)
    metrics.show(metrics.ENROLLMENTS, runs)
    metrics.show(metrics.REFUSALS, refusals)


def _class_of(reason: str) -> str:
    return reason if reason in TEXTS else OTHER
