"""A due push is checked, gets a place in its owner's slots and a task (SPEC 7.2-7.4, D5, D10-D14)."""

from __future__ import annotations

from tests.support.oracle import quota, rules, slots, subjects
from tests.support.oracle.company import Company
from tests.support.oracle.run import Push, Task
from tests.support.oracle.settling import settle, wait

# -- planning --------------------------------------------------------------------------------------------------------


def plan(company: Company, now: int) -> bool:
    """Look at every push whose time has come, best rank first, as SPEC 7.2 orders the checks."""
    due = [push for push in company.pushes() if push.look_at is not None and push.look_at <= now]
    due.sort(key=lambda push: (-push.run.sop.plan.priority, push.due, push.run.number))
    for push in due:
        if not push.is_settled and push.look_at is not None:
            push.look_at = None
            _plan_push(company, push, now)
    return bool(due)


def _plan_push(company: Company, push: Push, now: int) -> None:
    run, calendar = push.run, push.run.sop.calendar
    if run.sop.state == "paused":
        return wait(company, push, None, "sop paused", now)
    if run.relation.handed_over is not None:
        return wait(company, push, run.relation.handed_over, "handed over", now)
    if not rules.holds(push.step.only_if, subjects.inside(company, run, now)):
        return settle(company, push, "skipped", "condition", now)
    if push.customer in company.muted:
        return settle(company, push, "skipped", "muted", now)
    quiet_until = calendar.sendable(now, calendar.date(push.due))
    if quiet_until > now:
        return wait(company, push, quiet_until, "quiet hours", now)
    holder = quota.claim_of(company, run, push.step.index)
    if holder is not None and holder is not run:
        if any(p.state == "sent" and p.step.id == push.step.id for p in holder.pushes):
            return settle(company, push, "skipped", "same content via", now)
        return wait(company, push, None, "same content via", now)
    expires = calendar.expiry(now, run.next_due(push.step))
    if not quota.has_room(company, push, now, expires):
        return quota.quota_full(company, push, now)
    return _into_slot(company, push, now, expires)


def wake(company: Company, now: int) -> bool:
    """A push that waits for another relation's claim is looked at as soon as that has settled."""
    woken = [
        push
        for push in company.pushes()
        if push.state == "waiting"
        and push.reason == "same content via"
        and push.look_at is None
        and push.run.sop.state == "running"
        and not _held_by_another(company, push)
    ]
    for push in woken:
        push.look_at = now
    return bool(woken)


def _held_by_another(company: Company, push: Push) -> bool:
    holder = quota.claim_of(company, push.run, push.step.index)
    if holder is None or holder is push.run:
        return False
    return not any(p.state == "sent" and p.step.id == push.step.id for p in holder.pushes)


def _into_slot(company: Company, push: Push, now: int, expires: int) -> None:
    """A place in the owner's slots; with none before its expiry it is kept until then and `expired: capacity`."""
    run = push.run
    push.planned_at, push.expires = now, expires
    found = slots.take(company, run.sop, run.relation.member, now, expires)
    if found is None:
        return wait(company, push, None, "capacity", now)
    slot, at = found
    same = next((task for task in company.tasks if _joins(task, push, slot.opens)), None)
    if same is None:
        send_at = slots.creation(run.sop.calendar, at, min(slot.closes, expires))
        same = Task(run.sop, push.step, run.relation.member, slot.opens, expires, send_at, [])
        company.tasks.append(same)
    same.pushes.append(push)
    push.task, push.state, push.reason = same, "planned", ""
    when = run.sop.calendar.local(same.send_at)
    return company.told(run, now, f"{push.step.id}: planned for {when:%m-%d %H:%M:%S}")


def _joins(task: Task, push: Push, slot_at: int) -> bool:
    """D14: one owner, step, slot and expiry, not yet handed over."""
    return (
        task.state == "planned"
        and not task.is_reissue
        and task.sop is push.run.sop
        and task.step is push.step
        and task.member == push.run.relation.member
        and (task.slot_at, task.expires) == (slot_at, push.expires)
    )
