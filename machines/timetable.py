"""When the steps of one SOP fall due for one subject, and when they may be sent (SPEC 5, D11, D13).

A step has an own moment (day N at HH:MM, some time after the anchor, a weekday, a date). From the own moments follow
the due instants in three moves: off days are shifted, a step never overtakes its predecessor, and quota steps never
share a day. Quiet hours do not change a due instant (a step that falls due in them waits for `earliest_send`), but
"later than its predecessor" and "on one day" mean the instants at which the steps may really be sent (D11: the day
for which a push is planned), so a push that waited for the morning is not overtaken by the next step.

Memoised: the shell may call `due_instants` for every row and computes due instants in no other way. What becomes of a
step that cannot go out at its due instant is judged in `lateness`, the own moments are in `moments`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, time
from functools import lru_cache
from typing import Literal, NamedTuple, get_args

from machines.calendar import (
    MINUTE_MS,
    NO_QUIET_HOURS,
    Instant,
    QuietHours,
    day_after,
    instant_of,
    local_date,
    local_datetime,
    local_time,
    zone_of,
)
from machines.errors import DefinitionError
from machines.moments import AfterElapsed, AtOnce, NextWeekday, OnDate, OnDay, TimedStep
from machines.workdays import CALENDARS, NO_WORKDAYS, OFF_DAY_POLICIES, CalendarKind, OffDayPolicy, Workdays

Strategy = Literal["relative", "timed"]
STRATEGIES: tuple[Strategy, ...] = get_args(Strategy)


@dataclass(frozen=True)
class Timetable:
    """The timing of one SOP version in one company: hashable, and the key of all memoised answers.

    `quiet` is the union of the company's and the SOP's quiet hours. `shares_days` is True where the company's quota
    takes several sends a day (`week:7`, `month:days`): two quota steps that the author put on one day then stay there;
    only a shift never brings two together. DefinitionError for an unknown zone, calendar or policy, for mixed
    strategies, and for a moment at the wrong place.
    """

    zone: str
    steps: tuple[TimedStep, ...]
    calendar: CalendarKind = "every_day"
    off_day: OffDayPolicy = "next"
    workdays: Workdays = NO_WORKDAYS
    quiet: QuietHours = NO_QUIET_HOURS
    strategy: Strategy = "relative"
    shares_days: bool = False
    has_elapsed: bool = field(init=False, repr=False, compare=False)
    starts_at_once: bool = field(init=False, repr=False, compare=False)
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        zone_of(self.zone)
        _check_word("calendar", self.calendar, CALENDARS)
        _check_word("off-day policy", self.off_day, OFF_DAY_POLICIES)
        _check_word("strategy", self.strategy, STRATEGIES)
        for place, step in enumerate(self.steps):
            _check_moment(step, place, self.strategy)
        moments = [type(step.moment) for step in self.steps]
        facts = (self.zone, self.steps, self.calendar, self.off_day, self.workdays, self.quiet, self.strategy)
        object.__setattr__(self, "has_elapsed", AfterElapsed in moments)
        object.__setattr__(self, "starts_at_once", AtOnce in moments)
        object.__setattr__(self, "_hash", hash((*facts, self.shares_days)))

    def __hash__(self) -> int:
        # Kept, because a memoised look-up per row would otherwise hash every step again.
        return self._hash


def _check_word(what: str, word: str, allowed: Sequence[str]) -> None:
    if word not in allowed:
        raise DefinitionError(f"{what} {word!r} is not known; it is one of {', '.join(allowed)}")


def _check_moment(step: TimedStep, place: int, strategy: Strategy) -> None:
    if isinstance(step.moment, AtOnce) and place:
        raise DefinitionError(f"step {step.id!r}: only the first step can go out at once", (place,))
    fixed = isinstance(step.moment, OnDate)
    if fixed != (strategy == "timed") and not isinstance(step.moment, AtOnce):
        wanted = "fixed dates (on:)" if strategy == "timed" else "day, after or next, never a fixed date"
        raise DefinitionError(f"step {step.id!r}: the steps of a {strategy} SOP have {wanted}", (place,))


def due_instants(timetable: Timetable, anchor: Instant, entered_at: Instant | None = None) -> tuple[Instant, ...]:
    """The due instant of every step, in list order, for a subject with this anchor that entered at `entered_at`.

    Strictly increasing, but for `at once` (which stands outside all order) and for steps that precede entry and anchor
    although they follow an `after` step in the list: those keep their moment, since they were missed and not
    overtaken. Quiet hours are not applied (see `earliest_send`). `entered_at` defaults to the anchor; it only matters
    to the off-day policy `previous` (no shift to before entry) and to `after` steps. With `pace: stepwise` only the
    first one is meant; see `due_after` and `forecast_stepwise`. OutOfCalendar if a step would lie beyond the year 9999.
    """
    entered = anchor if entered_at is None else entered_at
    base = _base_date(timetable, anchor)
    elapsed_from, past = (anchor, min(anchor, entered)) if timetable.has_elapsed else (None, None)
    plan = _plan(timetable, base, elapsed_from, past, None)
    if plan.pulled_to is not None and entered > plan.pulled_to:
        plan = _plan(timetable, base, elapsed_from, past, entered)
    return (anchor, *plan.dues) if timetable.starts_at_once else plan.dues


def likeness(timetable: Timetable, anchor: Instant, entered_at: Instant) -> tuple[date | Instant, Instant | None]:
    """What the due instants of a subject depend on, and which of them lie before its entry: as little as will do.

    Subjects with equal answers have equal dues and have missed the same ones. For most that is the local date of the
    anchor; the entry counts only where a step lies before it.
    """
    if timetable.has_elapsed or timetable.starts_at_once:
        return anchor, entered_at
    base = _base_date(timetable, anchor)
    return base, None if entered_at <= _first_of(timetable, base) else entered_at


@lru_cache(maxsize=65_536)
def _first_of(timetable: Timetable, base: date) -> Instant:
    """Until when an entry changes none of the dues that count from this date, and misses none."""
    plan = _plan(timetable, base, None, None, None)
    return min(plan.dues) if plan.pulled_to is None else min(*plan.dues, plan.pulled_to)


@lru_cache(maxsize=65_536)
def due_after(
    timetable: Timetable, index: int, settled_at: Instant, quota_taken_on: date | None = None
) -> Instant:
    """The due instant of step `index` under `pace: stepwise`, counted from the previous push's settlement (D13).

    `day: N` is N days after the settlement's local date, and a moment not later than the settlement moves to the next
    day. `quota_taken_on` is the local date on which this enrollment's last quota push went out, if any: a quota step
    goes to a later one.
    """
    if isinstance(timetable.steps[index].moment, AtOnce):
        return settled_at
    base = local_date(settled_at, timetable.zone)
    own = _own(timetable, index, base, base, settled_at, settled_at)
    return _in_order(timetable, (own,), None, settled_at, quota_taken_on)[0]


def forecast_stepwise(timetable: Timetable, anchor: Instant) -> tuple[Instant, ...]:
    """What `pace: stepwise` comes to if every push settles the moment it may be sent: for previews only."""
    dues = list(due_instants(timetable, anchor)[:1])
    quota_on: date | None = None
    for index in range(1, len(timetable.steps)):
        settled_at = earliest_send(dues[-1], timetable)
        if timetable.steps[index - 1].takes_quota:
            quota_on = local_date(settled_at, timetable.zone)
        dues.append(due_after(timetable, index, settled_at, quota_on))
    return tuple(dues)


def earliest_send(at: Instant, timetable: Timetable, planned_on: date | None = None) -> Instant:
    """The first instant at or after `at` at which this SOP may send: outside quiet hours, and not on an off day.

    `planned_on` is the date for which the push is planned (default: the local date of `at`). That date has passed the
    off-day policy and is not judged again; any later one, reached through quiet hours or waiting, must be allowed,
    unless the policy is `keep`.
    """
    zone = timetable.zone
    sendable = timetable.quiet.end_after(at, zone)
    if timetable.calendar == "every_day" or timetable.off_day == "keep":
        return sendable
    planned = local_date(at, zone) if planned_on is None else planned_on
    on = local_date(sendable, zone)
    if on == planned or timetable.workdays.is_allowed(on, timetable.calendar):
        return sendable
    workday = timetable.workdays.next_allowed(on, timetable.calendar)
    return timetable.quiet.end_after(instant_of(workday, local_time(sendable, zone), zone), zone)


class Own(NamedTuple):
    """A step's moment before order and quota: its unshifted date, its own time of day, and the instant itself."""

    step: TimedStep
    on: date
    at: time
    due: Instant
    is_pulled: bool = False  # by the off-day policy `previous`, to an earlier day than its own


def in_order(timetable: Timetable, owns: Sequence[Own]) -> tuple[Instant, ...]:
    """The due instants of some steps, in list order and with these own moments (D11); see `due_instants`."""
    return _in_order(timetable, owns, None, None, None)


class _Plan(NamedTuple):
    dues: tuple[Instant, ...]
    # The earliest instant to which the policy `previous` pulled a step back, None if it pulled none.
    pulled_to: Instant | None


def _base_date(timetable: Timetable, anchor: Instant) -> date:
    # Fixed dates do not depend on the anchor: one plan serves everybody.
    return date.min if timetable.strategy == "timed" else local_date(anchor, timetable.zone)


@lru_cache(maxsize=65_536)
def _plan(
    timetable: Timetable, base: date, anchor: Instant | None, past: Instant | None, floor: Instant | None
) -> _Plan:
    """All dues but that of `at once`; `anchor` and `past` are None without `after` steps, `floor` without a need."""
    owns: list[Own] = []
    for index in range(timetable.starts_at_once, len(timetable.steps)):
        owns.append(_own(timetable, index, base, owns[-1].on if owns else base, anchor, floor))
    dues = _in_order(timetable, owns, past, None, None)
    return _Plan(dues, min((own.due for own in owns if own.is_pulled), default=None))


def _own(
    timetable: Timetable, index: int, base: date, previous_on: date, anchor: Instant | None, floor: Instant | None
) -> Own:
    step = timetable.steps[index]
    if not isinstance(step.moment, AfterElapsed):
        return _dated(timetable, index, base, previous_on, floor)
    assert anchor is not None  # has_elapsed put it into the key
    due = anchor + step.moment.ms
    local = local_datetime(due, timetable.zone)
    return _shifted(timetable, Own(step, local.date(), local.time(), due), floor)


# Kept apart from the plan: beside an `after` step, whose plan is each subject's own, the dated ones are still shared.
@lru_cache(maxsize=65_536)
def _dated(timetable: Timetable, index: int, base: date, previous_on: date, floor: Instant | None) -> Own:
    step = timetable.steps[index]
    moment = step.moment
    if isinstance(moment, OnDay):
        on = day_after(base, moment.day)
    elif isinstance(moment, NextWeekday):
        on = day_after(previous_on, (moment.weekday - previous_on.weekday() - 1) % 7 + 1)
    else:
        assert isinstance(moment, OnDate)
        on = moment.on
    return _shifted(timetable, Own(step, on, moment.at, instant_of(on, moment.at, timetable.zone)), floor)


def _shifted(timetable: Timetable, own: Own, floor: Instant | None) -> Own:
    """The own moment after the off-day policy.

    `floor` is the entry: what would be pulled from after it to before it goes forward instead.
    """
    workdays, kind, zone = timetable.workdays, timetable.calendar, timetable.zone
    if timetable.off_day == "keep" or workdays.is_allowed(own.on, kind):
        return own
    if timetable.off_day == "previous":
        due = instant_of(workdays.previous_allowed(own.on, kind), own.at, zone)
        if floor is None or due >= floor or own.due < floor:
            return own._replace(due=due, is_pulled=True)
    return own._replace(due=instant_of(workdays.next_allowed(own.on, kind), own.at, zone))


def _in_order(
    timetable: Timetable,
    owns: Sequence[Own],
    past: Instant | None,
    after_at: Instant | None,
    quota_on: date | None,
) -> tuple[Instant, ...]:
    """Move what is not later than its predecessor, then what shares a day with another quota step (D11).

    `past`: a step before it was missed, keeps its moment and holds up nobody. `after_at`, `quota_on`: when the last
    step before these may have been sent, and the last day used by a quota step.
    """
    dues: list[Instant] = []
    quota_own_on: date | None = None
    for own in owns:
        if past is not None and own.due < past:
            dues.append(own.due)
            continue
        due = own.due
        if after_at is not None and due <= after_at:
            due = _behind(timetable, own, after_at)
        planned, on = _planned(timetable, due)
        if own.step.takes_quota:
            together = timetable.shares_days and own.on == quota_own_on
            if quota_on is not None and on <= quota_on and not together:
                due = _on_next_allowed(timetable, own, quota_on)
                planned, on = _planned(timetable, due)
            quota_on, quota_own_on = on, own.on
        dues.append(due)
        after_at = planned
    return tuple(dues)


@lru_cache(maxsize=65_536)
def _planned(timetable: Timetable, due: Instant) -> tuple[Instant, date]:
    planned_at = earliest_send(due, timetable)
    return planned_at, local_date(planned_at, timetable.zone)


def _behind(timetable: Timetable, own: Own, after_at: Instant) -> Instant:
    if isinstance(own.step.moment, AfterElapsed):
        return after_at + MINUTE_MS
    return _on_next_allowed(timetable, own, local_date(after_at, timetable.zone))


def _on_next_allowed(timetable: Timetable, own: Own, after_on: date) -> Instant:
    on = timetable.workdays.next_allowed(after_on, timetable.calendar)
    return instant_of(on, own.at, timetable.zone)
