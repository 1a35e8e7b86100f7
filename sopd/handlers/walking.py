"""Leading like runs over steps that fall due one after the other: pure, asked once per group (SPEC 5).

Used where steps are passed over in a row: at entry, after downtime, at `resume`. It reads and writes no rows; the push
rows it makes are values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

from machines import enrollment
from machines.calendar import Instant
from machines.effects import (
    EnrollmentEffect,
    FirePush,
    FlowTo,
    RetirePush,
    SetAttributes,
    SettlePush,
    SkipPush,
    WaitForPush,
    WriteTags,
)
from machines.enrollment import Facts, OpenPush
from machines.events import StepDue
from machines.sop import Program
from sopd.handlers import schedule
from sopd.handlers.schedule import Schedule
from sopd.store.queries.enrollments import NewPush

E = TypeVar("E")


@dataclass(frozen=True)
class Walk:
    """Where a run comes to by some steps falling due one after the other.

    passed: (step, reason) of those skipped on the way. fired: the step that goes to planning. waits: the due step must
    wait for the open push. settle: what the open push becomes, if it gives way. ends: effects of a normal end.
    """

    state: str
    reason: str = ""
    passed: tuple[tuple[str, str], ...] = ()
    fired: str | None = None
    waits: bool = False
    settle: SettlePush | None = None
    ends: tuple[EnrollmentEffect, ...] = ()


@lru_cache(maxsize=4096)
def walk(program: Program, state: str, events: tuple[StepDue, ...], facts: Facts) -> Walk:
    """Ask the machine event by event; stops where a step fires or waits. Depends on its arguments alone."""
    passed: list[tuple[str, str]] = []
    ends: list[EnrollmentEffect] = []
    settle, reason = None, ""
    for event in events:
        decision = enrollment.decide(state, event, program, facts)
        state, reason = decision.state, decision.reason
        settle = _first(decision.effects, SettlePush) or settle
        if (fired := _first(decision.effects, FirePush)) is not None:
            return Walk(state, reason, tuple(passed), fired.step_id, settle=settle)
        if _first(decision.effects, WaitForPush) is not None:
            return Walk(state, reason, tuple(passed), waits=True, settle=settle)
        passed += [(one.step_id, one.reason) for one in decision.effects if isinstance(one, SkipPush)]
        ends += [one for one in decision.effects if isinstance(one, WriteTags | SetAttributes | FlowTo)]
        facts = Facts(_left_open(decision.effects, facts.open_push), facts.others_open, facts.sop_paused)
    return Walk(state, reason, tuple(passed), settle=settle, ends=tuple(ends))


def _left_open(effects: Sequence[EnrollmentEffect], open_push: OpenPush) -> OpenPush:
    """What the open push is to the next step. A retired task ends by its own expiry, which has come too (D11)."""
    if _first(effects, SettlePush) is not None:
        return "none"
    return "doubtful" if _first(effects, RetirePush) is not None else open_push


def _first(effects: Sequence[EnrollmentEffect], kind: type[E]) -> E | None:
    return next((effect for effect in effects if isinstance(effect, kind)), None)


def new_push(
    program: Program,
    times: Schedule,
    step_id: str,
    now: Instant,
    *,
    skipped: str | None = None,
    due_at: Instant | None = None,
) -> NewPush:
    """The push row of a step: due, to be planned now, or passed over with a reason.

    `due_at` is given for a step that waited for its predecessor: it fell due when that settled. A step missed at entry
    counts as done, so it caps nobody's expiry (SPEC 5).
    """
    step = program.step(step_id)
    return NewPush(
        step_id=step_id,
        channel=step.channel,
        takes_quota=step.takes_quota,
        state="due" if skipped is None else "skipped",
        reason=skipped,
        due_at=times.due(step.index) if due_at is None else due_at,
        next_due_at=schedule.next_due(times, step.index),
        plan_at=now if skipped is None else None,
        settled_at=None if skipped is None else now,
    )
