"""From planned task to task in WeCom: claim, check once more, call, record (SPEC 7.5, ARCHITECTURE 5).

Commands of the relay, in this order: `lease`, `take`, then per task `begin` and the call, then `answered`. Between them
nothing is open. What was taken and never begun made no call; what was begun and never answered is doubtful, and the
look-up's business (`doubts`). Nothing is created twice: one create may be outstanding per owner and content.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import structlog

from machines.backoff import next_poll
from machines.calendar import SECOND_MS, Instant
from machines.dispatch.life import PLANNED, REQUESTED, SENDING, UNCERTAIN
from machines.events import Created, Throttled
from machines.nags import next_nag_at
from sopd.handlers import dispatches, members, refusals, sending_checks, task_pushes
from sopd.handlers.app import App
from sopd.handlers.consequences import follow
from sopd.handlers.contents import Content, of_step
from sopd.handlers.dispatches import Task
from sopd.handlers.task_pushes import LEFT_OUT
from sopd.store.batch import in_halves
from sopd.store.queries import dispatches as queries
from sopd.wecom.errors import WeComFailure
from sopd.wecom.sends import Created as MadeTask

LEASE_MS = 60 * SECOND_MS
"""More than twice the deadline of a create; begun anew just before each call."""
MOST_TASKS = 20

log = structlog.get_logger("sopd.sending")


@dataclass(frozen=True)
class Request:
    """A task to be created now. `claim` is the number of our claim on it."""

    dispatch_id: int
    claim: int
    userid: str
    recipients: tuple[str, ...]
    content: Content


@dataclass(frozen=True)
class Answer:
    """What came of one request: the task, or why there is none (or none that we know of)."""

    request: Request
    made: MadeTask | None = None
    failure: WeComFailure | None = None


def lease(app: App) -> dict[int, int]:
    """Claim planned tasks whose moment has come: the claim's number by task. They stay planned until taken."""
    with app.store.transaction() as tx:
        return queries.lease(tx, "relay", limit=MOST_TASKS, lease_ms=LEASE_MS)


def take(app: App, claims: Mapping[int, int]) -> list[Request]:
    """Check everything once more, and move to `sending` what is to be called for (see `sending_checks`).

    Pushes that may not go out leave their tasks; a task that nobody is left in ends; one that has to wait is due later.
    Runs that are at their early end are ended here, and their tasks are due again at once.
    """
    done = in_halves(sorted(claims), partial(_take, app, claims), partial(dispatches.set_aside, app))
    at_end = [run_id for _, ended in done.results for run_id in ended]
    if at_end:
        sending_checks.end_runs(app, at_end)
    return [request for requests, _ in done.results for request in requests]


def _take(app: App, claims: Mapping[int, int], ids: Sequence[int]) -> tuple[list[Request], list[int]]:
    with app.store.transaction() as tx:
        runs = queries.lock_runs(tx, ids)
        tasks = [
            task
            for task in dispatches.lock(tx, ids)
            if task.state == PLANNED and task.row.attempts == claims[task.row.id]
        ]
        checked = sending_checks.check(tx, app, tasks, runs, lease_ms=LEASE_MS)
        follow(tx, app, checked.happened)
        programs = app.programs.all(tx, [task.row.version_id for task in checked.sending])
        requests = []
        for task in checked.sending:
            step = programs[task.row.version_id].step(task.row.step_id)
            recipients = tuple(one.external_userid for one in checked.left[task.row.id])
            requests.append(
                Request(task.row.id, claims[task.row.id], task.row.userid, recipients, of_step(step))
            )
        return requests, checked.at_end


def begin(app: App, request: Request) -> bool:
    """Note that the call is about to be made and hold the task as long as it may take; False if it is not ours now."""
    with app.store.transaction() as tx:
        return queries.begin_attempt(tx, request.dispatch_id, request.claim, SENDING, LEASE_MS)


def answered(app: App, answers: Sequence[Answer]) -> None:
    """Record what came of a page of requests, in one transaction. Members whom WeCom does not know are noted before:
    planning locks them first."""
    unknown = [one.request.userid for one in answers if refusals.errcode_of(one.failure) in refusals.NO_MEMBER]
    if unknown:
        members.cannot_send(app, unknown)
    in_halves(answers, partial(_answered, app), partial(_set_aside, app))
    dispatches.let_rest(app, (PLANNED,), (answer.failure for answer in answers))


def _set_aside(app: App, answer: Answer, reason: str) -> None:
    dispatches.set_aside(app, answer.request.dispatch_id, reason)


def _answered(app: App, answers: Sequence[Answer]) -> None:
    by_id = {answer.request.dispatch_id: answer for answer in answers}
    with app.store.transaction() as tx:
        queries.lock_runs(tx, by_id)
        heard = [task for task in dispatches.lock(tx, by_id) if _hears(task, by_id[task.row.id], tx.now)]
        dispatches.save(tx, heard)
        left_out = {(task.row.id, name) for task in heard for name in _left_out(by_id[task.row.id])}
        rows = [
            one._replace(reason=LEFT_OUT) if (one.dispatch_id, one.external_userid) in left_out else one
            for one in queries.inside(tx, [task.row.id for task in heard if task.words])
        ]
        task_pushes.settle(tx, app, heard, rows)
        tx.after_commit(lambda: app.ring("collect"))


def _left_out(answer: Answer) -> tuple[str, ...]:
    return answer.made.fail_list if answer.made is not None else ()


def _hears(task: Task, answer: Answer, now: Instant) -> bool:
    """Let the task hear its answer. A task that was made is never forgotten; other news of an old claim is."""
    if answer.made is not None:
        return _made(task, answer.made, now)
    if task.state != SENDING or task.row.attempts != answer.request.claim:
        return False
    failure = answer.failure
    event = Throttled() if failure is None else refusals.of_create(failure)
    held_until = task.lease_until or now
    if not task.hear(event, now):
        return False
    task.lease_until = None
    if task.state == UNCERTAIN:
        task.look_again(max(held_until, now))  # by then the call is over, whatever became of it
    elif task.state == PLANNED and failure is not None:
        task.memory.tries += 1
        task.reason = f"{task.reason}: {refusals.said(failure)}"
        again = refusals.next_try_at(failure, task.memory.tries, f"create/{task.row.id}", now)
        task.look_again(min(again, max(task.row.expires_at, now)))
    elif task.state == PLANNED:
        task.look_again(now)
    return True


def _made(task: Task, made: MadeTask, now: Instant) -> bool:
    if not task.hear(Created(made.msgid, bool(made.fail_list)), now):
        if task.msgid != made.msgid:
            log.error("a task was made that no dispatch waits for", dispatch=task.row.id, msgid=made.msgid)
        return False
    asked(task, made.msgid, now)
    if made.fail_list:
        task.look_again(now)
    return True


def asked(task: Task, msgid: str, now: Instant) -> None:
    """The task is known to exist: when its results are read first (WeCom 5.3), or at once if it is to be stopped.

    From now on its member may be nagged (D19).
    """
    task.msgid, task.requested_at, task.lease_until, task.memory.tries = msgid, now, None, 0
    if task.state == REQUESTED:
        task.nag_at = next_nag_at(now, task.nags)
        task.look_again(next_poll(now, created_at=now, until=task.row.expires_at) or now)
