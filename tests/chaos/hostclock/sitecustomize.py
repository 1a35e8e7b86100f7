"""Puts a host's clock wrong: Python imports this at the start of every process that has this folder on its path.

The file named by CHAOS_CLOCK holds by how many seconds; it is read again and again, so that a clock may be set while
the process runs. Only the wall clock is shifted: durations are measured on another one, as on a real host.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import time_machine

LOOK_SECONDS = 0.2


def offset(file: Path) -> float:
    """By how much this host's clock is wrong now, in seconds."""
    try:
        return float(file.read_text())
    except (OSError, ValueError):  # being written just now: read it next time
        return 0.0


def follow(file: Path) -> None:
    """Shift the clock as the file says, for as long as the process lives."""
    at = offset(file)
    travel = time_machine.travel(time.time() + at, tick=True)
    coordinates = travel.start()

    def look() -> None:
        nonlocal at
        pause = threading.Event()
        while not pause.wait(LOOK_SECONDS):
            wanted = offset(file)
            if wanted != at:
                coordinates.shift(wanted - at)
                at = wanted

    threading.Thread(target=look, name="host-clock", daemon=True).start()


if "CHAOS_CLOCK" in os.environ:
    follow(Path(os.environ["CHAOS_CLOCK"]))
