"""The web of one process: the application served by uvicorn in a thread of its own.

Only processes that serve the web import this module: its libraries are the heaviest of all.
"""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial

import uvicorn

from sopd.bootstrap import Engine
from sopd.errors import ConfigError, NoProgress, SopdError
from sopd.web import app as web_app
from sopd.web.api import Api
from sopd.web.callback import Callback
from sopd.web.health import Health

START_SECONDS = 20
HANGS_AFTER_SECONDS = 10.0
"""An event loop that has not turned for so long answers nobody; it turns once a second."""
MOST_GRACE_SECONDS = 5


class Server(uvicorn.Server):
    """uvicorn's server, which notes that its event loop turns, and turns it only once a second.

    uvicorn's own looks ten times a second whether it shall stop: a quarter of what an idle daemon costs.
    """

    turned_s = 0.0
    _wake: Callable[[], object] | None = None

    async def main_loop(self) -> None:
        """Called by uvicorn from its start to its stop; `on_tick` counts in tenths of a second."""
        asked, loop = asyncio.Event(), asyncio.get_running_loop()
        self._wake = partial(loop.call_soon_threadsafe, asked.set)
        counter = 0
        while not await self.on_tick(counter):
            self.turned_s = time.monotonic()
            counter += 10
            with suppress(TimeoutError):
                await asyncio.wait_for(asked.wait(), 1)

    def stop(self) -> None:
        """Stop it from another thread, at once."""
        self.should_exit = True
        if self._wake is not None:
            with suppress(RuntimeError):  # its loop has ended by itself
                self._wake()


class Serving:
    """The running web. `require` is what the watchdog asks."""

    def __init__(self, server: Server, thread: threading.Thread) -> None:
        self._server = server
        self._thread = thread

    def require(self) -> None:
        """Raise SopdError unless the server lives, NoProgress unless its event loop turns."""
        if not self._thread.is_alive():
            raise SopdError("the web server has ended by itself", "see the log for the reason")
        if time.monotonic() - self._server.turned_s > HANGS_AFTER_SECONDS:
            raise NoProgress(f"the web has answered nobody for {HANGS_AFTER_SECONDS:.0f} seconds", "see the log")


@contextmanager
def serving(
    engine: Engine, health: Health, listening: socket.socket, seconds_left: Callable[[], float]
) -> Iterator[Serving]:
    """Serve on this socket until the block ends; then requests under way may take `seconds_left()` at most."""
    settings = engine.app.settings
    callback = Callback(engine.crypto, engine.accept, settings.engine.inbox_gather_ms)
    application = web_app.build(callback, health, Api(engine.app, engine.activity))
    grace = max(1, min(MOST_GRACE_SECONDS, settings.engine.stop_within_seconds // 2))
    server = Server(uvicorn.Config(application, log_config=None, access_log=False, timeout_graceful_shutdown=grace))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, name="web", daemon=True)
    thread.start()
    try:
        _wait_until_started(server, thread)
        yield Serving(server, thread)
    finally:
        server.stop()
        thread.join(timeout=seconds_left())


def _wait_until_started(server: Server, thread: threading.Thread) -> None:
    for _ in range(START_SECONDS * 100):
        if server.started:
            server.turned_s = time.monotonic()
            return
        if not thread.is_alive():
            break
        thread.join(0.01)
    raise ConfigError("the web server did not start", "see the log for the reason")
