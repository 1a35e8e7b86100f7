"""The whole story of one run, past and planned, put together from what the engine has written down (SPEC 7).

Nothing is guessed: the past is the journal, the pushes and their tasks; what is to come is the run's own schedule, by
the same arithmetic that will fire it. Values only; `story_page` puts them into words.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

from machines.calendar import Instant, local_date
from machines.enrollment import ENROLLED, SETTLING
from machines.reasons import FIRED
from machines.timetable import earliest_send
from sopd.cli import finding
from sopd.handlers import schedule
from sopd.handlers.schedule import Schedule
from sopd.store.queries import views, views_people, views_runs, views_sending
from sopd.store.queries.views_people import RefusalRow, RelationRow
from sopd.store.queries.views_runs import Entry, RunRow, TagWrite
from sopd.store.queries.views_sending import PushFilter, PushRow, TaskRow

if TYPE_CHECKING:
    from machines.sop import Program
    from sopd.handlers.app import Programs
    from sopd.store import Transaction

TO_COME, NEVER_CAME, PARKED, PRUNED = "to come", "never came", "parked", "pruned"
AHEAD = (TO_COME, PARKED)
TASK_ENDS = ("task cancelled", "task failed", "task needs_operator")


@dataclass(frozen=True)
class StepLine:
    """One step of the run. `state` is its push's, else `to come`, `never came`, `parked` (while paused), or `pruned`.

    due_at: when it fell or falls due; None while a step before it has to settle first. may_send_at: when it may go out
    at the earliest, where that is later. Of a push that is not settled: waits_until, when planning looks again; task_at
    and expires_at, when its task is given to the member and when that is of no use any more.
    """

    no: int
    step: str
    channel: str
    state: str
    due_at: Instant | None
    may_send_at: Instant | None
    sent_at: Instant | None
    reason: str | None
    mark: str | None
    task: int | None
    push: int | None
    waits_until: Instant | None = None
    task_state: str | None = None
    task_at: Instant | None = None
    expires_at: Instant | None = None
    is_open: bool = False


@dataclass(frozen=True)
class Event:
    """Something that happened. `what` is one of a few words, see `story_page`; `detail` holds what else there is."""

    at: Instant
    what: str
    step: str | None = None
    reason: str | None = None
    detail: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Next:
    """What the run waits for: a step at an instant, an open push, an operator's `resume`; nothing when `what` is ''."""

    what: str
    step: str | None = None
    at: Instant | None = None


@dataclass(frozen=True)
class Inherited:
    """A condition of the early end that held at the entry and counts only when it occurs anew (D4)."""

    condition: dict[str, Any]
    holds: bool


@dataclass(frozen=True)
class Story:
    """All of it, read in one snapshot at `now`.

    `chain`: the keys of the SOPs that were entered one because of the other, up to this one; empty if nothing led here.
    `refusals`: where else the customer was not let in.
    """

    now: Instant
    run: RunRow
    title: str
    relation: RelationRow | None
    is_muted: bool
    definition: dict[str, Any]
    steps: tuple[StepLine, ...]
    events: tuple[Event, ...]
    next: Next
    tags: tuple[TagWrite, ...]
    tag_names: dict[str, str]
    inherited: tuple[Inherited, ...] = ()
    chain: tuple[str, ...] = ()
    refusals: tuple[RefusalRow, ...] = ()


def read(tx: Transaction, programs: Programs, enrollment_id: int) -> Story:
    """Read one run's story. Raises NotFound."""
    run = finding.run(tx, enrollment_id)
    program = programs.get(tx, run.version_id)
    sop = finding.sop(tx, run.sop)
    version = finding.version(tx, sop, run.version)
    pushes = views_sending.pushes(tx, PushFilter(enrollment_id=run.id), None, len(program.steps))
    journal = views_runs.journal(tx, run.id)
    left = _left(journal, pushes)
    tasks = _tasks(tx, [*(push.task for push in pushes if push.task is not None), *left])
    tags = [] if run.closed_at is None else views_runs.tag_writes(tx, run.relation_id, run.closed_at)
    customer = finding.customer(tx, run.customer)
    times = schedule.of_run(program, run, _last_quota_day(program, pushes))
    steps = tuple(_steps(program, run, times, {push.step: push for push in pushes}, tasks))
    inherited = tuple(_inherited(run.inherited))
    named = {tag for one in tags for tag in (*one.add, *one.remove)}
    named |= {tag for one in inherited for tag in one.condition.get("tag", ())}
    of_tasks = [*_of_tasks(tasks, left), *_of_pushes(pushes)]
    # What happens at one instant is told in this order: a task ends, so its pushes settle, so other things follow.
    events = [
        *(event for event in of_tasks if event.what in TASK_ENDS),
        *_of_journal(journal, program, pushes),
        *(event for event in of_tasks if event.what not in TASK_ENDS),
        *_of_tags(tags),
    ]
    return Story(
        tx.now, run, sop.title, views_people.relation(tx, run.relation_id), customer.muted_at is not None,
        version.stored["sop"], steps, tuple(sorted(events, key=lambda event: event.at)), _next(program, run, pushes),
        tuple(tags), views_people.tag_names(tx, sorted(named)), inherited, _chain(tx, run),
        tuple(views_people.refusals_of(tx, run.customer_id)),
    )  # fmt: skip


def _last_quota_day(program: Program, pushes: Iterable[PushRow]) -> date | None:
    """The local date of the run's last mass send."""
    sent = [push.sent_at for push in pushes if push.sent_at is not None and program.step(push.step).takes_quota]
    return local_date(max(sent), program.timetable.zone) if sent else None


def _inherited(written: str | None) -> Iterator[Inherited]:
    for literal in json.loads(written or "[]"):
        yield Inherited(json.loads(literal[1:]), literal[0] == "+")


def _chain(tx: Transaction, run: RunRow) -> tuple[str, ...]:
    ids = json.loads(run.chain or "[]")
    if len(ids) < 2 and not run.hop:
        return ()
    keys = {sop.id: sop.key for sop in views.sops(tx)}
    return tuple(keys[sop_id] for sop_id in ids)


def _left(journal: Sequence[Entry], pushes: Iterable[PushRow]) -> dict[int, Instant]:
    """The tasks that pushes of the run were in and are in no longer, with the instant at which they left."""
    at_last = {push.task for push in pushes}
    left: dict[int, Instant] = {}
    inside: dict[str, int] = {}
    for entry in journal:
        step = entry.detail.get("step")
        was = inside.pop(step, None) if entry.kind in ("task", "wait") and step else None
        if was is not None:
            left[was] = entry.at
        if entry.kind == "task" and entry.detail.get("push") == "planned" and entry.detail.get("task") is not None:
            inside[step] = entry.detail["task"]
    return {task: at for task, at in left.items() if task not in at_last}


def _tasks(tx: Transaction, ids: Sequence[int]) -> dict[int, TaskRow]:
    """These tasks, and those they were re-issued for."""
    found = views_sending.tasks_by_id(tx, ids)
    asked = set(ids)  # an earlier one may have been pruned
    while earlier := {t.reissue_of for t in found.values() if t.reissue_of is not None} - asked:
        asked |= earlier
        found |= views_sending.tasks_by_id(tx, sorted(earlier))
    return found


# -- the steps ---------------------------------------------------------------------------------------------------------


def _steps(
    program: Program, run: RunRow, times: Schedule, pushes: dict[str, PushRow], tasks: dict[int, TaskRow]
) -> Iterator[StepLine]:
    following = schedule.next_index(program, run.state)
    for step in program.steps:
        push = pushes.get(step.id)
        if push is not None:
            yield _fired(step.index + 1, push, tasks.get(push.task or 0))
            continue
        due_at = times.dues[step.index]
        if step.index == following and run.due_at is not None:
            due_at = run.due_at
        state = NEVER_CAME if run.closed_at is not None else TO_COME
        if run.pruned_at is not None:
            state = PRUNED
        if state == TO_COME and step.index == following and run.parked_at is not None:
            state = PARKED
        may_send = None if due_at is None else _may_send(program, step.index, due_at)
        yield StepLine(
            step.index + 1, step.id, step.channel, state, due_at, may_send, None, None, None, None, None
        )


def _fired(no: int, push: PushRow, task: TaskRow | None) -> StepLine:
    return StepLine(
        no, push.step, push.channel, push.state, push.due_at, None, push.sent_at, push.reason, push.mark, push.task,
        push.id, push.plan_at, push.task_state, task.send_at if task else None, push.expires_at,
        push.settled_at is None,
    )  # fmt: skip


def _may_send(program: Program, index: int, due_at: Instant) -> Instant | None:
    """When a step that falls due may go out, if that is later: quiet hours, off days. A welcome goes out at once."""
    timetable = program.timetable
    if index == 0 and timetable.starts_at_once:
        return None
    sendable = earliest_send(due_at, timetable, local_date(due_at, timetable.zone))
    return sendable if sendable > due_at else None


def _next(program: Program, run: RunRow, pushes: Iterable[PushRow]) -> Next:
    if run.closed_at is not None:
        return Next("")
    if run.parked_at is not None or run.sop_state == "paused":
        return Next("paused")
    unsettled = next((push.step for push in pushes if push.settled_at is None), None)
    if run.state == SETTLING:
        return Next("settling", unsettled)
    following = schedule.next_index(program, run.state if run.state != ENROLLED else ENROLLED)
    if following is None:
        return Next("settling", unsettled)
    step = program.steps[following].id
    if run.waits_reply:
        return Next("reply", step, run.due_at)
    return Next("waits", step) if run.due_at is None else Next("step", step, run.due_at)


# -- what happened -----------------------------------------------------------------------------------------------------


def _of_journal(entries: Iterable[Entry], program: Program, pushes: Iterable[PushRow]) -> Iterator[Event]:
    sent = {push.step for push in pushes if push.sent_at is not None}
    for entry in entries:
        detail = dict(entry.detail)
        passed = detail.pop("passed", {})
        if entry.kind == "entered":
            yield Event(entry.at, "entered", None, entry.reason, detail)
        for step, reason in passed.items():
            yield Event(entry.at, "passed", step, reason)
        yield from _of_entry(entry, detail, program, sent)


def _of_entry(entry: Entry, detail: dict[str, Any], program: Program, sent: set[str]) -> Iterator[Event]:
    step = detail.pop("step", None)
    if entry.kind == "step" and entry.reason == FIRED:
        last = entry.state_to if program.has_step(entry.state_to or "") else program.steps[-1].id
        yield Event(entry.at, "fired", last, None, detail)
    elif entry.kind == "wait" and "waits" in detail:
        yield Event(entry.at, "step waits", detail.pop("waits"), entry.reason, detail)
    elif entry.kind == "wait":
        yield Event(entry.at, "push waits", step, entry.reason, detail)
    elif entry.kind == "task" and detail.get("push") == "planned":
        yield Event(entry.at, "planned", step, entry.reason, detail)
    elif entry.kind == "task" and not (detail.get("push") == "sent" and step in sent):
        yield Event(entry.at, "push settled", step, entry.reason, detail)
    elif entry.kind == "end":
        yield Event(entry.at, "ended", None, entry.reason, {**detail, "state": entry.state_to})
    elif entry.kind == "note" and (entry.reason or detail):
        yield Event(entry.at, "note", step, entry.reason, detail)


def _of_tasks(tasks: dict[int, TaskRow], left: dict[int, Instant]) -> Iterator[Event]:
    """What became of tasks; of one that the push has left, only what did as long as it was in it."""
    for task in tasks.values():
        until = left.get(task.id)
        yield from (event for event in _of_task(task) if until is None or event.at <= until)


def _of_task(task: TaskRow) -> Iterator[Event]:
    facts = {"task": task.id, "member": task.to_userid or task.member, "size": task.size}
    if task.requested_at is not None:
        yield Event(task.requested_at, "task created", task.step, None, facts)
    if task.stop_at is not None and task.to_userid is None:  # a card goes on with those who stay in it
        yield Event(task.stop_at, "task stopped", task.step, None, facts)
    if task.confirmed_at is not None:
        yield Event(task.confirmed_at, "task confirmed", task.step, None, facts)
    if task.settled_at is not None and f"task {task.state}" in TASK_ENDS:
        yield Event(task.settled_at, f"task {task.state}", task.step, task.reason, facts)


def _of_pushes(pushes: Iterable[PushRow]) -> Iterator[Event]:
    for push in pushes:
        if push.sent_at is not None:
            facts = {"mark": push.mark} if push.mark else {}
            what = "done" if push.channel in ("remind", "call") else "sent"
            yield Event(push.sent_at, what, push.step, push.reason, facts)


def _of_tags(tags: Iterable[TagWrite]) -> Iterator[Event]:
    for one in tags:
        at = one.done_at if one.done_at is not None else one.created_at
        facts = {"add": list(one.add), "remove": list(one.remove), "state": one.state}
        yield Event(at, "tags", None, one.reason, facts)


def step_places(steps: Iterable[StepLine]) -> dict[str, str]:
    """`3/5` by step id."""
    listed = list(steps)
    return {line.step: f"{line.no}/{len(listed)}" for line in listed}
