"""The real daemon as a process of its own, watched from outside; no WeCom can be reached from it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from sopd.rehearsal.process import free_port
from sopd.store import Store
from tests.bench.load import AES_KEY, CORP, TOKEN
from tests.support.processes import end, is_ready

START_WITHIN_S = 120
ANSWER_WITHIN_S = 20


class CountedDaemon:
    """Started by being made. Times count from there."""

    def __init__(self, folder: Path, url: str) -> None:
        self._tally = folder / "tally.json"
        self._log = folder / "daemon.log"
        self.port = free_port()
        self._pause = threading.Event()
        settings = folder / "sopd.toml"
        settings.write_text(settings_of(url, self.port), encoding="utf-8")
        self._begun = time.perf_counter()
        command = [sys.executable, "-m", "tests.bench.counted_daemon", str(settings), str(self._tally)]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self._watched = psutil.Process(self._process.pid)

    def pause(self, seconds: float) -> None:
        """Let it be."""
        self._pause.wait(seconds)

    def wait_until_ready(self) -> float:
        """Seconds from its beginning until /readyz says yes."""
        return self.wait_until(lambda: is_ready(self.port), START_WITHIN_S)

    def wait_until(self, condition: Callable[[], bool], within_s: float) -> float:
        """Seconds from its beginning until the condition holds; raises with its log if it dies or takes longer."""
        while (seconds := time.perf_counter() - self._begun) < within_s and self._process.poll() is None:
            if condition():
                return seconds
            self._pause.wait(0.01)
        raise RuntimeError(f"the daemon did not get there:\n{self._log.read_text(errors='replace')[-3000:]}")

    def tally(self) -> dict[str, int]:
        """How many statements of each kind it has run."""
        self._tally.unlink(missing_ok=True)
        self._process.send_signal(signal.SIGUSR1)
        self.wait_until(self._tally.exists, time.perf_counter() - self._begun + ANSWER_WITHIN_S)
        counted = json.loads(self._tally.read_text(encoding="utf-8"))
        return {"queries": 0, "transactions": 0, **counted}

    def cpu_seconds(self) -> float:
        """User and system time so far."""
        times = self._watched.cpu_times()
        return times.user + times.system

    def rss_mb(self) -> float:
        """Memory it holds now."""
        return self._watched.memory_info().rss / 2**20

    def stop(self) -> None:
        """End it, the hard way if need be."""
        end(self._process)


@contextmanager
def daemon_on(store: Store, url: str, folder: Path) -> Iterator[CountedDaemon]:
    """A daemon at work on this database, whose connections here are dropped before and after."""
    store.close()
    daemon = CountedDaemon(folder, url)
    try:
        yield daemon
    finally:
        daemon.stop()
        store.close()


def settings_of(url: str, port: int, *, broker: str = "") -> str:
    """The settings of a daemon that reaches no WeCom; without a broker it has its own in memory."""
    return f"""
[wecom]
corp_id = "{CORP}"
agent_id = 1000002
secret = "nobody-answers"
token = "{TOKEN}"
encoding_aes_key = "{AES_KEY}"
api_base = "http://127.0.0.1:9"

[store]
url = "{url}"

[broker]
url = "{broker or "memory://"}"

[web]
port = {port}

[log]
level = "warning"
"""
