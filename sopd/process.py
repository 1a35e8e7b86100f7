"""What every process of the engine has in common: one life, from the database's lock to a stop within its deadline.

`sopd run` and `sopd worker` are built on it. The main thread takes one step after another; workers, web and probes are
threads beside it. systemd hears READY when all of them run, and WATCHDOG only after a step that succeeded: a step asks
the database and looks whether the threads live, so a process that does not get on is started anew.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import structlog

from sopd import bootstrap, broker, memory, metrics, pace
from sopd.bootstrap import Engine
from sopd.config import Settings
from sopd.errors import NoProgress, SopdError
from sopd.handlers import figures
from sopd.notify import sd_notify, watchdog_seconds
from sopd.store import Store
from sopd.store.errors import Unavailable
from sopd.store.filelock import hold
from sopd.store.migrate import migrate
from sopd.ticker import Look
from sopd.web import probes
from sopd.web.listening import listen

log = structlog.get_logger("sopd.process")

FAILED_STEPS_BEFORE_UNREADY = 3
CUT_OFF_SECONDS = 2.0
"""So long after the deadline of a stop the process ends, whatever it is at."""
UNFINISHED = "work was left unfinished: its rows come back when their leases end"
DATABASE_AWAY = "the database does not answer: see the log"


class ThreadDied(SopdError):
    """A thread that takes wake-ups has ended by itself; only a new process helps."""


class Process(ABC):
    """One running process. `run` blocks until `stop` is called; `step` and `beside` say what kind it is."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self.settings = settings
        self.store = store
        self.engine: Engine = bootstrap.build(settings, store)
        self.stopping = threading.Event()
        self._stop_by_s: float | None = None
        self._failures = 0
        self._trouble = ""
        self._started = False

    @abstractmethod
    def step(self) -> Look:
        """One step of the main thread. Unavailable and NoProgress are waited out; anything else ends the process."""

    @abstractmethod
    @contextmanager
    def beside(self) -> Iterator[str]:
        """Run what runs beside the main thread; yields in words what the process does."""

    def stop(self) -> None:
        """Ask for a graceful stop; safe in a signal handler."""
        if self._stop_by_s is None:
            self._stop_by_s = time.monotonic() + self.settings.engine.stop_within_seconds
        self.stopping.set()

    def seconds_left(self) -> float:
        """How long the stop may still take, all parts together."""
        if self._stop_by_s is None:  # it ends by an error, not by a signal
            self.stop()
        assert self._stop_by_s is not None
        return max(0.1, self._stop_by_s - time.monotonic())

    def run(self) -> None:
        """Work until stopped. Raises what keeps it from starting (ConfigError, SecondDaemon, NewerSchema, ...)."""
        with hold(self.store):
            migrate(self.store)
            with self.beside() as doing, self._paced() as steps:
                memory.settle()
                self._started = True
                sd_notify(f"READY=1\nSTATUS={doing}")
                log.info("ready", doing=doing, store=self.store.dialect.name)
                while not self.stopping.is_set():
                    steps.wait(self._stepped(), self.stopping)
                sd_notify("STOPPING=1")
                log.info("stopping")
        log.info("stopped")

    def _stepped(self) -> Look | None:
        try:
            seen = self.step()
        except (Unavailable, NoProgress) as error:
            self._failures += 1
            self._trouble = error.message if isinstance(error, NoProgress) else DATABASE_AWAY
            log.warning("step failed", reason=str(error), failures=self._failures)
            return None
        self._failures = 0
        metrics.got_on("step")
        if watchdog_seconds() is not None:
            sd_notify("WATCHDOG=1")
        return seen

    def look(self) -> Look:
        """A step of a process that does not tick: does the database answer?"""
        return Look(self.store.now(), (), None)

    def why_not_ready(self) -> str | None:
        """For /readyz."""
        if not self._started:
            return "starting"
        if self.stopping.is_set():
            return "stopping"
        return self._trouble if self._failures >= FAILED_STEPS_BEFORE_UNREADY else None

    def measure(self) -> None:
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

    # -- parts -----------------------------------------------------------------------------------------------------

    @contextmanager
    def probed(self) -> Iterator[None]:
        """Answer /healthz, /readyz and /metrics at `health.port`, if it is set: for processes without a web."""
        chosen = self.settings.health
        with ExitStack() as parts:
            if chosen.port:
                listening: socket.socket = listen(chosen.host, chosen.port, "health")
                parts.enter_context(probes.answering(listening, self.why_not_ready, self.measure))
            yield

    @contextmanager
    def working(self, threads: int) -> Iterator[broker.Worker]:
        """Worker threads until the block ends; what has begun then may finish within the deadline."""
        worker = broker.start_workers(self.engine.broker, threads)
        try:
            yield worker
        finally:
            if not broker.stop_workers(worker, self.seconds_left()):
                log.warning(UNFINISHED)

    def close(self) -> None:
        """Close what was opened."""
        self.engine.app.wecom.close()
        with suppress(Unavailable):
            self.store.close()


def require_workers(worker: broker.Worker) -> None:
    """Raise ThreadDied unless every thread that fetches wake-ups and every one that works lives."""
    if not broker.are_alive(worker):
        raise ThreadDied("a worker thread has died", "see the log for the reason; start the process again")


def live(process: Process) -> None:
    """Run a process until SIGTERM or SIGINT; a stop that hangs (in a statement, say) is cut off at its deadline."""

    def stop(*_: object) -> None:
        if not process.stopping.is_set():
            cut = threading.Timer(process.settings.engine.stop_within_seconds + CUT_OFF_SECONDS, _cut_off)
            cut.daemon = True
            cut.start()
        process.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    try:
        process.run()
    finally:
        process.close()


def _cut_off() -> None:
    """Nothing is lost: the database rolls back what was open, and leases end."""
    log.warning(UNFINISHED)
    sys.stderr.flush()
    os._exit(0)
