"""What pushes become, written for whole groups: state, reason, the task they leave, the places and claims they held.

Parts for the handlers of enrollments, planning and tasks; all work inside the caller's transaction, which holds the
locks of the enrollments. `machines.push` has decided before anything here is called.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from machines import dispatch, push
from machines.enrollment import Facts
from machines.enrollment import OpenPush as OpenKind
from machines.events import Emptied, PushEvent
from machines.push import PushDecision, PushFacts
from machines.quota import choose_place
from machines.reasons import family
from sopd.handlers.app import App
from sopd.handlers.happened import NOTHING, Consequences
from sopd.store import Transaction
from sopd.store.queries import enrollments as runs
from sopd.store.queries import pushes as queries
from sopd.store.queries.enrollments import Note, OpenPush

# Of the task a push is in: nobody was asked for it yet.
UNREQUESTED = (None, "planned")


class Push(Protocol):
    """What is needed of a push row to write what it becomes."""

    @property
    def id(self) -> int: ...
    @property
    def enrollment_id(self) -> int: ...
    @property
    def sop_id(self) -> int: ...
    @property
    def step_id(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def reason(self) -> str | None: ...
    @property
    def dispatch_id(self) -> int | None: ...
    @property
    def task_state(self) -> str | None: ...


@dataclass(frozen=True)
class Told:
    """One push and what was decided about it. `deferred`: it gave up a day to a full quota."""

    push: Push
    decision: PushDecision
    deferred: int = 0
    plan_at: int | None = None
    expires_at: int | None = None


def open_pushes(tx: Transaction, enrollment_ids: Iterable[int]) -> list[OpenPush]:
    """The unsettled pushes of locked enrollments; planned tasks among theirs are locked, so no relay takes them now."""
    found = runs.open_pushes(tx, enrollment_ids)
    planned = {one.dispatch_id for one in found if one.dispatch_id is not None and one.task_state == "planned"}
    if not planned:
        return found
    states = queries.lock_tasks(tx, planned)
    return [one._replace(task_state=states.get(one.dispatch_id, one.task_state)) for one in found]


def by_run(rows: Iterable[OpenPush]) -> dict[int, list[OpenPush]]:
    """The pushes by enrollment, in firing order."""
    found: dict[int, list[OpenPush]] = {}
    for row in rows:
        found.setdefault(row.enrollment_id, []).append(row)
    return found


def facts_of(unsettled: Sequence[OpenPush]) -> Facts:
    """What the enrollment's machine may know of a run's unsettled pushes."""
    quota = [one for one in unsettled if one.takes_quota]
    return Facts(_open_kind(quota[-1]) if quota else "none", len(quota) < len(unsettled))


def _open_kind(one: OpenPush) -> OpenKind:
    if is_ours(one):
        return "unrequested"
    return "unconfirmed" if one.task_state == "requested" else "doubtful"


def is_ours(one: Push) -> bool:
    """True if no task was asked for, so that our word decides about the push."""
    return one.task_state in UNREQUESTED


@lru_cache(maxsize=4096)
def decide(state: str, event: PushEvent, facts: PushFacts) -> PushDecision:
    """`machines.push.decide`, once per group of like rows."""
    return push.decide(state, event, facts)


def tell(tx: Transaction, told: Sequence[Told]) -> Consequences:
    """Write decisions about pushes that no task holds (or whose task is over), each with a journal row.

    A push that goes back to waiting or is settled without having been sent leaves its planned task and gives back its
    places in the quota windows; one for which there is no day becomes a reminder (`quota_full`). Those that waited for
    a settled one are woken (D5).
    """
    told = [one for one in told if not one.decision.ignored]
    if not told:
        return NOTHING
    leave_tasks(tx, [one.push.id for one in told if one.push.task_state == "planned"])
    queries.change(tx, [_changed(tx, one) for one in told])
    queries.free_places(tx, [one.push.id for one in told if one.decision.state != "sent"])
    reminders = [one.push.id for one in told if one.decision.by_reminder]
    if reminders:
        queries.become_reminders(tx, reminders)
    settled = [one for one in told if one.decision.settled]
    if settled:
        queries.wake_claimants(tx, [one.push.id for one in settled])
    runs.journal(tx, [_note(one) for one in told if _is_news(one)])
    for one in settled:
        count(tx, one.push.sop_id, one.push.step_id, one.decision.state, one.decision.reason)
    return Consequences(settled=frozenset(one.push.enrollment_id for one in settled))


def leave_tasks(tx: Transaction, push_ids: Sequence[int]) -> None:
    """Take pushes out of their planned tasks; a task that nobody is left in ends there."""
    if not push_ids:
        return
    empty = queries.leave_tasks(tx, push_ids)
    if empty:
        ended = dispatch.decide("planned", Emptied(), dispatch.DispatchFacts())
        queries.close_tasks(tx, empty, ended.state, ended.reason)


def count(tx: Transaction, sop_id: int, step_id: str, state: str, reason: str | None, n: int = 1) -> None:
    """Count pushes of a step by what became of them: `sop/7/push/coupon/skipped/condition`."""
    tx.count(f"sop/{sop_id}/push/{step_id}/{state}" + (f"/{family(reason)}" if reason else ""), n)


def release(tx: Transaction, app: App, push_ids: Sequence[int], sent: Mapping[int, int | None]) -> None:
    """After WeCom's results: a sent push keeps one place, in the window of its sending; the rest is given back (D7).

    `sent` maps a sent push to WeCom's send_time, None if WeCom did not tell: then the present instant counts. Pushes of
    a task that needs an operator are not handed in: they keep their places until the windows close (D20).
    """
    gone = [one for one in push_ids if one not in sent]
    if gone:
        queries.free_places(tx, gone)
    if not sent:
        return
    quota = app.company.quota
    windows = {one: quota.window_after_settlement(tx.now if at is None else at) for one, at in sent.items()}
    bare = queries.keep_places(tx, [(one, window.key) for one, window in windows.items()])
    if bare:
        _book_afterwards(tx, bare, {window.key: window.capacity for window in windows.values()})


def _book_afterwards(tx: Transaction, bare: Sequence[tuple[int, int, str]], capacity: Mapping[str, int]) -> None:
    """Sent in a window that was not foreseen: book it while there is room; WeCom has counted it anyhow."""
    taken = queries.taken_places(tx, [row[1] for row in bare], capacity)
    rows = []
    for push_id, customer_id, window in bare:
        places = taken.setdefault((customer_id, window), set())
        place = choose_place(places, capacity[window])
        if place is not None:
            places.add(place)
            rows.append((customer_id, window, place, push_id))
    queries.take_places(tx, rows)


def _changed(tx: Transaction, one: Told) -> queries.Changed:
    decision = one.decision
    stays = decision.settled and not is_ours(one.push)
    return queries.Changed(
        id=one.push.id,
        state=decision.state,
        reason=decision.reason,
        mark=decision.mark,
        plan_at=None if decision.settled else one.plan_at,
        deferred=one.deferred,
        expires_at=one.expires_at,
        dispatch_id=one.push.dispatch_id if stays else None,
        settled_at=tx.now if decision.settled else None,
        sent_at=None,
    )


def _is_news(one: Told) -> bool:
    """Looking again at a push that waits for the same as before is no decision."""
    return bool(one.deferred) or (one.push.state, one.push.reason) != (one.decision.state, one.decision.reason)


def _note(one: Told) -> Note:
    decision = one.decision
    detail: dict[str, object] = {"step": one.push.step_id, "push": decision.state}
    if one.plan_at is not None and not decision.settled:
        detail["until"] = one.plan_at
    kind = "task" if decision.settled else "wait"
    return Note(one.push.enrollment_id, kind, reason=decision.reason, detail=json.dumps(detail))

