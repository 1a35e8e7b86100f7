"""Instants, local dates and quiet hours, in any zone, right at daylight-saving gaps and folds too (SPEC 5).

An instant is an int: milliseconds since 1970-01-01T00:00Z. Arithmetic on days is done on local dates and converted
once; a zone is named as in the IANA database. Nothing here knows what the time is now. Callers: `timetable`, every
machine that speaks of local days, and the shell when it shows a time to a person.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from machines.errors import DefinitionError, OutOfCalendar
from machines.workdays import ONE_DAY

Instant = int
"""Milliseconds since 1970-01-01T00:00Z. Names end in `_at`, or are `now`."""

SECOND_MS = 1_000
MINUTE_MS = 60 * SECOND_MS
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = _EPOCH.toordinal()
_QUARTER_MS = 15 * MINUTE_MS
_MILLISECOND = timedelta(milliseconds=1)
_MIDNIGHT = time(0)
_BEYOND = (OverflowError, ValueError, OSError)  # what datetime raises outside the years 1 to 9999


@lru_cache(maxsize=256)
def zone_of(zone: str) -> ZoneInfo:
    """The zone of this name; DefinitionError if there is none. Definitions and settings call it to check a name."""
    try:
        return ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise DefinitionError(f"{zone!r} is not a time zone; write a name such as Asia/Shanghai") from error


def local_datetime(at: Instant, zone: str) -> datetime:
    """The aware wall-clock time of an instant, exact to the millisecond; OutOfCalendar outside years 1 to 9999."""
    known = zone_of(zone)
    try:
        local = datetime.fromtimestamp(at // SECOND_MS, known)
    except _BEYOND as error:
        raise OutOfCalendar(f"the instant {at} ms lies outside the years 1 to 9999") from error
    rest = at % SECOND_MS
    return local.replace(microsecond=rest * 1_000) if rest else local


def local_date(at: Instant, zone: str) -> date:
    """The local calendar date of an instant."""
    offset = _offset_of_quarter(at // _QUARTER_MS, zone)
    if offset is None:
        return local_datetime(at, zone).date()
    return date.fromordinal(_EPOCH_DAY + (at + offset) // DAY_MS)


def local_time(at: Instant, zone: str) -> time:
    """The local time of day of an instant, naive."""
    return local_datetime(at, zone).time()


@lru_cache(maxsize=65_536)
def instant_of(on: date, at: time, zone: str) -> Instant:
    """The instant at which the clocks of `zone` show this date and time of day.

    A time inside a gap is moved forward by the gap (02:30 becomes 03:30); of a repeated time the first is meant.
    """
    # fold=0 gives both: in a gap it is read with the offset before the change, which shows the later wall time.
    local = datetime.combine(on, at.replace(fold=0), tzinfo=zone_of(zone))
    try:
        return (local - _EPOCH) // _MILLISECOND
    except _BEYOND as error:
        raise OutOfCalendar(f"{on} {at} in {zone} lies outside the years 1 to 9999") from error


def day_after(on: date, days: int = 1) -> date:
    """The date this many calendar days later; OutOfCalendar beyond the year 9999."""
    try:
        return on + days * ONE_DAY
    except OverflowError as error:
        raise OutOfCalendar(f"{days} days after {on} lies outside the years 1 to 9999") from error


def end_of_day(on: date, zone: str) -> Instant:
    """The end of a local day: the first instant that no longer belongs to it (compare with `<`)."""
    return instant_of(day_after(on), _MIDNIGHT, zone)


def next_day_same_time(at: Instant, zone: str) -> Instant:
    """The next local day at the same wall-clock time: 24 real hours, or 23 or 25 over a clock change."""
    local = local_datetime(at, zone)
    return instant_of(day_after(local.date()), local.time(), zone)


def _offset_ms(at: Instant, zone: str) -> int:
    offset = local_datetime(at, zone).utcoffset()
    assert offset is not None  # the datetime is aware
    return offset // _MILLISECOND


@lru_cache(maxsize=65_536)
def _offset_of_quarter(quarter: int, zone: str) -> int | None:
    """The zone's offset through a quarter of an hour, None if its clocks change meanwhile or the calendar ends.

    Batches ask for the dates of thousands of instants: so most of them cost an addition.
    """
    begins_at = quarter * _QUARTER_MS
    try:
        offset = _offset_ms(begins_at, zone)
        return offset if offset == _offset_ms(begins_at + _QUARTER_MS - 1, zone) else None
    except OutOfCalendar:
        return None


def _day_ms(at: time) -> int:
    return at.hour * HOUR_MS + at.minute * MINUTE_MS + at.second * SECOND_MS + at.microsecond // 1_000


def _time_of(day_ms: int) -> time:
    return (_EPOCH + timedelta(milliseconds=day_ms % DAY_MS)).time()


@dataclass(frozen=True)
class QuietHours:
    """The hours of the day in which nobody is written to, as (from, to) wall-clock times; empty means none.

    The first time is quiet, the second no longer. A window whose end is not after its start crosses midnight.
    Windows are kept merged and sorted, so equal hours are equal objects. DefinitionError if a window starts
    where it ends, or if no minute of the day is left.
    """

    windows: tuple[tuple[time, time], ...] = ()
    # The same as half-open spans of milliseconds of the day; one over midnight is two spans here.
    _spans: tuple[tuple[int, int], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        spans = _merged(self.windows)
        if spans == ((0, DAY_MS),):
            raise DefinitionError("quiet hours cover the whole day; leave some time in which messages may be sent")
        object.__setattr__(self, "_spans", spans)
        object.__setattr__(self, "windows", _windows_of(spans))

    def union(self, other: QuietHours) -> QuietHours:
        """Both together (company and SOP); DefinitionError if they leave no minute of the day."""
        if not other.windows or self == other:
            return self
        return QuietHours(self.windows + other.windows) if self.windows else other

    def contains(self, at: Instant, zone: str) -> bool:
        """True if the clocks of `zone` show a quiet time at this instant."""
        return bool(self._spans) and self._left_ms(self._wall_ms(at, zone)) > 0

    def end_after(self, at: Instant, zone: str) -> Instant:
        """The first instant at or after `at` that is not quiet: `at` itself if that is not.

        Exact over clock changes: a gap may end a quiet time early, a repeated hour may prolong it.
        """
        if not self._spans:
            return at
        while left := self._left_ms(self._wall_ms(at, zone)):
            end, offset = at + left, _offset_ms(at, zone)
            if _offset_ms(end, zone) == offset:
                return end
            at = _change_between(at, end, zone)  # up to here the clocks ran evenly, so all of it was quiet
        return at

    def _wall_ms(self, at: Instant, zone: str) -> int:
        return (at + _offset_ms(at, zone)) % DAY_MS

    def _left_ms(self, wall_ms: int) -> int:
        """How long it stays quiet from this time of day on evenly running clocks; 0 if it is not quiet."""
        for start, end in self._spans:
            if start <= wall_ms < end:
                over_midnight = self._spans[0][1] if end == DAY_MS and self._spans[0][0] == 0 else 0
                return end - wall_ms + over_midnight
        return 0


def _merged(windows: tuple[tuple[time, time], ...]) -> tuple[tuple[int, int], ...]:
    """Disjoint ascending spans of the day with a gap between any two."""
    spans: list[tuple[int, int]] = []
    for start, end in windows:
        if start == end:
            raise DefinitionError(f"the quiet window {start:%H:%M}-{end:%H:%M} starts where it ends; give two times")
        first, last = _day_ms(start), _day_ms(end)
        spans += [(first, last)] if first < last else [(first, DAY_MS), (0, last)]
    merged: list[tuple[int, int]] = []
    for start_ms, end_ms in sorted(span for span in spans if span[0] < span[1]):
        if merged and start_ms <= merged[-1][1]:
            start_ms, end_ms = merged[-1][0], max(merged.pop()[1], end_ms)
        merged.append((start_ms, end_ms))
    return tuple(merged)


def _windows_of(spans: tuple[tuple[int, int], ...]) -> tuple[tuple[time, time], ...]:
    """The spans as people write them: the two beside midnight become one window."""
    if len(spans) > 1 and spans[0][0] == 0 and spans[-1][1] == DAY_MS:
        spans = (*spans[1:-1], (spans[-1][0], spans[0][1]))
    return tuple((_time_of(start), _time_of(end)) for start, end in spans)


def _change_between(quiet_at: Instant, end_at: Instant, zone: str) -> Instant:
    """The first instant after `quiet_at`, up to `end_at`, at which the clocks are set to the offset of `end_at`."""
    before = _offset_ms(quiet_at, zone)
    while end_at - quiet_at > 1:
        middle = (quiet_at + end_at) // 2
        if _offset_ms(middle, zone) == before:
            quiet_at = middle
        else:
            end_at = middle
    return end_at


NO_QUIET_HOURS = QuietHours()
