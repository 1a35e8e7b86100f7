"""Celery on Redis: one task per customer with `eta`, which asks for the next one when it ran.

Its documentation asks for `acks_late` and a visibility timeout beyond the longest eta; a revoked task is remembered by
the workers alone, so the tag is looked up when the task runs.
"""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime, timedelta
from typing import ClassVar

from celery import Celery

from tests.bench.rivals import shop
from tests.bench.rivals.shop import BROKER, Ground, Shop

app = Celery("bench", broker=os.environ.get(BROKER, "memory://"))
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_ignore_result=True,
    worker_prefetch_multiplier=1,
    broker_transport_options={"visibility_timeout": int(timedelta(days=31).total_seconds())},
    broker_connection_retry_on_startup=True,
)


@app.task(name="step")
def step(customer: int, name: str) -> None:
    """Fire one step and ask for the next."""
    following = shop.after(name)
    if shop.do(shop.my_connection(), customer, name) and following is not None:
        step.apply_async((customer, following[0]), eta=datetime.now(UTC) + following[1])


class Rival(Shop):
    """Tasks with eta."""

    module = "tests.bench.rivals.celery_eta"
    setup: ClassVar[str] = (
        "Redis with AOF every second, `acks_late`, visibility timeout 31 days, 2 processes; the tag is read when a step"
        " runs, for a revoke is kept in workers' memory only"
    )

    def __init__(self, ground: Ground) -> None:
        super().__init__(ground)
        app.conf.broker_url = _address(ground)

    def schedule(self, first: int, count: int) -> None:
        self._ask(first, count, shop.in_thirty_days())

    def schedule_due(self, first: int, count: int) -> None:
        self._ask(first, count, datetime.now(UTC))

    def _ask(self, first: int, count: int, due: datetime) -> None:
        with app.producer_pool.acquire(block=True) as producer:
            for customer in range(first, first + count):
                step.apply_async((customer, shop.first_step()), eta=due, producer=producer)

    def tag(self, first: int, count: int) -> None:
        self.mark(first, count)

    def command(self) -> list[str]:
        worker = ["worker", "--concurrency", "2", "--loglevel", "error", "--without-gossip", "--without-mingle"]
        return [sys.executable, "-m", "celery", "--app", self.module, "--broker", _address(self.ground), *worker]

    def close(self) -> None:
        app.pool.force_close_all()
        super().close()


def _address(ground: Ground) -> str:
    return f"redis+socket://{ground.redis_socket}?virtual_host=0"
