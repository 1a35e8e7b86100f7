"""Many processes as one: killed, without Redis, with every wake-up dropped; nobody is forgotten or greeted twice."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import redis

from tests.support.fleet import Member
from tests.support.servers import Postgres, running_valkey
from tests.support.street import Street

TICK_MS = 1000
QUICK = "tick_ms = 300\n"


@pytest.fixture
def open_street(tmp_path: Path, postgres: Postgres) -> Iterator[Callable[..., Street]]:
    opened: list[Street] = []
    name = postgres.create()

    def make(broker_url: str, engine: str = QUICK) -> Street:
        opened.append(Street(tmp_path, postgres.url(name), broker_url, engine))
        return opened[-1]

    yield make
    for street in opened:
        street.close()
    postgres.drop(name)


def rows_handled(process: Member) -> float:
    text = httpx.get(f"{process.url}/metrics", trust_env=False).text
    lines = [line for line in text.splitlines() if line.startswith("sopd_rows_handled_total{")]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


def test_one_of_each_is_killed_and_the_rest_go_on(open_street: Callable[..., Street], redis_url: str) -> None:
    street = open_street(redis_url)
    first, second, busy, other, web = street.open(
        "run --role ticker", "run --role ticker", "worker", "worker", "run --role web"
    )
    street.come(10)
    street.until(lambda: any(street.greetings()))
    busy.kill()
    first.kill()
    street.come(5)
    street.until(street.all_greeted)
    web.kill()
    street.fleet.start("run --role web", street.port)
    street.come(5)

    street.until(street.all_greeted)
    street.until(lambda: street.states("hello") == ["sent"] * 20)

    assert street.greetings() == [1] * 20
    assert second.is_running and other.is_running
    assert rows_handled(other) > 0


def test_redis_goes_and_comes_back_and_work_goes_on(open_street: Callable[..., Street], tmp_path: Path) -> None:
    socket = tmp_path / "v.sock"
    street = open_street(f"unix://{socket}")
    with running_valkey(socket):
        daemon, worker = street.open("run --workers 0", "worker")
        street.come(3)
        street.until(street.all_greeted)
    street.come(3)
    street.until(street.all_greeted)  # the ticker's own work: nobody can be woken
    before = rows_handled(worker)

    with running_valkey(socket):
        deadline = time.monotonic() + 30
        while rows_handled(worker) == before and time.monotonic() < deadline:  # it looks for Redis every few seconds
            street.come(1)
            street.until(street.all_greeted)
        assert rows_handled(worker) > before
        street.until(lambda: set(street.states("hello")) == {"sent"})

    assert set(street.greetings()) == {1}
    assert daemon.is_running and worker.is_running


@contextmanager
def dropping_everything(url: str) -> Iterator[None]:
    """Whatever is put into this Redis is gone at once."""
    done = threading.Event()

    def drop() -> None:
        with redis.Redis.from_url(url) as client:
            while not done.wait(0.01):
                client.flushdb()

    dropper = threading.Thread(target=drop)
    dropper.start()
    try:
        yield
    finally:
        done.set()
        dropper.join()


def test_with_every_message_dropped_all_steps_fire_a_tick_late_at_most(
    open_street: Callable[..., Street], redis_url: str
) -> None:
    street = open_street(redis_url, f"tick_ms = {TICK_MS}\n")
    with dropping_everything(redis_url):
        street.open("run --role ticker", "run --role web")
        street.come(6)
        street.until(street.all_greeted)
        with street.store.transaction() as tx:  # one after the other, so that no two fall into one look
            tx.run("update enrollment set due_at = ? + 250 * id where due_at is not null", (tx.now + 1000,))
            dues = dict(tx.rows("select id, due_at from enrollment where due_at is not null"))
        street.until(lambda: len(street.states("later")) == 6)

    assert street.greetings() == [1] * 6
    assert len(dues) == 6
    with street.store.reading() as tx:
        late = {of: at - dues[of] for of, at in tx.rows(
            "select enrollment_id, fired_at from push where step_id = 'later'"
        )}  # fmt: skip
    assert all(ms >= 0 for ms in late.values())
    assert max(late.values()) < TICK_MS + BATCH_MS, late


BATCH_MS = 2500
"""How long the ticker may be at a batch of another loop on a machine that runs other tests too."""
