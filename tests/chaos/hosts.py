"""One imitated host: where its processes are born, how they reach the sandbox, and how wrong its clock is."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from sopd.rehearsal.process import free_port
from sopd.web.app import CALLBACK_PATH
from tests.chaos.namespaces import Namespace

HOST_CLOCK = Path(__file__).parent / "hostclock"
ROOT = Path(__file__).parents[2]
DEADLINE_S = 5.0  # how long WeCom waits for the answer to a callback (WeCom 2.5)


class Host:
    """`listening` is the sandbox's socket on this host, None if the host shares the network of everybody."""

    def __init__(self, name: str, folder: Path, namespace: Namespace | None) -> None:
        self.name = name
        self.folder = folder
        self._namespace = namespace
        self._client = httpx.Client(trust_env=False, timeout=DEADLINE_S)
        self._clock = folder / f"{name}.clock"
        self.config = folder / f"{name}.toml"
        self.set_clock(0)
        with self.inside():
            self.web_port = free_port()
            self.listening = None if namespace is None else _listening()

    @property
    def is_alone(self) -> bool:
        """Whether it has a network of its own."""
        return self._namespace is not None

    @contextmanager
    def inside(self) -> Iterator[None]:
        """This thread is on the host."""
        if self._namespace is None:
            yield
        else:
            with self._namespace.inside():
                yield

    def set_clock(self, seconds: int) -> None:
        """Put the host's wall clock wrong by so much, for processes that run and for those to come."""
        fresh = self._clock.with_suffix(".new")
        fresh.write_text(str(seconds))
        fresh.replace(self._clock)
        self.clock_seconds = seconds

    def spawn(self, words: tuple[str, ...], log: Path) -> subprocess.Popen[bytes]:
        """Start `sopd WORDS` here."""
        environment = {**os.environ, "PYTHONPATH": f"{HOST_CLOCK}:{ROOT}", "CHAOS_CLOCK": str(self._clock)}
        command = [sys.executable, "-m", "sopd", "--config", str(self.config), *words]
        with log.open("ab") as output, self.inside():
            return subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment, cwd=self.folder
            )

    def name_of(self, pid: int) -> str:
        """What a process of this host is called by the rehearsal's clock."""
        return f"{self.name if self.is_alone else socket.gethostname()}-{pid}"

    def deliver(self, query: dict[str, str], body: bytes) -> int:
        """POST a callback to the host's web; its status, 0 without an answer."""
        return self._post(CALLBACK_PATH, params=query, content=body).status_code

    def tell(self, kind: str, token: str, bodies: list[dict[str, object]]) -> httpx.Response:
        """POST reports to the host's API."""
        return self._post(f"/api/v1/{kind}", json=bodies, headers={"authorization": f"Bearer {token}"})

    def close(self) -> None:
        """Close what it holds."""
        self._client.close()
        if self._namespace is not None:
            self._namespace.close()

    def _post(self, path: str, **request: object) -> httpx.Response:
        with self.inside():
            try:
                return self._client.post(f"http://127.0.0.1:{self.web_port}{path}", **request)
            except httpx.TransportError:
                return httpx.Response(0)


def _listening() -> socket.socket:
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen(64)
    return listening
