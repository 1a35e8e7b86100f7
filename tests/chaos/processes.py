"""One process of the engine on one host, and what systemd does for it: started anew whenever it has ended."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

from tests.chaos.hosts import Host

RESTART_SECONDS = 0.3
STOP_SECONDS = 40


class EngineProcess:
    """`words` are those after `sopd`. `killed` and `fell` count its ends: by an attack, and by itself."""

    def __init__(self, host: Host, words: tuple[str, ...], log: Path) -> None:
        self.host = host
        self.words = words
        self.log = log
        self.killed = 0
        self.fell: list[int] = []
        self.is_frozen = False
        self._process: subprocess.Popen[bytes] | None = None
        self._start_at_s = 0.0

    @property
    def is_web(self) -> bool:
        """Whether callbacks can be brought to it."""
        return "web" in self.words or self.words == ("run",)

    @property
    def title(self) -> str:
        """Host and command."""
        return f"{self.host.name} {' '.join(self.words)}"

    @property
    def clock_name(self) -> str | None:
        """What the rehearsal's clock calls the running process."""
        return None if self._process is None else self.host.name_of(self._process.pid)

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it now; it is ready when it has joined the clock."""
        self._process = self.host.spawn(self.words, self.log)

    def kill(self) -> str | None:
        """kill -9; returns the name that the clock knows. It comes back by `mend`."""
        if self._process is None:
            return None
        self._process.kill()
        self._process.wait()
        name, self._process = self.clock_name, None
        self.killed += 1
        self.is_frozen = False
        self._start_at_s = time.monotonic() + RESTART_SECONDS
        return name

    def mend(self) -> str | None:
        """Start it if it is time; returns the clock's name of a process that was found dead."""
        if self._process is None:
            if time.monotonic() >= self._start_at_s:
                self.start()
            return None
        code = self._process.poll()
        if code is None:
            return None
        name, self._process = self.clock_name, None
        self.fell.append(code)
        self._start_at_s = time.monotonic() + RESTART_SECONDS
        return name

    def freeze(self) -> None:
        """SIGSTOP."""
        if self.is_running:
            self._process.send_signal(signal.SIGSTOP)
            self.is_frozen = True

    def thaw(self) -> None:
        """SIGCONT, if it is frozen and was not killed meanwhile."""
        if self.is_frozen and self.is_running:
            self._process.send_signal(signal.SIGCONT)
        self.is_frozen = False

    def terminate(self) -> None:
        """Ask it to end."""
        if self.is_running:
            self._process.send_signal(signal.SIGTERM)

    def ended(self) -> int:
        """Wait for the end that was asked for; returns the exit code, -9 if it had to be killed."""
        if self._process is None:
            return 0
        try:
            return self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def last_words(self, lines: int = 3) -> str:
        """The end of its log."""
        text = self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])
