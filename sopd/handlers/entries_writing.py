"""What an entry writes: run, steps that were past already, welcome, journal, counters, flips (SPEC 4, D3).

A part of `entries`, which has judged before; for a whole batch with a fixed number of statements.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from machines.calendar import Instant
from machines.enrollment import ENROLLED, NORMAL_END, SETTLING
from machines.enrollment import Facts as OpenFacts
from machines.entry import Gate
from machines.events import StepDue
from machines.facts import Dependencies, Facts
from machines.rules import Literal, flips_at
from machines.sop import Program
from sopd.handlers import pushes, schedule, welcomes
from sopd.handlers.app import App
from sopd.handlers.catalogue import RunningSop
from sopd.handlers.happened import Cause, News
from sopd.handlers.owners import Owner
from sopd.handlers.schedule import Next, Schedule
from sopd.handlers.walking import Walk, new_push, walk
from sopd.handlers.welcomes import Begun
from sopd.store import Transaction
from sopd.store.queries import enrollments as queries
from sopd.store.queries import flips, signals
from sopd.store.queries.enrollments import Line, NewPush, NewRun
from sopd.store.queries.entries import literals_text
from sopd.store.queries.flips import Armed

Place = tuple[int, int]
"""(SOP, subject)"""


class Entrant(NamedTuple):
    """Somebody who enters now. chain: the SOPs entered on the way, this one included. about: as the run sees it first,
    None where nothing of its early-end rule changes with time.

    signal_id: the signal that let it in; None: the last one of the customer counts as before the entry.
    """

    sop: RunningSop
    subject_id: int
    customer_id: int
    owner: Owner
    cause: str
    gate: Gate
    anchor_at: Instant
    entered_at: Instant
    run_no: int
    inherited: frozenset[Literal]
    hop: int
    chain: tuple[int, ...]
    signal_id: int | None
    about: Facts | None
    who: str
    why: str

    @property
    def place(self) -> Place:
        """Where it is to be."""
        return self.sop.sop_id, self.subject_id


class _Led(NamedTuple):
    """Like entrants with their schedule, where they come to by entering, and what they wait for.

    greeting: see `lead_in`. after_signal: the last signal before the entry. A run that has no step left is looked at
    once more by itself: its end shall not come before the welcomes.
    """

    entrants: Sequence[Entrant]
    times: Schedule
    taken: Walk
    ahead: Next
    greeting: str | None
    after_signal: int

    @property
    def first(self) -> Entrant:
        """Any of them: they are alike in all but who they are."""
        return self.entrants[0]

    @property
    def greets(self) -> bool:
        return self.greeting == ""


class _LetIn(NamedTuple):
    """Those of like entrants who are inside now, with their runs."""

    led: _Led
    runs: Sequence[tuple[int, Entrant]]

    @property
    def ids(self) -> list[int]:
        return [run_id for run_id, _ in self.runs]


def write(
    tx: Transaction, app: App, entering: Sequence[Entrant], begun: Mapping[int, Begun]
) -> dict[Place, int]:
    """Let them in; returns the run of each by (SOP, subject). Whom another transaction has just let in is left out.

    `begun`: the new relations behind them, by id, with their welcome codes.
    """
    if not entering:
        return {}
    groups = _alike(entering, _greeted(tx, entering, begun), _signals_before(tx, entering))
    every = [_lead(alike, greeting, after, tx.now) for (greeting, after, *_), alike in groups.items()]
    made = queries.enter(tx, [([one.owner.relation_id for one in led.entrants], _row(led)) for led in every])
    let_in = [some for led in every if (some := _LetIn(led, _inside(led, made))).runs]
    _write_pushes(tx, app, [one for one in let_in if one.led.taken.fired is not None or one.led.taken.passed], begun)
    queries.tell(tx, [(some.ids, _line(some.led)) for some in let_in])
    flips.arm(tx, [armed for some in let_in for run in some.runs if (armed := _armed(*run)) is not None])
    for some in let_in:
        tx.count(f"sop/{some.led.first.sop.sop_id}/entered/{some.led.first.cause}", len(some.runs))
    tx.after_commit(lambda: app.ring("fire"))
    return made


def _inside(led: _Led, made: Mapping[Place, int]) -> list[tuple[int, Entrant]]:
    sop_id = led.first.sop.sop_id
    found = [(made.get((sop_id, one.subject_id)), one) for one in led.entrants]
    return [(run_id, one) for run_id, one in found if run_id is not None]


def news(asked: Collection[str], entered: Sequence[Entrant], made: Mapping[Place, int]) -> tuple[News, ...]:
    """That they are inside now, of the SOPs some rule asks about; in the chain of the entry."""
    if not asked:
        return ()
    return tuple(
        News(
            one.customer_id, Dependencies(sops=frozenset((one.sop.key,))), f"entered {one.sop.key}",
            cause=Cause(one.hop, one.chain, made[one.place]),
        )
        for one in entered
        if one.sop.key in asked and one.place in made
    )  # fmt: skip


# -- where they come to ------------------------------------------------------------------------------------------------


def _greeted(
    tx: Transaction, entering: Sequence[Entrant], begun: Mapping[int, Begun]
) -> dict[tuple[int, int], str]:
    """By (SOP, relation), what becomes of the welcome of those whose first step it is."""
    wanting = [one for one in entering if one.sop.program.steps[0].channel == "welcome"]
    return welcomes.decide(tx, [(one.sop, _begun(one, begun)) for one in wanting]) if wanting else {}


def _begun(one: Entrant, begun: Mapping[int, Begun]) -> Begun:
    """The beginning of the owner's relation; one that is not new has no welcome code."""
    owner = one.owner
    return begun.get(owner.relation_id) or Begun(
        owner.relation_id, owner.member_id, owner.customer_id, owner.userid, owner.began_at, owner.channel,
        owner.add_way, one.cause,
    )  # fmt: skip


def _alike(
    entering: Sequence[Entrant], greeted: Mapping[tuple[int, int], str], before: Mapping[int, int]
) -> dict[tuple[Any, ...], list[Entrant]]:
    """Entrants by all that their runs have in common, what becomes of the welcome and the last signal first."""
    groups: defaultdict[tuple[Any, ...], list[Entrant]] = defaultdict(list)
    for one in entering:
        greeting = greeted.get((one.sop.sop_id, one.owner.relation_id)) if greeted else None
        after = before.get(one.customer_id, 0) if one.signal_id is None else one.signal_id
        times = schedule.alike_at_entry(one.sop.program, one.anchor_at, one.entered_at)
        groups[
            greeting, after, one.sop.version_id, one.cause, one.gate, one.run_no, one.inherited, one.hop, one.chain,
            one.who, one.why, times, *_counts_from(one),
        ].append(one)  # fmt: skip
    return groups


def _counts_from(one: Entrant) -> tuple[Instant | None, Instant | None]:
    """Anchor and entry; None is the beginning of the owner's relation, which many have each for themselves."""
    began_at = one.owner.began_at
    return (
        None if one.anchor_at == began_at else one.anchor_at, None if one.entered_at == began_at else one.entered_at
    )  # fmt: skip


def _lead(alike: Sequence[Entrant], greeting: str | None, after_signal: int, now: Instant) -> _Led:
    one = alike[0]
    times = schedule.of(one.sop.program, one.anchor_at, one.entered_at)
    return _Led(alike, times, *_come_to(one.sop.program, times, greeting, now), greeting, after_signal)


def _come_to(program: Program, times: Schedule, greeting: str | None, now: Instant) -> tuple[Walk, Next]:
    taken, greets = lead_in(program, times.missed, greeting), greeting == ""
    ahead = schedule.at_entry(program, times, taken.state, now, is_open=greets)
    waits = schedule.next_index(program, taken.state) is not None or greets
    return taken, ahead if waits else ahead._replace(due_at=now)


@lru_cache(maxsize=4096)
def lead_in(program: Program, missed: frozenset[int], greeting: str | None) -> Walk:
    """From entry over the steps that were past already, and over the welcome, to where the run begins to wait.

    `greeting`: None if the first step is no welcome, `""` if it is sent, else why it is skipped.
    """
    greets = greeting is not None
    start = walk(program, ENROLLED, (StepDue(program.steps[0].id),), OpenFacts()) if greets else Walk(ENROLLED)
    left = OpenFacts(others_open=greeting == "")
    events = []
    for step in program.steps[1 if greets else 0 :]:
        if step.index not in missed:
            break
        events.append(StepDue(step.id, "before_entry"))
    over = walk(program, start.state if start.state != SETTLING else SETTLING, tuple(events), left)
    # A run without any step left still goes through `settling`: its normal end is the next decision.
    state = SETTLING if over.state == NORMAL_END else over.state
    return Walk(state, over.reason, over.passed, start.fired)


# -- rows --------------------------------------------------------------------------------------------------------------


def _signals_before(tx: Transaction, entering: Sequence[Entrant]) -> dict[int, int]:
    """The last signal of the customers for whom it matters which ones were before the entry."""
    asked = {
        one.customer_id
        for one in entering
        if one.signal_id is None and (one.sop.program.dependencies.events or one.sop.program.dependencies.asked)
    }
    return signals.latest(tx, sorted(asked)) if asked else {}


def _row(led: _Led) -> NewRun:
    one, taken, ahead = led.first, led.taken, led.ahead
    return NewRun(
        one.sop.sop_id, one.sop.version_id, one.sop.kind == "new_customer", one.run_no, taken.state, *_counts_from(one),
        one.cause, ahead.due_at, ahead.mass_at, ahead.counts_from, one.hop, json.dumps(one.chain),
        literals_text(one.inherited) if one.inherited else None, led.after_signal,
    )  # fmt: skip


def _write_pushes(tx: Transaction, app: App, let_in: Sequence[_LetIn], begun: Mapping[int, Begun]) -> None:
    made = [(some, push) for some in let_in for push in _pushes(some.led, tx.now)]
    written = queries.insert_pushes_of_entry(tx, [(some.ids, push) for some, push in made])
    ids = {(run_id, step): push_id for push_id, run_id, step in written}
    greeted = [
        (ids[run_id, some.led.taken.fired], one.sop, _begun(one, begun))
        for some in let_in
        if some.led.taken.fired is not None and some.led.greets
        for run_id, one in some.runs
    ]
    welcomes.send(tx, app, greeted)
    for some, push in made:
        pushes.count(tx, some.led.first.sop.sop_id, push.step_id, push.state, push.reason, len(some.runs))


def _pushes(led: _Led, now: Instant) -> list[NewPush]:
    """The welcome, if it is the first step, and the steps left behind."""
    program, times, taken = led.first.sop.program, led.times, led.taken
    made = []
    if taken.fired is not None:
        welcome = new_push(program, times, taken.fired, now, skipped=led.greeting or None)
        made.append(welcome._replace(state="planned", plan_at=None) if led.greets else welcome)
    return made + [new_push(program, times, step, now, skipped=reason) for step, reason in taken.passed]


def _line(led: _Led) -> Line:
    """The journal tells the cause, the chain behind it, what is inherited, who and why, and the steps left behind."""
    one = led.first
    chain = one.chain if one.hop else ()
    detail = _detail(one.cause, one.gate, one.hop, chain, one.inherited, one.who, one.why, led.taken.passed)
    return Line("entered", None, led.taken.state, None, detail)


def _detail(
    cause: str, gate: Gate, hop: int, chain: tuple[int, ...], inherited: frozenset[Literal], who: str, why: str,
    passed: tuple[tuple[str, str], ...],
) -> str:  # fmt: skip
    detail: dict[str, object] = {"cause": cause}
    if gate != "own":
        detail["gate"] = gate
    if hop:
        detail |= {"hop": hop, "chain": list(chain)}
    if inherited:
        detail["inherited"] = sorted(inherited)
    detail |= {name: said for name, said in (("who", who), ("why", why)) if said}
    if passed:
        detail["passed"] = dict(passed)
    return json.dumps(detail, ensure_ascii=False)


def _armed(run_id: int, one: Entrant) -> Armed | None:
    """When time alone changes the early-end rule first."""
    rule = one.sop.program.early_end_rule
    if rule is None or one.about is None or not one.sop.program.end_needs.time:
        return None
    return Armed(flips.END, one.sop.sop_id, run_id, one.customer_id, flips_at(rule, one.about, one.about.now))
