"""What an entry writes: run, steps that were past already, welcome, journal, counters, flips (SPEC 4, D3).

A part of `entries`, which has judged before; for a whole batch with a fixed number of statements.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
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
from sopd.handlers.catalogue import RunningSop, rank
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


class Person(NamedTuple):
    """Who enters. via: the relation that acts for it, as an owner or as one that has just begun. about: as the run sees
    it first, None where nothing of its early-end rule changes with time.
    """

    subject_id: int
    customer_id: int
    via: Owner | Begun
    anchor_at: Instant
    entered_at: Instant
    about: Facts | None


class Entrants(NamedTuple):
    """People who enter a SOP now by the same word. chain: the SOPs entered on the way, this one included.

    signal_id: the signal that let them in; None: the last one of each counts as before the entry.
    """

    sop: RunningSop
    cause: str
    gate: Gate
    run_no: int
    inherited: frozenset[Literal]
    hop: int
    chain: tuple[int, ...]
    signal_id: int | None
    who: str
    why: str
    people: list[Person]


class _Led(NamedTuple):
    """Like entrants with their schedule, where they come to by entering, and what they wait for.

    greeting: see `lead_in`. after_signal: the last signal before the entry. A run that has no step left is looked at
    once more by itself: its end shall not come before the welcomes.
    """

    entrants: Entrants
    times: Schedule
    taken: Walk
    ahead: Next
    greeting: str | None
    after_signal: int

    @property
    def sop(self) -> RunningSop:
        return self.entrants.sop

    @property
    def greets(self) -> bool:
        return self.greeting == ""


class _LetIn(NamedTuple):
    """Those of like entrants who are inside now, with their runs."""

    led: _Led
    runs: Sequence[tuple[int, Person]]

    @property
    def ids(self) -> list[int]:
        return [run_id for run_id, _ in self.runs]


def write(
    tx: Transaction, app: App, entering: Sequence[Entrants], begun: Mapping[int, Begun]
) -> dict[Place, int]:
    """Let them in; returns the run of each by (SOP, subject). Whom another transaction has just let in is left out.

    `begun`: the new relations behind them, by id, with their welcome codes.
    """
    if not entering:
        return {}
    groups = _alike(entering, _greeted(tx, entering, begun), _signals_before(tx, entering))
    every = [_lead(entrants, greeting, after, tx.now) for entrants, greeting, after in groups]
    made = queries.enter(tx, [([one.via.relation_id for one in led.entrants.people], _row(led)) for led in every])
    let_in = [some for led in every if (some := _LetIn(led, _inside(led, made))).runs]
    _write_pushes(tx, app, [one for one in let_in if one.led.taken.fired is not None or one.led.taken.passed], begun)
    queries.tell(tx, [(some.ids, _line(some.led)) for some in let_in])
    flips.arm(tx, [armed for some in let_in for armed in _armed(some)])
    for some in let_in:
        tx.count(f"sop/{some.led.sop.sop_id}/entered/{some.led.entrants.cause}", len(some.runs))
    tx.after_commit(lambda: app.ring("fire"))
    return made


def _inside(led: _Led, made: Mapping[Place, int]) -> list[tuple[int, Person]]:
    sop_id = led.sop.sop_id
    found = [(made.get((sop_id, one.subject_id)), one) for one in led.entrants.people]
    return [(run_id, one) for run_id, one in found if run_id is not None]


def news(asked: Collection[str], entered: Sequence[Entrants], made: Mapping[Place, int]) -> tuple[News, ...]:
    """That they are inside now, of the SOPs some rule asks about; in the chain of the entry."""
    return tuple(
        News(
            one.customer_id, Dependencies(sops=frozenset((some.sop.key,))), f"entered {some.sop.key}",
            cause=Cause(some.hop, some.chain, made[some.sop.sop_id, one.subject_id]),
        )
        for some in entered
        if some.sop.key in asked
        for one in some.people
        if (some.sop.sop_id, one.subject_id) in made
    )  # fmt: skip


# -- where they come to ------------------------------------------------------------------------------------------------


def _greeted(
    tx: Transaction, entering: Sequence[Entrants], begun: Mapping[int, Begun]
) -> dict[tuple[int, int], str]:
    """By (SOP, relation), what becomes of the welcome of those whose first step it is; the SOPs come in their order."""
    wanting = [
        (one.sop, _begun(one.cause, person, begun))
        for one in entering
        if one.sop.program.steps[0].channel == "welcome"
        for person in one.people
    ]
    wanting.sort(key=lambda one: (rank(one[0]), one[1].began_at, one[1].relation_id))
    return welcomes.decide(tx, wanting) if wanting else {}


def _begun(cause: str, one: Person, begun: Mapping[int, Begun]) -> Begun:
    """The beginning of the relation that acts; one that is not new has no welcome code."""
    via = one.via
    return begun.get(via.relation_id) or Begun(
        via.relation_id, via.member_id, via.customer_id, via.userid, via.began_at, via.channel, via.add_way, cause
    )


def _alike(
    entering: Iterable[Entrants], greeted: Mapping[tuple[int, int], str], before: Mapping[int, int]
) -> Iterator[tuple[Entrants, str | None, int]]:
    """Entrants whose runs have everything in common, with what becomes of their welcome and the last signal."""
    for one in entering:
        program, sop_id, signal_id = one.sop.program, one.sop.sop_id, one.signal_id
        groups: defaultdict[tuple[Any, ...], list[Person]] = defaultdict(list)
        for person in one.people:
            greeting = greeted.get((sop_id, person.via.relation_id)) if greeted else None
            after = before.get(person.customer_id, 0) if signal_id is None else signal_id
            times = schedule.alike_at_entry(program, person.anchor_at, person.entered_at)
            groups[greeting, after, times, *_counts_from(person)].append(person)
        for (greeting, after, *_), people in groups.items():
            yield one._replace(people=people), greeting, after


def _counts_from(one: Person) -> tuple[Instant | None, Instant | None]:
    """Anchor and entry; None is the beginning of the relation, which many have each for themselves."""
    began_at = one.via.began_at
    return (
        None if one.anchor_at == began_at else one.anchor_at, None if one.entered_at == began_at else one.entered_at
    )  # fmt: skip


def _lead(alike: Entrants, greeting: str | None, after_signal: int, now: Instant) -> _Led:
    program, one = alike.sop.program, alike.people[0]
    times = schedule.of(program, one.anchor_at, one.entered_at)
    return _Led(alike, times, *_come_to(program, times, greeting, now), greeting, after_signal)


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
    over = walk(program, start.state, tuple(events), left)
    # A run without any step left still goes through `settling`: its normal end is the next decision.
    state = SETTLING if over.state == NORMAL_END else over.state
    return Walk(state, over.reason, over.passed, start.fired)


# -- rows --------------------------------------------------------------------------------------------------------------


def _signals_before(tx: Transaction, entering: Sequence[Entrants]) -> dict[int, int]:
    """The last signal of the customers for whom it matters which ones were before the entry."""
    asked = {
        person.customer_id
        for one in entering
        if one.signal_id is None and (one.sop.program.dependencies.events or one.sop.program.dependencies.asked)
        for person in one.people
    }
    return signals.latest(tx, sorted(asked)) if asked else {}


def _row(led: _Led) -> NewRun:
    one, taken, ahead = led.entrants, led.taken, led.ahead
    return NewRun(
        one.sop.sop_id, one.sop.version_id, one.sop.kind == "new_customer", one.run_no, taken.state,
        *_counts_from(one.people[0]), one.cause, ahead.due_at, ahead.mass_at, ahead.counts_from, one.hop,
        json.dumps(one.chain), literals_text(one.inherited) if one.inherited else None, led.after_signal,
    )  # fmt: skip


def _write_pushes(tx: Transaction, app: App, let_in: Sequence[_LetIn], begun: Mapping[int, Begun]) -> None:
    made = [(some, push) for some in let_in for push in _pushes(some.led, tx.now)]
    written = queries.insert_pushes_of_entry(tx, [(some.ids, push) for some, push in made])
    ids = {(run_id, step): push_id for push_id, run_id, step in written}
    greeted = [
        (ids[run_id, some.led.taken.fired], some.led.sop, _begun(some.led.entrants.cause, one, begun))
        for some in let_in
        if some.led.taken.fired is not None and some.led.greets
        for run_id, one in some.runs
    ]
    welcomes.send(tx, app, greeted)
    for some, push in made:
        pushes.count(tx, some.led.sop.sop_id, push.step_id, push.state, push.reason, len(some.runs))


def _pushes(led: _Led, now: Instant) -> list[NewPush]:
    """The welcome, if it is the first step, and the steps left behind."""
    program, times, taken = led.sop.program, led.times, led.taken
    made = []
    if taken.fired is not None:
        welcome = new_push(program, times, taken.fired, now, skipped=led.greeting or None)
        made.append(welcome._replace(state="planned", plan_at=None) if led.greets else welcome)
    return made + [new_push(program, times, step, now, skipped=reason) for step, reason in taken.passed]


def _line(led: _Led) -> Line:
    """The journal tells the cause, the chain behind it, what is inherited, who and why, and the steps left behind."""
    one = led.entrants
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


def _armed(some: _LetIn) -> list[Armed]:
    """When time alone changes the early-end rule of each first."""
    sop, rule = some.led.sop, some.led.sop.program.early_end_rule
    if rule is None or not sop.program.end_needs.time:
        return []
    return [
        Armed(flips.END, sop.sop_id, run_id, one.customer_id, flips_at(rule, one.about, one.about.now))
        for run_id, one in some.runs
        if one.about is not None
    ]
