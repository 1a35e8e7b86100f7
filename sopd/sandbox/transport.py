"""The sandbox as an httpx transport: the real client talks to it in-process, without a socket.

For tests and in-process rehearsals. A dropped connection is what httpx raises for one: ConnectError before the
effect, ReadError after it. Threads may share it.
"""

from __future__ import annotations

from collections.abc import Callable

import httpx

from machines.calendar import Instant
from sopd.sandbox.api import Answer, Request
from sopd.sandbox.gateway import Dropped, Gateway


class SandboxTransport(httpx.BaseTransport):
    """Answers every request of an `httpx.Client` from one gateway, at the time `now()` tells."""

    def __init__(self, gateway: Gateway, now: Callable[[], Instant]) -> None:
        self._gateway = gateway
        self._now = now

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer in the caller's thread; raises httpx.ConnectError or httpx.ReadError for dropped connections."""
        asked = Request(
            method=request.method,
            path=request.url.path,
            query=dict(request.url.params),
            body=request.read(),
            content_type=request.headers.get("content-type", ""),
        )
        try:
            answer = self._gateway.handle(asked, self._now())
        except Dropped as dropped:
            broken = httpx.ReadError if dropped.after else httpx.ConnectError
            raise broken(f"connection dropped {dropped}", request=request) from None
        return httpx.Response(answer.status, headers=_headers(answer), content=answer.body, request=request)


def _headers(answer: Answer) -> dict[str, str]:
    return {"content-type": "application/json; charset=UTF-8"} if answer.status == 200 else {}
