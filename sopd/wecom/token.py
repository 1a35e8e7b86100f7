"""The access token: fetched by one thread at a time, kept until shortly before it expires, dropped when refused.

It does not know HTTP: `Calls` hands in `fetch` and asks for tokens. A refused secret is not tried again for an hour
(another configuration fault: until its own `retry_at`), because WeCom blocks the whole source IP for repeated attempts
(WeCom 1.1).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from machines.calendar import HOUR_MS, MINUTE_MS, Instant
from sopd.wecom.endpoints import ENDPOINTS
from sopd.wecom.errors import ConfigurationError, Unreachable, WeComFailure

EARLY_MS = 5 * MINUTE_MS
REFUSED_FOR_MS = HOUR_MS


@dataclass(frozen=True, slots=True)
class Fetched:
    """A token as gettoken gave it."""

    value: str = field(repr=False)
    expires_in_ms: int


@dataclass(frozen=True, slots=True)
class _Held:
    value: str = field(repr=False)
    fresh_until: Instant
    after_40001: bool  # fetched because the one before was called a bad secret


class TokenSource:
    """One app's token, shared by threads.

    Invariant: at most one fetch is under way; those who waited for it share its outcome, failure included.
    """

    def __init__(self, fetch: Callable[[Instant, float], Fetched]) -> None:
        """`fetch(now, seconds_left)` asks WeCom for a token; it raises WeComFailure."""
        self._fetch = fetch
        self._flight = threading.Lock()
        self._state = threading.Lock()
        self._held: _Held | None = None
        self._distrust = False
        self._flights = 0
        self._failure: WeComFailure | None = None
        self._refused_until: Instant | None = None

    def get(self, now: Instant, seconds_left: Callable[[], float]) -> str:
        """A token that is fresh at `now`; waits at most `seconds_left()` for another thread's fetch and its own."""
        with self._state:
            held, flights = self._held, self._flights
        if held is not None and now < held.fresh_until:
            return held.value
        if not self._flight.acquire(timeout=seconds_left()):
            raise Unreachable(ENDPOINTS["gettoken"].path, "no token within the deadline", retry_at=now)
        try:
            return self._get_alone(now, seconds_left(), flights)
        finally:
            self._flight.release()

    def renew(self, refused: str, errcode: int) -> bool:
        """Drop `refused` if it is still the one held; False if a fresh token cannot help.

        A token that was itself fetched because of a 40001 and is called a bad secret again proves the secret wrong.
        """
        with self._state:
            held = self._held
            if held is None or held.value != refused:
                return True  # somebody else renewed it already
            if errcode == 40001 and held.after_40001:
                return False
            self._held = None
            self._distrust = errcode == 40001
            return True

    def _get_alone(self, now: Instant, seconds_left: float, flights_seen: int) -> str:
        with self._state:
            held, shared = self._held, self._failure if self._flights != flights_seen else None
            refused_until = self._refused_until
        if held is not None and now < held.fresh_until:
            return held.value
        if shared is not None:
            raise shared.with_traceback(None)
        if self._failure is not None and refused_until is not None and now < refused_until:
            # Without this the one object would collect the frames of every thread that ever heard of it.
            raise self._failure.with_traceback(None)
        return self._fly(now, seconds_left)

    def _fly(self, now: Instant, seconds_left: float) -> str:
        try:
            fetched = self._fetch(now, seconds_left)
        except WeComFailure as failure:
            fatal = isinstance(failure, ConfigurationError)
            with self._state:
                self._flights += 1
                self._failure = failure
                self._refused_until = (failure.retry_at or now + REFUSED_FOR_MS) if fatal else None
            raise
        life = max(fetched.expires_in_ms - EARLY_MS, fetched.expires_in_ms // 2)
        with self._state:
            self._flights += 1
            self._failure = self._refused_until = None
            self._held = _Held(fetched.value, now + life, self._distrust)
            self._distrust = False
        return fetched.value
