"""What this process is doing: units of work in flight and finished. Read by the watchdog and by a rehearsal's clock.

A rehearsal's clock may jump only while nobody works (ARCHITECTURE 7), and the watchdog is fed only by real progress.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class Snapshot:
    """`epoch` rises with every unit begun and every unit ended, so two equal snapshots mean that nothing happened."""

    epoch: int
    busy: int


class Activity:
    """Counts units of work over all threads of the process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._epoch = 0
        self._busy = 0

    @contextmanager
    def unit(self) -> Iterator[None]:
        """One unit of work, from its first statement to its last."""
        self._change(1)
        try:
            yield
        finally:
            self._change(-1)

    def snapshot(self) -> Snapshot:
        """Epoch and units in flight, read together."""
        with self._lock:
            return Snapshot(self._epoch, self._busy)

    def _change(self, by: int) -> None:
        with self._lock:
            self._epoch += 1
            self._busy += by
