"""Back-off windows: which paths of the API rest, and until when.

`Calls` asks before it uses the network and blocks when WeCom says 45009. The port is what `bootstrap` fills from the
store, so that a window outlives a process and holds for all of them; the one here lives in memory.
"""

from __future__ import annotations

import threading
from typing import Protocol

from machines.calendar import Instant


class BackoffWindows(Protocol):
    """Where resting paths are kept. Shared by threads; every method is called outside any transaction."""

    def blocked_until(self, path: str, now: Instant) -> Instant | None:
        """End of the path's window, or None if it may be used at `now`."""
        ...

    def last_hit(self, path: str) -> Instant | None:
        """When the path was last blocked, None for never: a hit soon after it is a second one."""
        ...

    def block(self, path: str, until: Instant, reason: str, now: Instant) -> None:
        """Let the path rest until `until`; never shortens a window that is already longer."""
        ...


class InMemoryWindows:
    """Windows of this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._until: dict[str, Instant] = {}
        self._hit: dict[str, Instant] = {}

    def blocked_until(self, path: str, now: Instant) -> Instant | None:
        with self._lock:
            until = self._until.get(path)
        return until if until is not None and until > now else None

    def last_hit(self, path: str) -> Instant | None:
        with self._lock:
            return self._hit.get(path)

    def block(self, path: str, until: Instant, reason: str, now: Instant) -> None:
        with self._lock:
            self._hit[path] = now
            self._until[path] = max(until, self._until.get(path, until))
