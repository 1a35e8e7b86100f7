"""When the steps of one run fall due: the pure arithmetic between a program and an enrollment's instants.

Called by entry, firing, resume and the preview, always through `of` and `of_run`, so that a run has one schedule
wherever it is looked at. It reads no rows; the timetable behind it is memoised by anchor date.

With `pace: stepwise` only one step at a time has a due: the first counts from the anchor (`of`), every other from the
settlement of its predecessor (`after`), and what is not known yet is None.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, time
from typing import NamedTuple, Protocol

from machines.calendar import Instant, instant_of, local_date
from machines.enrollment import ENDS, ENROLLED, SETTLING
from machines.errors import IllegalEvent
from machines.events import Timeliness
from machines.facts import Attribute
from machines.lateness import grace_end, late_steps
from machines.moments import AtOnce
from machines.rules.comparisons import day_of
from machines.rules.scalars import milliseconds
from machines.sop import Program, ProgramStep
from machines.timetable import due_after, due_instants, earliest_send, likeness

YEARS_OF_ANCHORS = range(1900, 2200)
"""A date outside these years is a typing error and no anchor; the calendar of instants ends before its steps."""


@dataclass(frozen=True)
class Schedule:
    """`dues` per step in list order; `missed`: indexes of those that were past at entry and are skipped (D3).

    A step missed by so little that it is sent all the same (`late_at_entry: {within: D}`) falls due at entry. None: a
    stepwise step whose predecessor has not settled.
    """

    dues: tuple[Instant | None, ...]
    missed: frozenset[int] = frozenset()

    def due(self, index: int) -> Instant:
        """The due of a step that has one: of every step that fires, is passed over, or comes next."""
        due_at = self.dues[index]
        if due_at is None:
            raise LookupError(f"step {index} has no due yet: its predecessor has not settled")
        return due_at


class Dated(Protocol):
    """What a run's row says about time."""

    @property
    def state(self) -> str: ...
    @property
    def anchor_at(self) -> Instant: ...
    @property
    def entered_at(self) -> Instant: ...
    @property
    def anchor_moves_ms(self) -> int: ...
    @property
    def due_at(self) -> Instant | None: ...
    @property
    def counts_from(self) -> Instant | None: ...
    @property
    def waits_reply(self) -> bool: ...


def anchor_of(
    program: Program,
    entered_at: Instant,
    *,
    began_at: Instant | None = None,
    event_at: Instant | None = None,
    attribute: Attribute | None = None,
) -> Instant | None:
    """The instant a new run counts from (SPEC 3 `anchor`); None: there is none, and nobody enters without.

    `began_at` is the owner's relation's, `event_at` that of the event that lets somebody in (by flow or by hand there
    is none: then the entry). `attribute` is the customer's of the name in `program.anchor_attribute`; its date counts
    from 00:00 local. A timed SOP counts from nothing, so the entry stands for it.
    """
    match program.anchor:
        case "added":
            return entered_at if began_at is None else began_at
        case "event":
            return entered_at if event_at is None else event_at
        case "attribute":
            day = day_of(attribute)
            if day is None or day.year not in YEARS_OF_ANCHORS:
                return None
            return instant_of(day, time(0), program.timetable.zone)
    return entered_at


def of(program: Program, anchor_at: Instant, entered_at: Instant) -> Schedule:
    """The schedule of a run at its entry; the same arguments give the same schedule for as long as the version lives.

    Of a stepwise run it holds the first step alone.
    """
    timetable = program.timetable
    dues = due_instants(timetable, anchor_at, entered_at)
    if program.pace == "stepwise":
        dues = dues[:1]
    if min(dues) >= entered_at:
        return _whole(program, dues)
    late = late_steps(dues, entered_at, program.late_at_entry, timetable)
    moved = tuple(late.moved.get(index, due) for index, due in enumerate(dues))
    return _whole(program, moved, frozenset(late.skipped))


def _whole(program: Program, dues: tuple[Instant, ...], missed: frozenset[int] = frozenset()) -> Schedule:
    return Schedule((*dues, *[None] * (len(program.steps) - len(dues))), missed)


def of_run(program: Program, run: Dated, quota_on: date | None = None) -> Schedule:
    """The schedule of a run as it stands: what `resume --missed shift` moved is moved here too (S12).

    A run that was shifted is one that had entered that much later. `quota_on` concerns stepwise runs whose due was laid
    aside (see `after`).
    """
    if program.pace != "stepwise" or run.state == ENROLLED:
        return of(program, run.anchor_at, run.entered_at + run.anchor_moves_ms)
    index, due_at = next_index(program, run.state), run.due_at
    if index is not None and due_at is None and run.counts_from is not None:
        due_at = after(program, index, run.counts_from, quota_on, waits=run.waits_reply)
    return only(program, index, due_at)


def alike_at_entry(program: Program, anchor_at: Instant, entered_at: Instant) -> tuple[object, ...]:
    """What `of` depends on: runs of one version with equal answers share their schedule."""
    return likeness(program.timetable, anchor_at, entered_at)


def alike_by(program: Program, run: Dated) -> tuple[object, ...]:
    """What the schedule of a run depends on: runs of one version, state and due with equal answers share theirs."""
    if program.pace != "stepwise" or run.state == ENROLLED:
        return likeness(program.timetable, run.anchor_at, run.entered_at + run.anchor_moves_ms)
    return run.counts_from, run.waits_reply


def only(program: Program, index: int | None, due_at: Instant | None) -> Schedule:
    """The schedule of which no more than one step's due is known."""
    dues: list[Instant | None] = [None] * len(program.steps)
    if index is not None:
        dues[index] = due_at
    return Schedule(tuple(dues))


class Next(NamedTuple):
    """What a run waits for: its next step's due, its next mass send's, and what the stepwise clock counts from."""

    due_at: Instant | None = None
    mass_at: Instant | None = None
    counts_from: Instant | None = None


def at_entry(program: Program, times: Schedule, state: str, now: Instant, *, is_open: bool = False) -> Next:
    """What a run that has just been led to `state` over the steps behind it waits for.

    `is_open`: a step fired at entry (a welcome) and has not settled, so a stepwise run waits for that.
    """
    index = next_index(program, state)
    if index is None:
        return Next()
    if program.pace != "stepwise" or times.dues[index] is not None:
        return Next(times.dues[index], mass_at(program, times, index))
    return Next() if is_open else counted(program, index, now, None, now)


def counted(
    program: Program, index: int, counts_from: Instant, quota_on: date | None, now: Instant, *, waits: bool = False
) -> Next:
    """What a stepwise run waits for, of whose last step's settlement we know since `now`.

    Waiting for that is never late: what would have been due by then goes out now, outside quiet hours and on a day the
    SOP allows. The other arguments are those of `after`.
    """
    due_at = after(program, index, counts_from, quota_on, waits=waits)
    if due_at < now:
        due_at = earliest_send(now, program.timetable, local_date(due_at, program.timetable.zone))
    return Next(due_at, mass_at(program, only(program, index, due_at), index), counts_from)


def after(
    program: Program, index: int, counts_from: Instant, quota_on: date | None, *, waits: bool = False
) -> Instant:
    """When step `index` of a stepwise run falls due, counted from its predecessor's settlement or answer (D13).

    `quota_on`: the local date on which the run's last mass send went out. `waits`: an answer is waited for, so it is
    the latest instant, counted from the end of `at_most`.
    """
    if waits:
        counts_from += longest_wait(program, index - 1)
    return due_after(program.timetable, index, counts_from, quota_on)


def longest_wait(program: Program, index: int) -> int:
    """For how long an answer to this step is waited for, in ms; 0: it is not (`wait: reply, at_most`)."""
    written = program.steps[index].written
    return 0 if written.wait is None or written.at_most is None else milliseconds(written.at_most)


def next_index(program: Program, state: str) -> int | None:
    """The place of the step that follows this state; None after the last one and in the ends.

    Raises IllegalEvent for a state that this version does not have.
    """
    if state == ENROLLED:
        return 0
    if state in (SETTLING, *ENDS):
        return None
    if not program.has_step(state):
        raise IllegalEvent(state, "due", program.key)
    index = program.step(state).index + 1
    return index if index < len(program.steps) else None


def is_known(program: Program, state: str) -> bool:
    """Whether a state is one of this version's. A broken run is nobody's rival; its own turn sets it aside."""
    return state == ENROLLED or state in (SETTLING, *ENDS) or program.has_step(state)


def next_mass_step(program: Program, schedule: Schedule, index: int | None) -> ProgramStep | None:
    """The next step from `index` on that takes quota and was not missed at entry, if its due is known."""
    if index is None:
        return None
    steps = program.steps[index:]
    found = next((step for step in steps if step.takes_quota and step.index not in schedule.missed), None)
    return None if found is None or schedule.dues[found.index] is None else found


def mass_at(program: Program, schedule: Schedule, index: int | None) -> Instant | None:
    """When that step falls due, for the look-ahead among rivals (D10)."""
    step = next_mass_step(program, schedule, index)
    return None if step is None else schedule.dues[step.index]


def next_due(schedule: Schedule, index: int) -> Instant | None:
    """When the next step falls due: it caps the expiry (D11). One missed at entry is done and caps nobody's."""
    later = (due for place, due in enumerate(schedule.dues) if place > index and place not in schedule.missed)
    return next(later, None)


def timeliness(program: Program, schedule: Schedule, index: int, due_at: Instant, now: Instant) -> Timeliness:
    """How a due step is to be taken. `due_at` is the row's: one that waited for a push was put to its settlement.

    A welcome is never late: whether its code still lives is judged where it is sent.
    """
    if index in schedule.missed:
        return "before_entry"
    if isinstance(program.steps[index].moment, AtOnce):
        return "on_time"
    timetable = program.timetable
    planned_at = earliest_send(due_at, timetable, local_date(schedule.due(index), timetable.zone))
    return "late" if now >= grace_end(planned_at, program.outage_grace, timetable.zone) else "on_time"

