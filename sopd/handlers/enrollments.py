"""How runs go on and end: the parts that other handlers call inside their transactions (SPEC 5, 8, D17, D20-D23).

`pushes_settled` lets go on what waited for a push, `end` closes runs. What they make necessary elsewhere they return as
`Consequences`. The commands around them are in `firing` and `endings`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

from machines import enrollment
from machines.cards import CHANNELS
from machines.effects import CancelPushes
from machines.enrollment import SETTLING, Decision, Facts
from machines.events import EnrollmentEvent, PushCancelled, PushesSettled
from machines.push import PushFacts
from machines.sop import Program
from sopd.handlers import dispatches, moves, pushes, stepwise
from sopd.handlers.app import App
from sopd.handlers.happened import NOTHING, Cause, Consequences
from sopd.handlers.moves import Move
from sopd.store import Transaction
from sopd.store.queries import enrollments as queries
from sopd.store.queries import pushes as push_queries
from sopd.store.queries import sops
from sopd.store.queries.enrollments import OpenPush, Run

BY_WORD = Cause(1)
"""What is written when somebody or something outside ends a run: a chain of its own begins."""


@lru_cache(maxsize=4096)
def decide(state: str, event: EnrollmentEvent, program: Program, facts: Facts) -> Decision:
    """`machines.enrollment.decide`, once per group of like rows."""
    return enrollment.decide(state, event, program, facts)


def pushes_settled(tx: Transaction, app: App, ids: Iterable[int]) -> Consequences:
    """After pushes of these enrollments settled: a step that waited falls due now, `settling` comes to its normal end.

    With `pace: stepwise` the settlement starts the next step's clock, in a paused SOP too.
    In a paused SOP the normal end waits for `resume` (D23). A task that needs an operator counts as settled (D20).
    """
    runs = [run for run in queries.lock(tx, ids) if run.state == SETTLING or run.due_at is None]
    runs = [run for run in runs if run.parked_at is None]
    if not runs:
        return NOTHING
    left = pushes.by_run(pushes.open_pushes(tx, [run.id for run in runs]))
    facts = {run.id: pushes.facts_of(left.get(run.id, ())) for run in runs}
    programs = app.programs.all(tx, [run.version_id for run in runs])
    free = [run for run in runs if run.state != SETTLING and facts[run.id].open_push == "none"]
    single = [run for run in free if programs[run.version_id].pace == "stepwise"]
    queries.release_waiting(tx, [run.id for run in free if programs[run.version_id].pace != "stepwise"])
    stepwise.settled(tx, app, [run for run in single if facts[run.id] == Facts()])
    tx.after_commit(lambda: app.ring("fire"))
    return _settle(tx, app, [run for run in runs if run.state == SETTLING], facts)


def _settle(tx: Transaction, app: App, runs: Sequence[Run], facts: dict[int, Facts]) -> Consequences:
    """Normal ends of runs in `settling`, decided once for all of a version."""
    idle = [run for run in runs if facts[run.id] == Facts()]
    if not idle:
        return NOTHING
    programs = app.programs.all(tx, [run.version_id for run in idle])
    states = sops.states(tx)
    held = [run.id for run in idle if states[run.sop_id] == "paused"]
    if held:
        queries.park(tx, held)
    ready = [run for run in idle if states[run.sop_id] != "paused"]
    # One run of a relation at a time: the tags that one writes may end the next early.
    first = {run.relation_id: run for run in reversed(ready)}.values()
    alike: defaultdict[int, list[Run]] = defaultdict(list)
    for run in first:
        alike[run.version_id].append(run)
    ended = [
        (runs, decide(SETTLING, PushesSettled(), programs[version_id], Facts())) for version_id, runs in alike.items()
    ]
    written = moves.write(
        tx, app, [Move(runs, "end", made.state, made.reason, effects=made.effects) for runs, made in ended]
    )
    return written + Consequences(settled=frozenset({run.id for run in ready} - {run.id for run in first}))


class Ending(NamedTuple):
    """Why one run ends, the cause of what its end writes, and the person behind it, if there is one."""

    event: EnrollmentEvent
    cause: Cause = BY_WORD
    by: str | None = None


def end(
    tx: Transaction, app: App, ids: Iterable[int], event: EnrollmentEvent, *, by: str | None = None
) -> Consequences:
    """Close these runs by the word of a person, of WeCom or of an operator; see `end_each`."""
    ending = Ending(event, BY_WORD, by)
    alike: defaultdict[tuple[int, str], list[Run]] = defaultdict(list)
    for run in queries.lock(tx, sorted(set(ids))):
        alike[run.version_id, run.state].append(run)
    return end_each(tx, app, [(runs, ending) for runs in alike.values()])


def end_each(tx: Transaction, app: App, groups: Sequence[tuple[Sequence[Run], Ending]]) -> Consequences:
    """Close runs of customers who are held: like ones, in one state of one version, by one end event.

    What nobody was asked to send is cancelled with the end's reason. Tasks that are out are stopped, but not after
    `Lost` and `Merged`: those pushes end by WeCom's result (D22).
    """
    if not groups:
        return NOTHING
    programs = app.programs.all(tx, [runs[0].version_id for runs, _ in groups])
    ended = [_ended(runs, ending, programs[runs[0].version_id]) for runs, ending in groups]
    cancel = {
        run_id: effect
        for move in ended
        for effect in move.effects
        if isinstance(effect, CancelPushes)
        for run_id in move.ids
    }
    _cancel(tx, app, pushes.open_pushes(tx, cancel), cancel)
    return moves.write(tx, app, ended)


def _ended(runs: Sequence[Run], ending: Ending, program: Program) -> Move:
    made = decide(runs[0].state, ending.event, program, Facts())
    return Move(runs, "end", made.state, made.reason, ended_by=ending.by, effects=made.effects, cause=ending.cause)


def _cancel(tx: Transaction, app: App, left: Sequence[OpenPush], cancel: dict[int, CancelPushes]) -> None:
    """Pushes of ended runs: ours are cancelled; of those with a task, the task is told to stop."""
    withdrawn = push_queries.withdraw_welcomes(tx, [one.id for one in left if one.channel == "welcome"])
    ours = [one for one in left if (one.id in withdrawn if one.channel == "welcome" else pushes.is_ours(one))]
    pushes.tell(
        tx,
        [
            pushes.Told(one, pushes.decide(one.state, PushCancelled(cancel[one.enrollment_id].reason), PushFacts()))
            for one in ours
        ],
    )
    left_out = {one.id for one in left} - {one.id for one in ours}
    # A card has no result of WeCom's by which its push could end (D22).
    out = [
        one
        for one in left
        if one.id in left_out and (cancel[one.enrollment_id].stop_tasks or one.channel in CHANNELS)
    ]
    dispatches.stop(tx, app, [one.id for one in out], "end")
