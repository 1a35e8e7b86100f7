"""/healthz, /readyz and /metrics of a process without a web, over the standard library's server.

A worker and a ticker answer Prometheus and nobody else: importing the web's libraries for that would cost them a third
of their memory. What is said is the same as in `sopd.web.health`.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from sopd.metrics import exposition

Ready = Callable[[], str | None]
"""Why this process cannot work now, in words for people; None if it can."""

POLL_SECONDS = 0.2
PLAIN = "text/plain; charset=utf-8"


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, listening: socket.socket, ready: Ready, refresh: Callable[[], None]) -> None:
        super().__init__(listening.getsockname()[:2], _Asked, bind_and_activate=False)
        self.socket.close()
        self.socket = listening
        self.ready, self.refresh = ready, refresh


class _Asked(BaseHTTPRequestHandler):
    server: _Server
    timeout = 10

    def do_GET(self) -> None:
        """Answer one of the three."""
        path = self.path.partition("?")[0]
        if path == "/healthz":
            self._answer(200, b"ok", PLAIN)
        elif path == "/readyz":
            reason = self.server.ready()
            self._answer(503 if reason else 200, (reason or "ready").encode(), PLAIN)
        elif path == "/metrics":
            self.server.refresh()
            self._answer(200, *exposition())
        else:
            self._answer(404, b"/healthz, /readyz or /metrics", PLAIN)

    def _answer(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Not a line per request: nobody has asked for work."""


@contextmanager
def answering(listening: socket.socket, ready: Ready, refresh: Callable[[], None]) -> Iterator[None]:
    """Answer on this socket, in a thread of its own, until the block ends."""
    with _Server(listening, ready, refresh) as server:
        threading.Thread(target=server.serve_forever, args=(POLL_SECONDS,), name="health", daemon=True).start()
        try:
            yield
        finally:
            server.shutdown()
