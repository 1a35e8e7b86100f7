"""The sandbox's HTTP face: WeCom's paths, and `/sandbox/...` for the clock, the people, the faults and the account.

WeCom's paths go through the gateway in worker threads, so overlapping calls really overlap. The rest answers JSON:
400 or 404 with `error` for what cannot be done. Made by `server`; knows no sockets and starts no threads.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request as WebRequest
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from sopd.clock import Clock
from sopd.errors import NotFound, SopdError
from sopd.sandbox import hands
from sopd.sandbox.api import Request
from sopd.sandbox.books import rows
from sopd.sandbox.clock import CoordinatedClock, Report
from sopd.sandbox.faults import Fault
from sopd.sandbox.gateway import Dropped
from sopd.sandbox.refusals import ImpossibleDeed
from sopd.sandbox.stage import Stage

LOOK_S = 0.004  # between two looks whether a round is closed


class BrokenResponse(Response):
    """A connection that breaks: a head that promises a byte which never comes; the server then hangs up."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the head only."""
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1")]})


class Web:
    """Handlers over one stage and its clock; `wake` tells the stage's thread that there is work."""

    def __init__(self, stage: Stage, clock: Clock, wake: Callable[[], None]) -> None:
        self._stage = stage
        self._clock = clock
        self._wake = wake

    def app(self) -> Starlette:
        """The ASGI application."""
        routes = [
            Route("/sandbox/clock", self.show_clock, methods=["GET"]),
            Route("/sandbox/clock/{verb}", self.tell_clock, methods=["POST"]),
            Route("/sandbox/account", self.account, methods=["GET"]),
            Route("/sandbox/state", self.state, methods=["GET"]),
            Route("/sandbox/people", self.deeds, methods=["GET"]),
            Route("/sandbox/people/{deed}", self.do_deed, methods=["POST"]),
            Route("/sandbox/faults", self.faults, methods=["GET", "POST", "DELETE"]),
            Route("/{path:path}", self.wecom, methods=["GET", "POST", "PUT", "DELETE"]),
        ]
        return Starlette(routes=routes, exception_handlers={SopdError: _refused})

    async def wecom(self, request: WebRequest) -> Response:
        """Any WeCom call; unknown paths are 404 with an empty body."""
        asked = Request(
            method=request.method,
            path=request.url.path,
            query=dict(request.query_params),
            body=await request.body(),
            content_type=request.headers.get("content-type", ""),
            source_ip=request.client.host if request.client else "",
        )
        try:
            answer = await run_in_threadpool(self._stage.gateway.handle, asked, self._clock.now())
        except Dropped:
            return BrokenResponse()
        media_type = "application/json" if answer.status == 200 else None
        return Response(answer.body, answer.status, media_type=media_type)

    async def show_clock(self, request: WebRequest) -> Response:
        """The time, and whether the rehearsal is over; 404 if this sandbox runs on the host's clock."""
        self._coordinated()
        return JSONResponse(self._time())

    async def tell_clock(self, request: WebRequest) -> Response:
        """register {name} · report {name, idle, next_due, epoch, patience_ms?} · deregister {name} -> the time.

        A report is answered when everybody has reported, or when `patience_ms` (default 0) have passed: processes that
        idle wait here for the others instead of asking again and again.
        404 for a report of a process that is not registered (any more): it must register again.
        """
        clock = self._coordinated()
        given = await _object(request)
        name, verb = _field(given, "name", str), request.path_params["verb"]
        if verb == "register":
            clock.register(name, real_s=time.monotonic())
        elif verb == "deregister":
            clock.deregister(name)
        elif verb == "report":
            reporting = clock.round
            clock.report(name, _report(given), real_s=time.monotonic())
            await _until_closed(clock, reporting, _field(given, "patience_ms", int, 0))
        else:
            raise ImpossibleDeed(f"the clock does not know {verb!r}", "register, report or deregister")
        if self._stage.is_busy(self._clock.now()):
            self._wake()
        return JSONResponse(self._time())

    async def account(self, request: WebRequest) -> Response:
        """What really happened, one object per relation (`books.Books.account`)."""
        with self._stage.gateway.lock:
            return JSONResponse({**self._time(), "relations": rows(self._stage.world.account())})

    async def state(self, request: WebRequest) -> Response:
        """Counts of everything, for progress lines."""
        with self._stage.gateway.lock:
            census = self._stage.world.census()
            happened = dict(self._stage.gateway.faults.happened)
        calls = {"calls": self._stage.gateway.served, "deliveries": self._stage.postman.attempts}
        return JSONResponse({**self._time(), **census, **calls, "faults": happened})

    async def deeds(self, request: WebRequest) -> Response:
        """Everything people can be told to do, with the arguments (true = required)."""
        return JSONResponse({deed: hands.arguments(deed) for deed in hands.DEEDS})

    async def do_deed(self, request: WebRequest) -> Response:
        """Somebody does something now; events follow at once."""
        given = await _object(request)
        with self._stage.gateway.lock:
            hands.perform(self._stage.world, request.path_params["deed"], given, self._clock.now())
        self._wake()
        return JSONResponse({"done": True, **self._time()})

    async def faults(self, request: WebRequest) -> Response:
        """GET what is planned · POST {path, kind, errcode?, after?, times?} plans · DELETE ends all faults."""
        faults = self._stage.gateway.faults
        given = await _object(request) if request.method == "POST" else {}
        with self._stage.gateway.lock:
            if request.method == "DELETE":
                faults.clear()
            if request.method == "POST":
                faults.plan(_field(given, "path", str), _fault(given), _field(given, "times", int, 1))
            planned = [{"path": one.path, "times": one.times, **asdict(one.fault)} for one in faults.planned]
        return JSONResponse({"planned": planned, "happened": dict(faults.happened)})

    def _coordinated(self) -> CoordinatedClock:
        if not isinstance(self._clock, CoordinatedClock):
            raise NotFound("this sandbox runs on the host's clock", "start it with a coordinated one")
        return self._clock

    def _time(self) -> dict[str, Any]:
        """What most answers begin with; `failure` is why the sandbox's own thread died, else null."""
        failure = None if self._stage.failure is None else repr(self._stage.failure)
        told: dict[str, Any] = {"now": self._clock.now(), "failure": failure}
        if isinstance(self._clock, CoordinatedClock):
            participants = list(self._clock.participants)
            return {**told, "finished": self._clock.finished, "participants": participants}
        return {**told, "finished": False, "participants": []}


async def _until_closed(clock: CoordinatedClock, reporting: int, patience_ms: int) -> None:
    by_s = time.monotonic() + patience_ms / 1000
    while clock.round == reporting and time.monotonic() < by_s:
        await asyncio.sleep(LOOK_S)


async def _refused(request: WebRequest, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, status_code=404 if isinstance(error, NotFound) else 400)


async def _object(request: WebRequest) -> dict[str, Any]:
    try:
        found = await request.json()
    except ValueError:
        raise ImpossibleDeed("the body is not JSON") from None
    if not isinstance(found, dict):
        raise ImpossibleDeed("the body is not a JSON object")
    return found


def _field(given: dict[str, Any], name: str, kind: type | tuple[type, ...], default: Any = ...) -> Any:
    value = given.get(name, default)
    if value is ... or not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise ImpossibleDeed(f"field {name} is missing or of the wrong kind")
    return value


def _report(given: dict[str, Any]) -> Report:
    next_due = _field(given, "next_due", (int, type(None)))
    return Report(_field(given, "idle", bool), next_due, _field(given, "epoch", int))


def _fault(given: dict[str, Any]) -> Fault:
    try:
        return Fault(_field(given, "kind", str), _field(given, "errcode", int, 0), _field(given, "after", bool, False))
    except ValueError as wrong:
        raise ImpossibleDeed(str(wrong)) from None
