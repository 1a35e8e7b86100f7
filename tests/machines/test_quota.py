"""Quota windows in WeCom's time, places in them, rivals for a day and what the loser does."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from machines.errors import DefinitionError
from machines.quota import Quota, Rival, after_full, choose_place, contenders, day_of, rank, wins

SHANGHAI = timezone(timedelta(hours=8))
MODES = ("day:1", "week:7", "month:days")
INSTANTS = st.integers(0, 4_102_444_800_000)  # 1970 to 2100


def at(text: str, zone: timezone = SHANGHAI) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp() * 1000)


@pytest.mark.parametrize(
    ("mode", "key", "begins", "ends", "places"),
    [
        ("day:1", "D2026-11-21", "2026-11-21", "2026-11-22", 1),
        ("week:7", "W2026-11-16", "2026-11-16", "2026-11-23", 7),
        ("month:days", "M2026-11", "2026-11-01", "2026-12-01", 30),
    ],
)
def test_a_window_is_the_day_the_week_from_monday_or_the_month(
    mode: str, key: str, begins: str, ends: str, places: int
) -> None:
    quota = Quota.parse(mode)

    window = quota.window_of(at("2026-11-21T13:00"))

    assert window == (key, at(begins), at(ends), places)
    assert quota.capacity(window) == places
    assert str(quota) == mode


@pytest.mark.parametrize(("month", "places"), [("2026-02", 28), ("2028-02", 29), ("2026-12", 31)])
def test_a_month_has_as_many_places_as_days(month: str, places: int) -> None:
    assert Quota.parse("month:days").window_of(at(f"{month}-15T00:00")).capacity == places


def test_the_day_begins_at_midnight_in_shanghai_and_not_in_the_companys_zone() -> None:
    quota = Quota()

    assert quota.window_of(at("2026-11-21T15:59:59.999", UTC)).key == "D2026-11-21"
    assert quota.window_of(at("2026-11-21T16:00", UTC)).key == "D2026-11-22"
    assert day_of(at("2026-11-21T16:00", UTC)) == date(2026, 11, 22)


def test_a_week_that_crosses_the_year_is_one_window() -> None:
    quota = Quota.parse("week:7")

    assert quota.window_of(at("2026-12-31T10:00")) == quota.window_of(at("2027-01-03T10:00"))
    assert quota.window_of(at("2026-12-31T10:00")).key == "W2026-12-28"


@pytest.mark.parametrize("text", ["", "day", "day:2", "week:4", "month:4", "month:30", "DAY:1", " day:1"])
def test_a_mode_that_wecom_does_not_have_is_refused_with_the_allowed_ones(text: str) -> None:
    with pytest.raises(DefinitionError, match="allowed: day:1, week:7, month:days"):
        Quota.parse(text)


def test_an_open_task_holds_a_place_in_each_window_it_reaches_into() -> None:
    """D7: planned this evening, expiring with the next day, it may be confirmed on either."""
    quota = Quota()

    keys = [window.key for window in quota.windows_for_open_task(at("2026-11-20T19:00"), at("2026-11-22T00:00"))]

    assert keys == ["D2026-11-20", "D2026-11-21"]


def test_once_settled_only_the_window_of_the_send_time_stays() -> None:
    assert Quota().window_after_settlement(at("2026-11-21T00:00:03")).key == "D2026-11-21"


@given(st.sampled_from(MODES), INSTANTS, st.integers(0, 40 * 86_400_000))
def test_windows_of_a_span_join_without_gap_and_cover_it(mode: str, start: int, length: int) -> None:
    quota, end = Quota.parse(mode), start + length

    windows = quota.windows_between(start, end)

    assert windows[0].from_at <= start < windows[0].to_at
    assert windows[-1].to_at >= end
    assert all(before.to_at == after.from_at for before, after in pairwise(windows))
    assert len(windows) == 1 or windows[-1].from_at < end
    assert len({window.key for window in windows}) == len(windows)


@given(st.sampled_from(MODES), INSTANTS)
def test_every_instant_of_a_window_has_that_window(mode: str, now: int) -> None:
    quota = Quota.parse(mode)
    window = quota.window_of(now)

    assert quota.window_of(window.from_at) == window == quota.window_of(window.to_at - 1)
    assert quota.window_of(window.to_at) != window
    assert 1 <= window.capacity <= 31


@given(st.sets(st.integers(1, 31)), st.integers(0, 31))
def test_the_lowest_free_place_is_taken_and_none_is_taken_twice(taken: set[int], capacity: int) -> None:
    place = choose_place(taken, capacity)

    free = set(range(1, capacity + 1)) - taken
    assert place == (min(free) if free else None)


def test_rivals_are_ranked_by_priority_then_due_then_id() -> None:
    best, early, low_id, late = Rival(60, 9, 9), Rival(50, 1, 8), Rival(50, 2, 3), Rival(50, 2, 7)

    assert sorted([late, low_id, best, early], key=rank) == [best, early, low_id, late]
    assert wins(best, [early, late])
    assert not wins(early, [late, best])
    assert wins(low_id, [])


@given(st.lists(st.builds(Rival, st.integers(0, 3), st.integers(0, 3), st.integers(0, 99)), min_size=1, unique=True))
def test_exactly_one_wins_whoever_asks_first(rivals: list[Rival]) -> None:
    winners = [one for one in rivals if wins(one, [other for other in rivals if other != one])]

    assert winners == [min(rivals, key=rank)]
    assert contenders(rivals, 1) == tuple(winners)


def test_several_free_places_go_to_the_best_and_no_place_to_nobody() -> None:
    rivals = [Rival(50, 5, 1), Rival(70, 9, 2), Rival(50, 1, 3)]

    assert contenders(rivals, 2) == (Rival(70, 9, 2), Rival(50, 1, 3))
    assert contenders(rivals, 0) == contenders(rivals, -1) == ()


def test_the_loser_defers_day_by_day_and_then_gives_up() -> None:
    policy = timedelta(days=3)

    assert [after_full(policy, days) for days in range(5)] == ["defer", "defer", "defer", "give_up", "give_up"]
    assert after_full("remind", 0) == "remind"
    assert after_full("skip", 0) == "skip"
