"""When to try, look or poll again: attempt and instant in, instant out (WeCom 5.3 and 9, D15, D18).

Jitter is a hash of a key, so the same row gives the same instant in every process and every run. A delay never exceeds
its cap, and every plan ends: None means give up. Nothing here waits or remembers; the answers live in due columns.
"""

from __future__ import annotations

from hashlib import blake2b

from machines.calendar import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, Instant

RETRY_DELAYS_MS = (1 * SECOND_MS, 2 * SECOND_MS, 4 * SECOND_MS)
"""WeCom class R ("system busy", 5xx, timeouts of calls that create nothing), checked 2026-09."""
SHORT_BLOCK_MS = 60 * SECOND_MS
LONG_BLOCK_MS = 60 * MINUTE_MS
DISPATCHING_DELAYS_MS = (10 * SECOND_MS, 20 * SECOND_MS, 40 * SECOND_MS, 60 * SECOND_MS)
DISPATCHING_FOR_MS = 10 * MINUTE_MS
FIRST_POLLS_MS = (1 * MINUTE_MS, 5 * MINUTE_MS, 15 * MINUTE_MS, 60 * MINUTE_MS)
HOURLY_POLLS_FOR_MS = 2 * DAY_MS
REPORT_WITHIN_MS = 24 * HOUR_MS

_LARGEST_SHIFT = 62  # beyond it every cap is long reached, and 2**attempt would only be a big number


def next_attempt(attempt: int, now: Instant, *, base_ms: int, cap_ms: int, jitter_key: str) -> Instant:
    """When to make the attempt after the failed one numbered `attempt` (1 = the first).

    The delay doubles from `base_ms` and is then shortened by up to a quarter, so that rows which failed together do not
    come back together; it is at least 1 ms and at most `cap_ms`.
    """
    whole = min(cap_ms, base_ms << min(max(attempt, 1) - 1, _LARGEST_SHIFT))
    return now + max(1, whole - int(whole * jitter(f"{jitter_key}:{attempt}") / 4))


def jitter(key: str) -> float:
    """A number from 0 up to 1 that looks random and depends on the key alone."""
    return int.from_bytes(blake2b(key.encode(), digest_size=6).digest(), "big") / (1 << 48)


def retry_at(attempt: int, now: Instant) -> Instant | None:
    """When to repeat a call of class R after its failed attempt `attempt` (1 = the first); None after the last."""
    return now + RETRY_DELAYS_MS[attempt - 1] if attempt <= len(RETRY_DELAYS_MS) else None


def blocked_until(hits: int, now: Instant, *, is_token: bool = False) -> Instant:
    """Until when one API path is left alone after its `hits`-th 45009 in a row (1 = the first).

    60 s, from the second hit 60 min; a refused token call (`is_token`) at once 60 min, since WeCom then blocks the
    address of the host for an hour. The caller forgets earlier hits after a call that succeeded.
    """
    return now + (LONG_BLOCK_MS if is_token or hits > 1 else SHORT_BLOCK_MS)


def dispatching_retry_at(attempt: int, now: Instant, *, since: Instant) -> Instant | None:
    """When to ask again after answer 41063 (task still being dispatched), the `attempt`-th since the instant `since`.

    After 10, 20, 40, then every 60 s; the last time 10 min after `since`, then None: `needs_operator` (D15, D16).
    """
    last_at = since + DISPATCHING_FOR_MS
    if now >= last_at:
        return None
    return min(last_at, now + DISPATCHING_DELAYS_MS[min(attempt, len(DISPATCHING_DELAYS_MS)) - 1])


def next_poll(now: Instant, *, created_at: Instant, until: Instant) -> Instant | None:
    """When to read the results of an unconfirmed task next: always after `now`, and once at `until` (its expiry).

    1, 5, 15 and 60 min after creation, then hourly for two days, then daily. None once `until` has come: the task is
    then cancelled and read by the rules of expiry, not polled.
    """
    return _after(now, created_at, until)


def next_report_poll(now: Instant, *, confirmed_at: Instant) -> Instant | None:
    """When to look again for results of a confirmed task whose rows still read 0 (D18).

    The plan of `next_poll` counted from the confirmation; the last look is 24 h after it. None from then on:
    `failed: not reported`, and never sent again.
    """
    return _after(now, confirmed_at, confirmed_at + REPORT_WITHIN_MS)


def _after(now: Instant, start_at: Instant, until: Instant) -> Instant | None:
    if now >= until:
        return None
    passed_ms = max(0, now - start_at)
    gap_ms = HOUR_MS if passed_ms < HOURLY_POLLS_FOR_MS else DAY_MS
    regular_ms = (passed_ms // gap_ms + 1) * gap_ms
    return min(until, start_at + next((first for first in FIRST_POLLS_MS if first > passed_ms), regular_ms))
