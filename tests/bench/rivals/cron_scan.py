"""A scan by cron, as SCRMs do it: every minute all open runs are read, page by page, and decided upon in Python.

Each pass reads the customers' tags with IN lists, writes what is due, and ends who has the tag. Nothing is known in
between: a tag takes effect at the next pass.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import ClassVar

import psycopg

from tests.bench.rivals import shop
from tests.bench.rivals.shop import DATABASE, Ground, Shop

PAGE, EVERY_S = 1000, 60.0
TABLES = """
create table run (id bigint primary key, customer_id bigint not null, began_at timestamptz not null, step text,
  ended_at timestamptz);
"""


class Rival(Shop):
    """Rows of runs and a pass over all of them."""

    module = "tests.bench.rivals.cron_scan"
    setup: ClassVar[str] = (
        "PostgreSQL, every minute a pass over all open runs in pages of 1,000; scheduling is one row a run, 500"
        " together; a tag ends runs at the next pass, which is measured with it"
    )

    def __init__(self, ground: Ground) -> None:
        super().__init__(ground)
        self.connection.execute(TABLES)

    def schedule(self, first: int, count: int) -> None:
        self._ask(first, count, datetime.now(UTC))

    def schedule_due(self, first: int, count: int) -> None:
        self._ask(first, count, datetime.now(UTC) - timedelta(days=1))

    def _ask(self, first: int, count: int, began: datetime) -> None:
        for part in shop.in_parts(range(first, first + count), 500):
            with self.connection.transaction(), self.connection.cursor() as cursor:
                cursor.executemany(
                    "insert into run (id, customer_id, began_at) values (%s, %s, %s)", [(n, n, began) for n in part]
                )

    def tag(self, first: int, count: int) -> None:
        self.mark(first, count)
        go_through(self.connection, datetime.now(UTC) - timedelta(days=2))


def go_through(connection: psycopg.Connection[tuple[object, ...]], now: datetime) -> None:
    """One pass, made at `now`."""
    low = 0
    while page := connection.execute(
        "select id, customer_id, began_at, step from run where id > %s and ended_at is null order by id limit %s",
        (low, PAGE),
    ).fetchall():
        _one_page(connection, page, now)
        low = page[-1][0]


def _one_page(connection: psycopg.Connection[tuple[object, ...]], page: list[tuple], now: datetime) -> None:
    customers = [customer for _, customer, _, _ in page]
    with connection.transaction(), connection.cursor() as cursor:
        found = cursor.execute("select id from customer where id = any(%s) and tagged", (customers,)).fetchall()
        tagged = {customer for (customer,) in found}
        ended = [(now, run) for run, customer, _, _ in page if customer in tagged]
        due = [(next_step, run, customer) for run, customer, began, step in page
               if customer not in tagged and (next_step := _due(began, step, now))]  # fmt: skip
        if ended:
            cursor.executemany("update run set ended_at = %s where id = %s", ended)
        if due:
            cursor.executemany(shop.STEP, [(step, customer) for step, _, customer in due])
            cursor.executemany("update run set step = %s where id = %s", [(step, run) for step, run, _ in due])


def _due(began: datetime, step: str | None, now: datetime) -> str | None:
    """The step to fire now, if any."""
    steps = list(shop.CHAIN)
    following = steps[steps.index(step) + 1 :] if step else steps
    return following[0] if following and began + timedelta(days=shop.CHAIN[following[0]]) <= now else None


def _work(url: str) -> None:
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    with psycopg.connect(url, autocommit=True) as connection:
        while not stop.is_set():
            begun = time.monotonic()
            go_through(connection, datetime.now(UTC))
            stop.wait(EVERY_S - (time.monotonic() - begun))


if __name__ == "__main__":
    _work(os.environ[DATABASE])
