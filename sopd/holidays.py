"""The kept table of official Chinese days off and make-up workdays, from a library and from the operator's own file.

The next year's days are announced each November, so a library is always late: the file adds years and corrects days.
A year without data is no fault; `machines.workdays` then takes plain weekdays, and `missing_years` lets `doctor` warn.
Built once at boot by `sopd.bootstrap`; the only import of the holiday library.

The file, by year:

    2027:
      days_off: [2027-01-01, 2027-02-05..2027-02-11]   # a range includes both ends
      workdays: [2027-01-30]                           # make-up workdays
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from chinese_calendar import constants

from machines.workdays import Workdays
from sopd.errors import ConfigError

ONE_DAY = dt.timedelta(days=1)
EXAMPLE = "write YEAR: {days_off: [2027-02-05..2027-02-11], workdays: [2027-01-30]}"


def workdays(file: Path | None = None) -> Workdays:
    """The library's days with the file's laid over them. Raises ConfigError with all faults of the file."""
    off, work = set(constants.holidays), set(constants.workdays)
    years = {day.year for day in off | work}
    for year, (days_off, days_at_work) in _read(file).items() if file is not None else ():
        years.add(year)
        off = (off | days_off) - days_at_work
        work = (work | days_at_work) - days_off
    return Workdays(holidays=frozenset(off), make_up=frozenset(work), years=frozenset(years))


def missing_years(table: Workdays, today: dt.date) -> tuple[int, ...]:
    """Which of this year and, from December on, the next has no data: then make-up days are not known."""
    return table.years_without_data((today, today + dt.timedelta(days=31)))


Days = tuple[set[dt.date], set[dt.date]]


def _read(file: Path) -> dict[int, Days]:
    try:
        tree = yaml.load(file.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}", "see company.holidays_file") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: is not YAML: {' '.join(str(error).split())}", EXAMPLE) from None
    if tree is None:  # a file of comments only
        return {}
    if not isinstance(tree, dict):
        raise ConfigError(f"{file}: holds no years", EXAMPLE)
    faults: list[str] = []
    years = {year: _read_year(year, content, faults) for year, content in tree.items()}
    if faults:
        raise ConfigError(f"{file}: the days cannot be used", EXAMPLE, [f"{file}: {fault}" for fault in faults])
    return years


def _read_year(year: Any, content: Any, faults: list[str]) -> Days:
    if not isinstance(year, int) or not isinstance(content, dict) or set(content) - {"days_off", "workdays"}:
        faults.append(f"{year}: is not a year with `days_off` and `workdays`")
        return set(), set()
    parts = ("days_off", "workdays")
    off, work = (set(_days(year, content.get(part) or [], f"{year}.{part}", faults)) for part in parts)
    faults += [f"{year}: {day} is in `days_off` and in `workdays`" for day in sorted(off & work)]
    return off, work


def _days(year: int, entries: Any, where: str, faults: list[str]) -> Iterator[dt.date]:
    for entry in entries if isinstance(entries, list) else [entries]:
        # YAML makes a date of 2027-01-01, and leaves 2027-02-05..2027-02-11 as text.
        first, _, last = str(entry).partition("..")
        try:
            day, end = dt.date.fromisoformat(first.strip()), dt.date.fromisoformat((last or first).strip())
        except ValueError:
            faults.append(f"{where}: {entry!r} is neither a date nor a range of dates")
            continue
        if not (day.year == end.year == year and day <= end):
            faults.append(f"{where}: {entry} is not inside {year}, first day before last")
            continue
        while day <= end:
            yield day
            day += ONE_DAY
