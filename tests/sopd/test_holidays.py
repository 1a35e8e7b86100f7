"""The kept table of official days: the library's word, the operator's corrections, and years nobody knows yet."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import chinese_calendar
import pytest

from sopd.errors import ConfigError
from sopd.holidays import missing_years, workdays

SHIPPED = workdays()


def overlaid(folder: Path, text: str) -> Path:
    file = folder / "holidays.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def test_table_agrees_with_the_library_on_every_day_it_knows() -> None:
    day = dt.date(min(SHIPPED.years), 1, 1)
    while day.year in SHIPPED.years:
        assert SHIPPED.is_allowed(day, "china_workday") == chinese_calendar.is_workday(day), day
        day += dt.timedelta(days=1)
    assert day.year > 2026


def test_make_up_saturday_is_a_workday() -> None:
    assert SHIPPED.is_allowed(dt.date(2026, 2, 14), "china_workday")


def test_file_adds_a_year(tmp_path: Path) -> None:
    file = overlaid(tmp_path, "2033:\n  days_off: [2033-01-03, 2033-02-01..2033-02-04]\n  workdays: [2033-02-05]\n")

    table = workdays(file)

    days = [dt.date(2033, 1, 3), *(dt.date(2033, 2, day) for day in (1, 4, 5, 6, 7))]
    assert [table.is_allowed(day, "china_workday") for day in days] == [False, False, False, True, False, True]
    assert 2033 in table.years and 2033 not in SHIPPED.years


def test_file_corrects_the_library_both_ways(tmp_path: Path) -> None:
    table = workdays(overlaid(tmp_path, "2026:\n  days_off: [2026-02-14]\n  workdays: 2026-10-01\n"))

    assert not table.is_allowed(dt.date(2026, 2, 14), "china_workday")
    assert table.is_allowed(dt.date(2026, 10, 1), "china_workday")
    assert not table.is_allowed(dt.date(2026, 10, 2), "china_workday")


def test_shipped_example_file_changes_nothing() -> None:
    assert workdays(Path(__file__).parents[2] / "config" / "holidays.yaml") == SHIPPED


def test_year_without_data_is_named_from_december_on() -> None:
    last = max(SHIPPED.years)

    assert missing_years(SHIPPED, dt.date(last, 11, 30)) == ()
    assert missing_years(SHIPPED, dt.date(last, 12, 1)) == (last + 1,)
    assert missing_years(SHIPPED, dt.date(last + 1, 5, 1)) == (last + 1,)


def test_all_faults_of_the_file_are_told(tmp_path: Path) -> None:
    file = overlaid(
        tmp_path,
        "2033:\n  days_off: [soon, 2034-01-01, 2033-02-04..2033-02-01, 2033-03-01]\n"
        "  workdays: [2033-03-01]\nnext: {}\n2034: {free: []}\n",
    )

    with pytest.raises(ConfigError) as refused:
        workdays(file)

    assert refused.value.faults == (
        f"{file}: 2033.days_off: 'soon' is neither a date nor a range of dates",
        f"{file}: 2033.days_off: 2034-01-01 is not inside 2033, first day before last",
        f"{file}: 2033.days_off: 2033-02-04..2033-02-01 is not inside 2033, first day before last",
        f"{file}: 2033: 2033-03-01 is in `days_off` and in `workdays`",
        f"{file}: next: is not a year with `days_off` and `workdays`",
        f"{file}: 2034: is not a year with `days_off` and `workdays`",
    )


@pytest.mark.parametrize(("text", "told"), [("2033: [", "is not YAML"), ("- 1", "holds no years")])
def test_file_that_is_something_else_is_refused(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        workdays(overlaid(tmp_path, text))


def test_missing_file_names_the_setting(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"company\.holidays_file"):
        workdays(tmp_path / "none.yaml")
