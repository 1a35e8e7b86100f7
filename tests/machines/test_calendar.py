"""Instants, local days, workdays and quiet hours, checked against wall clocks and against a slow scan."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from machines.calendar import (
    DAY_MS,
    HOUR_MS,
    MINUTE_MS,
    QuietHours,
    day_after,
    end_of_day,
    instant_of,
    local_date,
    local_datetime,
    local_time,
    next_day_same_time,
    zone_of,
)
from machines.errors import DefinitionError, MachinesError, OutOfCalendar
from machines.workdays import CALENDARS, Workdays

SHANGHAI, NEW_YORK, LORD_HOWE = "Asia/Shanghai", "America/New_York", "Australia/Lord_Howe"
ZONES = (SHANGHAI, NEW_YORK, LORD_HOWE, "Europe/Berlin", "America/Sao_Paulo", "Asia/Kathmandu", "Africa/Cairo", "UTC")

zones = st.sampled_from(ZONES)
dates = st.dates(date(2015, 1, 1), date(2035, 12, 31))
times = st.times().map(lambda at: at.replace(microsecond=0))
instants = st.integers(1_420_070_400_000, 2_082_758_400_000)
# Hours in which clocks change somewhere: the scan below shall meet them often.
change_days = st.sampled_from([date(2024, 3, 10), date(2024, 11, 3), date(2024, 3, 31), date(2024, 10, 27),
                               date(2024, 4, 7), date(2024, 10, 6), date(2018, 11, 4), date(2018, 2, 17),
                               date(2024, 4, 26), date(2024, 10, 31)])


def utc(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> int:
    return int(datetime(year, month, day, hour, minute, tzinfo=UTC).timestamp()) * 1_000


def hours(*windows: str) -> QuietHours:
    """`hours("21:00-08:00")`."""
    pairs = (window.split("-") for window in windows)
    return QuietHours(tuple((time.fromisoformat(start), time.fromisoformat(end)) for start, end in pairs))


# -- local dates and times --------------------------------------------------------------------------------------------


def test_a_local_time_becomes_the_instant_the_clocks_show_it() -> None:
    assert instant_of(date(2026, 3, 4), time(10), SHANGHAI) == utc(2026, 3, 4, 2)
    assert instant_of(date(2026, 7, 1), time(10), NEW_YORK) == utc(2026, 7, 1, 14)


def test_a_time_in_a_gap_moves_forward_by_the_gap() -> None:
    at = instant_of(date(2024, 3, 10), time(2, 30), NEW_YORK)

    assert local_time(at, NEW_YORK) == time(3, 30)
    assert at == utc(2024, 3, 10, 7, 30)


def test_a_half_hour_gap_moves_by_half_an_hour() -> None:
    assert local_time(instant_of(date(2024, 10, 6), time(2, 15), LORD_HOWE), LORD_HOWE) == time(2, 45)


def test_of_a_repeated_time_the_first_is_meant_whatever_the_fold_of_the_argument() -> None:
    first = utc(2024, 11, 3, 5, 30)

    assert instant_of(date(2024, 11, 3), time(1, 30), NEW_YORK) == first
    assert instant_of(date(2024, 11, 3), time(1, 30, fold=1), NEW_YORK) == first


def test_a_skipped_local_day_is_the_day_after() -> None:
    at = instant_of(date(2011, 12, 30), time(10), "Pacific/Apia")

    assert local_datetime(at, "Pacific/Apia").isoformat() == "2011-12-31T10:00:00+14:00"


def test_an_instant_before_1970_has_a_local_date() -> None:
    assert local_date(-1, "UTC") == date(1969, 12, 31)
    assert local_time(-1, "UTC") == time(23, 59, 59, 999_000)


@given(instants, zones)
def test_local_time_agrees_with_the_zone_database(at: int, zone: str) -> None:
    expected = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at)).astimezone(ZoneInfo(zone))

    assert local_datetime(at, zone) == expected
    assert (local_date(at, zone), local_time(at, zone)) == (expected.date(), expected.time())


@given(dates | change_days, times, zones)
def test_an_instant_shows_its_date_and_time_unless_these_do_not_exist(on: date, at: time, zone: str) -> None:
    instant = instant_of(on, at, zone)
    shown = local_datetime(instant, zone).replace(tzinfo=None)

    wished = datetime.combine(on, at)
    assert shown >= wished.replace(fold=0)
    if shown != wished:
        assert shown - wished <= timedelta(hours=1)
        assert local_datetime(instant - HOUR_MS, zone).replace(tzinfo=None) < wished, "a gap, and nothing else"


@given(dates | change_days, zones)
def test_the_end_of_a_day_is_the_first_instant_of_the_next(on: date, zone: str) -> None:
    end = end_of_day(on, zone)

    assert local_date(end, zone) == on + timedelta(days=1)
    assert local_date(end - 1, zone) == on
    assert end - end_of_day(on - timedelta(days=1), zone) in {DAY_MS + shift * HOUR_MS // 2 for shift in range(-2, 3)}


def test_the_next_day_at_the_same_time_is_23_hours_away_when_clocks_go_forward() -> None:
    saturday = instant_of(date(2024, 3, 9), time(9), NEW_YORK)

    assert next_day_same_time(saturday, NEW_YORK) - saturday == 23 * HOUR_MS
    assert next_day_same_time(saturday, SHANGHAI) - saturday == DAY_MS


@given(instants, zones)
def test_the_next_day_at_the_same_time_is_the_next_local_date(at: int, zone: str) -> None:
    later = next_day_same_time(at, zone)

    assert local_date(later, zone) == local_date(at, zone) + timedelta(days=1)
    assert abs(later - at - DAY_MS) <= HOUR_MS


@pytest.mark.parametrize("zone", ["Asia/Peking", "", "../etc/passwd", "/etc/localtime", "nowhere\0", "Asia"])
def test_an_unknown_zone_is_a_fault_that_says_what_to_write(zone: str) -> None:
    with pytest.raises(DefinitionError, match="Asia/Shanghai"):
        zone_of(zone)


def test_what_no_calendar_reaches_is_one_error_of_ours() -> None:
    for beyond in (
        lambda: local_date(10**17, SHANGHAI),
        lambda: local_date(-(10**17), SHANGHAI),
        lambda: end_of_day(date.max, SHANGHAI),
        lambda: day_after(date(2026, 1, 1), 10**9),
    ):
        with pytest.raises(OutOfCalendar):
            beyond()
    assert issubclass(OutOfCalendar, MachinesError)


# -- workdays ---------------------------------------------------------------------------------------------------------

SPRING_FESTIVAL_2026 = Workdays(
    holidays=frozenset(date(2026, 2, day) for day in range(15, 24)),
    make_up=frozenset({date(2026, 2, 14), date(2026, 2, 28)}),
    years=frozenset({2026}),
)


def test_chinese_workdays_follow_the_table_not_the_weekday() -> None:
    allowed = SPRING_FESTIVAL_2026.is_allowed

    assert allowed(date(2026, 2, 14), "china_workday"), "a Saturday to make up for"
    assert not allowed(date(2026, 2, 18), "china_workday"), "a Wednesday off"
    assert allowed(date(2026, 2, 18), "weekdays")
    assert not allowed(date(2026, 2, 14), "weekdays")
    assert allowed(date(2026, 2, 18), "every_day")
    assert not allowed(date(2026, 3, 1), "china_workday"), "an ordinary Sunday"


def test_a_day_listed_as_holiday_and_as_make_up_is_worked() -> None:
    table = Workdays(frozenset({date(2026, 2, 14)}), frozenset({date(2026, 2, 14)}), frozenset({2026}))

    assert table.is_allowed(date(2026, 2, 14), "china_workday")


def test_a_year_without_data_is_plain_weekdays_and_named_for_a_warning() -> None:
    new_year = date(2027, 1, 1)

    assert SPRING_FESTIVAL_2026.is_allowed(new_year, "china_workday"), "a Friday: nobody told us that it is a holiday"
    assert not SPRING_FESTIVAL_2026.is_allowed(date(2027, 1, 2), "china_workday")
    assert SPRING_FESTIVAL_2026.years_without_data([new_year, date(2026, 5, 1), date(2025, 1, 1)]) == (2025, 2027)
    assert SPRING_FESTIVAL_2026.years_without_data([]) == ()


def test_the_search_steps_over_holidays_both_ways() -> None:
    table = SPRING_FESTIVAL_2026

    assert table.next_allowed(date(2026, 2, 14), "china_workday") == date(2026, 2, 24)
    assert table.previous_allowed(date(2026, 2, 24), "china_workday") == date(2026, 2, 14)
    assert table.next_allowed(date(2026, 2, 27), "china_workday") == date(2026, 2, 28)
    assert table.next_allowed(date(2026, 2, 27), "weekdays") == date(2026, 3, 2)


def test_a_table_that_closes_a_whole_year_does_not_stop_the_clock() -> None:
    every_day = frozenset(date(2026, 1, 1) + timedelta(days=n) for n in range(800))
    closed = Workdays(every_day, years=frozenset({2026, 2027}))

    assert closed.next_allowed(date(2026, 3, 4), "china_workday") == date(2026, 3, 5)
    assert closed.previous_allowed(date(2027, 12, 4), "china_workday") == date(2027, 12, 3)


@given(dates, st.sampled_from(CALENDARS))
def test_next_and_previous_allowed_days_are_the_nearest_ones(on: date, calendar: str) -> None:
    after = SPRING_FESTIVAL_2026.next_allowed(on, calendar)
    before = SPRING_FESTIVAL_2026.previous_allowed(on, calendar)

    between = [before + timedelta(days=n) for n in range(1, (after - before).days) if before + timedelta(days=n) != on]
    assert before < on < after
    assert SPRING_FESTIVAL_2026.is_allowed(before, calendar) and SPRING_FESTIVAL_2026.is_allowed(after, calendar)
    assert not any(SPRING_FESTIVAL_2026.is_allowed(day, calendar) for day in between)


# -- quiet hours ------------------------------------------------------------------------------------------------------


def test_quiet_hours_over_midnight_end_in_the_morning() -> None:
    night = hours("21:00-08:00")
    evening, morning = utc(2026, 3, 4, 13), utc(2026, 3, 5, 0)

    assert not night.contains(evening - 1, SHANGHAI)
    assert night.contains(evening, SHANGHAI) and night.contains(morning - 1, SHANGHAI)
    assert not night.contains(morning, SHANGHAI)
    assert night.end_after(evening, SHANGHAI) == night.end_after(morning - 1, SHANGHAI) == morning
    assert night.end_after(morning, SHANGHAI) == morning


def test_no_quiet_hours_never_hold_anything_back() -> None:
    assert not QuietHours().contains(0, SHANGHAI)
    assert QuietHours().end_after(123, SHANGHAI) == 123


def test_company_and_sop_are_united_and_touching_windows_melt() -> None:
    company, sop = hours("21:00-08:00"), hours("08:00-09:30", "12:00-13:00", "12:30-14:00")

    united = QuietHours.union(company, sop)

    assert united == hours("21:00-09:30", "12:00-14:00") == sop.union(company)
    assert united.windows == ((time(12), time(14)), (time(21), time(9, 30)))
    assert hash(united) == hash(sop.union(company))
    assert company.union(QuietHours()) == company == QuietHours().union(company) == company.union(company)


def test_a_window_until_midnight_ends_at_midnight() -> None:
    assert hours("21:00-00:00").end_after(utc(2026, 3, 4, 14), SHANGHAI) == utc(2026, 3, 4, 16)
    assert hours("21:00-00:00", "00:00-08:00") == hours("21:00-08:00")


@pytest.mark.parametrize("windows", [["08:00-08:00"], ["00:00-00:00"], ["08:00-20:00", "20:00-08:00"],
                                     ["00:00-12:00", "11:00-00:00"], ["21:00-08:00", "07:00-22:00"]])
def test_quiet_hours_that_leave_nothing_are_a_fault(windows: list[str]) -> None:
    with pytest.raises(DefinitionError):
        hours(*windows)


def test_a_union_that_leaves_nothing_is_a_fault() -> None:
    with pytest.raises(DefinitionError, match="whole day"):
        hours("21:00-08:00").union(hours("08:00-21:00"))


def test_a_gap_that_jumps_past_the_end_ends_quiet_hours_at_the_jump() -> None:
    jump = utc(2024, 3, 10, 7)  # 02:00 becomes 03:00

    assert hours("21:00-02:30").end_after(jump - HOUR_MS, NEW_YORK) == jump


def test_a_repeated_hour_prolongs_quiet_hours_that_end_with_it() -> None:
    second_two_oclock = utc(2024, 11, 3, 7)

    assert hours("21:00-02:00").end_after(utc(2024, 11, 3, 5, 30), NEW_YORK) == second_two_oclock


def test_a_window_in_the_second_pass_of_a_repeated_hour_ends_in_that_pass() -> None:
    second_half_past_one = utc(2024, 11, 3, 6, 30)

    assert hours("00:30-01:30").end_after(second_half_past_one - MINUTE_MS, NEW_YORK) == second_half_past_one


windows = st.lists(st.tuples(times, times).filter(lambda pair: pair[0] != pair[1]), max_size=4)


def quiet_or_none(pairs: list[tuple[time, time]]) -> QuietHours | None:
    try:
        return QuietHours(tuple(pairs))
    except DefinitionError:
        return None


def shows_quiet(pairs: list[tuple[time, time]], wall: time) -> bool:
    return any(start <= wall < end if start < end else wall >= start or wall < end for start, end in pairs)


@given(windows, instants, zones)
def test_containment_is_what_the_wall_clock_says(pairs: list[tuple[time, time]], at: int, zone: str) -> None:
    quiet = quiet_or_none(pairs)

    if quiet is not None:
        assert quiet.contains(at, zone) == shows_quiet(pairs, local_time(at, zone))
        assert quiet == QuietHours(quiet.windows), "the merged form means the same"


quarter_hours = st.integers(0, 95).map(lambda n: time(n // 4, n % 4 * 15))
quarter_windows = st.lists(
    st.tuples(quarter_hours, quarter_hours).filter(lambda pair: pair[0] != pair[1]), min_size=1, max_size=3
)


@given(quarter_windows, change_days | dates, st.integers(-96, 96), zones)
@example([(time(21), time(2, 30))], date(2024, 3, 10), 4, NEW_YORK)
@example([(time(23, 30), time(0, 30))], date(2018, 2, 17), 95, "America/Sao_Paulo")
def test_the_end_of_quiet_is_the_first_quarter_hour_a_scan_finds(
    pairs: list[tuple[time, time]], on: date, quarters: int, zone: str
) -> None:
    quiet = quiet_or_none(pairs)
    if quiet is None:
        return
    at = instant_of(on, time(0), zone) + quarters * 15 * MINUTE_MS

    end = quiet.end_after(at, zone)

    # Zones here change on quarter hours of UTC and windows lie on quarter hours, so a scan by quarters misses nothing.
    scan = at
    while shows_quiet(pairs, local_time(scan, zone)):
        scan += 15 * MINUTE_MS
    assert end == scan
