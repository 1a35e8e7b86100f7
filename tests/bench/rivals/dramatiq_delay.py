"""Plain Dramatiq on Redis: one message per customer with a delay, which sends the next one when it ran.

A worker takes delayed messages into its memory, a thousand for each of its threads unless told otherwise: later ones
are not even seen. The bench tells it the most it takes, 65,535 a process.
"""

from __future__ import annotations

import os
import sys
from datetime import timedelta
from typing import ClassVar

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from tests.bench.rivals import shop
from tests.bench.rivals.shop import BROKER, Ground, Shop

os.environ.setdefault("dramatiq_delay_queue_prefetch", "65535")
broker = RedisBroker(url=os.environ.get(BROKER, "redis://"))


def _fire(customer: int, name: str) -> None:
    """Fire one step and ask for the next."""
    following = shop.after(name)
    if shop.do(shop.my_connection(), customer, name) and following is not None:
        step.send_with_options(args=(customer, following[0]), delay=following[1])


step = dramatiq.actor(_fire, broker=broker, actor_name="step")


class Rival(Shop):
    """Messages with a delay."""

    module = "tests.bench.rivals.dramatiq_delay"
    setup: ClassVar[str] = (
        "Redis with AOF every second, 2 processes of 8 threads, delay prefetch raised to 65,535; it cannot take a"
        " message back, so the tag is read when a step runs"
    )

    def __init__(self, ground: Ground) -> None:
        super().__init__(ground)
        self._broker = RedisBroker(url=ground.redis_url)
        self._step = dramatiq.actor(_fire, broker=self._broker, actor_name="step")

    def schedule(self, first: int, count: int) -> None:
        self._ask(first, count, shop.FAR)

    def schedule_due(self, first: int, count: int) -> None:
        self._ask(first, count, timedelta(milliseconds=1))

    def _ask(self, first: int, count: int, delay: timedelta) -> None:
        for customer in range(first, first + count):
            self._step.send_with_options(args=(customer, shop.first_step()), delay=delay)

    def tag(self, first: int, count: int) -> None:
        self.mark(first, count)

    def command(self) -> list[str]:
        return [sys.executable, "-m", "dramatiq", f"{self.module}:broker", "--processes", "2", "--threads", "8"]

    def close(self) -> None:
        self._broker.close()
        super().close()
