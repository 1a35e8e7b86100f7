"""What an entry writes: run, steps that were past already, welcome, journal, counters, flips (SPEC 4, D3).

A part of `entries`, which has judged before; for a whole batch with a fixed number of statements.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Hashable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

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
from sopd.store.queries.enrollments import NewRun, Note
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
    """An entrant with its schedule, where it comes to by entering, and what it waits for. greeting: see `lead_in`.

    A run that has no step left is looked at once more by itself: its end shall not come before the welcomes.
    """

    entrant: Entrant
    times: Schedule
    taken: Walk
    ahead: Next
    greeting: str | None

    @property
    def greets(self) -> bool:
        return self.greeting == ""


def write(
    tx: Transaction, app: App, entering: Sequence[Entrant], begun: Mapping[int, Begun]
) -> dict[Place, int]:
    """Let them in; returns the run of each by (SOP, subject). Whom another transaction has just let in is left out.

    `begun`: the new relations behind them, by id, with their welcome codes.
    """
    if not entering:
        return {}
    greeted = _greeted(tx, entering, begun)
    like: dict[Hashable, tuple[Walk, Next]] = {}
    led = {
        (one.sop.sop_id, one.subject_id): _lead(one, greeted.get((one.sop.sop_id, one.owner.relation_id)), tx.now, like)
        for one in entering
    }
    before = _signals_before(tx, entering)
    made = queries.enter(tx, [_row(one, before) for one in led.values()])
    let_in = [(run_id, led[place]) for place, run_id in made.items()]
    _write_pushes(tx, app, [one for one in let_in if one[1].taken.fired is not None or one[1].taken.passed], begun)
    queries.journal(tx, [_note(run_id, one) for run_id, one in let_in])
    flips.arm(tx, [armed for run_id, one in let_in if (armed := _armed(run_id, one.entrant)) is not None])
    for (sop_id, cause), n in Counter([(one.entrant.sop.sop_id, one.entrant.cause) for _, one in let_in]).items():
        tx.count(f"sop/{sop_id}/entered/{cause}", n)
    tx.after_commit(lambda: app.ring("fire"))
    return made


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


def _lead(
    one: Entrant, greeting: str | None, now: Instant, like: dict[Hashable, tuple[Walk, Next]]
) -> _Led:
    """`like` remembers where others came to: it depends on the schedule alone, which most of a page have in common."""
    sop = one.sop
    times = schedule.of(sop.program, one.anchor_at, one.entered_at)
    key = (sop.version_id, times, greeting)
    led = like.get(key)
    if led is None:
        led = like[key] = _come_to(sop.program, times, greeting, now)
    return _Led(one, times, *led, greeting)


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


def _row(led: _Led, before: Mapping[int, int]) -> NewRun:
    one, _, taken, ahead, _ = led
    sop, owner = one.sop, one.owner
    return NewRun(
        sop.sop_id, sop.version_id, one.subject_id, one.run_no, one.customer_id, owner.relation_id, owner.member_id,
        taken.state, one.anchor_at, one.entered_at, one.cause, ahead.due_at, ahead.mass_at, ahead.counts_from, one.hop,
        _chain_text(one.chain), literals_text(one.inherited) if one.inherited else None,
        before.get(one.customer_id, 0) if one.signal_id is None else one.signal_id,
    )  # fmt: skip


@lru_cache(maxsize=1024)
def _chain_text(chain: tuple[int, ...]) -> str:
    return json.dumps(chain)


def _write_pushes(
    tx: Transaction, app: App, let_in: Sequence[tuple[int, _Led]], begun: Mapping[int, Begun]
) -> None:
    made = []
    for run_id, led in let_in:
        program, times, taken = led.entrant.sop.program, led.times, led.taken
        if taken.fired is not None:
            welcome = new_push(program, times, taken.fired, tx.now, skipped=led.greeting or None)
            made.append((run_id, led, welcome._replace(state="planned", plan_at=None) if led.greets else welcome))
        for step, reason in taken.passed:
            made.append((run_id, led, new_push(program, times, step, tx.now, skipped=reason)))
    written = queries.insert_pushes_of_entry(tx, [((run_id,), push) for run_id, _, push in made])
    ids = {(run_id, step): push_id for push_id, run_id, step in written}
    greeted = [
        (ids[run_id, led.taken.fired], led.entrant.sop, _begun(led.entrant, begun))
        for run_id, led in let_in
        if led.taken.fired is not None and led.greets
    ]
    welcomes.send(tx, app, greeted)
    for _, led, push in made:
        pushes.count(tx, led.entrant.sop.sop_id, push.step_id, push.state, push.reason)


def _note(run_id: int, led: _Led) -> Note:
    """The journal tells the cause, the chain behind it, what is inherited, who and why, and the steps left behind."""
    one = led.entrant
    chain = one.chain if one.hop else ()
    detail = _detail(one.cause, one.gate, one.hop, chain, one.inherited, one.who, one.why, led.taken.passed)
    return Note(run_id, "entered", None, led.taken.state, None, detail)


@lru_cache(maxsize=1024)
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
