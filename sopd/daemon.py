"""`sopd run`: ticker, workers and web in one process (ARCHITECTURE 6). Told to stop, it finishes what it has begun.

The main thread ticks. Workers and the web server are threads beside it. systemd hears READY when all of them run, and
WATCHDOG only after a tick that succeeded.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import structlog
import uvicorn

from sopd import bootstrap, broker, metrics, pace
from sopd.bootstrap import Engine
from sopd.config import Settings
from sopd.errors import ConfigError
from sopd.handlers import figures, upkeep
from sopd.notify import sd_notify, watchdog_seconds
from sopd.store import Store
from sopd.store.errors import Unavailable
from sopd.store.filelock import hold
from sopd.store.migrate import migrate
from sopd.ticker import Look
from sopd.web import app as web_app
from sopd.web.api import Api
from sopd.web.callback import Callback
from sopd.web.health import Health

log = structlog.get_logger("sopd.daemon")

START_SECONDS = 20
FAILED_TICKS_BEFORE_UNREADY = 3


class Daemon:
    """One running daemon. `run` blocks until `stop` is called or a signal comes."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self.settings = settings
        self.store = store
        self.engine: Engine = bootstrap.build(settings, store)
        self.stopping = threading.Event()
        self.port = settings.web.port
        self._failed_ticks = 0
        self._started = False

    def stop(self) -> None:
        """Ask for a graceful stop; safe in a signal handler."""
        self.stopping.set()

    def run(self) -> None:
        """Work until stopped. Raises what keeps it from starting (ConfigError, SecondDaemon, NewerSchema, ...)."""
        with hold(self.store):
            migrate(self.store)
            upkeep.ensure_jobs(self.engine.app)
            with self._web(), self._workers(), self._paced() as steps:
                self._started = True
                sd_notify(f"READY=1\nSTATUS=working, web on port {self.port}")
                log.info("ready", port=self.port, store=self.store.dialect.name)
                self._tick_until_stopped(steps)
                sd_notify("STOPPING=1")
                log.info("stopping")
        log.info("stopped")

    def _tick_until_stopped(self, steps: pace.Pace) -> None:
        while not self.stopping.is_set():
            seen = self._tick()
            if seen is not None and watchdog_seconds() is not None:
                sd_notify("WATCHDOG=1")
            steps.wait(seen, self.stopping)

    def _tick(self) -> Look | None:
        """One tick; a database that is away is waited for, anything else ends the process for systemd to restart."""
        try:
            seen = self.engine.ticker.run_once()
        except Unavailable as error:
            self._failed_ticks += 1
            log.warning("tick failed", reason=str(error), failures=self._failed_ticks)
            return None
        self._failed_ticks = 0
        return seen

    def _why_not_ready(self) -> str | None:
        if not self._started:
            return "starting"
        if self.stopping.is_set():
            return "stopping"
        if self._failed_ticks >= FAILED_TICKS_BEFORE_UNREADY:
            return "the database does not answer: see the log"
        return None

    def _measure(self) -> None:
        """Set the gauges that are read when Prometheus asks; those of a database that is away keep their last value."""
        metrics.show(metrics.QUEUE_DEPTH, broker.depths(self.engine.broker))
        with suppress(Unavailable):
            figures.show(self.engine.app)

    @contextmanager
    def _paced(self) -> Iterator[pace.Pace]:
        chosen = pace.choose(self.settings, pace.name_of(os.getpid()), self.store, self.engine.activity)
        try:
            yield chosen
        finally:
            chosen.leave()

    @contextmanager
    def _workers(self) -> Iterator[None]:
        worker = broker.start_workers(self.engine.broker, self.settings.engine.worker_threads)
        try:
            yield
        finally:
            broker.stop_workers(worker, self.settings.engine.stop_within_seconds)

    @contextmanager
    def _web(self) -> Iterator[None]:
        """The web server in a thread of its own; the callback answers from its first moment."""
        callback = Callback(self.engine.crypto, self.engine.accept, self.settings.engine.inbox_gather_ms)
        api = Api(self.engine.app, self.engine.activity)
        application = web_app.build(callback, Health(self._why_not_ready, self._measure), api)
        listening = _listen(self.settings.web.host, self.settings.web.port)
        self.port = listening.getsockname()[1]
        server = uvicorn.Server(
            uvicorn.Config(application, log_config=None, access_log=False, timeout_graceful_shutdown=5)
        )
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, name="web", daemon=True)
        thread.start()
        try:
            _wait_until_started(server, thread)
            yield
        finally:
            server.should_exit = True
            thread.join(timeout=10)
            listening.close()


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket, opened before anything else starts, so that a taken port is one clear error."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(1024)
    except OSError as error:
        listening.close()
        raise ConfigError(
            f"cannot listen on {host}:{port}: {error.strerror}", "choose another web.host or web.port in sopd.toml"
        ) from None
    return listening


def _wait_until_started(server: uvicorn.Server, thread: threading.Thread) -> None:
    for _ in range(START_SECONDS * 100):
        if server.started:
            return
        if not thread.is_alive():
            break
        thread.join(0.01)
    raise ConfigError("the web server did not start", "see the log for the reason")


def run(settings: Settings) -> None:
    """Run one daemon until SIGTERM or SIGINT. Called by `sopd run`."""
    settings.require_wecom()
    store = bootstrap.open_store(settings)
    daemon = Daemon(settings, store)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: daemon.stop())
    try:
        daemon.run()
    finally:
        daemon.engine.app.wecom.close()
        with suppress(Unavailable):
            store.close()
