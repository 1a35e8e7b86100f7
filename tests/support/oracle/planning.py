"""A due step fires; a due push is checked, gets a place in its owner's slots and a task (SPEC 7.1-7.4, D5, D10-D14)."""

from __future__ import annotations

from tests.support.oracle import ends, quota, slots, tasks
from tests.support.oracle.company import Company
from tests.support.oracle.definition import holds
from tests.support.oracle.run import Push, Run, Step, Task
from tests.support.oracle.settling import detach, settle, wait

# -- firing ----------------------------------------------------------------------------------------------------------


def fire(company: Company, now: int) -> bool:
    """Fire every step that is due, in the order of the definition, of every run of a running SOP."""
    fired = [_fire_run(company, run, now) for run in company.open_runs() if run.sop.state == "running"]
    return any(fired)


def _fire_run(company: Company, run: Run, now: int) -> bool:
    moved = False
    while run.is_open and not run.waits:
        step = run.next_step()
        if step is None or run.dues[step.index] > now:
            break
        moved = True
        if step.index in run.before_entry:
            pass_over(company, run, step, "before entry", now)
        elif _is_late(run, step, now):
            pass_over(company, run, step, "late", now)
        else:
            _fire_step(company, run, step, now)
    return moved


def pass_over(company: Company, run: Run, step: Step, reason: str, now: int) -> None:
    """The step is behind the run without a send; it settles nothing and waits for nothing (SPEC 5)."""
    push = Push(run, step, due=run.dues[step.index], state="skipped", reason=reason, settled_at=now)
    run.pushes.append(push)
    _advance(run)
    company.told(run, now, f"{step.id}: skipped {reason}")


def _fire_step(company: Company, run: Run, step: Step, now: int) -> None:
    """At most one unsettled mass send: an unrequested predecessor is overtaken, one that is out is waited for."""
    before = run.open_push()
    if before is not None and before.is_out:
        run.waits = True
        return
    if before is not None:
        settle(company, before, "skipped", "overtaken", now)
    push = Push(run, step, due=run.dues[step.index], look_at=now)
    run.pushes.append(push)
    _advance(run)
    company.told(run, now, f"{step.id}: fires")


def _advance(run: Run) -> None:
    run.fired += 1
    run.released = False
    run.state = run.steps[run.fired - 1].id if run.fired < len(run.steps) else "settling"


def _is_late(run: Run, step: Step, now: int) -> bool:
    """Missed by our own fault beyond `outage_grace`: neither by waiting for the predecessor, nor before the entry."""
    due = run.dues[step.index]
    grace_end = run.sop.calendar.grace_end(run.sop.calendar.sendable(due))
    return not run.released and due >= run.entered and now >= grace_end


def release(company: Company, now: int) -> bool:
    """What waited for its predecessor goes on at the instant that one settles (D20)."""
    freed = [run for run in company.open_runs() if run.waits and run.open_push() is None]
    for run in freed:
        run.waits, run.released = False, True
        run.dues[run.fired] = max(run.dues[run.fired], now)
    return bool(freed)


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
    if push.step.only_if is not None and not holds(push.step.only_if, company.about(run.relation)):
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


# -- pause, resume, stop ---------------------------------------------------------------------------------------------


def pause(company: Company, key: str, now: int) -> None:
    """Planning stops; what no member has confirmed is cancelled, and its pushes wait (SPEC 12, D23)."""
    sop = company.sop(key)
    if sop.state != "running":
        return
    sop.state = "paused"
    for push in company.pushes():
        if push.run.sop is sop and push.state == "planned" and not push.is_out:
            detach(push)
            wait(company, push, None, "sop paused", now)
    for task in company.tasks:
        if task.sop is sop and task.state == "out":
            tasks.stop(company, task, "pause", now)


def resume(company: Company, key: str, now: int) -> None:
    """Go on, passing over what is past: the moments missed, and the pushes that waited (D23)."""
    sop = company.sop(key)
    if sop.state != "paused":
        return
    sop.state = "running"
    for run in company.open_runs():
        if run.sop is not sop:
            continue
        for push in run.pushes:
            if push.state in ("due", "waiting"):
                settle(company, push, "skipped", "paused", now)
        while (step := run.next_step()) is not None and run.dues[step.index] <= now and not run.waits:
            pass_over(company, run, step, "before entry" if step.index in run.before_entry else "paused", now)


def stop(company: Company, key: str, now: int) -> None:
    """End the SOP and all its runs: no tags, no flow (SPEC 8)."""
    sop = company.sop(key)
    if sop.state not in ("running", "paused"):
        return
    sop.state = "ended"
    for run in company.open_runs():
        if run.sop is sop:
            ends.end(company, run, "stopped", "stopped", now)
