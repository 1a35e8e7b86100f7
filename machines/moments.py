"""The own moment of a step: how a definition says when (SPEC 5), before off days, order and quota have their say.

Values only; `machines.sop` makes them from a definition and `timetable` turns them into instants. Times are local.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, time

from machines.calendar import DAY_MS
from machines.errors import DefinitionError

MAX_DAYS = 3_660
"""No step lies further from its anchor than ten years: beyond that a number is a typing error."""
_LAST_YEAR = 2_199


@dataclass(frozen=True)
class AtOnce:
    """The anchor itself, by day and by night: a welcome, whose code lives 20 s. First step only, outside all order."""


@dataclass(frozen=True)
class OnDay:
    """`day` calendar days after the anchor date (0 = the same day), at a local time."""

    day: int
    at: time

    def __post_init__(self) -> None:
        if not 0 <= self.day <= MAX_DAYS:
            raise DefinitionError(f"day {self.day} is not allowed; a day is a number from 0 to {MAX_DAYS}")


@dataclass(frozen=True)
class AfterElapsed:
    """`ms` of real time after the anchor (with `pace: stepwise` after the settlement of the previous push)."""

    ms: int

    def __post_init__(self) -> None:
        if not 0 <= self.ms <= MAX_DAYS * DAY_MS:
            raise DefinitionError(f"after {self.ms} ms is not allowed; it lasts from 0 to {MAX_DAYS} days")


@dataclass(frozen=True)
class NextWeekday:
    """The first such weekday (0 = Monday) strictly after the previous step's unshifted date, or the anchor date."""

    weekday: int
    at: time

    def __post_init__(self) -> None:
        if not 0 <= self.weekday <= 6:
            raise DefinitionError(f"weekday {self.weekday} is not allowed; it is 0 (Monday) to 6 (Sunday)")


@dataclass(frozen=True)
class OnDate:
    """A fixed date of a `timed` SOP, at a local time."""

    on: date
    at: time

    def __post_init__(self) -> None:
        if self.on.year > _LAST_YEAR:
            raise DefinitionError(f"{self.on} is too far away; the last date allowed is {_LAST_YEAR}-12-31")


Moment = AtOnce | OnDay | AfterElapsed | NextWeekday | OnDate


@dataclass(frozen=True)
class TimedStep:
    """What the timetable knows of a step: its id, its own moment, and whether it uses a customer's send quota."""

    id: str
    moment: Moment
    takes_quota: bool
