"""What waiting costs: the due step among many waiting ones, the idle daemon, and its start (SPEC 15.4).

One database grows from 10^4 to 10^6 waiting runs. At each size some due steps are fired; at the largest the real daemon
runs with nothing to do, and then starts with a backlog. The clock stands still, so nothing falls due by itself.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from machines.calendar import DAY_MS
from sopd import config
from sopd.bootstrap import build_app
from sopd.handlers import firing
from sopd.store import Store
from sopd.store.tables import Job
from tests.bench import filling
from tests.bench.daemons import daemon_on
from tests.bench.places import Place
from tests.bench.throughput import NOW, TODAY

DRAIN_WITHIN_S = 600
BATCH = 1000


@dataclass(frozen=True)
class DueCost:
    """Firing among `waiting` runs: microseconds a due step, median of the rounds."""

    name: str
    database: str
    waiting: int
    us_per_step: float


@dataclass(frozen=True)
class Idle:
    """The daemon with nothing to do, all its threads together; `growth_mb` is what its memory grew by meanwhile."""

    name: str
    database: str
    waiting: int
    queries_per_min: float
    transactions_per_min: float
    cpu_percent: float
    rss_mb: float
    growth_mb: float


@dataclass(frozen=True)
class Start:
    """From the process's beginning to /readyz, and until the whole backlog is fired."""

    name: str
    database: str
    waiting: int
    due: int
    ready_s: float
    fired_s: float


@dataclass(frozen=True)
class Sizes:
    """How large it gets, and how long it is watched."""

    waiting: tuple[int, ...] = (10_000, 100_000, 1_000_000)
    due: int = 10_000
    rounds: int = 3
    backlog: int = 100_000
    watch_s: float = 30.0


class Standing:
    """One database that grows. `measure` yields what was found as it goes on."""

    def __init__(self, place: Place, sizes: Sizes, folder: Path, wanted: frozenset[str]) -> None:
        self._place = place
        self._sizes = sizes
        self._folder = folder
        self._wanted = wanted
        self._next = 1

    def measure(self) -> Iterator[DueCost | Idle | Start]:
        """Grow, fire, rest, start."""
        with self._place.fresh() as (store, url):
            started(store)
            if "idle" in self._wanted:
                yield self._idle(store, url, 0)
            waiting = 0
            for size in self._sizes.waiting:
                self._add(store, filling.add_waiting, size - waiting)
                waiting = size
                filling.settle_down(store)
                if "due" in self._wanted:
                    yield self._fire(store, waiting)
            if "idle" in self._wanted:
                yield self._idle(store, url, waiting)
            if "start" in self._wanted:
                yield self._start(store, url, waiting)

    def _add(self, store: Store, fill: filling.Fill, count: int) -> None:
        fill(store, self._next, count, TODAY)
        self._next += count

    def _fire(self, store: Store, waiting: int) -> DueCost:
        app, seconds = build_app(config.Settings(), store), []
        for _ in range(self._sizes.rounds + 1):  # the first one warms up
            self._add(store, filling.add_due, self._sizes.due)
            filling.settle_down(store)
            begun = time.perf_counter()
            while firing.fire_due(app, limit=BATCH):
                pass
            seconds.append(time.perf_counter() - begun)
            with store.transaction() as tx:  # as if they had been sent
                tx.run("update push set state = 'sent', plan_at = null, settled_at = fired_at where settled_at is null")
                tx.run("delete from counter_delta")
        return DueCost("due", store.dialect.name, waiting, median(seconds[1:]) / self._sizes.due * 1e6)

    def _idle(self, store: Store, url: str, waiting: int) -> Idle:
        with daemon_on(store, url, self._folder) as daemon:
            daemon.wait_until_ready()
            daemon.pause(2)
            before, cpu_before, rss_before = daemon.tally(), daemon.cpu_seconds(), daemon.rss_mb()
            begun = time.perf_counter()
            daemon.pause(self._sizes.watch_s)
            after, cpu_after = daemon.tally(), daemon.cpu_seconds()
            seconds = time.perf_counter() - begun
            return Idle(
                "idle",
                store.dialect.name,
                waiting,
                (after["queries"] - before["queries"]) / seconds * 60,
                (after["transactions"] - before["transactions"]) / seconds * 60,
                (cpu_after - cpu_before) / seconds * 100,
                daemon.rss_mb(),
                daemon.rss_mb() - rss_before,
            )

    def _start(self, store: Store, url: str, waiting: int) -> Start:
        self._add(store, filling.add_due, self._sizes.backlog)
        filling.settle_down(store)
        with daemon_on(store, url, self._folder) as daemon:
            ready_s = daemon.wait_until_ready()
            fired_s = daemon.wait_until(lambda: nothing_due(store), DRAIN_WITHIN_S)
        return Start("start", store.dialect.name, waiting, self._sizes.backlog, ready_s, fired_s)


def started(store: Store) -> None:
    """An enterprise without customers whose clock stands still at NOW; nothing is due."""
    store.set_clock(NOW)
    filling.found(store, started_at=TODAY - 60 * DAY_MS)
    with store.transaction() as tx:  # the daily full read is another day's business
        tx.insert(Job, [{"kind": "reconcile", "key": "", "started_at": NOW, "act_at": NOW + DAY_MS}])


def nothing_due(store: Store) -> bool:
    with store.reading() as tx:
        return tx.one("select 1 from enrollment where due_at <= ? limit 1", (NOW,)) is None
