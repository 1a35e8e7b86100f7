"""Who enters when customers add members (SPEC 4, D2, D3): every new-customer SOP judges every new relation once.

A part, called by the handler that observes WeCom, for a whole page of new relations: relations alike in what the rules
look at are judged once. Entering writes the run, the steps that were past at entry as skipped, the welcome, and the
journal. Of those not let in only the ones the SOP is meant for leave a row.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache, reduce
from operator import or_

from machines import entry
from machines.calendar import Instant
from machines.enrollment import ENROLLED, NORMAL_END, SETTLING
from machines.enrollment import Facts as OpenFacts
from machines.entry import Admission, EntryFacts
from machines.events import StepDue
from machines.facts import Dependencies, Facts
from machines.rules import depends_on
from machines.sop import Program
from sopd.handlers import facts as known_facts
from sopd.handlers import pushes, schedule, welcomes
from sopd.handlers.app import App, RunningSop
from sopd.handlers.walking import Walk, new_push, walk
from sopd.handlers.welcomes import Begun, Entrant
from sopd.store import Transaction
from sopd.store.queries import enrollments as queries
from sopd.store.queries import sops as sop_queries
from sopd.store.queries.enrollments import EarlierRuns, Note, Person

INHERITED_ADD_WAY = 202
NEVER_INSIDE = EarlierRuns(0, False, None)

Judged = tuple[RunningSop, Begun, Admission]


def admit(tx: Transaction, app: App, begun: Sequence[Begun]) -> None:
    """Judge new relations for every SOP that takes new customers, and let in whom they take."""
    if not begun:
        return
    sop_queries.states(tx)  # so that nobody enters a SOP while it is being stopped
    sops = [sop for sop in app.programs.running(tx) if sop.kind == "new_customer"]
    if not sops:
        return
    begun = sorted(begun, key=lambda one: (one.began_at, one.relation_id))
    relations = [one.relation_id for one in begun]
    about = known_facts.load(tx, relations, tx.now)
    people = queries.people(tx, relations)
    earlier = queries.earlier_runs(tx, [sop.sop_id for sop in sops], relations)
    judged: list[Judged] = []
    for sop in sops:
        for one in begun:
            past = earlier.get((sop.sop_id, one.relation_id), NEVER_INSIDE)
            facts = _facts(sop, one, about[one.relation_id], people[one.relation_id], past, tx.now)
            judged.append((sop, one, _judge(sop.program, facts)))
    _refuse(tx, [one for one in judged if one[2].recorded])
    _enter(tx, app, [one for one in judged if one[2].enter], earlier)


def _facts(
    sop: RunningSop, one: Begun, about: Facts, person: Person, past: EarlierRuns, now: int
) -> EntryFacts:
    program = sop.program
    return EntryFacts(
        about=about.restricted_to(needs_at_entry(program)),
        sop_state=sop.state,
        is_new=entry.is_new(one.began_at, sop.started_at),
        is_inherited=one.add_way == INHERITED_ADD_WAY,
        in_scope=program.in_scope(one.userid),
        muted=person.muted,
        member_able=person.able,
        inside=past.inside,
        ran_before=past.runs > 0,
        wait_over=past.ended_at is None or entry.wait_is_over(program, past.ended_at, now),
    )


@lru_cache(maxsize=8192)
def _judge(program: Program, facts: EntryFacts) -> Admission:
    return entry.admit(program, facts)


@lru_cache(maxsize=1024)
def needs_at_entry(program: Program) -> Dependencies:
    """What has to be known of somebody to judge an entry."""
    rules = [rule for rule in (program.entry_rule, program.early_end_rule) if rule is not None]
    return reduce(or_, map(depends_on, rules), Dependencies())


def _refuse(tx: Transaction, refused: Sequence[Judged]) -> None:
    queries.refuse(
        tx,
        [
            {
                "sop_id": sop.sop_id, "subject_id": one.relation_id, "reason": admission.reason,
                "customer_id": one.customer_id, "relation_id": one.relation_id,
                "detail": json.dumps({"cause": one.cause}), "first_at": tx.now, "last_at": tx.now,
            }
            for sop, one, admission in refused
        ],
    )  # fmt: skip
    for sop, _, admission in refused:
        tx.count(f"sop/{sop.sop_id}/refused/{admission.reason}")


def _enter(
    tx: Transaction, app: App, entering: Sequence[Judged], earlier: dict[tuple[int, int], EarlierRuns]
) -> None:
    if not entering:
        return
    greeted = welcomes.decide(tx, [(sop, one) for sop, one, _ in entering])
    entrants: dict[tuple[int, int], Entrant] = {}
    rows = []
    for sop, one, _ in entering:
        key = (sop.sop_id, one.relation_id)
        times = schedule.of(sop.program, one.began_at, one.began_at)
        taken = lead_in(sop.program, times.missed, greeted.get(key))
        entrants[key] = Entrant(one, sop, times, taken, greets=greeted.get(key) == "")
        past = earlier.get(key, NEVER_INSIDE)
        rows.append(_row(entrants[key], past.runs + 1, tx.now))
    made = queries.enter(tx, rows)
    let_in = [(run, entrants[run.sop_id, run.subject_id]) for run in made]
    _write_pushes(tx, app, let_in, greeted)
    queries.journal(tx, [_note(run.id, entrant) for run, entrant in let_in])
    for run, entrant in let_in:
        tx.count(f"sop/{run.sop_id}/entered/{entrant.begun.cause}")
    tx.after_commit(lambda: app.ring("fire"))


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


def _row(entrant: Entrant, run_no: int, now: Instant) -> dict[str, object]:
    """A run that has no step left is looked at once more by itself: its end shall not come before the welcomes."""
    begun, sop, times = entrant.begun, entrant.sop, entrant.times
    ahead = schedule.at_entry(sop.program, times, entrant.taken.state, now, is_open=entrant.greets)
    has_steps = schedule.next_index(sop.program, entrant.taken.state) is not None
    due_at = ahead.due_at if has_steps or entrant.greets else now
    return {
        "sop_id": sop.sop_id, "version_id": sop.version_id, "subject_id": begun.relation_id, "run_no": run_no,
        "customer_id": begun.customer_id, "relation_id": begun.relation_id, "member_id": begun.member_id,
        "state": entrant.taken.state, "anchor_at": begun.began_at, "entered_at": begun.began_at,
        "cause": begun.cause, "due_at": due_at, "mass_at": ahead.mass_at, "counts_from": ahead.counts_from,
    }  # fmt: skip


def _write_pushes(
    tx: Transaction,
    app: App,
    let_in: Sequence[tuple[queries.Run, Entrant]],
    greeted: dict[tuple[int, int], str],
) -> None:
    made = []
    for run, entrant in let_in:
        program, times, taken = entrant.sop.program, entrant.times, entrant.taken
        if taken.fired is not None:
            greeting = greeted[run.sop_id, run.subject_id]
            welcome = new_push(program, times, run.id, taken.fired, tx.now, skipped=greeting or None)
            made.append(welcome if greeting else welcome._replace(state="planned", plan_at=None))
        made += [new_push(program, times, run.id, step, tx.now, skipped=reason) for step, reason in taken.passed]
    ids = {(run_id, step): push_id for push_id, run_id, step in queries.insert_pushes(tx, made)}
    welcomes.send(
        tx,
        app,
        [
            (ids[run.id, entrant.taken.fired], entrant)
            for run, entrant in let_in
            if entrant.taken.fired is not None and entrant.greets
        ],
    )
    sop_of = {run.id: run.sop_id for run, _ in let_in}
    for one in made:
        pushes.count(tx, sop_of[one.enrollment_id], one.step_id, one.state, one.reason)


def _note(run_id: int, entrant: Entrant) -> Note:
    detail: dict[str, object] = {"cause": entrant.begun.cause}
    if entrant.taken.passed:
        detail["passed"] = dict(entrant.taken.passed)
    return Note(run_id, "entered", None, entrant.taken.state, None, json.dumps(detail, ensure_ascii=False))
