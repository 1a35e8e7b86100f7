"""What paces the ticker: real seconds, or the coordinated clock of a rehearsal's sandbox (SPEC 14, ARCHITECTURE 7).

A rehearsal's clock is accepted only from a WeCom address on this machine: the real one has no such clock.
"""

from __future__ import annotations

import socket
import threading
import time
from typing import Protocol

import httpx
import structlog

from sopd.activity import Activity
from sopd.config import Settings
from sopd.store import Store, Unavailable
from sopd.ticker import Look

log = structlog.get_logger("sopd.pace")

CLOCK_PATH = "/sandbox/clock"
IDLE_PAUSE_SECONDS = 0.002
"""Between two looks while others still work: long enough not to starve them, short against any unit of work."""

OTHERS_PAUSE_SECONDS = 0.02
"""Between two looks while processes beside this one may work: what they do cannot be seen from here."""

REPORT_SECONDS = 1.0
"""A busy process reports this often: the sandbox takes one that is silent for ten for dead."""


class Pace(Protocol):
    """Waits between two ticks."""

    def wait(self, seen: Look | None, stop: threading.Event) -> None:
        """Return when the next tick shall be, or when `stop` is set. `seen` is None after a tick that failed."""
        ...

    def leave(self) -> None:
        """The process ends in good order."""
        ...


class RealPace:
    """A tick every `tick_ms`; earlier if work falls due earlier, or a ring has had its tick by then.

    No clock of this host decides anything: only how long to wait is measured here.
    """

    def __init__(self, tick_ms: int) -> None:
        self._tick_ms = tick_ms

    def wait(self, seen: Look | None, stop: threading.Event) -> None:
        pause_ms = self._tick_ms
        if seen is not None and seen.next_at is not None:
            pause_ms = min(pause_ms, max(10, seen.next_at - seen.now))
        if seen is not None and seen.again_ms is not None:
            pause_ms = min(pause_ms, max(10, seen.again_ms))
        stop.wait(pause_ms / 1000)

    def leave(self) -> None:
        pass


class SandboxPace:
    """Reports to the sandbox after each tick and takes its time over into the store's clock row."""

    def __init__(
        self, base_url: str, name: str, store: Store, activity: Activity, tick_ms: int, *, has_others: bool
    ) -> None:
        self._client = httpx.Client(base_url=base_url + CLOCK_PATH, timeout=30, trust_env=False)
        self._name = name
        self._store = store
        self._activity = activity
        self._tick_seconds = tick_ms / 1000
        self._has_others = has_others
        self._now: int | None = None
        self._epoch = -1
        self._told_at: int | None = None  # the time at which the sandbox last heard of us
        self._reported_s = 0.0

    def join(self) -> None:
        """Register and take the sandbox's time over."""
        self._take(self._call("register", {"name": self._name}))
        log.info("rehearsal clock joined", process=self._name)

    def wait(self, seen: Look | None, stop: threading.Event) -> None:
        """Report if there is something new to say, else let the workers finish what they have begun."""
        is_idle = self._is_idle(seen)
        is_told = self._told_at == self._now and (seen is None or seen.now == self._now)  # else others took it over
        if is_idle or not is_told or time.monotonic() - self._reported_s > REPORT_SECONDS:
            self._report(seen, is_idle)
        if not is_idle:
            self._let_work(seen, stop)

    def _is_idle(self, seen: Look | None) -> bool:
        """Nothing was due at the tick, nobody worked since the tick before and nobody works now."""
        snapshot = self._activity.snapshot()
        is_idle = seen is not None and seen.now == self._now and not seen.due and not snapshot.busy
        is_same = snapshot.epoch == self._epoch
        self._epoch = snapshot.epoch
        return is_idle and is_same

    def _report(self, seen: Look | None, is_idle: bool) -> None:
        report = {
            "name": self._name,
            "idle": is_idle,
            "next_due": seen.next_at if seen is not None else None,
            "epoch": self._epoch,
            "patience_ms": round(self._tick_seconds * 1000) if is_idle and self._has_others else 0,
        }
        self._told_at, self._reported_s = self._now, time.monotonic()
        self._take(self._call("report", report))

    def _let_work(self, seen: Look | None, stop: threading.Event) -> None:
        """Until nobody works, at most a tick: a ticker that looked again at once would do the workers' work twice.

        Workers in other processes cannot be seen; the ticker itself gives them a tick.
        """
        deadline = time.monotonic() + self._tick_seconds
        if self._has_others and seen is not None and seen.due:
            stop.wait(OTHERS_PAUSE_SECONDS)
        stop.wait(IDLE_PAUSE_SECONDS)
        while self._activity.snapshot().busy and time.monotonic() < deadline and not stop.is_set():
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
        """The sandbox's time into the store; a database that is away gets it with the next report."""
        if now is not None and now != self._now:
            try:
                self._store.advance_clock(now)
            except Unavailable as error:
                log.warning("the clock could not be set", reason=str(error))
                self._told_at = None
            else:
                self._now = now


def name_of(pid: int) -> str:
    """What a process of this host is called by the clock."""
    return f"{socket.gethostname()}-{pid}"


def choose(settings: Settings, name: str, store: Store, activity: Activity) -> Pace:
    """The sandbox's clock if WeCom is played by one on this machine that keeps a clock, else real time."""
    base = settings.wecom.api_base
    if settings.wecom.is_local and _keeps_a_clock(base):
        has_others = not settings.broker.in_memory
        pace = SandboxPace(base, name, store, activity, settings.engine.tick_ms, has_others=has_others)
        pace.join()
        return pace
    return RealPace(settings.engine.tick_ms)


def _keeps_a_clock(base_url: str) -> bool:
    try:
        return httpx.get(f"{base_url}{CLOCK_PATH}", timeout=5, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False
