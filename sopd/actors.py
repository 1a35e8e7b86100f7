"""The loops of the engine, as wake-ups: a message says which loop to run, never on what (ARCHITECTURE 1).

Each actor runs its loop until nothing is due or its turn is over. Losing a message costs delay only: the ticker rings
again, and runs itself what stays due.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import dramatiq
import structlog

from sopd import cards, collector, intake, jobs, lookup, metrics, nagger, outbox, planner, relay, signals, sweep
from sopd.activity import Activity
from sopd.handlers.app import App

log = structlog.get_logger("sopd.work")

TURN_SECONDS = 5.0
"""How long one message keeps a worker: afterwards it rings again, so that no loop starves another."""


@dataclass(frozen=True)
class Loop:
    """One kind of work. `run(app)` handles one bounded batch and says how many rows; `due` names its due columns."""

    name: str
    queue: str
    run: Callable[[App], int]
    due: tuple[str, ...]


LOOPS: tuple[Loop, ...] = (
    Loop("fast", "fast", intake.run_fast, ("intake_fast", "reread_fast")),
    Loop("welcome", "fast", outbox.run_fast, ("outbox_fast",)),
    Loop("intake", "work", intake.run_once, ("intake", "reread")),
    Loop("sweep", "work", sweep.run_once, ("sweep",)),
    Loop("signals", "work", signals.run_once, ("signals",)),
    Loop("handover", "work", planner.hand_over_once, ("handover",)),
    Loop("fire", "work", planner.fire_once, ("fire",)),
    Loop("plan", "work", planner.plan_once, ("plan",)),
    Loop("relay", "work", relay.run_once, ("relay",)),
    Loop("cards", "work", cards.run_once, ("relay", "cards")),
    Loop("lookup", "work", lookup.run_once, ("lookup",)),
    Loop("collect", "work", collector.run_once, ("collect",)),
    Loop("nag", "work", nagger.run_once, ("nag",)),
    Loop("outbox", "work", outbox.run_once, ("outbox",)),
    Loop("jobs", "work", jobs.run_once, ("jobs",)),
)


def work(app: App, loop: Loop, activity: Activity, turn_seconds: float = TURN_SECONDS) -> int:
    """Run one loop until nothing is due or its turn is over; rings again if there is more. Returns rows handled."""
    total, begun = 0, time.monotonic()
    with activity.unit():
        try:
            while handled := _batch(app, loop):
                total += handled
                if time.monotonic() - begun > turn_seconds:
                    app.ring(loop.name)
                    break
        except Exception:  # counted here, handled where the loop was called from
            metrics.LOOP_FAILURES.labels(loop.name).inc()
            raise
    metrics.got_on("work")
    if total:
        log.info("worked", loop=loop.name, rows=total, duration_ms=round((time.monotonic() - begun) * 1000))
    return total


def _batch(app: App, loop: Loop) -> int:
    begun = time.monotonic()
    handled = loop.run(app)
    if handled:
        metrics.ROWS_HANDLED.labels(loop.name).inc(handled)
        metrics.BATCH_ROWS.labels(loop.name).observe(handled)
        metrics.BATCH_SECONDS.labels(loop.name).observe(time.monotonic() - begun)
    return handled


def register(app: App, broker: dramatiq.Broker, activity: Activity) -> None:
    """Make every loop an actor of `broker`. Nothing is retried by the broker: retries live in due columns."""
    for loop in LOOPS:

        def run(loop: Loop = loop) -> None:
            work(app, loop, activity)

        dramatiq.actor(run, broker=broker, actor_name=loop.name, queue_name=loop.queue)
