"""Missed at entry, delayed by us, deferred for quota, expired."""

from __future__ import annotations

from datetime import date, time, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from machines.calendar import DAY_MS, HOUR_MS, MINUTE_MS, QuietHours, end_of_day, instant_of, local_date, local_datetime
from machines.errors import DefinitionError
from machines.lateness import (
    LateAtEntry,
    Within,
    expiry,
    grace_end,
    is_before_entry,
    late_steps,
    next_allowed_day_same_time,
    own_time,
)
from machines.moments import AfterElapsed, AtOnce, Moment, OnDay, TimedStep
from machines.timetable import Timetable, due_instants, earliest_send

SHANGHAI, NEW_YORK = "Asia/Shanghai", "America/New_York"
NIGHT = QuietHours(((time(21), time(8)),))
TEN = time(10)
WEEK = [date(2026, 3, 2) + timedelta(days=n) for n in range(7)]
MONDAY, TUESDAY, WEDNESDAY, THURSDAY, FRIDAY, SATURDAY, SUNDAY = WEEK
NEXT_MONDAY = date(2026, 3, 9)


def at(on: date, clock: str = "10:00", zone: str = SHANGHAI) -> int:
    return instant_of(on, time.fromisoformat(clock), zone)


def table(*moments: Moment, quota: bool = True, **options: object) -> Timetable:
    steps = tuple(TimedStep(f"s{n}", moment, quota) for n, moment in enumerate(moments))
    return Timetable(**{"zone": SHANGHAI, "steps": steps} | options)


def entering(timetable: Timetable, anchor: int, entered_at: int, policy: object) -> LateAtEntry:
    return late_steps(due_instants(timetable, anchor, entered_at), entered_at, policy, timetable)


# -- missed at entry --------------------------------------------------------------------------------------------------


def test_the_very_instant_of_entry_is_not_before_it() -> None:
    assert is_before_entry(99, 100) and not is_before_entry(100, 100)


def test_nobody_who_missed_nothing_is_touched() -> None:
    for policy in ("skip", "next_day", Within(HOUR_MS)):
        assert entering(table(OnDay(0, TEN)), at(MONDAY), at(MONDAY), policy) == ((), {})


def test_skip_leaves_out_every_missed_moment() -> None:
    timetable = table(OnDay(0, TEN), OnDay(1, TEN), OnDay(2, TEN))

    assert entering(timetable, at(MONDAY), at(TUESDAY, "12:00"), "skip") == ((0, 1), {})


def test_within_keeps_what_was_missed_by_no_more() -> None:
    timetable = table(OnDay(0, TEN), OnDay(0, time(11, 30)), OnDay(2, TEN), shares_days=True)

    noon = at(MONDAY, "12:00")
    assert entering(timetable, at(MONDAY), noon, Within(30 * MINUTE_MS)) == ((0,), {1: noon})
    assert entering(timetable, at(MONDAY), at(MONDAY, "12:00") + 1, Within(30 * MINUTE_MS)) == ((0, 1), {})


@pytest.mark.parametrize("policy", [Within(3 * HOUR_MS), "next_day"])
def test_a_step_that_is_kept_stays_behind_its_predecessor(policy: object) -> None:
    timetable = table(AfterElapsed(30 * HOUR_MS), OnDay(0, TEN))

    late = entering(timetable, at(MONDAY, "12:00"), at(MONDAY, "12:00"), policy)

    assert late == ((), {1: at(WEDNESDAY)})  # the first is due on Tuesday at 18:00


def test_next_day_moves_only_the_latest_to_tomorrow_at_its_own_time() -> None:
    timetable = table(OnDay(0, TEN), OnDay(1, time(9)), OnDay(5, TEN))

    late = entering(timetable, at(MONDAY), at(TUESDAY, "12:00"), "next_day")

    assert late == ((0,), {1: at(WEDNESDAY, "09:00")})


def test_next_day_makes_the_steps_it_runs_into_move_on() -> None:
    timetable = table(OnDay(0, TEN), OnDay(1, TEN), OnDay(2, TEN), OnDay(5, TEN))

    late = entering(timetable, at(MONDAY), at(MONDAY, "12:00"), "next_day")

    # The first takes Tuesday, so the second takes Wednesday and the third Thursday; Saturday is free.
    assert late == ((), {0: at(TUESDAY), 1: at(WEDNESDAY), 2: at(THURSDAY)})


def test_next_day_is_an_allowed_day_outside_quiet_hours() -> None:
    timetable = table(OnDay(0, time(7)), calendar="weekdays", quiet=NIGHT)

    assert entering(timetable, at(FRIDAY), at(FRIDAY, "12:00"), "next_day").moved == {0: at(NEXT_MONDAY, "08:00")}


def test_a_missed_welcome_is_skipped_under_every_policy() -> None:
    timetable = table(AtOnce(), OnDay(3, TEN))

    for policy in ("skip", "next_day", Within(30 * DAY_MS)):
        assert entering(timetable, at(MONDAY), at(TUESDAY), policy) == ((0,), {})


def test_an_after_step_moves_to_tomorrow_at_the_time_it_had() -> None:
    timetable = table(AfterElapsed(HOUR_MS))

    assert entering(timetable, at(MONDAY), at(MONDAY, "15:00"), "next_day").moved == {0: at(TUESDAY, "11:00")}


def test_a_day_step_past_at_the_add_is_left_to_the_policy_although_a_welcome_stands_before_it() -> None:
    timetable = table(AtOnce(), OnDay(0, TEN), OnDay(1, TEN))
    added_at = at(MONDAY, "12:00")

    assert entering(timetable, added_at, added_at, "skip") == ((1,), {})
    assert entering(timetable, added_at, added_at, "next_day") == ((), {1: at(TUESDAY), 2: at(WEDNESDAY)})


days = st.lists(st.integers(0, 8), min_size=1, max_size=6, unique=True).map(sorted)


@given(days, st.integers(0, 9 * 24 * 60), st.sampled_from(["skip", "next_day", Within(5 * HOUR_MS)]),
       st.sampled_from(["every_day", "weekdays"]), st.sampled_from([QuietHours(), NIGHT]))
def test_every_step_that_stays_is_still_to_come_or_excused_and_in_order(
    numbers: list[int], minutes: int, policy: object, calendar: str, quiet: QuietHours
) -> None:
    timetable = table(*(OnDay(day, time(7 + day % 3 * 8)) for day in numbers), calendar=calendar, quiet=quiet)
    anchor = at(MONDAY, "00:00")
    entered_at = anchor + minutes * MINUTE_MS
    dues = list(due_instants(timetable, anchor, entered_at))

    skipped, moved = late_steps(dues, entered_at, policy, timetable)

    left = [moved.get(index, due) for index, due in enumerate(dues) if index not in skipped]
    slack = policy.ms if isinstance(policy, Within) else 0
    assert all(due >= entered_at - slack for due in left)
    assert all(earliest_send(one, timetable) < other for one, other in pairwise(left))
    sends = [local_date(earliest_send(due, timetable), SHANGHAI) for due in left]
    assert len(sends) == len(set(sends)), "still one quota step a day"
    assert not set(skipped) & set(moved)


# -- our own delay ----------------------------------------------------------------------------------------------------


def test_same_day_grace_lasts_until_local_midnight() -> None:
    assert grace_end(at(MONDAY, "23:59"), "same_day", SHANGHAI) == at(TUESDAY, "00:00")
    assert grace_end(at(date(2024, 3, 10), "01:00", NEW_YORK), "same_day", NEW_YORK) == end_of_day(
        date(2024, 3, 10), NEW_YORK
    )


def test_a_span_of_grace_is_real_time_and_none_still_bears_a_tick() -> None:
    assert grace_end(1_000, Within(HOUR_MS), SHANGHAI) == 1_000 + HOUR_MS
    assert grace_end(1_000, "none", SHANGHAI) == 1_000 + MINUTE_MS


@pytest.mark.parametrize("ms", [0, -1])
def test_within_nothing_is_a_fault(ms: int) -> None:
    with pytest.raises(DefinitionError):
        Within(ms)


# -- deferral ---------------------------------------------------------------------------------------------------------


def test_a_deferred_push_goes_to_the_following_day_at_its_own_time() -> None:
    timetable = table(OnDay(0, TEN), quiet=NIGHT)

    assert next_allowed_day_same_time(at(MONDAY), timetable) == at(TUESDAY)
    assert next_allowed_day_same_time(at(MONDAY, "15:20"), timetable, TEN) == at(TUESDAY), "whatever held it up today"


def test_a_deferral_skips_off_days_and_follows_the_clocks() -> None:
    assert next_allowed_day_same_time(at(FRIDAY), table(calendar="weekdays")) == at(NEXT_MONDAY)
    new_york = table(zone=NEW_YORK)
    assert next_allowed_day_same_time(at(date(2024, 3, 9), "10:00", NEW_YORK), new_york) == at(
        date(2024, 3, 10), "10:00", NEW_YORK
    )


def test_a_deferral_whose_own_time_is_quiet_leaves_no_day_out() -> None:
    timetable = table(OnDay(0, time(22)), quiet=NIGHT)

    assert next_allowed_day_same_time(at(TUESDAY, "08:00"), timetable, time(22)) == at(WEDNESDAY, "08:00")
    assert next_allowed_day_same_time(at(TUESDAY, "08:00"), timetable, time(5)) == at(WEDNESDAY, "08:00")
    noon = table(quiet=QuietHours(((time(12), time(14)),)))
    assert next_allowed_day_same_time(at(MONDAY, "14:00"), noon, time(13)) == at(TUESDAY, "14:00")


def test_the_own_time_of_a_step_is_its_at_or_the_time_of_its_due() -> None:
    timetable = table(AtOnce(), OnDay(1, TEN), AfterElapsed(DAY_MS))

    assert own_time(timetable, 1, at(MONDAY, "17:00")) == TEN
    assert own_time(timetable, 0, at(MONDAY, "17:05")) == own_time(timetable, 2, at(MONDAY, "17:05")) == time(17, 5)


# -- expiry -----------------------------------------------------------------------------------------------------------


def test_a_push_expires_with_the_next_local_day_or_with_the_next_step() -> None:
    timetable = table(OnDay(0, TEN))

    assert expiry(at(MONDAY), timetable, None) == at(WEDNESDAY, "00:00")
    assert expiry(at(MONDAY), timetable, at(TUESDAY)) == at(TUESDAY)
    assert expiry(at(MONDAY), timetable, at(FRIDAY)) == at(WEDNESDAY, "00:00")


def test_expiry_ends_with_the_next_allowed_day() -> None:
    timetable = table(OnDay(0, TEN), calendar="weekdays")

    assert expiry(at(FRIDAY), timetable, None) == at(NEXT_MONDAY + timedelta(days=1), "00:00")
    assert expiry(at(FRIDAY), timetable, at(NEXT_MONDAY)) == at(NEXT_MONDAY)


def test_expiry_counts_from_the_day_for_which_the_push_is_planned_now() -> None:
    timetable = table(OnDay(0, time(22)), quiet=NIGHT)
    planned_at = earliest_send(at(MONDAY, "22:00"), timetable)

    assert local_datetime(planned_at, SHANGHAI).day == TUESDAY.day
    assert expiry(planned_at, timetable, None) == at(THURSDAY, "00:00")


def test_a_push_planned_behind_the_next_step_has_been_overtaken() -> None:
    assert expiry(at(WEDNESDAY), table(), at(TUESDAY)) <= at(WEDNESDAY)
