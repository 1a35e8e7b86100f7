"""Steps that fall due: the clock's word to the runs (SPEC 5, 7.1). Called by the planner loop.

A batch is locked, grouped by what a decision may look at, decided once per group and written with a fixed number of
statements. Steps that were missed together (downtime, late discovery) are walked through in one go up to the first one
that fires; a second one that is due as well is the next pass's, which then finds its predecessor unrequested.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from functools import partial
from typing import Literal, NamedTuple

from machines.calendar import Instant
from machines.effects import SettlePush
from machines.enrollment import ENDS, SETTLING, Facts
from machines.events import PushEvent, PushOvertaken, PushSkipped, StepDue, Timeliness
from machines.push import PushFacts
from machines.reasons import OVERTAKEN
from machines.sop import Program
from sopd.handlers import moves, pushes, schedule, stepwise
from sopd.handlers.app import App
from sopd.handlers.consequences import follow
from sopd.handlers.happened import NOTHING, Consequences
from sopd.handlers.moves import Move
from sopd.handlers.schedule import Schedule
from sopd.handlers.walking import Walk, new_push, walk
from sopd.store import Transaction
from sopd.store.batch import in_halves
from sopd.store.queries import aside, initialising, sops
from sopd.store.queries import enrollments as queries
from sopd.store.queries.enrollments import OpenPush, Run

Missed = Literal["skip", "catch_up"]
"""What `resume` does about moments that passed: all are passed over, or all but the latest."""


def fire_due(app: App, *, limit: int = 1000) -> int:
    """Fire what is due, at most `limit` runs; returns how many were looked at. A poison row is set aside."""
    with app.store.reading() as tx:
        ids = queries.due_ids(tx, app.store.portion(limit))
    done = in_halves(ids, partial(_fire, app), partial(_set_aside, app))
    return sum(done.results) + len(done.aside)


def _fire(app: App, ids: Sequence[int]) -> int:
    with app.store.transaction() as tx:
        due = queries.lock_due(tx, ids)
        states = sops.states(tx)
        live = [run for run in due if states[run.sop_id] == "running"]
        # Paused: until `resume`. Ended: until the stop has reached them, which ends them as they stand.
        held = [run.id for run in due if states[run.sop_id] in ("paused", "ended")]
        if held:
            queries.park(tx, held)
        early = [run.id for run in due if states[run.sop_id] == "initialising"]
        if early:
            initialising.hold(tx, early)
        if live:
            follow(tx, app, fire(tx, app, live, tx.now))
        return len(due)


def _set_aside(app: App, run_id: int, reason: str) -> None:
    with app.store.transaction() as tx:
        aside.take_out(tx, "enrollment", run_id, reason)


def fire(
    tx: Transaction, app: App, runs: Sequence[Run], until: Instant, *, missed: Missed | None = None
) -> Consequences:
    """Take the steps of locked runs that fell due by `until`. `missed`: they did so while their SOP was paused.

    A run behind its last step is due only to be looked at: it ends if nothing of it is open.
    """
    done = [run.id for run in runs if run.state == SETTLING]
    runs = [run for run in runs if run.state != SETTLING]
    if done:
        queries.clear_dues(tx, done)
    return Consequences(settled=frozenset(done)) + (_walk_on(tx, app, runs, until, missed) if runs else NOTHING)


def _walk_on(
    tx: Transaction, app: App, runs: Sequence[Run], until: Instant, missed: Missed | None
) -> Consequences:
    programs = app.programs.all(tx, list({run.version_id for run in runs}))
    days = stepwise.quota_days(tx, programs, runs)
    open_by_run = pushes.by_run(pushes.open_pushes(tx, [run.id for run in runs]))
    made: list[Move] = []
    told: list[pushes.Told] = []
    for alike in _alike(programs, runs, open_by_run, days):
        like = _like(programs, alike[0], open_by_run, days)
        taken = walk(like.program, like.state, _events(like, until, missed, tx.now), like.facts)
        made.append(_move(like, alike, taken, tx.now))
        if taken.settle is not None:
            told += [one for run in alike for one in _give_way(open_by_run.get(run.id, ()), taken.settle)]
    pushes.tell(tx, told)  # of these runs the next step has just been decided on: nothing waits for the settlement
    return moves.write(tx, app, made)


class Like(NamedTuple):
    """What a run's next steps depend on: one decision serves everybody who is alike in it."""

    program: Program
    state: str
    times: Schedule
    due_at: Instant | None
    facts: Facts
    quota_on: date | None


def _alike(
    programs: Mapping[int, Program],
    runs: Sequence[Run],
    open_by_run: Mapping[int, Sequence[OpenPush]],
    days: Mapping[int, date],
) -> Iterable[Sequence[Run]]:
    """The runs by all that their decision depends on; what is asked of every row is kept small."""
    groups: defaultdict[tuple[object, ...], list[Run]] = defaultdict(list)
    for run in runs:
        found = open_by_run.get(run.id)
        facts = None if found is None else pushes.facts_of(found)
        times = schedule.alike_by(programs[run.version_id], run)
        groups[run.version_id, run.state, run.due_at, times, facts, days.get(run.id)].append(run)
    return groups.values()


def _like(
    programs: Mapping[int, Program],
    run: Run,
    open_by_run: Mapping[int, Sequence[OpenPush]],
    days: Mapping[int, date],
) -> Like:
    program, quota_on = programs[run.version_id], days.get(run.id)
    times = schedule.of_run(program, run, quota_on)
    return Like(program, run.state, times, run.due_at, pushes.facts_of(open_by_run.get(run.id, ())), quota_on)


def _events(
    like: Like, until: Instant, missed: Missed | None, now: Instant
) -> tuple[StepDue, ...]:
    """The steps due by `until`, up to the first that is on time. The row's own due counts for the first of them."""
    program, times = like.program, like.times
    first = schedule.next_index(program, like.state)
    if first is None:
        return ()
    events: list[StepDue] = []
    for index in range(first, len(program.steps)):
        due_at = like.due_at if index == first and like.due_at is not None else times.dues[index]
        if due_at is None or due_at > until:
            break
        timeliness = _timeliness(program, times, index, due_at, missed, now)
        events.append(StepDue(program.steps[index].id, timeliness))
        if timeliness == "on_time":
            break
    return _but_the_latest(events) if missed == "catch_up" else tuple(events)


def _timeliness(
    program: Program, times: Schedule, index: int, due_at: Instant, missed: Missed | None, now: Instant
) -> Timeliness:
    if missed is None:
        return schedule.timeliness(program, times, index, due_at, now)
    return "before_entry" if index in times.missed else "paused"


def _but_the_latest(events: Sequence[StepDue]) -> tuple[StepDue, ...]:
    """`catch_up`: the latest of the missed steps fires, those before it are passed over (SPEC 12)."""
    latest = max((place for place, event in enumerate(events) if event.timeliness == "paused"), default=None)
    return tuple(events) if latest is None else (*events[:latest], StepDue(events[latest].step_id))


def _move(like: Like, runs: Sequence[Run], taken: Walk, now: Instant) -> Move:
    """What becomes of like runs. If the step that a stepwise one stands at was skipped, its clock counts from now.

    A stepwise run whose step fired waits for its settlement, and no due is known.
    """
    program, times = like.program, like.times
    index = schedule.next_index(program, taken.state)
    made = [new_push(program, times, step, now, skipped=reason) for step, reason in taken.passed]
    if taken.fired:
        waited = None if taken.passed else like.due_at
        made.append(new_push(program, times, taken.fired, now, due_at=waited))
    detail: dict[str, object] = {}
    if taken.passed:
        detail["passed"] = dict(taken.passed)
    if taken.waits and index is not None:
        detail["waits"] = program.steps[index].id
    kind = "end" if taken.state in ENDS else "wait" if taken.waits else "step"
    counts_from = None
    if index is not None and _skipped_singly(program, taken):
        counts_from = now
        times = schedule.only(program, index, schedule.after(program, index, now, like.quota_on))
    return Move(
        runs,
        kind,
        taken.state,
        taken.reason,
        due_at=None if index is None or taken.waits else times.dues[index],
        mass_at=schedule.mass_at(program, times, index),
        counts_from=counts_from,
        pushes=tuple(made),
        effects=taken.ends,
        detail=detail,
    )


def _skipped_singly(program: Program, taken: Walk) -> bool:
    return program.pace == "stepwise" and bool(taken.passed) and not taken.fired and not taken.waits


def _give_way(unsettled: Sequence[OpenPush], settle: SettlePush) -> list[pushes.Told]:
    event: PushEvent = PushOvertaken() if settle.reason == OVERTAKEN else PushSkipped(settle.reason)
    return [
        pushes.Told(one, pushes.decide(one.state, event, PushFacts()))
        for one in unsettled
        if one.takes_quota and pushes.is_ours(one)
    ]

