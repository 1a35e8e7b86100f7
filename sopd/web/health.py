"""/healthz (the process answers), /readyz (it can work now), /metrics (Prometheus text)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from sopd.metrics import exposition

Ready = Callable[[], str | None]
"""Why this process cannot work now, in words for people; None if it can."""


class Health:
    """The three routes. `ready` and `refresh` (sets the gauges) are called each time and may look into the database."""

    def __init__(self, ready: Ready, refresh: Callable[[], None]) -> None:
        self._ready = ready
        self._refresh = refresh

    async def healthz(self, request: Request) -> Response:
        """200 while the event loop turns."""
        return PlainTextResponse("ok")

    async def readyz(self, request: Request) -> Response:
        """200 if the database answers and the engine runs, else 503 and the reason."""
        reason = await asyncio.to_thread(self._ready)
        return PlainTextResponse(reason or "ready", status_code=503 if reason else 200)

    async def metrics(self, request: Request) -> Response:
        """Prometheus text."""
        await asyncio.to_thread(self._refresh)
        text, kind = exposition()
        return Response(text, media_type=kind)
