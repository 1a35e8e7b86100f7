"""Wake-ups: the same promises in memory and over Redis, and what happens while Redis is away."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import dramatiq
import pytest
import redis
import structlog

from sopd.broker import DEAF_SECONDS, FAST, PENDING_MS, WORK, Doorbell, depths, open_broker, start_workers, stop_workers
from sopd.config import Broker
from tests.support.servers import running_valkey

PATIENCE_S = 20.0


@dataclass
class Watch:
    """A clock for deafness and forgotten rings that only the test moves."""

    seconds: float = 100.0

    def __call__(self) -> float:
        return self.seconds


@dataclass
class House:
    """A broker, its doorbell, and a way to run workers for as long as a test needs them."""

    broker: dramatiq.Broker
    doorbell: Doorbell
    watch: Watch
    workers: list[dramatiq.Worker] = field(default_factory=list)

    def actor(self, run: Callable[[], None], name: str, queue: str = WORK) -> None:
        dramatiq.actor(run, broker=self.broker, actor_name=name, queue_name=queue)

    def work(self, threads: int = 1) -> None:
        self.workers.append(start_workers(self.broker, threads))

    def rest(self) -> None:
        while self.workers:
            stop_workers(self.workers.pop(), within_seconds=PATIENCE_S)

    def until_idle(self) -> None:
        for queue in (FAST, WORK):
            self.broker.join(queue, timeout=int(PATIENCE_S * 1000))
        for worker in self.workers:
            worker.join()


@contextmanager
def opened(url: str) -> Iterator[House]:
    watch = Watch()
    broker, doorbell = open_broker(Broker(url=url), monotonic=watch)
    house = House(broker, doorbell, watch)
    try:
        yield house
    finally:
        house.rest()


@pytest.fixture(params=["memory", "redis"])
def house(request: pytest.FixtureRequest) -> Iterator[House]:
    with opened("memory://" if request.param == "memory" else request.getfixturevalue("redis_url")) as made:
        yield made


def test_rung_actor_runs(house: House) -> None:
    ran = threading.Event()
    house.actor(ran.set, "plan")
    house.work()

    assert house.doorbell.ring("plan")

    assert ran.wait(PATIENCE_S)


def test_rings_before_the_actor_begins_are_one(house: House) -> None:
    runs: list[str] = []
    house.actor(lambda: runs.append("plan"), "plan")
    house.actor(lambda: runs.append("relay"), "relay")

    assert all(house.doorbell.ring(name) for name in ("plan", "plan", "relay", "plan"))
    house.work()
    house.until_idle()

    assert sorted(runs) == ["plan", "relay"]


def test_ring_while_the_actor_runs_runs_it_again(house: House) -> None:
    begun, go_on, again = threading.Event(), threading.Event(), threading.Event()

    def run() -> None:
        if begun.is_set():
            again.set()
        begun.set()
        assert go_on.wait(PATIENCE_S)

    house.actor(run, "plan")
    house.work()
    house.doorbell.ring("plan")
    assert begun.wait(PATIENCE_S)

    house.doorbell.ring("plan")
    go_on.set()

    assert again.wait(PATIENCE_S)


def test_failing_actor_is_not_repeated_and_stops_nobody(house: House) -> None:
    tries: list[int] = []
    done = threading.Event()

    def fail() -> None:
        tries.append(1)
        raise ValueError("broken")

    house.actor(fail, "plan")
    house.actor(done.set, "relay")
    house.work()
    house.doorbell.ring("plan")
    house.doorbell.ring("relay")

    assert done.wait(PATIENCE_S)
    house.until_idle()
    assert tries == [1]
    assert depths(house.broker) == {FAST: 0, WORK: 0}


def test_failed_actor_is_rung_again_as_usual(house: House) -> None:
    runs = threading.Semaphore(0)

    def fail() -> None:
        runs.release()
        raise ValueError("broken")

    house.actor(fail, "plan")
    house.work()
    for _ in range(3):
        house.doorbell.ring("plan")
        assert runs.acquire(timeout=PATIENCE_S)


def test_fast_queue_does_not_wait_behind_slow_work(house: House) -> None:
    slow, go_on, fast = threading.Event(), threading.Event(), threading.Event()

    def work_slowly() -> None:
        slow.set()
        assert go_on.wait(PATIENCE_S)

    house.actor(work_slowly, "reconcile")
    house.actor(fast.set, "welcome", FAST)
    house.work(threads=2)
    house.doorbell.ring("reconcile")
    assert slow.wait(PATIENCE_S)

    house.doorbell.ring("welcome")

    assert fast.wait(PATIENCE_S)
    go_on.set()


def test_log_lines_of_an_actor_carry_its_name_and_nothing_older(house: House) -> None:
    seen: list[dict[str, object]] = []

    def look() -> None:
        seen.append(dict(structlog.contextvars.get_contextvars()))
        structlog.contextvars.bind_contextvars(left_over=1)

    house.actor(look, "plan")
    house.actor(look, "relay")
    house.work()
    house.doorbell.ring("plan")
    house.until_idle()
    house.doorbell.ring("relay")
    house.until_idle()

    assert seen == [{"actor": "plan"}, {"actor": "relay"}]


def test_depths_count_what_waits(house: House) -> None:
    house.actor(lambda: None, "plan")
    house.actor(lambda: None, "welcome", FAST)
    house.doorbell.ring("plan")
    house.doorbell.ring("welcome")

    assert depths(house.broker) == {FAST: 1, WORK: 1}


def test_unknown_actor_is_a_mistake_of_ours(house: House) -> None:
    with pytest.raises(dramatiq.errors.ActorNotFound):
        house.doorbell.ring("paln")


def test_ring_nobody_answered_is_sent_again_after_a_while() -> None:
    with opened("memory://") as house:
        house.actor(lambda: None, "plan")
        house.doorbell.ring("plan")
        house.broker.flush(WORK)

        house.doorbell.ring("plan")
        assert depths(house.broker)[WORK] == 0
        house.watch.seconds += PENDING_MS / 1000
        house.doorbell.ring("plan")

        assert depths(house.broker)[WORK] == 1


def test_pending_ring_in_redis_expires_by_itself(redis_url: str) -> None:
    with opened(redis_url) as house:
        house.actor(lambda: None, "plan")
        house.doorbell.ring("plan")

        with redis.Redis.from_url(redis_url) as client:
            assert 0 < client.pttl("sopd:rung:plan") <= PENDING_MS


def test_two_processes_share_pending_rings(redis_url: str) -> None:
    with opened(redis_url) as here, opened(redis_url) as there:
        for house in (here, there):
            house.actor(lambda: None, "plan")
            assert house.doorbell.ring("plan")

        assert depths(here.broker)[WORK] == 1


def test_wiped_redis_only_loses_the_ring(redis_url: str) -> None:
    with opened(redis_url) as house:
        ran = threading.Event()
        house.actor(ran.set, "plan")
        house.doorbell.ring("plan")
        with redis.Redis.from_url(redis_url) as client:
            client.flushdb()

        house.work()
        house.doorbell.ring("plan")

        assert ran.wait(PATIENCE_S)


def test_redis_that_is_down_is_no_error_and_is_left_alone_for_a_moment(tmp_path: Path) -> None:
    socket = tmp_path / "v.sock"
    with opened(f"unix://{socket}") as house:
        ran = threading.Event()
        house.actor(ran.set, "plan")

        assert not house.doorbell.ring("plan")
        assert depths(house.broker) == {}

        with running_valkey(socket):
            assert not house.doorbell.ring("plan"), "still left alone"
            house.watch.seconds += DEAF_SECONDS
            house.work()
            assert house.doorbell.ring("plan")
            assert ran.wait(PATIENCE_S)
            house.rest()


def test_workers_outlive_a_restart_of_redis(tmp_path: Path) -> None:
    socket = tmp_path / "v.sock"
    with opened(f"unix://{socket}") as house:
        runs = threading.Semaphore(0)
        house.actor(runs.release, "plan")
        with running_valkey(socket):
            house.work()
            assert house.doorbell.ring("plan")
            assert runs.acquire(timeout=PATIENCE_S)
        assert not house.doorbell.ring("plan")

        with running_valkey(socket):
            house.watch.seconds += DEAF_SECONDS
            assert house.doorbell.ring("plan")
            assert runs.acquire(timeout=PATIENCE_S)
            house.rest()
