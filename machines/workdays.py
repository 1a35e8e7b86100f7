"""Which local dates a SOP may use: every day, plain weekdays, or Chinese workdays with their make-up days (SPEC 5).

The official days are handed in as a kept table, because a library knows them only up to some year and an operator may
correct them; no holiday library is imported here. A year without data is plain Monday to Friday, never an exception:
`years_without_data` lets the caller warn. Only dates, no zones: `calendar` and `timetable` place them in time.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal, get_args

from machines.errors import OutOfCalendar

CalendarKind = Literal["every_day", "weekdays", "china_workday"]
OffDayPolicy = Literal["next", "previous", "keep"]
CALENDARS: tuple[CalendarKind, ...] = get_args(CalendarKind)
OFF_DAY_POLICIES: tuple[OffDayPolicy, ...] = get_args(OffDayPolicy)

ONE_DAY = timedelta(days=1)
# No real calendar closes for a year; a table that does is a typing error and must not stop the clock.
_SEARCH_DAYS = 366
_SATURDAY = 5


@dataclass(frozen=True)
class Workdays:
    """The kept table of official days.

    `holidays` are days off whatever the weekday, `make_up` are workdays whatever the weekday, and `years` are the
    years the table speaks about; outside them it is not asked. The empty table knows no year.
    """

    holidays: frozenset[date] = frozenset()
    make_up: frozenset[date] = frozenset()
    years: frozenset[int] = frozenset()

    def is_allowed(self, on: date, calendar: CalendarKind) -> bool:
        """True if a SOP with this calendar may act on this date."""
        if calendar == "every_day":
            return True
        if calendar == "china_workday" and on.year in self.years:
            # A day listed as both was moved to work last: make-up days are carved out of a holiday's weekend.
            return on in self.make_up or (on.weekday() < _SATURDAY and on not in self.holidays)
        return on.weekday() < _SATURDAY

    def next_allowed(self, after: date, calendar: CalendarKind) -> date:
        """The first allowed date strictly after `after` (its next day, if a whole year were closed)."""
        return self._search(after, calendar, ONE_DAY)

    def previous_allowed(self, before: date, calendar: CalendarKind) -> date:
        """The last allowed date strictly before `before` (its previous day, if a whole year were closed)."""
        return self._search(before, calendar, -ONE_DAY)

    def years_without_data(self, dates: Iterable[date]) -> tuple[int, ...]:
        """The years among these dates that the table says nothing about, ascending: a warning, not a fault."""
        return tuple(sorted({on.year for on in dates} - self.years))

    def _search(self, start: date, calendar: CalendarKind, step: timedelta) -> date:
        try:
            on = start + step
            for _ in range(_SEARCH_DAYS):
                if self.is_allowed(on, calendar):
                    return on
                on += step
        except OverflowError as error:
            raise OutOfCalendar(f"no allowed day beside {start} lies in the years 1 to 9999") from error
        return start + step


NO_WORKDAYS = Workdays()
