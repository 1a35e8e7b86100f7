"""The sandbox as a server: its HTTP face on loopback, and the thread in which its people live and its post runs.

`sopd sandbox` runs it in the foreground on the host's clock; rehearsals start it beside a daemon with the coordinated
clock. Never listens on anything but loopback.
"""

from __future__ import annotations

import ipaddress
import signal
import socket
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from types import FrameType
from typing import Any

import httpx
import uvicorn

from machines.calendar import Instant
from sopd.clock import Clock, HostClock
from sopd.errors import ConfigError
from sopd.sandbox.clock import CoordinatedClock
from sopd.sandbox.faults import Faults
from sopd.sandbox.people import Population
from sopd.sandbox.stage import Stage
from sopd.sandbox.tidings import Kind
from sopd.sandbox.web import Web
from sopd.sandbox.world import World

#: WeCom hangs up on a callback after 5 s and on a URL check after 1 s (WeCom 2.1, 2.5).
PUSH_DEADLINE_S = 5.0
CHECK_DEADLINE_S = 1.0
#: How long the stage's thread sleeps when it has nothing to do and nobody wakes it.
_NAP_S = 0.05


class CallbackDoor:
    """The daemon's callback URL over HTTP, as the postman's ports."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._client = httpx.Client(trust_env=False, timeout=PUSH_DEADLINE_S)

    def deliver(self, query: Mapping[str, str], body: bytes) -> int:
        """POST one push; 0 if there was no answer in time."""
        try:
            return self._client.post(self._url, params=query, content=body).status_code
        except httpx.TransportError:
            return 0

    def check(self, query: Mapping[str, str]) -> tuple[int, bytes]:
        """GET the URL check; (0, b"") if there was no answer in time."""
        try:
            response = self._client.get(self._url, params=query, timeout=CHECK_DEADLINE_S)
        except httpx.TransportError:
            return 0, b""
        return response.status_code, response.content

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


class CompanyDoor:
    """The daemon's API over HTTP: where a company's own systems report what people say and do (`tidings`).

    `token` may be set later; until then nothing is let in, and reports wait.
    """

    def __init__(self, url: str, token: str = "") -> None:
        self.token = token
        self._url = url
        self._client = httpx.Client(trust_env=False, timeout=PUSH_DEADLINE_S)

    def push(self, kind: Kind, bodies: list[dict[str, Any]]) -> tuple[int, Collection[int]]:
        """POST reports of one kind; (0, ()) if there was no answer in time."""
        headers = {"authorization": f"Bearer {self.token}"}
        try:
            response = self._client.post(f"{self._url}/api/v1/{kind}", json=bodies, headers=headers)
        except httpx.TransportError:
            return 0, ()
        if response.status_code != 202:
            return response.status_code, ()
        return 202, [int(one["index"]) for one in response.json()["refused"]]


class SandboxServer:
    """A running sandbox. `start` returns at once; `stop` waits for its two threads.

    `more` are further listening sockets on which it answers: those of hosts with a loopback of their own.
    """

    def __init__(
        self, stage: Stage, clock: Clock, *, host: str = "127.0.0.1", port: int = 0, more: Sequence[socket.socket] = ()
    ) -> None:
        self.stage = stage
        self.clock = clock
        self._sockets = [_listen(host, port), *more]
        self._wake = threading.Event()
        self._stopping = threading.Event()
        app = Web(stage, clock, self._wake.set).app()
        self._uvicorn = uvicorn.Server(
            # Dropped connections are meant, so uvicorn shall not complain of them.
            uvicorn.Config(app, log_config=None, log_level="critical", lifespan="off", timeout_graceful_shutdown=2)
        )
        self._threads = [
            threading.Thread(target=self._uvicorn.run, args=(self._sockets,), name="sandbox-web", daemon=True),
            threading.Thread(target=self._live, name="sandbox-stage", daemon=True),
        ]

    @property
    def url(self) -> str:
        """Where the sandbox answers, e.g. http://127.0.0.1:8900."""
        host, port = self._sockets[0].getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    @property
    def port(self) -> int:
        """The port of `url`."""
        return int(self._sockets[0].getsockname()[1])

    def start(self) -> SandboxServer:
        """Begin to answer and to live."""
        for thread in self._threads:
            thread.start()
        return self

    def stop(self) -> None:
        """End both threads, if they ever began, and close the socket."""
        self._stopping.set()
        self._wake.set()
        self._uvicorn.should_exit = True
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()
        for listening in self._sockets:
            listening.close()
        self.stage.postman.close()

    def run(self) -> None:
        """Serve in the foreground until SIGINT or SIGTERM; raises what the stage's thread died of."""

        def end(number: int, frame: FrameType | None) -> None:
            self._stopping.set()

        previous = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
        self.start()
        try:
            self._stopping.wait()
        finally:
            self.stop()
            for number, handler in previous.items():
                signal.signal(number, handler)
        if self.stage.failure is not None:
            raise self.stage.failure

    def _live(self) -> None:
        """Step the stage until told to stop; it is woken by jumps of the clock and by deeds done by hand."""
        try:
            while not self._stopping.is_set():
                done = 0
                if isinstance(self.clock, CoordinatedClock):
                    self.clock.expire(real_s=time.monotonic())
                if not isinstance(self.clock, CoordinatedClock) or self.clock.everybody_knows:
                    done = self.stage.step(self.clock.now())
                if not done:
                    self._wake.wait(_NAP_S)
                    self._wake.clear()
        except Exception as failure:  # a thread's end: whoever started the server or asks its clock must learn of it
            self.stage.failure = failure
            self._stopping.set()


def serve(
    world: World,
    population: Population | None,
    callback_url: str,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    faults: Faults | None = None,
    coordinated: bool = False,
    until: Instant | None = None,
    as_json: bool = False,
    parallel: int = 8,
    company: CompanyDoor | None = None,
) -> SandboxServer:
    """Put a server together; call `start()` for a thread, `run()` for the foreground.

    With `coordinated` time begins at the world's and jumps as the registered processes allow, at most to `until`;
    else the host's clock is used. Port 0 takes a free one. `company` is told what people say and do outside of WeCom.
    Raises ConfigError for a host that is not loopback.
    """
    door = CallbackDoor(callback_url)
    stage = Stage(
        world, population, deliver=door.deliver, push=None if company is None else company.push, faults=faults,
        as_json=as_json, parallel=parallel,
    )  # fmt: skip
    clock: Clock = HostClock()
    if coordinated:
        clock = CoordinatedClock(world.began_at, stage.surroundings(), until=until)
    return SandboxServer(stage, clock, host=host, port=port)


def _listen(host: str, port: int) -> socket.socket:
    if host != "localhost" and not _is_loopback(host):
        raise ConfigError(f"the sandbox must listen on loopback, not on {host}", "use 127.0.0.1 or ::1")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        where = f"{host} port {port}"
        raise ConfigError(f"the sandbox cannot listen on {where}: {error.strerror}", "take another port") from None
    listener.listen()
    return listener


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
