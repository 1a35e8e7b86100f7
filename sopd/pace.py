"""What paces the ticker: real seconds, or the coordinated clock of a rehearsal's sandbox (SPEC 14, ARCHITECTURE 7).

A rehearsal's clock is accepted only from a WeCom address on this machine: the real one has no such clock.
"""

from __future__ import annotations

import threading
from typing import Protocol

import httpx
import structlog

from sopd.activity import Activity
from sopd.config import Settings
from sopd.store import Store
from sopd.ticker import Look

log = structlog.get_logger("sopd.pace")

CLOCK_PATH = "/sandbox/clock"
IDLE_PAUSE_SECONDS = 0.002
"""Between two reports while others still work: long enough not to starve them, short against any unit of work."""


class Pace(Protocol):
    """Waits between two ticks."""

    def wait(self, seen: Look | None, stop: threading.Event) -> None:
        """Return when the next tick shall be, or when `stop` is set. `seen` is None after a tick that failed."""
        ...

    def leave(self) -> None:
        """The process ends in good order."""
        ...


class RealPace:
    """A tick every `tick_ms`, earlier if the next work falls due earlier; no clock of this host decides anything."""

    def __init__(self, tick_ms: int) -> None:
        self._tick_ms = tick_ms

    def wait(self, seen: Look | None, stop: threading.Event) -> None:
        pause_ms = self._tick_ms
        if seen is not None and seen.next_at is not None:
            pause_ms = min(pause_ms, max(10, seen.next_at - seen.now))
        stop.wait(pause_ms / 1000)

    def leave(self) -> None:
        pass


class SandboxPace:
    """Reports to the sandbox after each tick and takes its time over into the store's clock row."""

    def __init__(self, base_url: str, name: str, store: Store, activity: Activity) -> None:
        self._client = httpx.Client(base_url=base_url + CLOCK_PATH, timeout=30, trust_env=False)
        self._name = name
        self._store = store
        self._activity = activity
        self._now: int | None = None
        self._last_epoch = -1

    def join(self) -> None:
        """Register and take the sandbox's time over."""
        self._take(self._call("register", {"name": self._name}))
        log.info("rehearsal clock joined", process=self._name)

    def wait(self, seen: Look | None, stop: threading.Event) -> None:
        """Idle means: nothing was due at the tick, nobody worked during it and nobody works now."""
        snapshot = self._activity.snapshot()
        is_idle = seen is not None and not seen.due and not snapshot.busy and snapshot.epoch == self._last_epoch
        self._last_epoch = snapshot.epoch
        report = {
            "name": self._name,
            "idle": is_idle and seen is not None and seen.now == self._now,
            "next_due": seen.next_at if seen is not None else None,
            "epoch": snapshot.epoch,
        }
        before = self._now
        self._take(self._call("report", report))
        if self._now == before:
            stop.wait(IDLE_PAUSE_SECONDS)

    def leave(self) -> None:
        """Deregister: a clock that waits for a process that is gone would stand still."""
        try:
            self._call("deregister", {"name": self._name})
        except httpx.HTTPError:
            log.info("the sandbox was gone before us")
        finally:
            self._client.close()

    def _call(self, verb: str, body: dict[str, object]) -> int | None:
        reply = self._client.post(f"/{verb}", json=body)
        if verb == "report" and reply.status_code == 404:  # taken for dead, e.g. stopped in a debugger: begin anew
            reply = self._client.post("/register", json={"name": self._name})
        reply.raise_for_status()
        return reply.json().get("now")

    def _take(self, now: int | None) -> None:
        if now is not None and now != self._now:
            self._store.set_clock(now)
            self._now = now


def choose(settings: Settings, name: str, store: Store, activity: Activity) -> Pace:
    """The sandbox's clock if WeCom is played by one on this machine that keeps a clock, else real time."""
    base = settings.wecom.api_base
    if settings.wecom.is_local and _keeps_a_clock(base):
        pace = SandboxPace(base, name, store, activity)
        pace.join()
        return pace
    return RealPace(settings.engine.tick_ms)


def _keeps_a_clock(base_url: str) -> bool:
    try:
        return httpx.get(f"{base_url}{CLOCK_PATH}", timeout=5, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False
