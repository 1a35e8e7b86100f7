"""Procrastinate on PostgreSQL: one job per customer with `schedule_at`, which defers the next one when it ran."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime
from typing import ClassVar

import procrastinate
from psycopg_pool import AsyncConnectionPool

from tests.bench.rivals import shop
from tests.bench.rivals.shop import DATABASE, Ground, Shop

PART, CONCURRENCY = 500, 10
STATEMENT = "select id from procrastinate_jobs where status = 'todo' and (args->>'customer')::bigint between %s and %s"
tasks = procrastinate.Blueprint()
_pool: AsyncConnectionPool | None = None


@tasks.task(name="step", pass_context=False)
async def step(customer: int, name: str) -> None:
    """Fire one step and defer the next."""
    assert _pool is not None
    async with _pool.connection() as connection:
        done = await connection.execute(shop.STEP, (name, customer))
    following = shop.after(name)
    if done.rowcount == 1 and following is not None:
        due = datetime.now(UTC) + following[1]
        await step.configure(schedule_at=due).defer_async(customer=customer, name=following[0])


class Rival(Shop):
    """Jobs with a time."""

    module = "tests.bench.rivals.procrastinate_jobs"
    setup: ClassVar[str] = (
        "PostgreSQL, jobs deferred 500 at a time, one async worker of concurrency 10; a tag finds the customers' jobs"
        " by their arguments and cancels each"
    )

    def __init__(self, ground: Ground) -> None:
        super().__init__(ground)
        self._app = procrastinate.App(connector=procrastinate.SyncPsycopgConnector(conninfo=ground.url))
        self._app.add_tasks_from(tasks, namespace="bench")
        self._app.open()
        self._app.schema_manager.apply_schema()

    def schedule(self, first: int, count: int) -> None:
        self._ask(first, count, shop.in_thirty_days())

    def schedule_due(self, first: int, count: int) -> None:
        self._ask(first, count, datetime.now(UTC))

    def _ask(self, first: int, count: int, due: datetime) -> None:
        asked = self._app.configure_task("bench:step", schedule_at=due)
        for part in shop.in_parts(range(first, first + count), PART):
            asked.batch_defer(*({"customer": one, "name": shop.first_step()} for one in part))

    def tag(self, first: int, count: int) -> None:
        self.mark(first, count)
        for (job,) in self.connection.execute(STATEMENT, (first, first + count - 1)).fetchall():
            self._app.job_manager.cancel_job_by_id(job)

    def close(self) -> None:
        self._app.close()
        super().close()


async def _work(url: str) -> None:
    global _pool
    app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=url))
    app.add_tasks_from(tasks, namespace="bench")
    async with app.open_async(), AsyncConnectionPool(url, min_size=2, max_size=CONCURRENCY) as _pool:
        await app.run_worker_async(concurrency=CONCURRENCY)


if __name__ == "__main__":
    asyncio.run(_work(os.environ[DATABASE]))
