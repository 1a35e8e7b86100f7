"""Whether a customer's quota has room for a push now, and who comes first for the day (SPEC 7.3, D6-D10)."""

from __future__ import annotations

import datetime as dt

from tests.support.oracle import rules, subjects
from tests.support.oracle.company import Company
from tests.support.oracle.people import capacity, shanghai_day, window, windows
from tests.support.oracle.run import NEVER, Push, Run
from tests.support.oracle.settling import settle, wait


def booked(company: Company, customer: str) -> list[dt.date]:
    """The window of every place that is taken: by open tasks in each they reach into, by sent pushes in that of their
    send_time (D7), and by what members are known to have sent themselves (D9)."""
    own = [one for one in company.own_sends if one.booked and one.relation.customer == customer]
    places = [window(company.mode, one.at) for one in own]
    for push in company.pushes(customer=customer):
        if push.step.is_welcome:
            continue
        if push.state == "sent":
            places.append(window(company.mode, push.sent_at))
        elif push.task is not None and not push.is_settled:
            places += windows(company.mode, push.planned_at, push.expires)
    return places


def has_room(company: Company, push: Push, now: int, expires: int) -> bool:
    """One open mass send per customer (D6), a place in each window the task will reach into (D7), first for the day."""
    others = [other for other in company.pushes(customer=push.customer) if other is not push]
    if any(other.task is not None and other.is_unsettled for other in others):
        return False
    taken = booked(company, push.customer)
    for first in windows(company.mode, now, expires):
        if taken.count(first) >= capacity(company.mode, first):
            return False
    here = window(company.mode, now)
    places = capacity(company.mode, here) - taken.count(here)
    ahead = [rival for rival in _rivals(company, push, now) if rival < _rank(push.run, push.due)]
    return len(ahead) < places


def _rank(run: Run, due: int) -> tuple[int, int, int]:
    """Highest priority, earliest due, lowest id come first."""
    return -run.sop.plan.priority, due, run.number


def _rivals(company: Company, push: Push, now: int) -> list[tuple[int, int, int]]:
    """Everybody else who wants this customer on WeCom's day and could go now, were it not for the quota (D10)."""
    today = shanghai_day(now)
    found = []
    for run in company.open_runs(customer=push.customer):
        if run is push.run or run.sop.state != "running":
            continue
        waiting = run.open_push()
        if waiting is not None:
            at = max(waiting.look_at or now, now)
            if waiting.task is None and shanghai_day(at) == today and _could_go(company, run, waiting.step.index, now):
                found.append(_rank(run, waiting.due))
            if waiting.look_at is None:
                continue
        step = run.next_step()
        if step is None or run.waits or step.index in run.before_entry or run.dues[step.index] == NEVER:
            continue
        due = run.dues[step.index]
        if shanghai_day(run.sop.calendar.sendable(due)) == today and _could_go(company, run, step.index, now):
            found.append(_rank(run, due))
    return found


def _could_go(company: Company, run: Run, index: int, now: int) -> bool:
    """The other checks: the step's condition, a known relation, nobody muted, nobody else's claim (SPEC 7.2)."""
    step = run.steps[index]
    return (
        run.customer not in company.muted
        and run.relation.known
        and rules.holds(step.only_if, subjects.inside(company, run, now))
        and claim_of(company, run, index) in (None, run)
    )


def claim_of(company: Company, run: Run, index: int) -> Run | None:
    """Whose the step is (D5): who sent it, else the earliest due, oldest relation, lowest id among the open pushes."""
    if run.sop.plan.once_per == "relation" or not run.sop.plan.is_for_new:
        return None
    step = run.steps[index]
    same = [
        push
        for push in company.pushes(customer=run.customer)
        if push.run.sop is run.sop and push.step.id == step.id and (not push.is_settled or push.state == "sent")
        and (push.run is run or push.run.relation is not run.relation)
    ]
    sent = [push for push in same if push.state == "sent"]
    if sent:
        return sent[0].run
    first = min(same, key=lambda push: (push.due, push.run.relation.began, push.run.number), default=None)
    return first.run if first is not None else None


def quota_full(company: Company, push: Push, now: int) -> None:
    """The loser: the following days at its own time, so many of them; or skipped at once (SPEC 7.3, D8)."""
    policy = push.run.sop.plan.quota_full
    if not push.run.is_open:
        settle(company, push, "cancelled", push.run.reason, now)
    elif policy == "skip":
        settle(company, push, "skipped", "quota", now)
    elif push.deferred >= policy:
        settle(company, push, "failed", "quota", now)
    else:
        push.deferred += 1
        again = push.run.sop.calendar.next_try(now, company.own_time(push))
        wait(company, push, again, "quota", now)
