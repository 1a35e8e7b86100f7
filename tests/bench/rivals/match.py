"""Measures one rival: scheduling, firing, ending by a tag, memory while steps wait, and the first step after a start.

Every rival gets an empty database and an empty Redis. What it says it did is held against what stands in the tables.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import redis

from tests.bench.rivals.shop import BROKER, DATABASE, Ground, Rival
from tests.support.processes import end
from tests.support.servers import Postgres, Valkey

RIVALS = {
    "sopd": ("sopd", "sopd_itself"),
    "cron scan": ("psycopg", "cron_scan"),
    "Dramatiq": ("dramatiq", "dramatiq_delay"),
    "Celery": ("celery", "celery_eta"),
    "Procrastinate": ("procrastinate", "procrastinate_jobs"),
    "DBOS": ("dbos", "dbos_queue"),
}
"""What people call it, the package it needs, and its module here."""
LOOK_EVERY_S = 0.01
STEADY = 0.01
STEADY_LOOKS = 4


@dataclass(frozen=True)
class Sizes:
    """Customers who wait, steps that are due at a start, how many of each get the tag, and how long is waited."""

    waiting: int = 20_000
    due: int = 5_000
    tagged: int = 2_000
    within_s: float = 180.0
    settle_s: float = 1.0
    """How often memory is looked at until it stands still."""


QUICK = Sizes(waiting=1_000, due=2_500, tagged=200, within_s=60.0, settle_s=0.5)


@dataclass(frozen=True)
class Match:
    """One rival's figures. `fired_of_due` below 1 means that it had not fired all in time; then the rest is a bound."""

    name: str
    rival: str
    setup: str
    waiting: int
    schedule_per_s: float
    fire_per_s: float
    tag_per_s: float
    first_fired_s: float
    worker_mb: float
    redis_mb: float
    fired_of_due: float


class Wrong(Exception):
    """A rival fired what it must not fire: its figures say nothing."""


def installed() -> list[str]:
    """The rivals that can be measured here."""
    return [name for name, (package, _) in RIVALS.items() if importlib.util.find_spec(package) is not None]


def measure(name: str, postgres: Postgres, valkey: Valkey, folder: Path, sizes: Sizes) -> Match:
    """Let one rival show what it can do."""
    database = postgres.create()
    with _emptied(valkey) as client:
        ground = Ground(postgres.url(database), valkey.socket, folder)
        rival: Rival = importlib.import_module(f"tests.bench.rivals.{RIVALS[name][1]}").Rival(ground)
        try:
            return _Course(name, rival, ground, client, sizes).run()
        finally:
            rival.close()
            postgres.drop(database)


@contextmanager
def _emptied(valkey: Valkey) -> Iterator[redis.Redis]:
    """A Redis that keeps what it is told as its documentation recommends: appended, synced every second."""
    with redis.Redis.from_url(valkey.url(0)) as client:
        client.config_set("appendonly", "yes")
        client.config_set("appendfsync", "everysec")
        client.flushall()
        yield client
        client.flushall()


class _Course:
    """The same course for everybody."""

    def __init__(self, name: str, rival: Rival, ground: Ground, client: redis.Redis, sizes: Sizes) -> None:
        self._name = name
        self._rival = rival
        self._ground = ground
        self._client = client
        self._sizes = sizes
        self._pause = threading.Event()

    def run(self) -> Match:
        sizes, rival = self._sizes, self._rival
        rival.prepare(1, sizes.waiting + sizes.due)
        empty = self._redis_mb()
        schedule = self._rate(rival.schedule, 1, sizes.waiting)
        with self._at_work() as process:
            memory = self._settled_mb(process)
            redis_mb = self._redis_mb() - empty
            tag = self._rate(rival.tag, 1, sizes.tagged)
        rival.schedule_due(sizes.waiting + 1, sizes.due)
        rival.tag(sizes.waiting + 1, sizes.tagged // 10)
        first_s, fire, fired = self._drained(sizes.due - sizes.tagged // 10)
        return Match(
            "rivals", self._name, rival.setup, sizes.waiting, schedule, fire, tag, first_s, memory, redis_mb, fired
        )

    def _drained(self, expected: int) -> tuple[float, float, float]:
        """Seconds from its start to the first steps fired, steps a second after those, and the share that fired."""
        with self._at_work() as process:
            begun = time.perf_counter()
            looks = [(0.0, 0)]
            while looks[-1][1] < expected and looks[-1][0] < self._sizes.within_s and process.poll() is None:
                self._pause.wait(LOOK_EVERY_S)
                looks.append((time.perf_counter() - begun, self._rival.fired()))
            self._pause.wait(1)  # what must not fire would follow now
            if self._rival.fired() > expected:
                raise Wrong(f"{self._name} fired steps of customers who have the tag")
        return _first_and_rate(looks, expected)

    def _rate(self, act: Callable[[int, int], None], first: int, count: int) -> float:
        begun = time.perf_counter()
        act(first, count)
        return count / (time.perf_counter() - begun)

    @contextmanager
    def _at_work(self) -> Iterator[subprocess.Popen[bytes]]:
        log = self._ground.folder / f"{self._name}.log"
        told = {DATABASE: self._ground.url, BROKER: self._ground.redis_url}
        with log.open("wb") as output:
            process = subprocess.Popen(
                self._rival.command(), env=os.environ | told, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        try:
            yield process
        finally:
            died = process.poll()
            _end_all(process)
        if died is not None:
            raise RuntimeError(f"{self._name} ended by itself:\n{log.read_text(errors='replace')[-3000:]}")

    def _settled_mb(self, process: subprocess.Popen[bytes]) -> float:
        """What it and its children hold once that no longer grows."""
        watched, before, steady = psutil.Process(process.pid), 0.0, 0
        begun = time.perf_counter()
        while steady < STEADY_LOOKS and time.perf_counter() - begun < self._sizes.within_s:
            self._pause.wait(self._sizes.settle_s)
            held = sum(_rss(one) for one in (watched, *watched.children(recursive=True)))
            steady = steady + 1 if abs(held - before) <= STEADY * held else 0
            before = held
        return before / 2**20

    def _redis_mb(self) -> float:
        return float(self._client.info("memory")["used_memory"]) / 2**20


def _first_and_rate(looks: list[tuple[float, int]], expected: int) -> tuple[float, float, float]:
    """Of (seconds, steps fired so far). Steps seen at the first look that shows any belong to the start."""
    last_s, fired = looks[-1]
    first_s, first = next((look for look in looks if look[1]), looks[-1])
    rate = (fired - first) / (last_s - first_s) if fired > first else fired / last_s
    return first_s, rate, fired / expected


def _rss(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


def _end_all(process: subprocess.Popen[bytes]) -> None:
    """End it and whatever it leaves behind."""
    family = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    end(process)
    for one in family:
        if one.is_running():
            one.kill()
