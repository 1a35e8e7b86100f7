"""Back-off windows: which paths of the API rest, and until when.

`Calls` asks before it uses the network and blocks when WeCom says 45009. The port is what `bootstrap` fills from the
store, so that a window outlives a process and holds for all of them; the one here lives in memory.
"""

from __future__ import annotations

import threading
from typing import Protocol

from machines.calendar import Instant


class BackoffWindows(Protocol):
    """Where resting paths are kept. Shared by threads; both methods are called outside any transaction."""

    def blocked_until(self, path: str, now: Instant) -> Instant | None:
        """End of the path's window, or None if it may be used at `now`."""
        ...

    def block(self, path: str, until: Instant, reason: str) -> None:
        """Let the path rest until `until`; never shortens a window that is already longer."""
        ...


class InMemoryWindows:
    """Windows of this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._until: dict[str, Instant] = {}

    def blocked_until(self, path: str, now: Instant) -> Instant | None:
        with self._lock:
            until = self._until.get(path)
        return until if until is not None and until > now else None

    def block(self, path: str, until: Instant, reason: str) -> None:
        with self._lock:
            self._until[path] = max(until, self._until.get(path, until))
