"""`sopd worker`: a process that only works (ARCHITECTURE 6). Any number of them on any number of hosts.

It takes wake-ups from Redis and asks PostgreSQL what is due; it holds no work of its own, so it may die at any moment.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sopd import bootstrap
from sopd.config import Settings
from sopd.process import Process, live, require_workers
from sopd.ticker import Look


class Worker(Process):
    """One worker process: its threads fetch wake-ups, its main thread looks whether it gets on."""

    def step(self) -> Look:
        """The threads live and the database answers."""
        require_workers(self._threads)
        return self.look()

    @contextmanager
    def beside(self) -> Iterator[str]:
        """Worker threads, and the probes."""
        threads = self.settings.engine.worker_threads
        with self.probed(), self.working(threads) as self._threads:
            yield f"working with {threads} threads"


def run(settings: Settings) -> None:
    """Work until SIGTERM or SIGINT. Raises ConfigError where several processes cannot share the work."""
    settings.require_production("`sopd worker`")
    settings.require_wecom()
    live(Worker(settings, bootstrap.open_store(settings)))
