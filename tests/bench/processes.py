"""A company in production: ticker, web and workers as processes of their own, on PostgreSQL and Redis."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sopd.rehearsal.process import free_port
from tests.bench.daemons import settings_of
from tests.support.processes import end, is_ready

TICKER, WEB, WORKER = ("run", "--role", "ticker"), ("run", "--role", "web"), ("worker",)
READY_WITHIN_S = 120
_NICE = {WORKER: ("nice", "-n", "5")}
"""As the units of systemd/ have it."""


@dataclass(frozen=True)
class Running:
    """The processes, the port of the web among them, and where they log."""

    processes: Sequence[subprocess.Popen[bytes]]
    port: int
    log: Path

    def require(self) -> None:
        """Raise, with the log, if one has ended by itself."""
        dead = [one.args for one in self.processes if one.poll() is not None]
        if dead:
            raise RuntimeError(f"ended by themselves: {dead}\n{self.log.read_text(errors='replace')[-3000:]}")

    def wait_until_ready(self) -> None:
        """Wait for the web's /readyz."""
        pause, begun = threading.Event(), time.perf_counter()
        while not is_ready(self.port):
            self.require()
            if time.perf_counter() - begun > READY_WITHIN_S:
                raise RuntimeError(f"not ready in {READY_WITHIN_S} s")
            pause.wait(0.05)


@contextmanager
def at_work(url: str, broker: str, folder: Path, commands: Sequence[Sequence[str]]) -> Iterator[Running]:
    """These commands of `sopd`, until the end of the block."""
    port, settings, log = free_port(), folder / "processes.toml", folder / "processes.log"
    settings.write_text(settings_of(url, port, broker=broker), encoding="utf-8")
    with ExitStack() as running, log.open("wb") as output:
        started = []
        for command in commands:
            process = subprocess.Popen(
                [*_NICE.get(command, ()), sys.executable, "-m", "sopd", "--config", str(settings), *command],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            )  # fmt: skip
            running.callback(end, process)
            started.append(process)
        yield Running(started, port, log)
