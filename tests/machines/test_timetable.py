"""Due instants: own moments, off days, order, quota days, quiet hours; stories first, then what always holds."""

from __future__ import annotations

from datetime import date, time, timedelta
from itertools import pairwise

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from machines.calendar import (
    DAY_MS,
    HOUR_MS,
    MINUTE_MS,
    SECOND_MS,
    QuietHours,
    instant_of,
    local_date,
    local_datetime,
    local_time,
)
from machines.errors import DefinitionError, OutOfCalendar
from machines.moments import AfterElapsed, AtOnce, Moment, NextWeekday, OnDate, OnDay, TimedStep
from machines.timetable import Timetable, due_after, due_instants, earliest_send, forecast_stepwise
from machines.workdays import CALENDARS, OFF_DAY_POLICIES, Workdays

SHANGHAI, NEW_YORK = "Asia/Shanghai", "America/New_York"
NIGHT = QuietHours(((time(21), time(8)),))
TEN = time(10)
WEEK = [date(2026, 3, 2) + timedelta(days=n) for n in range(7)]
MONDAY, TUESDAY, WEDNESDAY, THURSDAY, FRIDAY, SATURDAY, SUNDAY = WEEK


def at(on: date, clock: str = "10:00", zone: str = SHANGHAI) -> int:
    return instant_of(on, time.fromisoformat(clock), zone)


def table(*moments: Moment, quota: bool | tuple[bool, ...] = True, **options: object) -> Timetable:
    """A timetable of steps with these moments; all, none or the given ones take quota."""
    flags = (quota,) * len(moments) if isinstance(quota, bool) else quota
    steps = tuple(TimedStep(f"s{n}", moment, flag) for n, (moment, flag) in enumerate(zip(moments, flags, strict=True)))
    return Timetable(**{"zone": SHANGHAI, "steps": steps} | options)


def shown(timetable: Timetable, *args: object) -> list[str]:
    """The due instants as local text, `03-02 10:00`."""
    return [f"{local_datetime(due, timetable.zone):%m-%d %H:%M}" for due in due_instants(timetable, *args)]


# -- own moments ------------------------------------------------------------------------------------------------------


def test_days_count_from_the_anchor_date_whatever_its_hour() -> None:
    timetable = table(OnDay(0, time(18)), OnDay(5, TEN), OnDay(40, TEN))

    assert shown(timetable, at(MONDAY, "00:00")) == ["03-02 18:00", "03-07 10:00", "04-11 10:00"]
    assert shown(timetable, at(MONDAY, "23:59")) == ["03-02 18:00", "03-07 10:00", "04-11 10:00"]
    assert shown(timetable, at(TUESDAY, "00:00"))[0] == "03-03 18:00"


def test_after_is_real_time_from_the_anchor_over_a_clock_change() -> None:
    timetable = table(AfterElapsed(24 * HOUR_MS), zone=NEW_YORK)
    anchor = at(date(2024, 3, 9), "12:00", NEW_YORK)

    assert due_instants(timetable, anchor) == (anchor + DAY_MS,)
    assert shown(timetable, anchor) == ["03-10 13:00"]


def test_every_after_counts_from_the_anchor_not_from_its_predecessor() -> None:
    timetable = table(AfterElapsed(HOUR_MS), AfterElapsed(3 * HOUR_MS), quota=False)

    assert shown(timetable, at(MONDAY)) == ["03-02 11:00", "03-02 13:00"]


def test_next_weekday_is_strictly_after_the_anchor_date_or_the_previous_step() -> None:
    first = table(NextWeekday(0, TEN))
    chain = table(OnDay(2, TEN), NextWeekday(2, TEN), NextWeekday(4, TEN))

    assert shown(first, at(MONDAY, "08:00")) == ["03-09 10:00"]
    assert shown(first, at(SUNDAY, "23:00")) == ["03-09 10:00"]
    assert shown(chain, at(MONDAY)) == ["03-04 10:00", "03-11 10:00", "03-13 10:00"]


def test_next_weekday_counts_from_unshifted_dates() -> None:
    timetable = table(OnDay(5, TEN), NextWeekday(0, TEN), calendar="weekdays")

    # The Saturday is sent on Monday 9th; the Monday after Saturday 7th is the 9th too, so the two collide and the
    # second takes the next free day, not Monday 16th.
    assert shown(timetable, at(MONDAY)) == ["03-09 10:00", "03-10 10:00"]


def test_fixed_dates_do_not_depend_on_the_anchor() -> None:
    timetable = table(OnDate(date(2026, 12, 24), TEN), OnDate(date(2026, 12, 31), TEN), strategy="timed")

    assert shown(timetable, at(MONDAY)) == shown(timetable, at(date(2027, 1, 5))) == ["12-24 10:00", "12-31 10:00"]


def test_a_local_time_in_a_gap_is_due_when_the_clocks_have_moved_on() -> None:
    timetable = table(OnDay(1, time(2, 30)), zone=NEW_YORK)

    assert shown(timetable, at(date(2024, 3, 9), "12:00", NEW_YORK)) == ["03-10 03:30"]


def test_at_once_is_the_anchor_itself_by_night_and_on_a_holiday_and_holds_up_nobody() -> None:
    timetable = table(AtOnce(), OnDay(0, TEN), OnDay(1, TEN), calendar="weekdays", quiet=NIGHT)
    anchor = at(FRIDAY, "23:30") + 7

    assert due_instants(timetable, anchor)[0] == anchor
    assert shown(timetable, anchor)[1:] == ["03-06 10:00", "03-09 10:00"]


# -- off days ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("policy", "expected"), [("next", "03-09"), ("previous", "03-06"), ("keep", "03-07")])
def test_an_off_day_is_shifted_as_the_policy_says_while_later_steps_still_count_calendar_days(
    policy: str, expected: str
) -> None:
    timetable = table(OnDay(5, TEN), OnDay(9, TEN), calendar="weekdays", off_day=policy)

    assert shown(timetable, at(MONDAY)) == [f"{expected} 10:00", "03-11 10:00"]


def test_statutory_holidays_and_make_up_days_shift_too() -> None:
    festival = Workdays(
        frozenset(date(2026, 2, day) for day in range(15, 24)), frozenset({date(2026, 2, 14)}), frozenset({2026})
    )
    timetable = table(OnDay(1, TEN), OnDay(3, TEN), calendar="china_workday", workdays=festival)

    assert shown(timetable, at(date(2026, 2, 13))) == ["02-14 10:00", "02-24 10:00"]


def test_previous_never_shifts_to_before_the_anchor_date() -> None:
    timetable = table(OnDay(1, TEN), calendar="weekdays", off_day="previous")

    assert shown(timetable, at(FRIDAY, "09:00")) == ["03-06 10:00"]
    assert shown(timetable, at(FRIDAY, "11:00")) == ["03-09 10:00"], "Friday 10:00 was before the entry"
    assert shown(timetable, at(FRIDAY, "09:00"), at(FRIDAY, "12:00")) == ["03-09 10:00"]


def test_what_was_missed_before_the_entry_anyway_is_not_pushed_into_the_future_by_the_shift() -> None:
    timetable = table(OnDay(1, TEN), OnDay(8, TEN), calendar="weekdays", off_day="previous")

    entered_at = at(SUNDAY, "12:00")
    assert shown(timetable, at(FRIDAY), entered_at) == ["03-06 10:00", "03-13 10:00"]


def test_colliding_quota_steps_take_the_next_free_allowed_days_in_order() -> None:
    timetable = table(OnDay(4, TEN), OnDay(5, TEN), OnDay(6, TEN), OnDay(7, TEN), calendar="weekdays")

    # Friday, Saturday, Sunday and Monday become Friday to Wednesday.
    assert shown(timetable, at(MONDAY)) == ["03-06 10:00", "03-09 10:00", "03-10 10:00", "03-11 10:00"]


def test_a_step_without_quota_may_share_the_day_but_not_overtake() -> None:
    timetable = table(OnDay(5, TEN), OnDay(6, time(12)), OnDay(6, time(9)), quota=False, calendar="weekdays")

    assert shown(timetable, at(MONDAY)) == ["03-09 10:00", "03-09 12:00", "03-10 09:00"]


def test_two_quota_steps_of_one_day_stay_together_only_where_the_quota_takes_several_a_day() -> None:
    moments = (OnDay(5, TEN), OnDay(5, time(15)), OnDay(6, TEN))

    apart = table(*moments, calendar="weekdays")
    shared = table(*moments, calendar="weekdays", shares_days=True)

    assert shown(apart, at(MONDAY)) == ["03-09 10:00", "03-10 15:00", "03-11 10:00"]
    assert shown(shared, at(MONDAY)) == ["03-09 10:00", "03-09 15:00", "03-10 10:00"], "a shift brings none together"


# -- order ------------------------------------------------------------------------------------------------------------


def test_a_step_not_later_than_its_predecessor_moves_to_the_next_day_at_its_own_time() -> None:
    timetable = table(AfterElapsed(26 * HOUR_MS), OnDay(1, time(11)), quota=False)

    assert shown(timetable, at(MONDAY)) == ["03-03 12:00", "03-04 11:00"]
    assert shown(timetable, at(MONDAY, "08:00")) == ["03-03 10:00", "03-03 11:00"]
    assert shown(timetable, at(MONDAY, "09:00")) == ["03-03 11:00", "03-04 11:00"], "equal is not later"


def test_an_after_step_not_later_than_its_predecessor_follows_a_minute_behind() -> None:
    timetable = table(OnDay(1, TEN), AfterElapsed(HOUR_MS), quota=False)

    assert shown(timetable, at(MONDAY)) == ["03-03 10:00", "03-03 10:01"]


def test_an_after_step_that_takes_quota_goes_to_the_next_free_day_at_the_time_it_would_have_had() -> None:
    timetable = table(OnDay(0, time(18)), AfterElapsed(9 * HOUR_MS))

    assert shown(timetable, at(MONDAY, "10:00")) == ["03-02 18:00", "03-03 19:00"]


def test_a_moment_past_at_the_anchor_was_missed_and_is_not_moved_behind_an_after_step() -> None:
    timetable = table(AfterElapsed(0), OnDay(0, TEN), OnDay(1, TEN), OnDay(2, TEN), quota=(False, True, True, True))

    # late_at_entry decides about the second one; the later ones keep their days.
    assert shown(timetable, at(MONDAY, "12:00")) == ["03-02 12:00", "03-02 10:00", "03-03 10:00", "03-04 10:00"]


def test_a_moment_between_entry_and_a_later_anchor_is_not_missed_and_keeps_the_order() -> None:
    timetable = table(AfterElapsed(0), OnDay(0, TEN), quota=False)

    assert shown(timetable, at(MONDAY, "12:00"), at(SUNDAY - timedelta(days=7))) == ["03-02 12:00", "03-03 10:00"]


def test_a_push_that_waits_for_the_morning_is_not_overtaken_by_a_step_of_that_morning() -> None:
    timetable = table(OnDay(0, time(22)), OnDay(1, time(7)), OnDay(3, TEN), quota=False, quiet=NIGHT)

    assert shown(timetable, at(MONDAY)) == ["03-02 22:00", "03-04 07:00", "03-05 10:00"]


def test_a_quota_step_that_waits_for_the_morning_uses_that_day() -> None:
    timetable = table(AfterElapsed(2 * HOUR_MS), OnDay(1, TEN), OnDay(2, TEN), quiet=NIGHT)

    assert shown(timetable, at(MONDAY, "20:30")) == ["03-02 22:30", "03-04 10:00", "03-05 10:00"]
    assert shown(timetable, at(MONDAY, "12:30")) == ["03-02 14:30", "03-03 10:00", "03-04 10:00"]


# -- stepwise ---------------------------------------------------------------------------------------------------------


def test_stepwise_counts_from_the_settlement_of_the_previous_push() -> None:
    timetable = table(OnDay(1, TEN), OnDay(3, TEN), AfterElapsed(2 * HOUR_MS), NextWeekday(0, TEN))

    assert due_after(timetable, 1, at(WEDNESDAY, "15:00")) == at(SATURDAY)
    assert due_after(timetable, 2, at(WEDNESDAY, "15:00")) == at(WEDNESDAY, "17:00")
    assert due_after(timetable, 3, at(MONDAY, "09:00")) == at(MONDAY + timedelta(days=7))


def test_stepwise_never_falls_before_the_settlement() -> None:
    timetable = table(OnDay(0, TEN), OnDay(0, TEN), AfterElapsed(0))

    assert due_after(timetable, 1, at(MONDAY, "09:59")) == at(MONDAY)
    assert due_after(timetable, 1, at(MONDAY, "10:00")) == at(TUESDAY)
    assert due_after(timetable, 2, at(MONDAY)) == at(MONDAY, "10:01")


def test_stepwise_shifts_off_days_but_not_back_behind_the_settlement() -> None:
    timetable = table(OnDay(0, TEN), OnDay(1, TEN), calendar="weekdays", off_day="previous")

    assert due_after(timetable, 1, at(FRIDAY, "09:00")) == at(FRIDAY)
    assert due_after(timetable, 1, at(FRIDAY, "12:00")) == at(MONDAY + timedelta(days=7))


def test_stepwise_leaves_the_day_that_the_last_quota_push_used() -> None:
    timetable = table(OnDay(0, TEN), AfterElapsed(2 * HOUR_MS))

    assert due_after(timetable, 1, at(MONDAY)) == at(MONDAY, "12:00")
    assert due_after(timetable, 1, at(MONDAY), MONDAY) == at(TUESDAY, "12:00")
    assert due_after(timetable, 1, at(MONDAY), SUNDAY - timedelta(days=7)) == at(MONDAY, "12:00")


def test_the_stepwise_forecast_settles_every_push_when_it_may_be_sent() -> None:
    timetable = table(AtOnce(), OnDay(0, time(22)), OnDay(2, TEN), AfterElapsed(HOUR_MS), quota=False, quiet=NIGHT)

    forecast = [f"{local_datetime(due, SHANGHAI):%m-%d %H:%M}" for due in forecast_stepwise(timetable, at(MONDAY))]

    # 22:00 waits until Tuesday 08:00, from which the next two days count.
    assert forecast == ["03-02 10:00", "03-02 22:00", "03-05 10:00", "03-05 11:00"]
    assert forecast_stepwise(table(), at(MONDAY)) == ()


def test_the_stepwise_forecast_keeps_quota_steps_on_days_of_their_own() -> None:
    timetable = table(AfterElapsed(HOUR_MS), AfterElapsed(HOUR_MS), AfterElapsed(HOUR_MS), quota=(True, False, True))

    forecast = [f"{local_datetime(due, SHANGHAI):%m-%d %H:%M}" for due in forecast_stepwise(timetable, at(MONDAY))]

    assert forecast == ["03-02 11:00", "03-02 12:00", "03-03 13:00"]


# -- sending ----------------------------------------------------------------------------------------------------------


def test_a_due_inside_quiet_hours_may_be_sent_at_their_end() -> None:
    timetable = table(OnDay(0, TEN), quiet=NIGHT)

    assert earliest_send(at(MONDAY, "22:00"), timetable) == at(TUESDAY, "08:00")
    assert earliest_send(at(MONDAY, "07:00"), timetable) == at(MONDAY, "08:00")
    assert earliest_send(at(MONDAY, "20:59"), timetable) == at(MONDAY, "20:59")


def test_quiet_hours_do_not_carry_a_push_onto_an_off_day() -> None:
    timetable = table(OnDay(0, TEN), quiet=NIGHT, calendar="weekdays")

    assert earliest_send(at(FRIDAY, "22:00"), timetable) == at(MONDAY + timedelta(days=7), "08:00")
    assert earliest_send(at(FRIDAY, "22:00"), table(quiet=NIGHT, calendar="weekdays", off_day="keep")) == at(
        SATURDAY, "08:00"
    )


def test_the_planned_day_has_passed_the_off_day_policy_and_waiting_past_it_has_not() -> None:
    timetable = table(OnDay(0, TEN), quiet=NIGHT, calendar="weekdays")

    assert earliest_send(at(SATURDAY), timetable) == at(SATURDAY)
    assert earliest_send(at(SATURDAY), timetable, FRIDAY) == at(MONDAY + timedelta(days=7))


# -- faults -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        lambda: OnDay(-1, TEN), lambda: OnDay(3_661, TEN), lambda: AfterElapsed(-1), lambda: AfterElapsed(10**15),
        lambda: NextWeekday(7, TEN), lambda: NextWeekday(-1, TEN), lambda: OnDate(date(2200, 1, 1), TEN),
        lambda: table(zone="Asia/Peking"), lambda: table(calendar="lunar"), lambda: table(off_day="skip"),
        lambda: table(strategy="absolute"), lambda: table(OnDay(0, TEN), AtOnce()),
        lambda: table(OnDay(0, TEN), OnDate(MONDAY, TEN)), lambda: table(OnDate(MONDAY, TEN)),
        lambda: table(OnDate(MONDAY, TEN), OnDay(3, TEN), strategy="timed"),
    ],
)
def test_a_timetable_that_cannot_be_is_a_fault(make: object) -> None:
    with pytest.raises(DefinitionError):
        make()


def test_an_anchor_at_the_end_of_time_is_one_error_of_ours() -> None:
    for moment in (OnDay(1, TEN), AfterElapsed(9 * DAY_MS), NextWeekday(0, TEN)):
        with pytest.raises(OutOfCalendar):
            due_instants(table(moment), at(date(9999, 12, 31)))
    with pytest.raises(OutOfCalendar):
        due_instants(table(OnDay(0, TEN), OnDay(0, time(11)), calendar="weekdays"), at(date(9999, 12, 31)))


# -- what always holds ------------------------------------------------------------------------------------------------

clock = st.integers(0, 95).map(lambda n: time(n // 4, n % 4 * 15))
relative = (
    st.builds(OnDay, st.integers(0, 12), clock)
    | st.builds(AfterElapsed, st.integers(0, 200 * 60).map(lambda minutes: minutes * MINUTE_MS))
    | st.builds(NextWeekday, st.integers(0, 6), clock)
)
quiets = st.sampled_from([QuietHours(), NIGHT, QuietHours(((time(12), time(14)), (time(23), time(1)))),
                          QuietHours(((time(10, 30), time(9, 45)),))])
tables_of_days = Workdays(
    frozenset({date(2024, 3, 8), date(2024, 3, 11), date(2026, 3, 4)}), frozenset({date(2024, 3, 9)}), frozenset({2024})
)
timetables = st.builds(
    lambda moments, flags, **options: Timetable(
        steps=tuple(TimedStep(f"s{n}", moment, flags[n]) for n, moment in enumerate(moments)), **options
    ),
    st.lists(relative, min_size=1, max_size=6),
    st.lists(st.booleans(), min_size=6, max_size=6),
    zone=st.sampled_from([SHANGHAI, NEW_YORK]),
    calendar=st.sampled_from(CALENDARS),
    off_day=st.sampled_from(OFF_DAY_POLICIES),
    quiet=quiets,
    workdays=st.just(tables_of_days),
    shares_days=st.booleans(),
)
anchors = st.integers(at(date(2024, 3, 1)), at(date(2024, 3, 15))) | st.integers(at(MONDAY), at(date(2026, 11, 5)))
waits = st.integers(-5 * DAY_MS, 20 * DAY_MS)


@given(timetables, anchors, waits)
def test_steps_that_were_not_missed_keep_their_order_even_after_quiet_hours(
    timetable: Timetable, anchor: int, wait: int
) -> None:
    dues = due_instants(timetable, anchor, anchor + wait)

    kept = [due for due in dues if due >= min(anchor, anchor + wait)]
    assert all(earliest_send(before, timetable) < after for before, after in pairwise(kept))
    assert len(dues) == len(timetable.steps)


@given(timetables, anchors)
def test_without_an_after_step_all_dues_increase_and_depend_on_the_anchor_date_alone(
    timetable: Timetable, anchor: int
) -> None:
    assume(not timetable.has_elapsed and timetable.off_day != "previous")

    dues = due_instants(timetable, anchor)

    noon = instant_of(local_date(anchor, timetable.zone), time(12), timetable.zone)
    assert list(dues) == sorted(set(dues))
    assert due_instants(timetable, noon) is dues, "one memoised answer"


@given(timetables, anchors)
@example(table(OnDay(4, TEN), OnDay(5, TEN), calendar="weekdays", off_day="previous"), at(MONDAY))
def test_no_two_quota_steps_share_a_day(timetable: Timetable, anchor: int) -> None:
    assume(not timetable.shares_days)

    dues = due_instants(timetable, anchor)

    days = [
        local_date(earliest_send(due, timetable), timetable.zone)
        for step, due in zip(timetable.steps, dues, strict=True)
        if step.takes_quota and due >= anchor
    ]
    assert len(days) == len(set(days))


@given(timetables, anchors)
def test_every_dated_step_falls_on_an_allowed_day_at_its_own_time(timetable: Timetable, anchor: int) -> None:
    assume(timetable.off_day != "keep" and timetable.zone == SHANGHAI)

    for step, due in zip(timetable.steps, due_instants(timetable, anchor), strict=True):
        if not isinstance(step.moment, AfterElapsed):
            assert local_time(due, SHANGHAI) == step.moment.at
            assert timetable.workdays.is_allowed(local_date(due, SHANGHAI), timetable.calendar)


@given(timetables, anchors, waits)
def test_no_shift_leads_from_after_the_entry_to_before_it(timetable: Timetable, anchor: int, wait: int) -> None:
    entered_at = anchor + wait
    plain = Timetable(zone=timetable.zone, steps=timetable.steps, quiet=timetable.quiet, shares_days=True)

    unshifted = [due_instants(Timetable(zone=timetable.zone, steps=(step,)), anchor)[0]
                 for step in timetable.steps if not isinstance(step.moment, NextWeekday)]
    dues = [due for step, due in zip(timetable.steps, due_instants(timetable, anchor, entered_at), strict=True)
            if not isinstance(step.moment, NextWeekday)]

    assert all(due >= entered_at for own, due in zip(unshifted, dues, strict=True) if own >= entered_at)
    if timetable.calendar == "every_day" and not any(step.takes_quota for step in timetable.steps):
        assert due_instants(timetable, anchor, entered_at) == due_instants(plain, anchor, entered_at)


@given(st.lists(st.integers(0, 30), min_size=1, max_size=8, unique=True).map(sorted), clock, anchors)
def test_distinct_days_of_a_plain_calendar_are_never_touched(days: list[int], own: time, anchor: int) -> None:
    timetable = table(*(OnDay(day, own) for day in days))

    base = local_date(anchor, SHANGHAI)
    assert due_instants(timetable, anchor) == tuple(
        instant_of(base + timedelta(days=day), own, SHANGHAI) for day in days
    )


@given(timetables, st.integers(0, 5), anchors)
def test_a_stepwise_due_is_after_the_settlement_on_an_allowed_day(
    timetable: Timetable, index: int, settled_at: int
) -> None:
    assume(index < len(timetable.steps))
    used = local_date(settled_at, timetable.zone)

    due = due_after(timetable, index, settled_at, used)

    assert due > settled_at
    if timetable.steps[index].takes_quota:
        assert local_date(earliest_send(due, timetable), timetable.zone) > used
    if timetable.off_day != "keep" and not isinstance(timetable.steps[index].moment, AfterElapsed):
        assert timetable.workdays.is_allowed(local_date(due, timetable.zone), timetable.calendar)


@given(timetables, anchors)
def test_what_may_be_sent_is_outside_quiet_hours_and_not_early(timetable: Timetable, due: int) -> None:
    send_at = earliest_send(due, timetable)

    assert send_at >= due and not timetable.quiet.contains(send_at, timetable.zone)
    assert earliest_send(send_at, timetable) == send_at


def test_a_timetable_is_a_key_equal_timetables_share_their_answers() -> None:
    one, other = table(OnDay(3, TEN), quiet=NIGHT), table(OnDay(3, TEN), quiet=NIGHT)

    assert one == other and hash(one) == hash(other)
    assert due_instants(one, at(MONDAY)) is due_instants(other, at(MONDAY) + 5 * SECOND_MS)
    assert one != table(OnDay(3, TEN), quiet=NIGHT, shares_days=True)
