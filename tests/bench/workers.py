"""Two workers beside one, on PostgreSQL and Redis: the same backlog, fired in turns (SPEC 15.4).

The real processes: `sopd run --role ticker` and as many `sopd worker`. A rate counts from the first look that shows
fired steps, so the starts of processes are left out.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from sopd.store import Store
from tests.bench import filling
from tests.bench.places import Place
from tests.bench.processes import TICKER, WORKER, Running, at_work
from tests.bench.standing import nothing_due, started
from tests.bench.throughput import TODAY
from tests.support.servers import Valkey

LOOK_EVERY_S = 0.02
WITHIN_S = 600


@dataclass(frozen=True)
class Workers:
    """Steps a second that one worker and two fire (medians), and the median of the turns' ratios."""

    name: str
    database: str
    due: int
    one: float
    two: float
    ratio: float


def measure(place: Place, valkey: Valkey, folder: Path, *, due: int, rounds: int) -> Workers:
    """Fire `due` steps with one worker and with two, `rounds` times."""
    rates: dict[int, list[float]] = {1: [], 2: []}
    with place.fresh() as (store, url):
        started(store)
        first = 1
        for number in range(rounds):
            for count in (1, 2) if number % 2 else (2, 1):
                filling.add_due(store, first, due, TODAY)
                filling.settle_down(store)
                first += due
                parts = [TICKER, *[WORKER] * count]
                with at_work(url, valkey.url(0), folder, parts) as running:
                    rates[count].append(_rate(store, running, due))
    ratio = median(two / one for one, two in zip(rates[1], rates[2], strict=True))
    return Workers("workers", place.kind, due, median(rates[1]), median(rates[2]), ratio)


def _rate(store: Store, running: Running, due: int) -> float:
    pause, begun = threading.Event(), time.perf_counter()
    while (left := _left(store)) == due:
        _still_there(running, begun)
        pause.wait(LOOK_EVERY_S)
    first_s = time.perf_counter()
    while not nothing_due(store):
        _still_there(running, begun)
        pause.wait(LOOK_EVERY_S)
    return max(left, 1) / (time.perf_counter() - first_s)


def _left(store: Store) -> int:
    with store.reading() as tx:
        return int(tx.value("select count(*) from enrollment where due_at <= ?", (tx.now,)))


def _still_there(running: Running, begun: float) -> None:
    running.require()
    if time.perf_counter() - begun > WITHIN_S:
        raise RuntimeError(f"the steps were not fired in {WITHIN_S} s")
