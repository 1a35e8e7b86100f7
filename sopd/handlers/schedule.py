"""When the steps of one run fall due: the pure arithmetic between a program and an enrollment's two instants.

Called by admission, firing, resume and the preview, always through `of`, so that a run has one schedule wherever it is
looked at. It reads no rows; the timetable behind it is memoised by anchor date.
"""

from __future__ import annotations

from dataclasses import dataclass

from machines.calendar import Instant, local_date
from machines.enrollment import ENDS, ENROLLED, SETTLING
from machines.errors import IllegalEvent
from machines.events import Timeliness
from machines.lateness import grace_end, late_steps
from machines.moments import AtOnce
from machines.sop import Program, ProgramStep
from machines.timetable import due_instants, earliest_send


@dataclass(frozen=True)
class Schedule:
    """`dues` per step in list order; `missed`: indexes of those that were past at entry and are skipped (D3).

    A step missed by so little that it is sent all the same (`late_at_entry: {within: D}`) falls due at entry.
    """

    dues: tuple[Instant, ...]
    missed: frozenset[int] = frozenset()


def of(program: Program, anchor_at: Instant, entered_at: Instant) -> Schedule:
    """The schedule of a run; the same arguments give the same schedule for as long as the version lives."""
    timetable = program.timetable
    dues = due_instants(timetable, anchor_at, entered_at)
    if min(dues) >= entered_at:
        return Schedule(dues)
    late = late_steps(dues, entered_at, program.late_at_entry, timetable)
    return Schedule(tuple(late.moved.get(index, due) for index, due in enumerate(dues)), frozenset(late.skipped))


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
    """The next step from `index` on that takes quota and was not missed at entry."""
    if index is None:
        return None
    steps = program.steps[index:]
    return next((step for step in steps if step.takes_quota and step.index not in schedule.missed), None)


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
    planned_at = earliest_send(due_at, timetable, local_date(schedule.dues[index], timetable.zone))
    return "late" if now >= grace_end(planned_at, program.outage_grace, timetable.zone) else "on_time"

