"""The clock's face: looks once per tick at what is due and wakes the loops that have work.

A wake-up is best effort. What is still due one tick after it was rung, the ticker works off itself, in bounded batches:
with every message lost all steps still fire, late by at most one tick (ARCHITECTURE 7).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import structlog

from sopd import metrics
from sopd.activity import Activity
from sopd.actors import LOOPS, Loop, work
from sopd.handlers import upkeep
from sopd.handlers.app import App
from sopd.store.errors import Unavailable
from sopd.store.queries import due

log = structlog.get_logger("sopd.ticker")


@dataclass(frozen=True)
class Look:
    """What one look showed: `now`, the loops with due work, and when the next work falls due (None: nothing waits)."""

    now: int
    due: tuple[Loop, ...]
    next_at: int | None


@dataclass
class Ticker:
    """One of any number of tickers. `rung` remembers, across ticks, which loops were woken for work still there."""

    app: App
    activity: Activity
    rung: set[str] = field(default_factory=set)

    def look(self) -> Look:
        """One statement; writes nothing."""
        with self.app.store.reading() as tx:
            now, dues = tx.now, due.earliest(tx)
        waiting = {loop: [dues[name] for name in loop.due if dues[name] is not None] for loop in LOOPS}
        ready = tuple(loop for loop, instants in waiting.items() if instants and min(instants) <= now)
        for loop, instants in waiting.items():
            lag = max(0, now - min(instants)) / 1000 if instants and min(instants) else 0
            metrics.DUE_LAG_SECONDS.labels(loop.name).set(lag)
        later = [at for instants in waiting.values() for at in instants if at > now]
        return Look(now, ready, min(later, default=None))

    def run_once(self) -> Look:
        """One tick: ring what is due, work off what was rung a tick ago and is still due, fold the counters."""
        seen = self.look()
        for loop in seen.due:
            if loop.name in self.rung:
                self._catch_up(loop)
            else:
                self.app.ring(loop.name)
        self.rung = {loop.name for loop in seen.due}
        upkeep.fold(self.app)
        metrics.got_on("tick")
        return seen

    def _catch_up(self, loop: Loop) -> None:
        """A loop that fails here fails alone: the others must still get their turn (SPEC 15.3)."""
        try:
            work(self.app, loop, self.activity)
        except Unavailable:
            raise
        except Exception:  # an edge: whatever broke this loop is logged, and the row it broke on is set aside by it
            log.exception("loop failed", loop=loop.name)
