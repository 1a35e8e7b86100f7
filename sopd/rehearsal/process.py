"""The daemon of a rehearsal as a process of its own, started as an operator would, stopped or killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx

from sopd.errors import SopdError

START_SECONDS = 60
STOP_SECONDS = 40


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class DaemonProcess:
    """One `sopd run`, or another long-lived command. Its log goes to a file; `url` is where it answers /readyz.

    `environ` is added to this process's environment.
    """

    def __init__(
        self,
        config: Path,
        url: str,
        log: Path,
        words: Sequence[str] = ("run",),
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self._config = config
        self._words = words
        self._environ = environ or {}
        self._url = url
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it is ready. Raises SopdError with the log's end if it does not come up."""
        command = [sys.executable, "-m", "sopd", "--config", str(self._config), *self._words]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, **self._environ}
            )
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.is_running:
            try:
                if httpx.get(f"{self._url}/readyz", timeout=2, trust_env=False).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.05)
        self.kill()
        raise SopdError("the daemon did not start", f"{self._log} ends with: {self.last_words()}")

    @property
    def is_running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Its process id; only while it was started."""
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """kill -9, in the middle of whatever it does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> int:
        """SIGTERM; returns its exit code. Killed if it does not end in time, which shows as -9."""
        if self._process is None or self._process.poll() is not None:
            return self._process.returncode if self._process is not None else 0
        self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            return -signal.SIGKILL

    def last_words(self, characters: int = 600) -> str:
        """The end of its log."""
        if not self._log.exists():
            return "(no log)"
        return self._log.read_text(encoding="utf-8", errors="replace")[-characters:]
