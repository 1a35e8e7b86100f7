"""Creates nobody knows the outcome of: claimed for the look-up, and what it found (D16). Commands of `sopd.lookup`.

A lease that ran out is doubtful unless it is certain that no call was made. What cannot be told apart becomes
`needs_operator`, is never sent again by itself, and is corrected by an operator's word alone (D20).
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from machines.backoff import dispatching_retry_at
from machines.calendar import MINUTE_MS, SECOND_MS, Instant
from machines.dispatch import ABSENT_AFTER_MS, Match, lookup_verdict
from machines.dispatch.life import NEEDS_OPERATOR, PLANNED, SENDING, UNCERTAIN
from machines.events import Doubtful, PushResolved, Resolved, TaskRefused
from machines.push import PushDecision, PushFacts
from sopd.commands import ResolveDispatch
from sopd.errors import Refused, no_such
from sopd.handlers import contents, dispatches, pushes, refusals, requests, task_pushes
from sopd.handlers.app import App
from sopd.handlers.dispatches import Task
from sopd.store import Transaction
from sopd.store.batch import in_halves
from sopd.store.queries import audit
from sopd.store.queries import dispatches as queries
from sopd.store.queries import enrollments as run_queries
from sopd.store.queries.dispatches import Inside
from sopd.wecom.errors import WeComFailure

LEASE_MS = 180 * SECOND_MS
MOST_TASKS = 50


@dataclass(frozen=True)
class Doubt:
    """One create to be looked for: by its content (`identity`), sender, recipients, and when it was attempted."""

    dispatch_id: int
    claim: int
    userid: str
    identity: str
    recipients: frozenset[str]
    attempted_at: Instant


@dataclass(frozen=True)
class Finding:
    """What one look showed. `read_at`: when a complete read of WeCom's list began, None if it broke off.

    `matches` are the tasks like ours in it. `failure`: why there is no reading, or no telling the matches apart yet.
    """

    doubt: Doubt
    read_at: Instant | None = None
    matches: tuple[Match, ...] = ()
    failure: WeComFailure | None = None


def claim(app: App) -> list[Doubt]:
    """Lease doubtful creates that are to be looked for. Those of which it is certain that no call was made are planned
    again: the instant of an attempt is committed before its call."""
    with app.store.transaction() as tx:
        claims = queries.lease(tx, "lookup", limit=MOST_TASKS, lease_ms=LEASE_MS)
        tasks = dispatches.lock(tx, claims)
        for task in tasks:
            if task.state == SENDING and task.attempted_at is None:
                task.hear(TaskRefused("not_created"), tx.now)
                task.look_again(tx.now)
            elif task.state == SENDING:
                task.hear(Doubtful(), tx.now)
        dispatches.save(tx, [task for task in tasks if task.state != task.row.state])
        doubtful = [task for task in tasks if task.state == UNCERTAIN]
        if any(task.state == PLANNED for task in tasks):
            tx.after_commit(lambda: app.ring("relay"))
        return _doubts(tx, app, doubtful, claims)


def _doubts(tx: Transaction, app: App, tasks: Sequence[Task], claims: Mapping[int, int]) -> list[Doubt]:
    programs = app.programs.all(tx, [task.row.version_id for task in tasks])
    recipients: defaultdict[int, set[str]] = defaultdict(set)
    for one in queries.inside(tx, [task.row.id for task in tasks]):
        recipients[one.dispatch_id].add(one.external_userid)
    return [
        Doubt(
            task.row.id,
            claims[task.row.id],
            task.row.userid,
            contents.of_step(programs[task.row.version_id].step(task.row.step_id)).identity,
            frozenset(recipients[task.row.id]),
            task.attempted_at if task.attempted_at is not None else tx.now,
        )
        for task in tasks
    ]


def unrecorded(app: App, msgids: Collection[str]) -> set[str]:
    """Those of these tasks of WeCom that no dispatch of ours has recorded."""
    with app.store.reading() as tx:
        return set(msgids) - queries.known_msgids(tx, msgids)


def record(app: App, findings: Sequence[Finding]) -> None:
    """Record what looking showed: found, not created, look again, or for an operator."""
    in_halves(findings, partial(_record, app), partial(_set_aside, app))
    dispatches.let_rest(app, (UNCERTAIN,), (one.failure for one in findings))


def _set_aside(app: App, finding: Finding, reason: str) -> None:
    dispatches.set_aside(app, finding.doubt.dispatch_id, reason)


def _record(app: App, findings: Sequence[Finding]) -> None:
    by_id = {one.doubt.dispatch_id: one for one in findings}
    with app.store.transaction() as tx:
        queries.lock_runs(tx, by_id)
        tasks = [
            task
            for task in dispatches.lock(tx, by_id)
            if task.state == UNCERTAIN and task.row.attempts == by_id[task.row.id].doubt.claim
        ]
        for task in tasks:
            _judge(task, by_id[task.row.id], tx.now)
        dispatches.save(tx, tasks)
        told = [task for task in tasks if task.words or task.alert]
        task_pushes.settle(tx, app, told, queries.inside(tx, [task.row.id for task in told]))
        tx.after_commit(lambda: app.ring("collect"))


def _judge(task: Task, finding: Finding, now: Instant) -> None:
    attempted_at = finding.doubt.attempted_at
    if finding.read_at is not None and not finding.matches:
        task.memory.absent.append(finding.read_at)
    verdict = None
    if finding.failure is None:
        verdict = lookup_verdict(attempted_at, task.memory.absent, finding.matches, now)
    if verdict is None:
        task.memory.tries += 1
        task.look_again(_next_look(task, finding, now))
        return
    task.hear(verdict, now)
    task.memory.tries = 0
    if verdict.verdict == "found":
        requests.asked(task, verdict.msgid, now)
    elif task.state == PLANNED:
        task.look_again(now)
    elif task.state == UNCERTAIN:
        task.look_again(max(attempted_at + ABSENT_AFTER_MS, now + MINUTE_MS))


def _next_look(task: Task, finding: Finding, now: Instant) -> Instant:
    if finding.failure is not None:
        return refusals.next_try_at(finding.failure, task.memory.tries, f"look-up/{task.row.id}", now)
    since = finding.doubt.attempted_at
    return dispatching_retry_at(task.memory.tries, now, since=since) or now + SECOND_MS


# -- an operator's word ------------------------------------------------------------------------------------------------


def resolve(app: App, command: ResolveDispatch) -> int:
    """An operator says whether a task that needs one was sent; returns how many pushes that corrects.

    Only the pushes change: steps and ends that went on stay as they are (D20). Raises NotFound and Refused.
    """
    with app.store.transaction() as tx:
        runs = [one.enrollment_id for one in queries.doubted(tx, [command.dispatch_id])]
        run_queries.lock(tx, runs)
        task = next(iter(dispatches.lock(tx, [command.dispatch_id])), None)
        if task is None:
            raise no_such("task", command.dispatch_id)
        if task.state != NEEDS_OPERATOR:
            raise Refused(
                f"task {task.row.id} is {task.state}, and WeCom's word counts",
                "only a task that needs an operator can be resolved",
            )
        task.hear(Resolved(command.sent, tx.now, command.who), tx.now)
        dispatches.save(tx, [task])
        rows = queries.doubted(tx, [task.row.id])
        told = [pushes.Told(one, _resolved(one, command, tx.now)) for one in rows]
        pushes.tell(tx, told)
        queries.note_sent(tx, [(one.push.id, tx.now) for one in told if one.decision.state == "sent"])
        audit.write(tx, command.who, "dispatch resolve", str(task.row.id), json.dumps({"sent": command.sent}))
        return len(told)


def _resolved(one: Inside, command: ResolveDispatch, now: Instant) -> PushDecision:
    return pushes.decide(
        one.state, PushResolved(command.sent, now, command.who), PushFacts(ended_at=one.stopped_at, task="doubtful")
    )
