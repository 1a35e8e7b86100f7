"""The shop that every rival serves: who its customers are, who has the tag, and what was sent.

A step is one durable transaction: a row in `sent`, unless the customer has the tag. The same for all, on PostgreSQL.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar, Protocol

import psycopg

CHAIN = {"guide": 1, "coupon": 3, "tips": 7, "gift": 14, "farewell": 30}
"""Steps with their day."""
FAR = timedelta(days=30)
DATABASE, BROKER = "BENCH_DATABASE", "BENCH_BROKER"
"""Variables that tell a worker where both are."""

TABLES = """
create table customer (id bigint primary key, tagged boolean not null default false);
create table sent (customer_id bigint, step text, at timestamptz not null default clock_timestamp(),
  primary key (customer_id, step));
"""
STEP = (
    "insert into sent (customer_id, step) select id, %s from customer where id = %s and not tagged"
    " on conflict do nothing"
)
"""(step, customer): what firing a step does. No row: the customer has the tag, or it was done before."""


@dataclass(frozen=True)
class Ground:
    """An empty PostgreSQL database, the socket of an empty Redis that keeps what it is told, and a folder."""

    url: str
    redis_socket: Path
    folder: Path

    @property
    def redis_url(self) -> str:
        return f"unix://{self.redis_socket}?db=0"


class Rival(Protocol):
    """One contender on a ground of its own. Customers are numbered."""

    setup: ClassVar[str]
    """How it is set up, in one sentence of people's words."""

    def prepare(self, first: int, count: int) -> None:
        """Make these customers. Not measured."""
        ...

    def schedule(self, first: int, count: int) -> None:
        """Durably let the first step of each be due in 30 days, the others after it."""
        ...

    def schedule_due(self, first: int, count: int) -> None:
        """The same, due now. Not measured."""
        ...

    def tag(self, first: int, count: int) -> None:
        """Give these customers the tag, durably; no step of theirs may fire afterwards."""
        ...

    def fired(self) -> int:
        """How many steps have fired."""
        ...

    def command(self) -> list[str]:
        """What starts it at work: a process that ends at SIGTERM."""
        ...

    def close(self) -> None:
        """Drop connections."""
        ...


class Shop:
    """What the rivals besides `sopd` have in common."""

    module: ClassVar[str]

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        self.connection = psycopg.connect(ground.url, autocommit=True)
        self.connection.execute(TABLES)

    def prepare(self, first: int, count: int) -> None:
        self.connection.execute(
            "insert into customer (id) select generate_series(%s::bigint, %s)", (first, first + count - 1)
        )

    def mark(self, first: int, count: int) -> None:
        """Write the tag down, one transaction for all of them."""
        self.connection.execute(
            "update customer set tagged = true where id between %s and %s", (first, first + count - 1)
        )

    def fired(self) -> int:
        found = self.connection.execute("select count(*) from sent").fetchone()
        assert found is not None
        return int(found[0])

    def command(self) -> list[str]:
        return [sys.executable, "-m", self.module]

    def close(self) -> None:
        self.connection.close()


def in_thirty_days() -> datetime:
    """When a step that waits is due."""
    return datetime.now(UTC) + FAR


def first_step() -> str:
    """The step a chain begins with."""
    return next(iter(CHAIN))


def after(step: str) -> tuple[str, timedelta] | None:
    """The step that follows, and how much later it is due; None after the last."""
    steps = list(CHAIN)
    at = steps.index(step) + 1
    if at == len(steps):
        return None
    return steps[at], timedelta(days=CHAIN[steps[at]] - CHAIN[step])


def do(connection: psycopg.Connection[tuple[object, ...]], customer: int, step: str) -> bool:
    """Fire one step; False if it must not be."""
    return connection.execute(STEP, (step, customer)).rowcount == 1


def in_parts(numbers: Iterable[int], size: int) -> Iterable[list[int]]:
    """Numbers, at most `size` together."""
    part: list[int] = []
    for number in numbers:
        part.append(number)
        if len(part) == size:
            yield part
            part = []
    if part:
        yield part


_mine = threading.local()


def my_connection() -> psycopg.Connection[tuple[object, ...]]:
    """The connection of this thread of a worker, opened when it is first asked for."""
    if getattr(_mine, "connection", None) is None:
        _mine.connection = psycopg.connect(os.environ[DATABASE], autocommit=True)
    return _mine.connection
