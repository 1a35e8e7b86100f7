"""How many callbacks the daemon accepts, and how long WeCom waits for its 200, while steps fire (SPEC 15.4).

The real daemon on SQLite, production's processes on PostgreSQL and Redis, and `load.py` as a process beside them.
Nobody answers calls to WeCom, so what the callbacks ask to re-read stays wanted; they are taken in, decrypted, made
durable and digested as in life.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from sopd.store import Store
from tests.bench import filling
from tests.bench.daemons import CountedDaemon
from tests.bench.load import Heard, Order
from tests.bench.places import Place
from tests.bench.processes import TICKER, WEB, WORKER, at_work
from tests.bench.standing import started
from tests.bench.throughput import TODAY
from tests.support.servers import Valkey


@dataclass(frozen=True)
class Sizes:
    """A backlog that lasts longer than the load does, callbacks a second that are to be accepted, and for how long."""

    due: int = 200_000
    rate: int = 1_000
    seconds: int = 10


ONE, MANY = "`sopd run`", "web, ticker, worker"
FIRES_WITHIN_S = 60
QUICK = Sizes(due=5_000, rate=200, seconds=2)


@dataclass(frozen=True)
class Door:
    """Callbacks sent at `asked_per_s` (0: as fast as answered), and the steps that fired and stayed due meanwhile.

    `sender_p99_ms` is the sender's own part in the latencies (`load.Heard`).
    """

    name: str
    database: str
    processes: str
    asked_per_s: int
    accepted_per_s: float
    not_accepted: int
    p50_ms: float
    p99_ms: float
    worst_ms: float
    sender_p99_ms: float
    steps_fired: int
    still_due: int


def measure(place: Place, valkey: Valkey | None, sizes: Sizes, folder: Path) -> Iterator[Door]:
    """First at the rate asked for, then as fast as answered; a backlog of steps fires in both.

    With a Redis in production's processes, else in one.
    """
    with place.fresh() as (store, url):
        started(store)
        first = 1
        for mark, rate in enumerate((sizes.rate, 0)):
            filling.add_due(store, first, sizes.due, TODAY)
            filling.settle_down(store)
            first += sizes.due
            fired, _ = _steps(store)
            store.close()
            with _listening(url, valkey, folder) as (processes, port):
                _wait_until_more_fired(store, fired)
                yield _loaded(store, processes, Order(port, rate, sizes.rate * sizes.seconds, mark))
            store.close()


@contextmanager
def _listening(url: str, valkey: Valkey | None, folder: Path) -> Iterator[tuple[str, int]]:
    if valkey is None:
        daemon = CountedDaemon(folder, url)
        try:
            daemon.wait_until_ready()
            yield ONE, daemon.port
        finally:
            daemon.stop()
    else:
        with at_work(url, valkey.url(0), folder, (WEB, TICKER, WORKER)) as running:
            running.wait_until_ready()
            yield MANY, running.port


def _wait_until_more_fired(store: Store, fired: int) -> None:
    """All processes are at work then: the web alone is ready before the others, and has both cores to itself."""
    pause, begun = threading.Event(), time.perf_counter()
    while _steps(store)[0] == fired:
        if time.perf_counter() - begun > FIRES_WITHIN_S:
            raise RuntimeError(f"no step has fired in {FIRES_WITHIN_S} s")
        pause.wait(0.05)


def _loaded(store: Store, processes: str, order: Order) -> Door:
    fired, _ = _steps(store)
    heard = send(order)
    now_fired, still_due = _steps(store)
    return Door(
        "callbacks", store.dialect.name, processes, order.rate, heard.accepted / heard.seconds, heard.refused,
        heard.p50_ms, heard.p99_ms, heard.worst_ms, heard.sender_p99_ms, now_fired - fired, still_due,
    )  # fmt: skip


def send(order: Order) -> Heard:
    """Let another process send; raises CalledProcessError when it could not."""
    command = [sys.executable, "-m", "tests.bench.load", json.dumps(asdict(order))]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return Heard(**json.loads(done.stdout))


def _steps(store: Store) -> tuple[int, int]:
    """How many have fired so far, and how many are due."""
    with store.reading() as tx:
        due = tx.value("select count(*) from enrollment where due_at <= ?", (tx.now,))
        return tx.value("select count(*) from push"), due
