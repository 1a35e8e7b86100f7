"""Instants at the doors: nothing without a zone gets in, nothing is rounded up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sopd.clock import HostClock, instant_from, instant_from_iso, iso_utc, utc_datetime

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_naive_datetime_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a zone"):
        instant_from(datetime(2026, 3, 1, 12))


def test_same_moment_in_two_zones_is_one_instant() -> None:
    assert instant_from(NOON) == instant_from(NOON.astimezone(timezone(timedelta(hours=8)))) == 1_772_366_400_000


def test_parts_of_a_millisecond_are_cut_off() -> None:
    assert instant_from(NOON + timedelta(microseconds=999)) == instant_from(NOON)


@given(st.integers(min_value=-62_135_596_800_000, max_value=253_402_300_799_999))
def test_every_instant_comes_back(at: int) -> None:
    assert instant_from(utc_datetime(at)) == instant_from_iso(iso_utc(at)) == at


def test_text_for_machines_is_utc_with_milliseconds() -> None:
    assert iso_utc(instant_from(NOON) + 7) == "2026-03-01T12:00:00.007Z"


@pytest.mark.parametrize(("text", "told"), [("noon", "is not a time like"), ("2026-03-01T10:00:00", "needs a zone")])
def test_text_that_is_no_instant_says_why(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        instant_from_iso(text)


def test_host_clock_counts_milliseconds() -> None:
    before = instant_from(datetime.now(UTC))

    assert before <= HostClock().now() <= instant_from(datetime.now(UTC)) + 1
