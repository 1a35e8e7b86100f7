"""WeCom's callback: the URL check (GET) and the pushes (POST). WeCom 2.

A push is verified, decrypted and parsed, then waits a few milliseconds for company: all that arrived until the
transaction has begun is written with one INSERT (group commit), and only then does WeCom get its 200. What could not be
written is answered 503, so that WeCom sends it again. Nothing is handled here: the inbox is.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Iterator

import structlog
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from sopd.crypto import BadEnvelope, CallbackCrypto, CallbackRejected
from sopd.metrics import CALLBACKS
from sopd.wecom.callbacks import CallbackEvent, parse

log = structlog.get_logger("sopd.callback")

MOST_BYTES = 64 * 1024
"""No callback of WeCom's is near this size; a larger body is not read."""

MOST_TOGETHER = 500

Accept = Callable[[Iterable[CallbackEvent]], None]
"""Writes what it is given; looks at it only when its transaction has begun, once."""

Waiting = tuple[CallbackEvent, asyncio.Future[None]]


class Gatherer:
    """Group commit: callbacks that arrive within a few milliseconds of each other share one transaction."""

    def __init__(self, accept: Accept, gather_ms: int) -> None:
        self._accept = accept
        self._gather_seconds = gather_ms / 1000
        self._waiting: deque[Waiting] = deque()
        self._task: asyncio.Task[None] | None = None

    async def put(self, event: CallbackEvent) -> None:
        """Return once `event` is durable; raise what kept it from being so."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((event, done))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._write())
        await done

    async def _write(self) -> None:
        while self._waiting:
            await asyncio.sleep(self._gather_seconds)  # before each: what comes while one is written waits for company
            group: list[Waiting] = []
            try:
                await asyncio.to_thread(self._accept, self._taken_into(group))
            except Exception as error:  # whatever it was, every waiting request must hear of it
                list(self._taken_into(group))  # who waits by now would have been written with them
                for _, done in group:
                    _settle(done, error)
            else:
                for _, done in group:
                    _settle(done, None)

    def _taken_into(self, group: list[Waiting]) -> Iterator[CallbackEvent]:
        """Those who wait, put into `group` one by one as they are asked for: in the writing thread, others join."""
        while self._waiting and len(group) < MOST_TOGETHER:
            group.append(self._waiting.popleft())
            yield group[-1][0]


def _settle(done: asyncio.Future[None], error: Exception | None) -> None:
    if done.cancelled():  # the client went away; the row may be there all the same, which is harmless
        return
    if error is None:
        done.set_result(None)
    else:
        done.set_exception(error)


class Callback:
    """The two routes. `crypto` is None while the callback settings are missing: then every call is told so."""

    def __init__(self, crypto: CallbackCrypto | None, accept: Accept, gather_ms: int) -> None:
        self._crypto = crypto
        self._gatherer = Gatherer(accept, gather_ms)

    async def check(self, request: Request) -> Response:
        """The URL check: answer the decrypted echo, nothing else, within 1 s (WeCom 2.1)."""
        if self._crypto is None:
            return _refused(503, "not set up", "set wecom.token and wecom.encoding_aes_key")
        query = request.query_params
        echo = query.get("echostr", "").replace(" ", "+")  # a '+' that a framework took for a space
        try:
            plain = self._crypto.verify_url(
                query.get("msg_signature", ""), query.get("timestamp", ""), query.get("nonce", ""), echo
            )
        except CallbackRejected as error:
            return _refused(403, "url check refused", str(error))
        CALLBACKS.labels("checked").inc()
        return PlainTextResponse(plain)

    async def push(self, request: Request) -> Response:
        """One pushed event: 200 with an empty body once it is durable."""
        if self._crypto is None:
            return _refused(503, "not set up", "set wecom.token and wecom.encoding_aes_key")
        body = await _body(request)
        if body is None:
            return _refused(413, "too large", f"a callback has at most {MOST_BYTES} bytes")
        query = request.query_params
        try:
            plain = self._crypto.open(
                query.get("msg_signature", ""), query.get("timestamp", ""), query.get("nonce", ""), body
            )
            event = parse(plain)
        except BadEnvelope as error:
            return _refused(400, "unreadable", str(error))
        except CallbackRejected as error:
            return _refused(403, "not from WeCom", str(error))
        try:
            await self._gatherer.put(event)
        except Exception:  # not durable, for whatever reason: WeCom must send it again
            log.exception("callback not stored")
            CALLBACKS.labels("not stored").inc()
            return PlainTextResponse("not stored: try again", status_code=503)
        CALLBACKS.labels("accepted").inc()
        return Response(status_code=200)


async def _body(request: Request) -> bytes | None:
    """The body, or None as soon as it proves too large."""
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > MOST_BYTES:
            return None
        parts.append(part)
    return b"".join(parts)


def _refused(status: int, kind: str, why: str) -> Response:
    CALLBACKS.labels(kind).inc()
    log.warning("callback refused", kind=kind, reason=why)
    return PlainTextResponse(f"{kind}: {why}", status_code=status)
