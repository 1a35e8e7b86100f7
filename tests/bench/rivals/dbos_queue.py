"""DBOS on PostgreSQL: a durable workflow per step on a queue with `delay_seconds`, which enqueues its successor.

One workflow per customer that sleeps between steps would read better, but each keeps a thread or a task in memory for
weeks; a delayed one waits in the database.
"""

from __future__ import annotations

import os
import signal
import threading
from typing import ClassVar

import psycopg_pool
from dbos import DBOS, DBOSClient, DBOSConfig, EnqueueOptions, SetEnqueueOptions

from tests.bench.rivals import shop
from tests.bench.rivals.shop import DATABASE, Ground, Shop

QUEUE, NAME, VERSION = "steps", "step", "bench"
PART, CONNECTIONS = 500, 16
_pool: psycopg_pool.ConnectionPool | None = None


@DBOS.step()
def _do(customer: int, name: str) -> bool:
    assert _pool is not None
    with _pool.connection() as connection:
        return shop.do(connection, customer, name)


@DBOS.workflow(name=NAME)
def step(customer: int, name: str) -> None:
    """Fire one step and enqueue the next."""
    following = shop.after(name)
    if _do(customer, name) and following is not None:
        with SetEnqueueOptions(delay_seconds=following[1].total_seconds()):
            DBOS.enqueue_workflow(QUEUE, step, customer, following[0])


class Rival(Shop):
    """Delayed workflows."""

    module = "tests.bench.rivals.dbos_queue"
    setup: ClassVar[str] = (
        "PostgreSQL, one queue without limits, polled every second as it does by itself; steps enqueued one by one with"
        " `delay_seconds`; a tag cancels the customers' workflows by id, 500 at a time"
    )

    def __init__(self, ground: Ground) -> None:
        super().__init__(ground)
        DBOS(config=_config(ground.url))
        DBOS.launch()  # makes its tables
        DBOS.destroy()
        self._client = DBOSClient(system_database_url=_address(ground.url))

    def schedule(self, first: int, count: int) -> None:
        self._ask(first, count, shop.FAR.total_seconds())

    def schedule_due(self, first: int, count: int) -> None:
        self._ask(first, count, 0.001)

    def _ask(self, first: int, count: int, delay: float) -> None:
        for customer in range(first, first + count):
            options: EnqueueOptions = {
                "workflow_name": NAME, "queue_name": QUEUE, "workflow_id": f"{customer}/{shop.first_step()}",
                "app_version": VERSION, "delay_seconds": delay,
            }  # fmt: skip
            self._client.enqueue(options, customer, shop.first_step())

    def tag(self, first: int, count: int) -> None:
        self.mark(first, count)
        for part in shop.in_parts(range(first, first + count), PART):
            self._client.cancel_workflows([f"{customer}/{shop.first_step()}" for customer in part])

    def close(self) -> None:
        self._client.destroy()
        super().close()


def _address(url: str) -> str:
    return url.replace("postgresql://", "postgresql+psycopg://")


def _config(url: str) -> DBOSConfig:
    return {"name": "bench", "system_database_url": _address(url), "application_version": VERSION, "log_level": "ERROR"}


def _work(url: str) -> None:
    global _pool
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    DBOS(config=_config(url))
    with psycopg_pool.ConnectionPool(url, min_size=2, max_size=CONNECTIONS, kwargs={"autocommit": True}) as _pool:
        DBOS.launch()
        DBOS.register_queue(QUEUE)
        stop.wait()
        DBOS.destroy()


if __name__ == "__main__":
    _work(os.environ[DATABASE])
