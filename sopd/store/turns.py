"""Turns of one process's threads, first come first served: who writes next to a database that takes one writer.

A plain lock is not fair: a thread that writes batch after batch takes it again before anybody who waits has woken. Only
the store calls this; it knows no database.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

PRESSED_SECONDS = 1.0
"""So long after an urgent one had to wait others are likely to come."""


class Turns:
    """A lock that is handed over to the one who has waited longest, or to an urgent one before all others."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._guard = threading.Lock()
        self._held = False
        self._urgent: deque[threading.Lock] = deque()
        self._waiting: deque[threading.Lock] = deque()
        self._pressed_until_s = float("-inf")

    def take(self, within_seconds: float, *, urgent: bool = False) -> bool:
        """Wait for a turn; False if none came in time."""
        line = self._urgent if urgent else self._waiting
        with self._guard:
            if not self._held:
                self._held = True
                return True
            called = threading.Lock()
            called.acquire()
            line.append(called)
            if urgent:
                self._pressed_until_s = self._monotonic() + PRESSED_SECONDS
        if called.acquire(timeout=within_seconds):
            return True
        with self._guard:
            if called not in line:  # called at the very last moment
                return True
            line.remove(called)
            return False

    def are_pressed(self) -> bool:
        """Whether an urgent one has had to wait a short while ago: whoever takes a turn now should make it short."""
        return self._monotonic() < self._pressed_until_s

    def give(self) -> None:
        """End a turn; the next in line has it from now on."""
        with self._guard:
            line = self._urgent or self._waiting
            if line:
                line.popleft().release()
            else:
                self._held = False
