"""Tasks that are cancelled: what WeCom answered, and what reading them twice showed (SPEC 7.6, 7.7, D15, D17, D22).

Commands of the collector. `dispatches.stop` and the expiry ask for a cancellation; here its answers are recorded. Only
after two equal readings, a minute apart, are the pushes told where to go: cancelled, expired, waiting, or into the one
new task for those still inside.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from machines.backoff import dispatching_retry_at
from machines.calendar import SECOND_MS, Instant
from machines.dispatch import REREAD_GAP_MS
from machines.dispatch.life import CANCELLING, CONFIRMED, NEEDS_OPERATOR, REREADING, STOPPING
from machines.events import CancelAnswered, Doubtful, Reread, Throttled
from machines.events import Reading as Shown
from sopd.handlers import dispatches, refusals, task_pushes
from sopd.handlers.app import App
from sopd.handlers.dispatches import Task
from sopd.handlers.results import Look
from sopd.store import Transaction
from sopd.store.batch import in_halves
from sopd.store.queries import dispatches as queries
from sopd.wecom.errors import WeComFailure

Said = Literal["ok", "busy", "gone", "refused"]


@dataclass(frozen=True)
class Cancelled:
    """What WeCom said to a cancellation; `failure` None: done."""

    look: Look
    failure: WeComFailure | None = None


@dataclass(frozen=True)
class Reading:
    """One reading after a cancellation: what the rows showed, or why there is none."""

    look: Look
    shown: Shown | None = None
    failure: WeComFailure | None = None


def cancelled(app: App, answers: Sequence[Cancelled]) -> None:
    """Record the answers to cancellations."""
    in_halves(answers, partial(_cancelled, app), partial(_set_aside, app))
    dispatches.let_rest(app, (STOPPING,), (one.failure for one in answers))


def reread(app: App, readings: Sequence[Reading]) -> None:
    """Record readings after cancellations: the first is kept, the second brings the verdict (D15)."""
    in_halves(readings, partial(_reread, app), partial(_set_aside, app))
    dispatches.let_rest(app, (REREADING,), (one.failure for one in readings))


def _set_aside(app: App, one: Cancelled | Reading, reason: str) -> None:
    dispatches.set_aside(app, one.look.dispatch_id, reason)


def _cancelled(app: App, answers: Sequence[Cancelled]) -> None:
    by_id = {one.look.dispatch_id: one for one in answers}
    with app.store.transaction() as tx:
        tasks = _lock(tx, by_id, CANCELLING)
        for task in tasks:
            _hear_answer(task, by_id[task.row.id].failure, tx.now)
        _write(tx, app, tasks)


def _hear_answer(task: Task, failure: WeComFailure | None, now: Instant) -> None:
    said = _said(failure)
    if said is None and failure is not None:  # it may be repeated: cancelling twice is harmless
        task.hear(Doubtful() if failure.may_have_happened else Throttled(), now)
        task.memory.tries += 1
        task.look_again(refusals.next_try_at(failure, task.memory.tries, f"cancel/{task.row.id}", now))
        return
    if said == "busy":
        task.memory.tries += 1
        task.memory.busy_since = task.memory.busy_since or now
    task.hear(CancelAnswered(said or "ok"), now)
    task.lease_until = None
    if task.state == STOPPING:
        since = task.memory.busy_since or now
        task.look_again(dispatching_retry_at(task.memory.tries, now, since=since) or now + 10 * SECOND_MS)
    elif task.state == NEEDS_OPERATOR and failure is not None:
        task.reason = f"{task.reason}: {refusals.said(failure)}"


def _said(failure: WeComFailure | None) -> Said | None:
    """WeCom's word; None if it gave none that decides."""
    if failure is None:
        return "ok"
    words: dict[int | None, Said] = {refusals.CANCELLED: "gone", refusals.DISPATCHING: "busy"}
    return words.get(refusals.errcode_of(failure), "refused" if refusals.is_final(failure) else None)


def _reread(app: App, readings: Sequence[Reading]) -> None:
    by_id = {one.look.dispatch_id: one for one in readings}
    with app.store.transaction() as tx:
        tasks = _lock(tx, by_id, REREADING)
        for task in tasks:
            _hear_reading(task, by_id[task.row.id], tx.now)
        _write(tx, app, tasks)


def _hear_reading(task: Task, reading: Reading, now: Instant) -> None:
    if reading.shown is None:
        task.memory.tries += 1
        failure = reading.failure
        again = now if failure is None else refusals.next_try_at(failure, task.memory.tries, f"read/{task.row.id}", now)
        task.look_again(again)
        return
    shown, first = reading.shown, task.memory.first
    if first is None:
        task.memory.first = (now, sorted(shown.statuses), shown.gone)
        task.look_again(now + REREAD_GAP_MS)
    elif now < first[0] + REREAD_GAP_MS:
        task.look_again(first[0] + REREAD_GAP_MS)
    else:
        task.hear(Reread(Shown(frozenset(first[1]), first[2]), shown), now)
        task.lease_until = None
        if task.state == CONFIRMED:  # its rows are read next, and say what each customer got
            task.confirmed_at, task.memory.tries = task.confirmed_at or now, 0
            task.look_again(now)


def _lock(tx: Transaction, by_id: dict[int, Cancelled] | dict[int, Reading], state: str) -> list[Task]:
    """The tasks that are still ours and in this state, their runs locked before them."""
    queries.lock_runs(tx, by_id)
    return [
        task
        for task in dispatches.lock(tx, by_id)
        if task.state == state and task.row.attempts == by_id[task.row.id].look.claim
    ]


def _write(tx: Transaction, app: App, tasks: Sequence[Task]) -> None:
    dispatches.save(tx, tasks)
    told = [task for task in tasks if task.words or task.alert]
    if told:
        task_pushes.settle(tx, app, told, queries.inside(tx, [task.row.id for task in told]))
    tx.after_commit(lambda: app.ring("collect"))
