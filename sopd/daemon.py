"""`sopd run`: ticker, web and workers in one process, or one of them alone (ARCHITECTURE 6).

Any number of tickers may run: each looks for itself at what is due, and claims keep them apart. There is no leader.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TYPE_CHECKING, Literal

from sopd import bootstrap
from sopd.config import Settings
from sopd.errors import ConfigError
from sopd.handlers import upkeep
from sopd.process import Process, live, require_workers
from sopd.store import Store
from sopd.ticker import Look
from sopd.web.listening import listen

if TYPE_CHECKING:
    from sopd.broker import Worker
    from sopd.web.server import Serving

Role = Literal["all", "ticker", "web"]


class Daemon(Process):
    """One running daemon. `workers` are its own worker threads, by default those of the settings; role `all` only."""

    def __init__(self, settings: Settings, store: Store, role: Role = "all", workers: int | None = None) -> None:
        super().__init__(settings, store)
        self.role = role
        self.workers = settings.engine.worker_threads if workers is None else workers
        self.port = settings.web.port
        self._threads: Worker | None = None
        self._web: Serving | None = None

    def step(self) -> Look:
        """A tick; in a process that does not tick, a look at the database. What else runs here must live."""
        if self._threads is not None:
            require_workers(self._threads)
        if self._web is not None:
            self._web.require()
        return self.look() if self.role == "web" else self.engine.ticker.run_once()

    @contextmanager
    def beside(self) -> Iterator[str]:
        """Web or probes, and worker threads. A taken port is told before anything runs."""
        if self.role != "web":
            upkeep.ensure_jobs(self.engine.app)
        doing = ["ticking"] if self.role != "web" else []
        with ExitStack() as parts:
            listening = None if self.role == "ticker" else self._listening(parts)
            if listening is None:
                parts.enter_context(self.probed())
            if self.role == "all" and self.workers:
                self._threads = parts.enter_context(self.working(self.workers))
                doing.append(f"{self.workers} worker threads")
            if listening is not None:  # last, so that it stops first: the workers finish with nothing new coming in
                self._web = parts.enter_context(self._served(listening))
                doing.append(f"web on port {self.port}")
            yield ", ".join(doing)

    def _listening(self, parts: ExitStack) -> socket.socket:
        listening = parts.enter_context(listen(self.settings.web.host, self.settings.web.port, "web"))
        self.port = listening.getsockname()[1]
        return listening

    def _served(self, listening: socket.socket) -> AbstractContextManager[Serving]:
        from sopd.web.health import Health  # the web's libraries are loaded only by processes that serve it
        from sopd.web.server import serving

        return serving(self.engine, Health(self.why_not_ready, self.measure), listening, self.seconds_left)


def run(settings: Settings, role: Role = "all", workers: int | None = None) -> None:
    """Run one daemon until SIGTERM or SIGINT. Raises ConfigError where the settings allow no such part alone."""
    if role != "all":
        settings.require_production(f"`sopd run --role {role}`")
        if workers:
            raise ConfigError(f"role {role} has no workers", "leave out --workers, or choose --role all")
    elif workers == 0:
        settings.require_production("`sopd run --workers 0`")
    settings.require_wecom()
    live(Daemon(settings, bootstrap.open_store(settings), role, workers))
