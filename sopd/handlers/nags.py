"""Nags: members of tasks that nobody confirms are reminded by WeCom, within limits (SPEC 7.6, D19).

Commands of the nagger, each its own transaction: `claim`, then per task the calls, then `answered`. A claimed nag
counts from the claim on, whatever becomes of it: an answer that is lost means no second reminder. `want` is an
operator's wish; the nagger grants it at its next turn. Nothing is journalled, for nothing changes for any customer.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import time

from machines import nags
from machines.calendar import MINUTE_MS, Instant, instant_of, local_date
from machines.dispatch.life import REQUESTED
from machines.nags import Unconfirmed
from machines.reasons import NOT_CONFIRMED, explain
from machines.sop import Program
from sopd.commands import RemindDispatch
from sopd.errors import Refused, no_such
from sopd.handlers import dispatches, refusals
from sopd.handlers.app import App
from sopd.handlers.dispatches import Task
from sopd.store import Transaction
from sopd.store.queries import audit
from sopd.store.queries import nags as queries
from sopd.store.queries import planning as owners
from sopd.wecom.codes import Klass
from sopd.wecom.errors import WeComFailure

MOST_TASKS = 50
TRY_AGAIN_MS = 5 * MINUTE_MS
LIMITS = "at most three for a task, three for a member on one day, and none in quiet hours"


@dataclass(frozen=True)
class Nag:
    """A reminder to be asked for now. `id` is that of its row."""

    id: int
    dispatch_id: int
    userid: str
    msgid: str


@dataclass(frozen=True)
class Answer:
    """What came of one. `needless`: the task is confirmed or cancelled, nobody was reminded."""

    nag: Nag
    needless: bool = False
    failure: WeComFailure | None = None


# -- when its time has come --------------------------------------------------------------------------------------------


def claim(app: App) -> tuple[list[Nag], int]:
    """Take nags that are due: those to be made now, the newest task of each member first, and how many were looked at.

    What may not be made now is due again when it may, or never.
    """
    with app.store.transaction() as tx:
        due = queries.due(tx, MOST_TASKS)
        held = owners.lock_owners(tx, [member_id for _, member_id in due])
        tasks = [
            task
            for task in dispatches.lock(tx, [task_id for task_id, member_id in due if member_id in held])
            if task.nag_at is not None and task.nag_at <= tx.now
        ]
        if not tasks:
            return [], 0
        made = _pick(tx, app, tasks)
        dispatches.save(tx, tasks)
        return made, len(tasks)


def _pick(tx: Transaction, app: App, tasks: Sequence[Task]) -> list[Nag]:
    programs = app.programs.all(tx, [task.row.version_id for task in tasks])
    today = _nags_today(tx, app, [task.row.member_id for task in tasks])
    wanted = {one.dispatch_id: one.id for one in queries.wanted(tx, [task.row.id for task in tasks])}
    chosen: list[Task] = []
    refused: list[tuple[int, str]] = []
    for task in _in_order(tasks):
        reason = _why_not(task, today[task.row.member_id], programs[task.row.version_id], tx.now)
        if reason is None:
            today[task.row.member_id] += 1
            chosen.append(task)
            continue
        task.nag_at = _look_again_at(task, reason, programs[task.row.version_id], tx.now)
        if task.row.id in wanted:
            refused.append((wanted[task.row.id], reason))
    if refused:
        queries.refuse_wanted(tx, refused)
    return _begin(tx, chosen, wanted)


def _begin(tx: Transaction, chosen: Sequence[Task], wanted: Mapping[int, int]) -> list[Nag]:
    ids = {task.row.id: wanted[task.row.id] for task in chosen if task.row.id in wanted}
    if ids:
        queries.begin_wanted(tx, ids.values())
    ids |= queries.begin(tx, [(task.row.id, task.row.member_id) for task in chosen if task.row.id not in ids])
    for task in chosen:
        task.nags += 1
        task.nag_at = nags.next_nag_at(task.requested_at or tx.now, task.nags, tx.now)
    return [Nag(ids[task.row.id], task.row.id, task.row.userid, task.msgid or "") for task in chosen]


def _in_order(tasks: Sequence[Task]) -> list[Task]:
    by_id = {task.row.id: task for task in tasks}
    order = nags.newest_first((task.requested_at or 0, task.row.id) for task in tasks)
    return [by_id[task_id] for task_id in order]


def _nags_today(tx: Transaction, app: App, member_ids: Sequence[int]) -> defaultdict[int, int]:
    midnight = instant_of(local_date(tx.now, app.company.zone), time(), app.company.zone)
    return defaultdict(int, queries.made_since(tx, member_ids, midnight))


def _why_not(task: Task, nags_today: int, program: Program, now: Instant) -> str | None:
    timetable = program.timetable
    return nags.why_not(Unconfirmed(task.nags, task.row.expires_at), nags_today, now, timetable.quiet, timetable.zone)


def _look_again_at(task: Task, reason: str, program: Program, now: Instant) -> Instant | None:
    timetable = program.timetable
    about = Unconfirmed(task.nags, task.row.expires_at)
    return nags.look_again_at(about, reason, now, timetable.quiet, timetable.zone)


# -- what came of it ---------------------------------------------------------------------------------------------------


def answered(app: App, answers: Sequence[Answer]) -> None:
    """Record what came of a page of nags. One that was certainly not made does not count, and is tried again."""
    by_id = {one.nag.dispatch_id: one for one in answers}
    with app.store.transaction() as tx:
        tasks = dispatches.lock(tx, by_id)
        given_back = [task for task in tasks if _is_given_back(by_id[task.row.id])]
        for task in given_back:
            _give_back(task, by_id[task.row.id], tx.now)
        dispatches.save(tx, given_back)
        again = [by_id[task.row.id].nag.id for task in given_back if not by_id[task.row.id].needless]
        if again:
            queries.forget(tx, again)
        queries.close(tx, [(one.nag.id, *_outcome(one)) for one in answers if one.nag.id not in again])
        if any(one.needless for one in answers):
            tx.after_commit(lambda: app.ring("collect"))


def _is_given_back(answer: Answer) -> bool:
    failure = answer.failure
    if answer.needless or failure is None:
        return answer.needless
    return not (failure.may_have_happened or refusals.is_final(failure) or failure.klass is Klass.CONFIGURATION)


def _give_back(task: Task, answer: Answer, now: Instant) -> None:
    task.nags -= 1
    if task.state != REQUESTED:
        return
    failure = answer.failure
    if failure is not None:
        task.nag_at = max(failure.retry_at or 0, now + TRY_AGAIN_MS)
    elif task.lease_until is None or task.lease_until <= now:
        task.act_at = now  # it is confirmed, or cancelled outside: its results tell


def _outcome(answer: Answer) -> tuple[str, str | None]:
    if answer.needless:
        return "needless", None
    if answer.failure is None:
        return "done", None
    state = "doubtful" if answer.failure.may_have_happened else "refused"
    return state, refusals.said(answer.failure)


# -- an operator's wish ------------------------------------------------------------------------------------------------


def want(app: App, command: RemindDispatch) -> None:
    """An operator wants a member reminded of a task now, under the limits that hold for every nag (D19).

    Raises NotFound, and Refused with the limit that speaks against it.
    """
    with app.store.transaction() as tx:
        if not queries.lock_member_of(tx, command.dispatch_id):
            raise no_such("task", command.dispatch_id)
        task = dispatches.lock(tx, [command.dispatch_id])[0]
        if task.state != REQUESTED:
            raise Refused(
                f"task {task.row.id} is {task.state.replace('_', ' ')}: nobody waits for a confirmation",
                "`sopd dispatch list --state requested` shows those that wait for their members",
            )
        waiting = queries.wanted(tx, [task.row.id])
        if waiting:
            raise Refused(f"a reminder of task {task.row.id} is on its way already")
        program = app.programs.get(tx, task.row.version_id)
        reason = _why_not(task, _nags_today(tx, app, [task.row.member_id])[task.row.member_id], program, tx.now)
        if reason is not None:
            hint = "" if reason == NOT_CONFIRMED else LIMITS
            raise Refused(f"{task.row.userid} is not reminded of task {task.row.id}: {explain(reason)}", hint)
        queries.want(tx, task.row.id, task.row.member_id, command.who)
        task.nag_at = tx.now
        dispatches.save(tx, [task])
        audit.write(tx, command.who, "dispatch remind", str(task.row.id))
        tx.after_commit(lambda: app.ring("nag"))
