"""The clock's face: looks once per tick at what is due and wakes the loops that have work.

A wake-up is best effort. What is still due one tick after it was rung, the ticker works off itself, in bounded batches:
with every message lost all steps still fire, late by at most one tick (ARCHITECTURE 7).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

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
    """What one look showed: `now`, the loops with due work, and when the next work falls due (None: nothing waits).

    `again_ms`: in how many real milliseconds the oldest ring has had its tick (None: nobody was rung).
    """

    now: int
    due: tuple[Loop, ...]
    next_at: int | None
    again_ms: int | None = None


@dataclass(frozen=True)
class Rung:
    """The first ring for work that is still there: what was due at `now` (the database's) has a tick from `at_s` on."""

    now: int
    at_s: float


@dataclass
class Ticker:
    """One of any number of tickers. `rung` remembers, across ticks, which loops were woken for work still there."""

    app: App
    activity: Activity
    rung: dict[str, Rung] = field(default_factory=dict)
    monotonic: Callable[[], float] = time.monotonic

    def look(self) -> Look:
        """One statement; writes nothing."""
        return self._seen()[0]

    def run_once(self) -> Look:
        """One tick: ring what is due, work off what was rung a tick ago and is still due, fold the counters.

        After each loop worked off here it looks again: a loop that now has work, and steps that have fallen due
        meanwhile, are rung without waiting for the rest.
        """
        seen, stale = self._ring()
        for loop in stale:
            if not self._catch_up(loop) and loop.name in self.rung:  # held by others, or failed: again in a tick
                self.rung[loop.name] = replace(self.rung[loop.name], at_s=self.monotonic())
            seen, _ = self._ring()
        upkeep.fold(self.app)
        metrics.got_on("tick")
        return seen

    def _seen(self) -> tuple[Look, dict[Loop, int]]:
        """The look, and of each loop with due work since when the oldest of it is due."""
        with self.app.store.reading() as tx:
            now, dues = tx.now, due.earliest(tx)
        oldest: dict[Loop, int] = {}
        later = []
        for loop in LOOPS:
            instants = [at for name in loop.due if (at := dues[name]) is not None]
            later += [at for at in instants if at > now]
            if instants and min(instants) <= now:
                oldest[loop] = min(instants)
            metrics.DUE_LAG_SECONDS.labels(loop.name).set((now - oldest.get(loop, now)) / 1000)
        return Look(now, tuple(oldest), min(later, default=None)), oldest

    def _ring(self) -> tuple[Look, list[Loop]]:
        """Look and ring; returns the loops whose ring came to nothing: what was due then is due a tick later.

        Work that fell due since the ring is another matter: under a steady stream workers keep up with, there is
        always something due, and nothing is lost.
        """
        seen, oldest = self._seen()
        now_s, tick_s = self.monotonic(), self.app.settings.engine.tick_ms / 1000
        kept: dict[str, Rung] = {}
        stale = []
        for loop, at in oldest.items():
            self.app.ring(loop.name)  # rings that nobody has answered yet fall together
            rung = self.rung.get(loop.name)
            if rung is None or at > rung.now:
                rung = Rung(seen.now, now_s)
            elif now_s - rung.at_s >= tick_s:
                stale.append(loop)
            kept[loop.name] = rung
        self.rung = kept
        first_s = min((rung.at_s for rung in kept.values()), default=None)
        again_ms = None if first_s is None else max(0, round((first_s + tick_s - now_s) * 1000))
        return replace(seen, again_ms=again_ms), stale

    def _catch_up(self, loop: Loop) -> int:
        """Rows handled. A loop that fails here fails alone: the others must still get their turn (SPEC 15.3)."""
        try:
            return work(self.app, loop, self.activity, self.app.settings.engine.tick_ms / 1000)
        except Unavailable:
            raise
        except Exception:  # an edge: whatever broke this loop is logged, and the row it broke on is set aside by it
            log.exception("loop failed", loop=loop.name)
            return 0
