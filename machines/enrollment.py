"""The machine of one SOP version: one customer's run from entry through every step to one of the ends (SPEC 5, 8).

Rules of the table, built once per list of step ids and shared by all rows:

- The state is the last step that fired, so a row reads like the diagram and survives inserted steps. Only the next
  step may fire; an earlier one is a repeat, a later one would break the order and is illegal.
- At most one unsettled quota push: a due step settles its predecessor if no task was asked for (`overtaken`), and
  waits for it otherwise. One that waits for confirmation is retired at that moment, for its expiry never lies after
  the next step's due; one in doubt is waited for (D18, D20). Passing over a step sends nothing and waits for nothing.
- Every open state has every end. An end is final: whatever comes later is ignored.
- While its SOP is paused nothing fires and nothing ends normally; the other ends act (D23).

`decide` depends on its arguments alone: one decision serves a whole group of like rows. Instants are not its business,
`due` is symbolic. Called by the handlers of enrollments.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any, Literal

from machines import reasons
from machines.effects import (
    CancelPushes,
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
from machines.errors import MachinesError
from machines.events import EarlyEnd, EnrollmentEvent, ManualEnd, PushesSettled, StepDue, due_name
from machines.fsm import Pair, Run, Table, Transition, build, each
from machines.sop import EndActions, Program

ENROLLED, SETTLING, NORMAL_END = "enrolled", "settling", "normal_end"
ENDS = (NORMAL_END, "early_end", "manual_end", "lost", "stopped", "merged")
STEPS_DONE = "steps_done"

OpenPush = Literal["none", "unrequested", "unconfirmed", "doubtful"]
Basis = Literal["anchor", "settlement"]


@dataclass(frozen=True, slots=True)
class Facts:
    """What a decision may look at. Equal facts make one group.

    open_push: the enrollment's unsettled quota push. none; unrequested, no task was asked for; unconfirmed, the member
    has a task; doubtful, the task is uncertain, being cancelled, or confirmed with results still missing. A task that
    needs an operator is none (D20). others_open: an unsettled push without quota. sop_paused: see D23.
    """

    open_push: OpenPush = "none"
    others_open: bool = False
    sop_paused: bool = False


@dataclass(frozen=True, slots=True)
class Due:
    """Which step falls due next, counted from what: the anchor, the previous push's settlement (`pace: stepwise`,
    D13), or nothing, because the date is in the definition (`strategy: timed`)."""

    step_id: str
    basis: Basis | None = "anchor"


@dataclass(frozen=True, slots=True)
class Decision:
    """An enrollment after an event.

    due: the step after `state`, None when there is none; beside a `WaitForPush` it is the step that waits.
    effects: in the order in which to apply them. reason: for the journal, and why it ended. visited: the states
    entered on the way, in order, empty if it stayed. ignored: a late or repeated event, nothing changed.
    """

    state: str
    due: Due | None
    effects: tuple[EnrollmentEffect, ...] = ()
    reason: str = ""
    visited: tuple[str, ...] = ()
    ignored: bool = False


def begin(program: Program) -> Decision:
    """A new run: `enrolled`, with its first step due. Moments already past are events that follow at once."""
    return Decision(ENROLLED, due_after(ENROLLED, program), visited=(ENROLLED,))


def decide(state: str, event: EnrollmentEvent, program: Program, facts: Facts = Facts()) -> Decision:
    """What becomes of a run in this state by this event.

    Raises IllegalEvent for a step out of order and for a state or a step that this version does not have; nothing has
    changed then.
    """
    table = machine_for(tuple(step.id for step in program.steps))
    fired = table.fire(state, event.name, event=event, facts=facts, program=program)
    if fired.ignored:
        return Decision(state, due_after(state, program), ignored=True)
    effects, visited = list(fired.effects), [fired.state] if fired.state != state else []
    if fired.state == program.steps[-1].id and visited:
        _settle(table, program, _left_open(effects, facts), effects, visited)
    last = visited[-1] if visited else state
    return Decision(last, due_after(last, program), tuple(effects), _reason(event, effects, facts), tuple(visited))


def due_after(state: str, program: Program) -> Due | None:
    """The step that follows this state, or None in `settling` and in the ends."""
    step_ids = [step.id for step in program.steps]
    if state not in (ENROLLED, *step_ids[:-1]):
        return None
    index = 0 if state == ENROLLED else step_ids.index(state) + 1
    if program.timetable.strategy == "timed":
        return Due(step_ids[index], None)
    return Due(step_ids[index], "settlement" if program.pace == "stepwise" and index > 0 else "anchor")


def _settle(table: Table, program: Program, facts: Facts, effects: list[Any], visited: list[str]) -> None:
    """After the last step: on into `settling`, and to the normal end if nothing is open."""
    settling = table.fire(visited[-1], STEPS_DONE)
    visited.append(settling.state)
    done = table.fire(settling.state, PushesSettled.name, facts=facts, program=program)
    if done.state != settling.state:
        visited.append(done.state)
        effects.extend(done.effects)


def _left_open(effects: list[Any], facts: Facts) -> Facts:
    """The facts after this firing: the fired push is open, a settled predecessor is not."""
    fired = any(isinstance(effect, FirePush) for effect in effects)
    settled = any(isinstance(effect, SettlePush) for effect in effects)
    return Facts("none" if settled else facts.open_push, facts.others_open or fired, facts.sop_paused)


def _reason(event: EnrollmentEvent, effects: list[Any], facts: Facts) -> str:
    """One line for the journal."""
    if isinstance(event, StepDue):
        if any(isinstance(effect, WaitForPush) for effect in effects):
            return reasons.WAITS_FOR_PUSH
        if not effects:
            return reasons.SOP_PAUSED
        return reasons.FIRED if event.timeliness == "on_time" else _SKIPPED[event.timeliness]
    if isinstance(event, PushesSettled):
        return reasons.NORMAL_END if not (facts.sop_paused or _is_open(facts)) else ""
    cause = event.cause if isinstance(event, EarlyEnd) else event.why if isinstance(event, ManualEnd) else ""
    return f"{_WHY[event.name]}: {cause}" if cause else _WHY[event.name]


# -- guards and callbacks

_SKIPPED = {"before_entry": reasons.BEFORE_ENTRY, "late": reasons.LATE, "paused": reasons.PAUSED}
_WHY = {
    "early_end": reasons.EARLY_END,
    "manual_end": reasons.MANUAL_END,
    "lost": reasons.LOST,
    "stopped": reasons.STOPPED,
    "merged": reasons.MERGED,
}


def _facts(run: Run) -> Facts:
    facts: Facts = run.context["facts"]
    return facts


def _is_open(facts: Facts) -> bool:
    return facts.others_open or facts.open_push != "none"


def _held(run: Run) -> bool:
    """Paused, and this is not the resume that passes over what was missed."""
    return _facts(run).sop_paused and run.context["event"].timeliness != "paused"


def _fires(run: Run) -> bool:
    due: StepDue = run.context["event"]
    return due.timeliness == "on_time"


def _in_doubt(run: Run) -> bool:
    return _facts(run).open_push == "doubtful"


def _unconfirmed(run: Run) -> bool:
    return _facts(run).open_push == "unconfirmed"


def _all_settled(run: Run) -> bool:
    facts = _facts(run)
    return not (facts.sop_paused or _is_open(facts))


def _wait(run: Run) -> None:
    run.effects.append(WaitForPush(run.context["event"].step_id))


def _retire(run: Run) -> None:
    run.effects.append(RetirePush(reasons.NOT_CONFIRMED))


def _settle_open(run: Run) -> None:
    """The predecessor gives way: never asked for, it is settled here; unconfirmed, its task is retired.

    A step missed before the entry never fell due inside the run: nobody gives way to it.
    """
    if run.context["event"].timeliness == "before_entry":
        return
    if _facts(run).open_push == "unrequested":
        paused = run.context["event"].timeliness == "paused"
        run.effects.append(SettlePush("skipped", reasons.PAUSED if paused else reasons.OVERTAKEN))
    elif _unconfirmed(run):
        _retire(run)


def _fire(run: Run) -> None:
    run.effects.append(FirePush(run.context["event"].step_id))


def _skip(run: Run) -> None:
    due: StepDue = run.context["event"]
    run.effects.append(SkipPush(due.step_id, _SKIPPED[due.timeliness]))


def _cancel_and_stop(run: Run) -> None:
    """D17, D22: what was never asked for is cancelled, an open task is stopped."""
    run.effects.append(CancelPushes(_WHY[run.context["event"].name], stop_tasks=True))


def _cancel_only(run: Run) -> None:
    """D22: an open task ends by WeCom's result."""
    run.effects.append(CancelPushes(_WHY[run.context["event"].name], stop_tasks=False))


def _end_early(run: Run) -> None:
    _act(run, run.context["program"].early_end)


def _end_normally(run: Run) -> None:
    _act(run, run.context["program"].normal_end)


def _act(run: Run, actions: EndActions) -> None:
    _write(run, actions.add_tags, actions.remove_tags)
    if actions.set:
        run.effects.append(SetAttributes(actions.set))
    _flow(run, actions.flow_to)


def _end_by_hand(run: Run) -> None:
    event: ManualEnd = run.context["event"]
    _write(run, event.add_tags, event.remove_tags)
    _flow(run, event.flow_to)


def _write(run: Run, add: tuple[str, ...], remove: tuple[str, ...]) -> None:
    if add or remove:
        run.effects.append(WriteTags(add, remove))


def _flow(run: Run, sop: str | None) -> None:
    if sop is not None:
        run.effects.append(FlowTo(sop))


# -- the table


@lru_cache(maxsize=256)
def machine_for(program_step_ids: tuple[str, ...]) -> Table:
    """The shared table for these steps, in firing order.

    Raises MachinesError for no steps, or for a step id that is used twice or equals a state's name (D25).
    """
    if not program_step_ids:
        raise MachinesError("a SOP needs at least one step")
    path = (ENROLLED, *program_step_ids)
    return build(
        (*path, SETTLING, *ENDS), _rows(path), initial=ENROLLED, ignored=_ignored(path), name="enrollment"
    )


def _rows(path: tuple[str, ...]) -> tuple[Transition, ...]:
    still_open = (*path, SETTLING)
    return (
        *(row for source, step in pairwise(path) for row in _step_rows(source, step)),
        Transition(STEPS_DONE, path[-1], SETTLING),
        Transition("pushes_settled", SETTLING, NORMAL_END, (_end_normally,), (_all_settled,)),
        Transition("pushes_settled", SETTLING, SETTLING),
        *each(still_open, "early_end", "early_end", _cancel_and_stop, _end_early),
        *each(still_open, "manual_end", "manual_end", _cancel_and_stop, _end_by_hand),
        *each(still_open, "lost", "lost", _cancel_only),
        *each(still_open, "stopped", "stopped", _cancel_and_stop),
        *each(still_open, "merged", "merged", _cancel_only),
    )


def _step_rows(source: str, step: str) -> tuple[Transition, ...]:
    event = due_name(step)
    return (
        Transition(event, source, source, (), (_held,)),
        Transition(event, source, source, (_wait,), (_fires, _in_doubt)),
        Transition(event, source, source, (_retire, _wait), (_fires, _unconfirmed)),
        Transition(event, source, step, (_settle_open, _fire), (_fires,)),
        Transition(event, source, step, (_settle_open, _skip)),
    )


def _ignored(path: tuple[str, ...]) -> frozenset[Pair]:
    """Repeats of a step that has fired, news of settled pushes before the last step, and everything after an end."""
    dues = [due_name(step) for step in path[1:]]
    events = (*dues, "pushes_settled", STEPS_DONE, *(end for end in ENDS if end != NORMAL_END))
    passed = {(state, due) for index, state in enumerate(path) for due in dues[:index]}
    before_settling = {(state, "pushes_settled") for state in path}
    not_last = {(state, STEPS_DONE) for state in (*path[:-1], SETTLING)}
    in_settling = {(SETTLING, due) for due in dues}
    ended = {(end, event) for end in ENDS for event in events}
    return frozenset(passed | before_settling | not_last | in_settling | ended)
