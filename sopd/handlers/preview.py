"""What one customer would get of a SOP: when, by whom, and why not (SPEC 11, 12). Reads only; nothing is promised.

Entry and every step still to come are judged by the machines that judge them in earnest, on the facts of this moment;
the days of quota and slots are looked ahead to. It cannot know who is added, tagged or confirmed until then.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from machines import entry
from machines.calendar import Instant, local_date
from machines.enrollment import ENROLLED
from machines.entry import EntryFacts
from machines.lateness import expiry
from machines.push import PlanFacts
from machines.quota import after_full
from machines.reasons import BEFORE_ENTRY, CAPACITY, LATE
from machines.sop import ProgramStep
from machines.timetable import earliest_send
from sopd.errors import NotFound, Refused
from sopd.handlers import facts as known_facts
from sopd.handlers import planning_quota, preview_ahead, schedule
from sopd.handlers.admission import INHERITED_ADD_WAY, needs_at_entry
from sopd.handlers.app import App
from sopd.handlers.planning_facts import check, conditions
from sopd.handlers.preview_ahead import Subject, Wish
from sopd.store import Transaction
from sopd.store.queries import enrollments as run_queries
from sopd.store.queries import preview as queries
from sopd.store.queries import sops

TIME = "time"
"""The check of a moment that has passed; the other checks are those of `machines.push` and `capacity`."""


@dataclass(frozen=True)
class Foreseen:
    """One step to come. `check` is the first check that speaks (`ready` if none), `reason` what it says.

    send_at: when its task would be created, None if it would not. until: when a step that cannot go out at once is
    looked at again. expires_at: when its task would be of no use any more.
    """

    step_id: str
    channel: str
    due_at: Instant
    check: str
    reason: str
    send_at: Instant | None = None
    until: Instant | None = None
    expires_at: Instant | None = None


@dataclass(frozen=True)
class Preview:
    """The answer for one relation. `inside`: the run's state if there is one; then only the steps after it are told.

    enters and why_not judge the entry as if the SOP ran; `sop_state` says whether it does.
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


def preview(app: App, key: str, relation_id: int, *, added_at: Instant | None = None) -> Preview:
    """What this relation would get of the SOP's published version; `added_at`: as if it had begun then.

    Raises NotFound for an unknown SOP or relation, Refused for a SOP without a published version.
    """
    with app.store.reading() as tx:
        sop, who = sops.by_key(tx, key), queries.pair(tx, relation_id)
        if sop is None:
            raise NotFound(f"there is no SOP {key!r}", "`sopd sop list` shows them")
        if who is None:
            raise NotFound(f"there is no relation {relation_id}")
        if sop.version_id is None:
            raise Refused(f"{key} has no published version", "apply its definition first")
        run = queries.run_of(tx, sop.id, relation_id) if added_at is None else None
        version_id = sop.version_id if run is None else run.version_id
        program = app.programs.get(tx, version_id)
        entered_at = run.entered_at if run else who.began_at if added_at is None else added_at
        times = schedule.of(program, run.anchor_at if run else entered_at, entered_at)
        subject = Subject(sop, program, who, run, times, entered_at)
        why_not = "" if run is not None else _why_not(tx, subject, added_at)
        return Preview(
            key, sops.version(tx, version_id).number, sop.state, who.external_userid, who.userid, entered_at,
            None if run is None else run.state, not why_not, why_not, tuple(_steps(tx, app, subject)),
        )  # fmt: skip


def _why_not(tx: Transaction, subject: Subject, added_at: Instant | None) -> str:
    sop, program, who = subject.sop, subject.program, subject.who
    about = known_facts.load(tx, [who.relation_id], tx.now)[who.relation_id]
    ran_before = (sop.id, who.relation_id) in run_queries.earlier_runs(tx, [sop.id], [who.relation_id])
    as_it_was = added_at is None and sop.started_at is not None
    return entry.admit(
        program,
        EntryFacts(
            about=about.restricted_to(needs_at_entry(program)),
            is_new=not as_it_was or entry.is_new(subject.entered_at, sop.started_at or 0),
            is_inherited=who.add_way == INHERITED_ADD_WAY,
            in_scope=program.in_scope(who.userid),
            muted=who.muted,
            member_able=who.able,
            ran_before=ran_before and added_at is None,
        ),
    ).reason


def _steps(tx: Transaction, app: App, subject: Subject) -> Iterator[Foreseen]:
    program, times, who = subject.program, subject.times, subject.who
    first = schedule.next_index(program, ENROLLED if subject.run is None else subject.run.state)
    steps = program.steps[first:] if first is not None else ()
    holds = conditions(tx, [(step.index, who.relation_id, step.only_if) for step in steps])
    others = preview_ahead.wishes(tx, app, subject)
    told = preview_ahead.told_by(tx, subject, steps, others)
    for step in steps:
        due_at = times.dues[step.index]
        passed = _passed(subject, step, tx.now)
        if passed:
            yield Foreseen(step.id, step.channel, due_at, TIME, passed)
            continue
        claim, via = told.get(step.id, ("free", ""))
        facts = PlanFacts(
            only_if=holds[step.index], muted=who.muted, owner_able=who.able, claim=claim, claimed_by=via
        )
        yield _foresee(tx, app, subject, step, facts, others)


def _passed(subject: Subject, step: ProgramStep, now: Instant) -> str:
    """Why a moment of the past is not made up for; empty for one that still is, and for all to come."""
    due_at = subject.times.dues[step.index]
    timely = schedule.timeliness(subject.program, subject.times, step.index, due_at, now)
    return {"before_entry": BEFORE_ENTRY, "late": LATE}.get(timely, "")


def _foresee(
    tx: Transaction, app: App, subject: Subject, step: ProgramStep, facts: PlanFacts, others: Sequence[Wish]
) -> Foreseen:
    due_at, timetable = subject.times.dues[step.index], subject.program.timetable
    if step.channel == "welcome":  # at the moment of adding, by day and by night, and no task
        send_at = expires_at = due_at
    else:
        send_at = earliest_send(max(due_at, tx.now), timetable, local_date(due_at, timetable.zone))
        expires_at = expiry(send_at, timetable, schedule.next_due(subject.times, step.index))
    if step.takes_quota and not preview_ahead.has_day(tx, app, subject, due_at, send_at, others):
        full = after_full(subject.program.quota_full, 0)
        again = planning_quota.next_try_at(subject.program, step, due_at, send_at)
        facts = replace(facts, has_place=False, full=full, next_try_at=again)
    verdict = check(facts)
    if not verdict.ready:
        reason, until = getattr(verdict.event, "reason", verdict.check), getattr(verdict.event, "until", None)
        return Foreseen(step.id, step.channel, due_at, verdict.check, reason, until=until)
    if not step.takes_quota:
        return Foreseen(step.id, step.channel, due_at, verdict.check, "", send_at)
    seat = preview_ahead.slot_at(tx, subject, step, send_at, expires_at)
    if seat is None:
        return Foreseen(step.id, step.channel, due_at, CAPACITY, CAPACITY, expires_at=expires_at)
    return Foreseen(step.id, step.channel, due_at, verdict.check, "", seat, expires_at=expires_at)
