"""When to try, look or poll again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from machines.backoff import (
    blocked_until,
    dispatching_retry_at,
    jitter,
    next_attempt,
    next_poll,
    next_report_poll,
    retry_at,
)
from machines.calendar import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS

NOW = 1_772_000_000_000


@given(st.integers(1, 10_000), st.integers(1, 10**6), st.integers(1, 10**9), st.text(max_size=20))
def test_a_delay_doubles_up_to_its_cap_and_loses_at_most_a_quarter(attempt: int, base: int, cap: int, key: str) -> None:
    delay = next_attempt(attempt, NOW, base_ms=base, cap_ms=cap, jitter_key=key) - NOW

    whole = min(cap, base * 2 ** min(attempt - 1, 62))
    assert max(1, whole * 3 // 4) <= delay <= whole


def test_the_same_row_gets_the_same_instant_and_its_neighbour_another() -> None:
    def delays(key: str) -> list[int]:
        return [next_attempt(n, NOW, base_ms=1_000, cap_ms=HOUR_MS, jitter_key=key) - NOW for n in range(1, 8)]

    assert delays("push:7") == delays("push:7") != delays("push:8")
    # Pinned: the hash is part of what a row's due column means, in every process and after every upgrade.
    assert delays("push:7")[:3] == [759, 1730, 3598]


def test_jitter_spreads_over_the_whole_range() -> None:
    drawn = sorted(jitter(f"row:{n}") for n in range(1_000))

    assert 0 <= drawn[0] < 0.01 and 0.99 < drawn[-1] < 1
    assert 0.45 < drawn[500] < 0.55


def test_a_busy_answer_is_retried_after_1_2_and_4_seconds_and_then_given_up() -> None:
    assert [retry_at(attempt, NOW) for attempt in (1, 2, 3, 4)] == [NOW + 1_000, NOW + 2_000, NOW + 4_000, None]


def test_a_frequency_refusal_blocks_a_minute_then_an_hour_and_the_token_call_at_once_an_hour() -> None:
    assert blocked_until(1, NOW) == NOW + MINUTE_MS
    assert blocked_until(2, NOW) == blocked_until(3, NOW) == NOW + HOUR_MS
    assert blocked_until(1, NOW, is_token=True) == NOW + HOUR_MS


def test_a_task_still_being_dispatched_is_asked_again_for_ten_minutes() -> None:
    asked, now, attempt = [], NOW, 1
    while (again := dispatching_retry_at(attempt, now, since=NOW)) is not None:
        asked.append((again - NOW) // SECOND_MS)
        now, attempt = again, attempt + 1

    assert asked[:6] == [10, 30, 70, 130, 190, 250]
    assert asked[-1] == 600
    assert dispatching_retry_at(1, NOW + 11 * MINUTE_MS, since=NOW) is None


def polls(until: int) -> list[int]:
    """Minutes after the creation at which a task is read when every poll comes on time."""
    at, minutes = NOW, []
    while (following := next_poll(at, created_at=NOW, until=until)) is not None:
        minutes.append((following - NOW) // MINUTE_MS)
        at = following
    return minutes


def test_results_are_read_at_1_5_15_and_60_minutes_then_hourly_then_daily_and_at_the_end() -> None:
    assert polls(NOW + 3 * HOUR_MS + 1) == [1, 5, 15, 60, 120, 180, 180]
    long = polls(NOW + 5 * DAY_MS)
    assert long[:6] == [1, 5, 15, 60, 120, 180] and long[50:] == [2_880, 4_320, 5_760, 7_200]
    assert polls(NOW + 10 * SECOND_MS) == [0], "a task that expires at once is still read once"


def test_a_late_poll_does_not_bring_the_missed_ones_after_it() -> None:
    assert next_poll(NOW + 20 * MINUTE_MS, created_at=NOW, until=NOW + DAY_MS) == NOW + HOUR_MS
    assert next_poll(NOW + 7 * HOUR_MS + 1, created_at=NOW, until=NOW + DAY_MS) == NOW + 8 * HOUR_MS


def test_an_expired_task_is_not_polled() -> None:
    assert next_poll(NOW + DAY_MS, created_at=NOW, until=NOW + DAY_MS) is None


def test_a_confirmed_task_without_results_is_looked_at_for_24_hours() -> None:
    assert next_report_poll(NOW, confirmed_at=NOW) == NOW + MINUTE_MS
    assert next_report_poll(NOW + 23 * HOUR_MS, confirmed_at=NOW) == NOW + DAY_MS
    assert next_report_poll(NOW + DAY_MS, confirmed_at=NOW) is None


@given(st.integers(-HOUR_MS, 40 * DAY_MS), st.integers(0, 40 * DAY_MS))
def test_the_next_poll_is_always_ahead_and_never_beyond_the_end(passed: int, life: int) -> None:
    following = next_poll(NOW + passed, created_at=NOW, until=NOW + life)

    if passed >= life:
        assert following is None
    else:
        assert following is not None and NOW + passed < following <= NOW + life


@pytest.mark.parametrize("attempt", [0, -3])
def test_an_attempt_before_the_first_counts_as_the_first(attempt: int) -> None:
    delay = next_attempt(attempt, NOW, base_ms=1_000, cap_ms=HOUR_MS, jitter_key="a") - NOW

    assert 750 <= delay <= 1_000
