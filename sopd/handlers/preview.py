"""What one customer would get of a SOP: when, by whom, and why not (SPEC 11, 12). Reads only; nothing is promised.

Entry and every step still to come are judged by the machines that judge them in earnest, on the facts of this moment;
the days of quota and slots are looked ahead to. It cannot know who is added, tagged or confirmed until then.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date

from machines import entry
from machines.calendar import Instant, local_date
from machines.enrollment import ENROLLED
from machines.entry import EntryFacts
from machines.lateness import expiry
from machines.push import PlanFacts
from machines.quota import after_full
from machines.reasons import (
    BEFORE_ENTRY,
    CAPACITY,
    LATE,
    NEVER_AGAIN,
    NO_ANCHOR,
    OUT_OF_SCOPE,
    RUN_ENDED,
    WAITS_FOR_PUSH,
)
from machines.rules import evaluate
from machines.slots import creation_minute
from machines.sop import Program, ProgramStep
from machines.timetable import earliest_send
from sopd.errors import NotFound, Refused, no_such
from sopd.handlers import entries, planning_quota, planning_slots, preview_ahead, preview_load, schedule, stepwise
from sopd.handlers import facts as known_facts
from sopd.handlers.app import App
from sopd.handlers.catalogue import RunningSop
from sopd.handlers.planning_facts import check, run_conditions
from sopd.handlers.preview_ahead import Ahead, Subject
from sopd.handlers.wishes import Judged, Wish
from sopd.store import Transaction
from sopd.store.queries import enrollments as run_queries
from sopd.store.queries import preview as queries
from sopd.store.queries import sops
from sopd.store.queries.planning import RunFacts
from sopd.store.queries.preview import Pair
from sopd.store.queries.sops import SopRow

NEW_CUSTOMER = "new_customer"
TIME = "time"
"""The check of a moment that has passed; the other checks are those of `machines.push` and `capacity`."""


@dataclass(frozen=True)
class Foreseen:
    """One step to come. `check` is the first check that speaks (`ready` if none), `reason` what it says.

    due_at: None if an open push has to settle first; a stepwise step behind another to come is told as if that settled
    the moment it goes out, unanswered. send_at: when its task would be created, None if it would not. until: when a
    step that cannot go out at once is looked at again. expires_at: when its task would be of no use.
    """

    step_id: str
    channel: str
    due_at: Instant | None
    check: str
    reason: str
    send_at: Instant | None = None
    until: Instant | None = None
    expires_at: Instant | None = None


@dataclass(frozen=True)
class Preview:
    """The answer for one subject and the member who would act.

    `inside`: the run's state if there is one; then only the steps after it are told. enters and why_not judge the entry
    as if the SOP ran; `sop_state` says whether it does. crowded: days on which the member would have more tasks than
    are usually confirmed, and how many (D12).
    """

    sop: str
    version: int
    sop_state: str
    external_userid: str
    userid: str
    entered_at: Instant
    inside: str | None
    enters: bool
    why_not: str
    steps: tuple[Foreseen, ...]
    crowded: tuple[tuple[date, int], ...] = ()


def preview(
    app: App, key: str, relation_id: int, *, added_at: Instant | None = None, by_rule: bool = False
) -> Preview:
    """What this relation would get of the SOP's published version; `added_at`: as if it had entered then.

    Of a SOP that is entered per customer, the relation is the wished-for owner's; `by_rule`: it is any of the
    customer's, and the owner rule says who would act. Raises NotFound for an unknown SOP or relation, Refused for a SOP
    without a published version.
    """
    with app.store.reading() as tx:
        sop, who = sops.by_key(tx, key), queries.pair(tx, relation_id)
        if sop is None:
            raise no_such("SOP", repr(key))
        if who is None:
            raise NotFound(f"there is no relation {relation_id}")
        if sop.version_id is None:
            raise Refused(f"{key} has no published version", "apply its definition first")
        asked = _Asked(sop, sop.version_id, who, added_at, None if by_rule else relation_id)
        subject_id = relation_id if sop.kind == NEW_CUSTOMER else who.customer_id
        run = queries.run_of(tx, sop.id, subject_id) if added_at is None else None
        subject, why_not = _outside(tx, app, asked) if run is None else (_inside(tx, app, asked, run), "")
        number = sops.version(tx, sop.version_id if run is None else run.version_id).number
        steps = tuple(_steps(tx, app, subject))
        days = {local_date(one.send_at, app.company.zone) for one in steps if one.send_at is not None}
        return Preview(
            key, number, sop.state, who.external_userid, subject.who.userid, subject.entered_at,
            None if run is None else run.state, not why_not, why_not, steps,
            preview_load.crowded(tx, app, subject.who.member_id, days),
        )  # fmt: skip


@dataclass(frozen=True)
class _Asked:
    """The question: whom it is about, as if entered when, and through which relation of several, if that is wished."""

    sop: SopRow
    version_id: int
    who: Pair
    added_at: Instant | None
    wished_for: int | None


def _inside(tx: Transaction, app: App, asked: _Asked, run: RunFacts) -> Subject:
    program = app.programs.get(tx, run.version_id)
    days = stepwise.quota_days(tx, {run.version_id: program}, [run])
    times = schedule.of_run(program, run, days.get(run.id))
    who = queries.pair(tx, run.relation_id) or asked.who
    return Subject(asked.sop, program, who, run, times, run.entered_at, quota_on=days.get(run.id))


def _outside(tx: Transaction, app: App, asked: _Asked) -> tuple[Subject, str]:
    """Somebody who is not inside, and why they would not enter.

    No step is to come of whom nobody could act for, and of who has been inside and does not enter again.
    """
    program = app.programs.get(tx, asked.version_id)
    if asked.sop.kind == NEW_CUSTOMER:
        entered_at = asked.who.began_at if asked.added_at is None else asked.added_at
        times = schedule.of(program, entered_at, entered_at)
        subject = Subject(asked.sop, program, asked.who, None, times, entered_at)
        was_inside = (asked.sop.id, asked.who.relation_id) in run_queries.earlier_runs(
            tx, [asked.sop.id], [asked.who.relation_id]
        )
        why_not = _why_not(tx, subject, asked.added_at, was_inside)
        if was_inside and asked.added_at is None:  # a new customer is judged once for each adding (D2)
            return replace(subject, is_known=False), why_not or RUN_ENDED
        return subject, why_not
    judged = _judged(tx, app, asked, program)
    owner, reason = judged.owner, judged.admission.reason
    if owner is None or reason == NO_ANCHOR:
        nothing = schedule.only(program, None, None)
        return Subject(asked.sop, program, asked.who, None, nothing, tx.now, is_known=False), reason or OUT_OF_SCOPE
    who = queries.pair(tx, owner.relation_id) or asked.who
    times = schedule.of(program, judged.anchor_at, judged.entered_at)
    subject = Subject(asked.sop, program, who, None, times, judged.entered_at, is_known=reason != NEVER_AGAIN)
    return subject, reason


def _judged(tx: Transaction, app: App, asked: _Asked, program: Program) -> Judged:
    """The judgement of the gate itself, of a SOP that is taken for a running one."""
    sop = asked.sop
    running = RunningSop(sop.id, sop.key, asked.version_id, sop.kind, "running", sop.started_at or 0, program)
    catalogue = app.programs.catalogue(tx)
    catalogue = replace(catalogue, live={**catalogue.live, sop.id: running})
    wish = Wish(
        sop.id, asked.who.customer_id, "own", "rule", relation_id=asked.wished_for, entered_at=asked.added_at
    )
    return entries.judge(tx, catalogue, [wish])[0]


def _why_not(tx: Transaction, subject: Subject, added_at: Instant | None, was_inside: bool) -> str:
    """Why a new customer would not be let in."""
    sop, program, who = subject.sop, subject.program, subject.who
    needs = program.gate_needs
    about = known_facts.of_customers(tx, [who.customer_id], needs).of(program, who.customer_id, who.relation_id)
    as_it_was = added_at is None and sop.started_at is not None
    return entry.admit(
        program,
        EntryFacts(
            about=about.restricted_to(needs),
            is_new=not as_it_was or entry.is_new(subject.entered_at, sop.started_at or 0),
            is_inherited=who.add_way == entries.INHERITED_ADD_WAY,
            in_scope=program.in_scope(who.userid),
            muted=who.muted,
            member_able=who.able,
            ran_before=was_inside and added_at is None,
        ),
    ).reason


def _steps(tx: Transaction, app: App, subject: Subject) -> Iterator[Foreseen]:
    program, times, who = subject.program, subject.times, subject.who
    first = schedule.next_index(program, ENROLLED if subject.run is None else subject.run.state)
    steps = program.steps[first:] if first is not None and subject.is_known else ()
    holds = _conditions(tx, app, subject, steps)
    others = preview_ahead.wishes(tx, app, subject)
    told = preview_ahead.told_by(tx, subject, steps, others)
    before: Foreseen | None = None
    quota_on = subject.quota_on
    for step in steps:
        due_at = times.dues[step.index]
        if due_at is None and before is not None and before.due_at is not None:
            if before.send_at is not None and program.steps[step.index - 1].takes_quota:
                quota_on = local_date(before.send_at, program.timetable.zone)
            due_at = _behind(program, step, before, quota_on, tx.now)
        if due_at is None:
            yield (before := Foreseen(step.id, step.channel, None, TIME, WAITS_FOR_PUSH))
            continue
        passed = _passed(subject, step, due_at, tx.now)
        if passed:
            yield (before := Foreseen(step.id, step.channel, due_at, TIME, passed))
            continue
        claim, via = told.get(step.id, ("free", ""))
        facts = PlanFacts(
            only_if=holds[step.index], muted=who.muted, owner_able=who.able, claim=claim, claimed_by=via
        )
        yield (before := _foresee(tx, app, subject, step, due_at, facts, others))


def _behind(
    program: Program, step: ProgramStep, before: Foreseen, quota_on: date | None, now: Instant
) -> Instant:
    """When a stepwise step falls due behind one that settles the moment it goes out, or is passed over."""
    assert before.due_at is not None  # the caller has looked
    settled_at = max(before.due_at, now) if before.send_at is None else before.send_at
    waits = before.send_at is not None and schedule.longest_wait(program, step.index - 1) > 0
    return schedule.after(program, step.index, settled_at, quota_on, waits=waits)


def _conditions(
    tx: Transaction, app: App, subject: Subject, steps: Sequence[ProgramStep]
) -> dict[int, bool]:
    """Whether `only_if` of these steps holds now, by step: of the run, or of somebody in whose run nothing happened."""
    if subject.run is not None:
        return run_conditions(tx, app, [(step.index, subject.run.id, step.only_if) for step in steps])
    program, who = subject.program, subject.who
    known = known_facts.of_customers(tx, [who.customer_id], program.dependencies)
    about = known.of(program, who.customer_id, who.relation_id)
    return {step.index: step.only_if is None or evaluate(step.only_if, about) for step in steps}


def _passed(subject: Subject, step: ProgramStep, due_at: Instant, now: Instant) -> str:
    """Why a moment of the past is not made up for; empty for one that still is, and for all to come."""
    if subject.times.dues[step.index] is None:
        return ""
    timely = schedule.timeliness(subject.program, subject.times, step.index, due_at, now)
    return {"before_entry": BEFORE_ENTRY, "late": LATE}.get(timely, "")


def _foresee(
    tx: Transaction,
    app: App,
    subject: Subject,
    step: ProgramStep,
    due_at: Instant,
    facts: PlanFacts,
    others: Sequence[Ahead],
) -> Foreseen:
    timetable, channel = subject.program.timetable, step.channel
    if step.channel == "welcome":  # at the moment of adding, by day and by night, and no task
        send_at = expires_at = due_at
    else:
        send_at = earliest_send(max(due_at, tx.now), timetable, local_date(due_at, timetable.zone))
        expires_at = expiry(send_at, timetable, schedule.next_due(subject.times, step.index))
    if step.takes_quota and not preview_ahead.has_day(tx, app, subject, due_at, send_at, others):
        full = after_full(subject.program.quota_full, 0)
        again = planning_quota.next_try_at(subject.program, step, due_at, send_at)
        if full == "remind":
            channel = "remind"
        else:
            facts = replace(facts, has_place=False, full=full, next_try_at=again)
    verdict = check(facts)
    if not verdict.ready:
        reason, until = getattr(verdict.event, "reason", verdict.check), getattr(verdict.event, "until", None)
        return Foreseen(step.id, step.channel, due_at, verdict.check, reason, until=until)
    if channel == "welcome":
        return Foreseen(step.id, channel, due_at, verdict.check, "", send_at)
    if channel in planning_slots.TAKE_NO_SLOT:
        at = creation_minute(send_at, expires_at, timetable)
        return Foreseen(step.id, channel, due_at, verdict.check, "", at, expires_at=expires_at)
    seat = preview_ahead.slot_at(tx, subject, step, due_at, send_at, expires_at)
    if seat is None:
        return Foreseen(step.id, step.channel, due_at, CAPACITY, CAPACITY, expires_at=expires_at)
    return Foreseen(step.id, channel, due_at, verdict.check, "", seat, expires_at=expires_at)
