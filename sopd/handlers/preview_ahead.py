"""Looking ahead for a preview: who else wants the customer's day, the same content, the owner's slot. Reads only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from machines.calendar import Instant
from machines.quota import Rival, day_of, rank
from machines.slots import Load, Slot, place
from machines.sop import Program, ProgramStep
from machines.timetable import earliest_send
from sopd.handlers import schedule
from sopd.handlers.app import App
from sopd.handlers.planning_facts import run_conditions
from sopd.handlers.schedule import Schedule
from sopd.store import Transaction
from sopd.store.queries import claims
from sopd.store.queries import planning as plan_queries
from sopd.store.queries import preview as queries
from sopd.store.queries import pushes as push_queries
from sopd.store.queries.planning import RunFacts
from sopd.store.queries.preview import Pair
from sopd.store.queries.sops import SopRow

NOT_ENTERED_YET = 1 << 62
"""Stands for the id of a run that does not exist: it is younger than every other."""
OWNERS_RUNS = 20_000


@dataclass(frozen=True)
class Subject:
    """Whom and what a preview is about. `run` is None for somebody outside; `is_known`: there are steps to speak of.

    quota_on: the local date of a stepwise run's last mass send.
    """

    sop: SopRow
    program: Program
    who: Pair
    run: RunFacts | None
    times: Schedule
    entered_at: Instant
    is_known: bool = True
    quota_on: date | None = None

    @property
    def run_id(self) -> int:
        return NOT_ENTERED_YET if self.run is None else self.run.id


@dataclass(frozen=True)
class Ahead:
    """A mass send of another run of the customer, still to come: the day on which it would go out."""

    run: RunFacts
    step: ProgramStep
    due_at: Instant
    day: date
    rival: Rival


def wishes(tx: Transaction, app: App, subject: Subject) -> list[Ahead]:
    """The steps still to come of the customer's other runs, as far as they could be sent as things stand."""
    runs = [run for run in queries.open_runs(tx, subject.who.customer_id) if run.id != subject.run_id]
    programs = app.programs.all(tx, [run.version_id for run in runs])
    found: list[Ahead] = []
    for run in runs:
        program = programs[run.version_id]
        if not schedule.is_known(program, run.state):
            continue
        times = schedule.of_run(program, run)
        first = schedule.next_index(program, run.state)
        for step in program.steps[first:] if first is not None else ():
            due_at = times.dues[step.index]
            if due_at is not None and step.index not in times.missed:
                sent_at = earliest_send(max(due_at, tx.now), program.timetable)
                found.append(Ahead(run, step, due_at, day_of(sent_at), Rival(program.priority, due_at, run.id)))
    holds = run_conditions(tx, app, [(place, one.run.id, one.step.only_if) for place, one in enumerate(found)])
    able = plan_queries.able_relations(tx, [run.relation_id for run in runs])
    return [one for place, one in enumerate(found) if holds[place] and one.run.relation_id in able]


def told_by(
    tx: Transaction, subject: Subject, steps: Sequence[ProgramStep], others: Sequence[Ahead]
) -> dict[str, tuple[str, str]]:
    """By step, where another relation says the same (D5): `held` or `sent`, and its member's userid."""
    if subject.program.once_per != "customer":
        return {}
    names = queries.userids(tx)
    said: dict[str, tuple[str, str]] = {}
    for one in others:
        if one.run.sop_id != subject.sop.id or not subject.program.has_step(one.step.id):
            continue
        mine = subject.times.dues[subject.program.step(one.step.id).index]
        order = (one.due_at, one.run.entered_at, one.run.id)
        if mine is not None and order < (mine, subject.entered_at, subject.run_id):
            said[one.step.id] = ("held", names[one.run.member_id])
    keys = {(subject.sop.id, step.id, subject.who.customer_id) for step in steps}
    for (_, step_id, _), claim in claims.held(tx, keys).items():
        if not claim.is_free and claim.userid != subject.who.userid:
            said[step_id] = ("held" if claim.is_open else "sent", claim.userid)
    return said


def has_day(
    tx: Transaction, app: App, subject: Subject, due_at: Instant, send_at: Instant, others: Sequence[Ahead]
) -> bool:
    """Whether the customer's day of this sending is free and nobody better wants it."""
    window = app.company.quota.window_of(send_at)
    taken = push_queries.taken_places(tx, [subject.who.customer_id], [window.key])
    free = window.capacity - len(taken.get((subject.who.customer_id, window.key), ()))
    mine = rank(Rival(subject.program.priority, due_at, subject.run_id))
    better = {
        one.run.id
        for one in others
        if one.step.takes_quota and one.day == day_of(send_at) and rank(one.rival) < mine
        and not (one.run.sop_id == subject.sop.id and subject.program.once_per == "customer")
    }  # fmt: skip
    return len(better) < free


def slot_at(
    tx: Transaction, subject: Subject, step: ProgramStep, due_at: Instant, ready_at: Instant, expires_at: Instant
) -> Instant | None:
    """When the push's task would be created among all that the owner has due then; None: no slot before its expiry."""
    program, who = subject.program, subject.who
    before = after = 0
    version_id = subject.sop.version_id if subject.run is None else subject.run.version_id
    assert version_id is not None  # the caller has looked
    for run in queries.runs_of_owner(tx, version_id, who.member_id, OWNERS_RUNS):
        if run.id == subject.run_id or not _still_to_come(program, run, step, due_at):
            continue
        before, after = before + (run.id < subject.run_id), after + (run.id > subject.run_id)
    slots = [Slot(row.opens_at, row.closes_at, row.used) for row in plan_queries.slots_of(tx, [who.member_id]).get(
        who.member_id, ())]  # fmt: skip
    load = Load(
        step.id, before + 1 + after, ready_at, expires_at, program.batch_size, program.batch_every_ms,
        program.timetable, program.priority,
    )  # fmt: skip
    for placement in place(slots, [load], tx.now).placements:
        if before < placement.count:
            return placement.create_at
        before -= placement.count
    return None


def _still_to_come(program: Program, run: RunFacts, step: ProgramStep, due_at: Instant) -> bool:
    first = schedule.next_index(program, run.state) if schedule.is_known(program, run.state) else None
    if first is None or step.index < first:
        return False
    times = schedule.of_run(program, run)
    return times.dues[step.index] == due_at and step.index not in times.missed
