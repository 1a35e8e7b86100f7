"""systemd as a service knows it: a socket that hears what the service says of itself."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PATIENCE_S = 20


class Manager:
    """Hears what is said; `heard` is all of it, in order."""

    def __init__(self, listening: socket.socket) -> None:
        self._listening = listening
        self.heard: list[str] = []

    def hear(self, count: int) -> None:
        """Wait for so many more messages."""
        self.heard += [self._listening.recv(4096).decode() for _ in range(count)]

    def hear_stopping(self) -> None:
        """Wait until the service says that it stops."""
        while not self.heard[-1].startswith("STOPPING"):
            self.hear(1)


@contextmanager
def managing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Manager]:
    """What is started in this block is a service of `Type=notify` with a watchdog of 10 s."""
    address = str(folder / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(address)
        listening.settimeout(PATIENCE_S)
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        monkeypatch.setenv("WATCHDOG_USEC", "10000000")
        yield Manager(listening)
