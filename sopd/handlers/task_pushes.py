"""What pushes make of what happened to their task: asked, confirmed, reported, cancelled, in doubt (SPEC 7, D8, D17).

A part for the handlers of tasks. The tasks are saved already, the runs of their pushes are locked. Each push decides
for itself, once per group of like ones; everything is written with a number of statements that depends neither on the
number of tasks nor on that of customers. What follows for the runs is returned.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from machines.calendar import Instant
from machines.dispatch import reissue_at
from machines.dispatch.life import CANCELLED, NEEDS_OPERATOR
from machines.events import (
    PushEvent,
    PushExpired,
    PushPlanned,
    PushReturned,
    ResultNotFriend,
    ResultSent,
    ResultUnreported,
)
from machines.push import PushDecision, PushFacts
from machines.push.life import PLANNED
from machines.reasons import NOT_CONFIRMED, OWNER_MOVED, REFUSED_BY_WECOM, REISSUE, SOP_PAUSED
from machines.slots import creation_minute
from sopd.handlers import planning, pushes
from sopd.handlers.app import App
from sopd.handlers.consequences import follow
from sopd.handlers.dispatches import Task
from sopd.handlers.happened import Consequences
from sopd.store import Transaction
from sopd.store.queries import dispatches as queries
from sopd.store.queries import inbox, sops
from sopd.store.queries.dispatches import Inside
from sopd.store.queries.enrollments import Note
from sopd.store.queries.enrollments import journal as write_journal

SENT, NOT_FRIEND, WINDOW_FULL = 1, 2, 3
"""What WeCom reports of one customer (WeCom 5.3); 0 and numbers we do not know are no report."""
IN_TASK = ("requested", "confirmed")
LEFT_OUT = REFUSED_BY_WECOM
"""The reason an open push carries while WeCom's fail_list has named it and its relation is not read again yet."""


class Report(NamedTuple):
    """What WeCom says of one customer of a task. `is_friend` is the re-read of D8, None where there was none."""

    status: int
    sent_at: Instant | None = None
    is_friend: bool | None = None


@dataclass
class Heard:
    """What pushes become, by how it is written."""

    stays: list[tuple[Inside, PushDecision]] = field(default_factory=list)
    told: list[pushes.Told] = field(default_factory=list)
    sent: dict[int, Instant] = field(default_factory=dict)
    full: list[int] = field(default_factory=list)
    paused: list[int] = field(default_factory=list)
    moved: list[int] = field(default_factory=list)
    again: list[Inside] = field(default_factory=list)


def status_of(report: Report | None) -> int:
    """The status that counts: 0 while the push has to be waited for (nothing we understand, or a re-read to come)."""
    if report is None or report.status not in (SENT, NOT_FRIEND, WINDOW_FULL):
        return 0
    return 0 if report.status == WINDOW_FULL and report.is_friend is None else report.status


def tell(
    tx: Transaction,
    app: App,
    tasks: Sequence[Task],
    rows: Sequence[Inside],
    reports: Mapping[tuple[int, str], Report] | None = None,
) -> Consequences:
    """Let the pushes of saved tasks hear what their tasks have to say, and what WeCom reports of each customer.

    `rows` are the unsettled pushes of these tasks; `reports` go by (task, external_userid).
    """
    by_id, known = {task.row.id: task for task in tasks}, reports or {}
    paused = _paused(tx, tasks)
    heard = Heard()
    for one in rows:
        if one.dispatch_id in paused and one.closed_at is None:
            heard.paused.append(one.id)
        else:
            _hear(heard, by_id[one.dispatch_id], one, known.get((one.dispatch_id, one.external_userid)), tx.now)
    happened = _write(tx, app, heard)
    _reissue(tx, app, tasks, heard.again)
    alarmed = [task for task in tasks if task.alert]
    return happened + _settle_for_order(tx, alarmed) if alarmed else happened


def settle(
    tx: Transaction,
    app: App,
    tasks: Sequence[Task],
    rows: Sequence[Inside],
    reports: Mapping[tuple[int, str], Report] | None = None,
) -> None:
    """`tell`, all that follows for the runs, and at last the relations to be read again (D8).

    Last, because others mark re-reads while they hold what is locked before.
    """
    follow(tx, app, tell(tx, app, tasks, rows, reports))
    pairs = sorted({(task.row.userid, name) for task in tasks for name in task.strangers})
    if pairs:
        inbox.mark(tx, [inbox.Mark(*pair, "result") for pair in pairs])
        tx.after_commit(lambda: app.ring("intake"))


def facts_of(one: Inside, task: Task) -> PushFacts:
    """What a push's decision may look at."""
    retired = task.state == CANCELLED
    asked = task.msgid is not None
    return PushFacts(
        enrollment_open=one.closed_at is None,
        end_reason=one.end_reason,
        ended_at=one.stopped_at,
        task="retired" if retired else "open" if asked else "none",
        reason=one.reason,
    )


def _paused(tx: Transaction, tasks: Sequence[Task]) -> set[int]:
    """Tasks whose pushes go back to wait for `resume`: stopped by a pause, or to be re-issued while one lasts (D23)."""
    by_pause = {
        task.row.id
        for task in tasks
        if any(isinstance(word, PushReturned) and word.reason == SOP_PAUSED for word in task.words)
    }
    if not any(task.reissue for task in tasks):
        return by_pause
    states = sops.states(tx)
    return by_pause | {task.row.id for task in tasks if task.reissue and states[task.row.sop_id] == "paused"}


def _hear(heard: Heard, task: Task, one: Inside, report: Report | None, now: Instant) -> None:
    if task.reissue and one.has_moved and one.closed_at is None:
        heard.moved.append(one.id)  # the new task is the old member's
        return
    first = [word for word in task.words if not isinstance(word, ResultUnreported)]
    last: list[PushEvent] = [word for word in task.words if isinstance(word, ResultUnreported)]
    if task.reissue:
        last.append(PushPlanned() if now < task.row.expires_at else PushExpired(NOT_CONFIRMED))
    status = status_of(report)
    if report is not None and status == WINDOW_FULL and report.is_friend:
        heard.full.append(one.id)
        return
    if report is not None and status == SENT:
        first.append(ResultSent(report.sent_at or now))
    elif status:
        task.strangers.append(one.external_userid)
        first.append(ResultNotFriend())
    _fold(heard, one, (*first, *last), facts_of(one, task))


def _fold(heard: Heard, one: Inside, events: Sequence[PushEvent], facts: PushFacts) -> None:
    """Several words at once, e.g. confirmed and sent: only what comes out in the end is written."""
    state, last = one.state, None
    for event in events:
        decision = pushes.decide(state, event, facts)
        if decision.ignored:
            continue
        state, last = decision.state, decision
        if isinstance(event, ResultSent):
            heard.sent[one.id] = event.sent_at
    if last is None:
        return
    if last.state == PLANNED:
        heard.again.append(one)
    elif last.state in IN_TASK:
        heard.stays.append((one, last))
    else:
        heard.told.append(pushes.Told(one, last, plan_at=last.until))


def _write(tx: Transaction, app: App, heard: Heard) -> Consequences:
    if heard.stays:
        queries.move(tx, [(one.id, decision.state, _kept(one, decision)) for one, decision in heard.stays])
        _count(tx, heard.stays)
    happened = pushes.tell(tx, heard.told)
    if heard.sent:
        queries.note_sent(tx, sorted(heard.sent.items()))
        pushes.release(tx, app, (), heard.sent)
    if heard.full:
        happened += planning.quota_full(tx, app, heard.full)
    if heard.paused:
        happened += planning.back(tx, app, heard.paused, SOP_PAUSED)
    if heard.moved:
        happened += planning.back(tx, app, heard.moved, OWNER_MOVED)
    return happened


def _kept(one: Inside, decision: PushDecision) -> str | None:
    """Whom WeCom left out when the task was made stays marked until the relation is read again (D8)."""
    return one.reason if one.reason == LEFT_OUT else decision.reason


def _count(tx: Transaction, stays: Sequence[tuple[Inside, PushDecision]]) -> None:
    sums = Counter((one.sop_id, one.step_id, decision.state) for one, decision in stays if one.state != decision.state)
    for (sop_id, step_id, state), n in sums.items():
        pushes.count(tx, sop_id, step_id, state, None, n)


# -- one new task for those still inside (D17) -------------------------------------------------------------------------


def _reissue(tx: Transaction, app: App, tasks: Sequence[Task], again: Sequence[Inside]) -> None:
    """The same content, expiry and nag count, ten minutes after the first end, outside quiet hours."""
    if not again:
        return
    sizes = Counter(one.dispatch_id for one in again)
    stopped = [task for task in tasks if task.row.id in sizes]
    programs = app.programs.all(tx, [task.row.version_id for task in stopped])
    made = []
    for task in stopped:
        timetable = programs[task.row.version_id].timetable
        gathered_at = reissue_at(task.stop_at or tx.now, tx.now)
        at = timetable.quiet.end_after(gathered_at, timetable.zone)
        if at < task.row.expires_at:
            at = gathered_at = creation_minute(at, task.row.expires_at, timetable)
        made.append(_twin(task, at, sizes[task.row.id]) | {"act_at": gathered_at})
    new = queries.reissue(tx, made)
    queries.hand_over(tx, [(one.id, new[one.dispatch_id]) for one in again])
    write_journal(tx, [_line(one.enrollment_id, one.step_id, "wait", REISSUE) for one in again])


def _twin(task: Task, at: Instant, size: int) -> dict[str, object]:
    row = task.row
    same = {name: getattr(row, name) for name in ("member_id", "sop_id", "version_id", "step_id", "channel")}
    return same | {
        "content_hash": row.content_hash, "reason": REISSUE, "send_at": at, "slot_at": at, "nags": task.nags,
        "expires_at": row.expires_at, "reissue_of": row.id, "size": size,
    }  # fmt: skip


# -- what nobody can know (D20) ----------------------------------------------------------------------------------------


def _settle_for_order(tx: Transaction, alarmed: Sequence[Task]) -> Consequences:
    """The next step and the normal end may go on; places in quota windows stay taken until the windows close."""
    left = queries.settle_for_order(tx, [task.row.id for task in alarmed])
    reason = {task.row.id: f"{NEEDS_OPERATOR}: {task.reason}" for task in alarmed}
    write_journal(tx, [_line(run_id, step_id, "task", reason[task_id]) for task_id, run_id, step_id in left])
    return Consequences(settled=frozenset(enrollment_id for _, enrollment_id, _ in left))


def _line(run_id: int, step_id: str, kind: str, reason: str) -> Note:
    return Note(run_id, kind, reason=reason, detail=json.dumps({"step": step_id}))
