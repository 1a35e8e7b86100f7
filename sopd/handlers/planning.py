"""From due push to a place in a task (SPEC 7.2-7.4), and the parts that bring pushes back to planning.

`plan` locks the owners of some due pushes, then customers and runs, asks the checks of SPEC 7.2 in their order (those
that need other pushes only of pushes that passed the rest), places what is left and writes everything with a number of
statements that does not depend on how many pushes there are.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from machines.calendar import Instant
from machines.events import (
    PushDelayed,
    PushEvent,
    PushExpired,
    PushOvertaken,
    PushPlanned,
    PushReturned,
    PushSkipped,
    ResultQuota,
)
from machines.lifecycle import passes_over
from machines.push import PlanFacts, PushFacts, Verdict
from machines.quota import after_full, choose_place
from machines.reasons import CAPACITY, PAUSED, SOP_PAUSED
from sopd.handlers import planning_claims, planning_quota, planning_slots, pushes
from sopd.handlers.app import App
from sopd.handlers.consequences import follow
from sopd.handlers.happened import Consequences
from sopd.handlers.planning_facts import Candidate, check, load, quiet_until
from sopd.handlers.planning_slots import Seated
from sopd.handlers.pushes import Told
from sopd.store import Transaction
from sopd.store.batch import in_halves
from sopd.store.queries import aside, claims, sops
from sopd.store.queries import enrollments as run_queries
from sopd.store.queries import owners as owner_queries
from sopd.store.queries import planning as queries
from sopd.store.queries import pushes as push_queries
from sopd.store.queries import resuming as resume_queries
from sopd.store.queries.enrollments import Note
from sopd.store.queries.pushes import Changed

HELD_AGAIN_MS = 3_600_000
"""A push that waits for another's claim is woken when that settles. It also looks again by itself, for who held it back
may have ended before its step fired, and outside quiet hours, for these would tell it nothing."""


def plan(app: App, *, limit: int = 500) -> int:
    """Plan due pushes, at most `limit`; returns how many were looked at. A poison row is set aside.

    Planning thinks longest of all, and on SQLite callbacks that arrive meanwhile wait for its transaction to end: while
    they come, the store asks for smaller portions.
    """
    with app.store.reading() as tx:
        ids = queries.due_ids(tx, app.store.portion(limit))
    done = in_halves(ids, partial(_plan, app), partial(_set_aside, app))
    return sum(done.results) + len(done.aside)


def _set_aside(app: App, push_id: int, reason: str) -> None:
    with app.store.transaction() as tx:
        aside.take_out(tx, "push", push_id, reason)


def _plan(app: App, ids: Sequence[int]) -> int:
    with app.store.transaction() as tx:
        states = sops.states(tx)
        candidates = _lock(tx, app, ids, states)
        if not candidates:
            return 0
        told, ready = _judge(tx, app, candidates, states)
        if ready:
            told += _seat(tx, app, ready)
        follow(tx, app, pushes.tell(tx, told))
        return len(candidates)


def _lock(tx: Transaction, app: App, ids: Sequence[int], states: Mapping[int, str]) -> list[Candidate]:
    """The due pushes of owners that no other planner has, with everything they hang on locked in one order."""
    wanted = queries.wanted(tx, ids)
    owners = queries.lock_owners(tx, [one.member_id for one in wanted])
    wanted = [one for one in wanted if one.member_id in owners]
    if not wanted:
        return []
    muted = queries.lock_customers(tx, [one.customer_id for one in wanted])
    runs = queries.lock_runs(tx, [one.enrollment_id for one in wanted])
    # A push that has just gone to another owner is that one's to plan.
    rows = [row for row in queries.push_rows(tx, [one.id for one in wanted]) if row.member_id in owners]
    return load(tx, app, rows, runs, owners, muted, states)


# -- the checks --------------------------------------------------------------------------------------------------------


def _judge(
    tx: Transaction, app: App, candidates: Sequence[Candidate], states: Mapping[int, str]
) -> tuple[list[Told], list[Candidate]]:
    """What is decided already, and those that passed every check."""
    told: list[Told] = []
    left = _sift(candidates, told, lambda one: _of_time(one, tx.now))
    left = _sift(left, told, lambda one: _unless_ready(check(one.facts)))
    words = planning_claims.judge(tx, app, left)
    left = [replace(one, facts=_with_claim(one.facts, words.get(one.push.id))) for one in left]
    left = _sift(left, told, lambda one: _unless_ready(check(one.facts)), lambda one: _held_again_at(one, tx.now))
    places = planning_quota.judge(tx, app, left, states)
    left = [replace(one, facts=places.get(one.push.id, one.facts)) for one in left]
    return told, _sift(left, told, lambda one: _unless_ready(check(one.facts)))


def _of_time(one: Candidate, now: Instant) -> PushEvent | None:
    """What the clock says of a push nobody has a task for: overtaken by the next step, or no room before its expiry."""
    if one.facts.sop_state != "running" or not one.facts.enrollment_open:
        return None
    if one.push.next_due_at is not None and one.push.next_due_at <= now:
        return PushOvertaken()
    if one.push.reason == CAPACITY and one.push.expires_at is not None and one.push.expires_at <= now:
        return PushExpired(CAPACITY)
    return None


def _unless_ready(verdict: Verdict) -> PushEvent | None:
    return None if verdict.ready else verdict.event


def _with_claim(facts: PlanFacts, word: planning_claims.Word | None) -> PlanFacts:
    return facts if word is None else replace(facts, claim=word.claim, claimed_by=word.via)


def _sift(
    candidates: Sequence[Candidate],
    told: list[Told],
    judge: Callable[[Candidate], PushEvent | None],
    look_again_at: Callable[[Candidate], Instant] | None = None,
) -> list[Candidate]:
    """Those about whom `judge` says nothing; for the others the decision goes into `told`."""
    left = []
    for one in candidates:
        event = judge(one)
        if event is None:
            left.append(one)
        else:
            told.append(_told(one, event, look_again_at(one) if look_again_at else None))
    return left


def _held_again_at(one: Candidate, now: Instant) -> Instant:
    at = now + HELD_AGAIN_MS
    return quiet_until(one.program, one.push.due_at, at) or at


def _told(
    one: Candidate, event: PushEvent, look_again_at: Instant | None = None, expires_at: Instant | None = None
) -> Told:
    decision = pushes.decide(
        one.push.state, event, PushFacts(enrollment_open=one.facts.enrollment_open, end_reason=one.facts.end_reason)
    )
    deferred = int(isinstance(event, ResultQuota) and event.outcome == "defer")
    until = look_again_at if decision.until is None else decision.until
    return Told(one.push, decision, deferred, until, expires_at)


# -- a place in a task -------------------------------------------------------------------------------------------------


def _seat(tx: Transaction, app: App, ready: Sequence[Candidate]) -> list[Told]:
    """Give those that passed their places: windows, slot, task, claim. Returns those that found no room in a slot."""
    seated = planning_slots.seat(tx, app, ready)
    placed = [one for one in ready if one.push.id in seated.seats]
    # A place that went to somebody else meanwhile: the push stays due and is looked at again.
    missed = _book(tx, app, [one for one in placed if one.push.takes_quota], seated)
    placed = [one for one in placed if one.push.id not in missed]
    tasks = planning_slots.write(tx, seated, [one.push.id for one in placed])
    if placed:
        _write_planned(tx, placed, seated, tasks)
        tx.after_commit(lambda: app.ring("relay"))
    return [
        _told(one, PushDelayed(CAPACITY, seated.without[one.push.id]), expires_at=seated.without[one.push.id])
        for one in ready
        if one.push.id in seated.without
    ]


def _book(tx: Transaction, app: App, placed: Sequence[Candidate], seated: Seated) -> set[int]:
    """Reserve a place in every window from now to the task's expiry (D7); returns the pushes that found one gone."""
    if not placed:
        return set()
    quota = app.company.quota
    windows = {
        one.push.id: planning_quota.windows(quota, tx.now, seated.seats[one.push.id].task.expires_at)
        for one in placed
    }
    names = {window.key for reached in windows.values() for window in reached}
    taken = push_queries.taken_places(tx, [one.push.customer_id for one in placed], names)
    rows, missed = [], set()
    for one in placed:
        for window in windows[one.push.id]:
            place = choose_place(taken.get((one.push.customer_id, window.key), ()), window.capacity)
            if place is None:
                missed.add(one.push.id)
            else:
                rows.append((one.push.customer_id, window.key, place, one.push.id))
    missed |= push_queries.take_places(tx, [row for row in rows if row[3] not in missed])
    if missed:
        push_queries.free_places(tx, missed)
    return missed


def _write_planned(
    tx: Transaction, placed: Sequence[Candidate], seated: Seated, tasks: Mapping[int, int]
) -> None:
    claims.take(
        tx, [(*planning_claims.key_of(one), one.push.id) for one in placed if one.program.once_per == "customer"]
    )
    rows, notes = [], []
    for one in placed:
        decision = pushes.decide(one.push.state, PushPlanned(), PushFacts())
        seat = seated.seats[one.push.id]
        task = tasks[one.push.id]
        rows.append(
            Changed(
                one.push.id, decision.state, decision.reason, None, None, 0, seat.task.expires_at, task, None, None
            )
        )
        detail = {"step": one.push.step_id, "push": decision.state, "task": task, "at": seat.create_at}
        notes.append(Note(one.push.enrollment_id, "task", detail=json.dumps(detail)))
    push_queries.change(tx, rows)
    run_queries.journal(tx, notes)


# -- parts: back to planning -------------------------------------------------------------------------------------------


def quota_full(tx: Transaction, app: App, push_ids: Sequence[int]) -> Consequences:
    """WeCom's window is full for these customers (status 3, 41048, fail_list with a friend, D8): `quota_full` decides.

    Deferred pushes go back to planning for the next allowed day; their places in the windows are given back.
    """
    owner_queries.follow_owners(tx, push_ids)
    rows = push_queries.unsettled(tx, push_ids)
    runs = queries.lock_runs(tx, [row.enrollment_id for row in rows])
    programs = app.programs.all(tx, [row.version_id for row in rows])
    told = []
    for row in rows:
        program, run = programs[row.version_id], runs[row.enrollment_id]
        outcome = after_full(program.quota_full, row.deferred)
        until = planning_quota.next_try_at(program, program.step(row.step_id), row.due_at, tx.now)
        facts = PushFacts(enrollment_open=run.closed_at is None, end_reason=run.reason, task="open")
        decision = pushes.decide(row.state, ResultQuota(outcome, until), facts)
        told.append(Told(row, decision, int(outcome == "defer"), decision.until))
    return pushes.tell(tx, told)


def back(
    tx: Transaction, app: App, push_ids: Sequence[int], reason: str, *, until: Instant | None = None
) -> Consequences:
    """Certainly not sent: these pushes leave their task and are planned anew, not before `until`.

    For `sop paused` they wait for `resume`; if that was given meanwhile they do as it said (D23). Those whose
    enrollment ended become cancelled.
    """
    owner_queries.follow_owners(tx, push_ids)
    rows = push_queries.unsettled(tx, push_ids)
    runs = queries.lock_runs(tx, [row.enrollment_id for row in rows])
    states = sops.states(tx)
    resumed = resume_queries.policies(tx, {row.sop_id for row in rows}) if reason == SOP_PAUSED else {}
    told = []
    for row in rows:
        run = runs[row.enrollment_id]
        facts = PushFacts(enrollment_open=run.closed_at is None, end_reason=run.reason, task="retired")
        decision = pushes.decide(row.state, PushReturned(reason, until), facts)
        # Of a run that is to be shifted yet, the shift plans it.
        parked = reason == SOP_PAUSED and (states[row.sop_id] == "paused" or run.parked_at is not None)
        if reason == SOP_PAUSED and not parked and not decision.settled:
            passed = passes_over(resumed.get(row.sop_id, "skip"), row.next_due_at, tx.now)
            decision = pushes.decide(decision.state, PushSkipped(PAUSED), PushFacts()) if passed else decision
        told.append(Told(row, decision, plan_at=None if parked else until or tx.now))
    tx.after_commit(lambda: app.ring("plan"))
    return pushes.tell(tx, told)
