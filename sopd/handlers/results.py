"""What became of tasks: which are to be looked at, and what polling them showed (SPEC 7.6, D8, D13, D18).

Commands of the collector. `claim` says what is to be asked of WeCom for each due task, `record` takes one page of
answers in one transaction. Cancellations and readings after them are recorded by `stopping`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from machines.backoff import dispatching_retry_at, next_poll, next_report_poll
from machines.calendar import MINUTE_MS, SECOND_MS, Instant
from machines.dispatch import summary_of
from machines.dispatch.life import CANCELLING, CONFIRMED, FAILED, REQUESTED, REREADING, STOPPING
from machines.events import Claimed, ExpireDue, Polled
from sopd.handlers import dispatches, refusals, task_pushes
from sopd.handlers.app import App
from sopd.handlers.dispatches import Task
from sopd.handlers.task_pushes import LEFT_OUT, WINDOW_FULL, Report, status_of
from sopd.store.batch import in_halves
from sopd.store.queries import dispatches as queries
from sopd.store.queries.dispatches import Inside
from sopd.wecom.errors import WeComFailure
from sopd.wecom.sends import SendResult

LEASE_MS = 300 * SECOND_MS
"""A whole round, even if every call takes all the time it may."""
MOST_TASKS = 30
MOST_RELATIONS = 100
"""Relations read again in one round: each is a call of its own."""

Key = tuple[int, str]
"""(task, external_userid)"""
NO_REPORT = Report(0)
What = Literal["poll", "results", "cancel", "reread", "relations"]
_WHAT: dict[str, What] = {
    REQUESTED: "poll", CONFIRMED: "results", CANCELLING: "cancel", REREADING: "reread", FAILED: "relations",
}  # fmt: skip


@dataclass(frozen=True)
class Look:
    """What to ask about one task. `claim` is the number of our claim on it."""

    dispatch_id: int
    claim: int
    what: What
    userid: str
    msgid: str


@dataclass(frozen=True)
class Reading:
    """What one polling showed.

    status: the member's, any but 0 is confirmed; None when WeCom says the task was cancelled. results: rows per
    customer, read only once it is confirmed. failure: why nothing could be read. unread: why some relation could not.
    """

    look: Look
    status: int | None = 0
    results: tuple[SendResult, ...] = ()
    confirmed_at: Instant | None = None
    failure: WeComFailure | None = None
    unread: WeComFailure | None = None


def claim(app: App) -> tuple[list[Look], list[Key]]:
    """Lease due tasks: what is to be asked about each, and (task, customer) whose relations must be read again (D8).

    A task whose expiry has come is to be cancelled from now on; so is one that somebody wanted stopped.
    """
    with app.store.transaction() as tx:
        claims = queries.lease(tx, "collect", limit=MOST_TASKS, lease_ms=LEASE_MS)
        tasks = dispatches.lock(tx, claims)
        for task in tasks:
            if task.state == REQUESTED and task.row.expires_at <= tx.now:
                task.hear(ExpireDue(), tx.now)
            if task.state == STOPPING:
                task.hear(Claimed(), tx.now)
            task.act_at = task.lease_until = task.row.lease_until
        dispatches.save(tx, [task for task in tasks if task.state != task.row.state])
        refused = queries.refused(tx, claims, LEFT_OUT, MOST_RELATIONS) if claims else []
        looks = [
            Look(task.row.id, claims[task.row.id], _WHAT[task.state], task.row.userid, task.msgid or "")
            for task in tasks
        ]
        return looks, refused


def unsettled(app: App, pairs: Sequence[Key]) -> list[Key]:
    """Those of these (task, customer) whose push still waits for a word: what was heard before costs no call."""
    with app.store.reading() as tx:
        return queries.still_inside(tx, pairs)


def record(app: App, readings: Sequence[Reading], friends: Mapping[Key, bool]) -> None:
    """Record a page of readings. `friends`: what re-reading relations showed, by (task, external_userid)."""
    in_halves(readings, partial(_record, app, friends), partial(_set_aside, app))
    dispatches.let_rest(app, (REQUESTED, CONFIRMED), (one.failure for one in readings))


def _set_aside(app: App, reading: Reading, reason: str) -> None:
    dispatches.set_aside(app, reading.look.dispatch_id, reason)


def _record(app: App, friends: Mapping[Key, bool], readings: Sequence[Reading]) -> None:
    by_id = {one.look.dispatch_id: one for one in readings}
    asked = {dispatch_id for dispatch_id, _ in friends}
    # An unconfirmed task has nothing to say to its pushes: nobody loads them for it.
    loud = [one for one, reading in by_id.items() if reading.status != 0 or one in asked]
    with app.store.transaction() as tx:
        if loud:
            queries.lock_runs(tx, loud)
        tasks = [task for task in dispatches.lock(tx, by_id) if task.row.attempts == by_id[task.row.id].look.claim]
        inside = _by_task(queries.inside(tx, loud)) if loud else {}
        reports: dict[Key, Report] = {}
        for task in tasks:
            reading, mine = by_id[task.row.id], inside.get(task.row.id, [])
            heard = _reports(task, reading, mine, friends)
            _hear(task, reading, [heard.get(_key(one), NO_REPORT) for one in mine], tx.now)
            reports |= heard
        dispatches.save(tx, tasks)
        rows = [one for task in tasks for one in inside.get(task.row.id, ())]
        if rows:
            task_pushes.settle(tx, app, tasks, rows, reports)


def _by_task(rows: Sequence[Inside]) -> dict[int, list[Inside]]:
    found: defaultdict[int, list[Inside]] = defaultdict(list)
    for one in rows:
        found[one.dispatch_id].append(one)
    return dict(found)


def _key(one: Inside) -> Key:
    return one.dispatch_id, one.external_userid


def _reports(
    task: Task, reading: Reading, mine: Sequence[Inside], friends: Mapping[Key, bool]
) -> dict[Key, Report]:
    """What WeCom says of each customer of this task; one it left out from the beginning counts as a full window."""
    found = {}
    for row in reading.results:
        key = (task.row.id, row.external_user_id)
        found[key] = Report(row.status, row.sent_at, friends.get(key))
    for one in mine:
        if task.state == FAILED or one.reason == LEFT_OUT:
            found[_key(one)] = Report(WINDOW_FULL, None, friends.get(_key(one)))
    return found


def _hear(task: Task, reading: Reading, reports: Sequence[Report], now: Instant) -> None:
    """Move the task by what was read and say when to look again. `reports`: one per unsettled push."""
    task.polls += 1
    is_unsaid = any(one.status == WINDOW_FULL and one.is_friend is None for one in reports)
    soon = _soon(task, reading, now) if is_unsaid else None
    if task.state == FAILED:
        task.look_again(soon)
        return
    if reading.failure is not None:
        _look_later(task, reading.failure, now)
        return
    task.memory.tries = 0 if soon is None else task.memory.tries
    confirmed_at = task.confirmed_at or reading.confirmed_at
    task.hear(Polled(summary_of(reading.status, map(status_of, reports), confirmed_at, now)), now)
    again = None
    if task.state == CONFIRMED:
        task.confirmed_at = confirmed_at or now
        again = next_report_poll(now, confirmed_at=task.confirmed_at) or now + MINUTE_MS
    elif task.state == REQUESTED:
        again = next_poll(now, created_at=task.requested_at or now, until=task.row.expires_at) or now
    if again is not None:  # else it is over, or somebody wants it stopped and it is due for that
        task.look_again(again if soon is None else min(again, soon))


def _soon(task: Task, reading: Reading, now: Instant) -> Instant:
    """When to read on in relations: the rest of many at once, those that could not be read after a while."""
    if reading.unread is None:
        return now
    task.memory.tries += 1
    return refusals.next_try_at(reading.unread, task.memory.tries, f"relations/{task.row.id}", now)


def _look_later(task: Task, failure: WeComFailure, now: Instant) -> None:
    """Nothing could be read; a task that WeCom is still handing out (41063) soon can be."""
    if task.state not in (REQUESTED, CONFIRMED):
        return
    task.memory.tries += 1
    if refusals.errcode_of(failure) == refusals.DISPATCHING:
        since = task.requested_at or now
        regular = next_poll(now, created_at=since, until=max(task.row.expires_at, now + MINUTE_MS))
        again = dispatching_retry_at(task.memory.tries, now, since=since) or regular or now + MINUTE_MS
    else:
        again = refusals.next_try_at(failure, task.memory.tries, f"poll/{task.row.id}", now)
    is_cut = task.state == REQUESTED and again > task.row.expires_at
    task.look_again(max(task.row.expires_at, now) if is_cut else again)
