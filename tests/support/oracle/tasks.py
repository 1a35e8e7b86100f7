"""The life of a task in WeCom: made, confirmed or not, stopped, expired, read, re-issued (SPEC 7.5-7.7, D14-D18).

What a member does comes from the history (`Company.delay`); what WeCom answers, from `people`.
"""

from __future__ import annotations

from tests.support.oracle import people, quota, rules, slots, subjects
from tests.support.oracle.company import Company
from tests.support.oracle.definition import DAY, HOUR, MINUTE
from tests.support.oracle.run import Push, Task
from tests.support.oracle.settling import settle, wait

#: A fresh task answers 41063 for so long; nothing about it can be read or cancelled (WeCom 5.3).
DISPATCHING = 20_000
GATHERING = 10 * MINUTE
AFTER_ANOTHER = 5_000


# -- the member's side -----------------------------------------------------------------------------------------------


def create(company: Company, now: int) -> bool:
    """Hand over every task whose moment has come, after a last look at each of its customers (SPEC 7.5)."""
    ready = [task for task in company.tasks if task.state == "planned" and task.send_at <= now]
    for task in ready:
        if task.sop.calendar.is_quiet(now):
            task.send_at = task.sop.calendar.sendable(now)
            continue
        for push in list(task.pushes):
            _look_again(company, push, now)
        if task.pushes and _another_is_being_made(company, task, now):
            task.send_at = now + AFTER_ANOTHER
            continue
        if not task.pushes:
            task.state = "done"
            continue
        task.state, task.created, task.look_at = "out", now, _next_poll(task, now, now)
        for push in task.pushes:
            push.state = "requested"
            company.told(push.run, now, f"{push.step.id}: requested")
    return bool(ready)


def _another_is_being_made(company: Company, task: Task, now: int) -> bool:
    """One create is outstanding per owner and content; the next comes a little later (ARCHITECTURE 5)."""
    return any(
        other.created == now and (other.member, other.step.text) == (task.member, task.step.text)
        for other in company.tasks
    )


def _look_again(company: Company, push: Push, now: int) -> None:
    """`only_if` and mute are judged once more when the send is claimed; ends have acted by themselves."""
    if not rules.holds(push.step.only_if, subjects.inside(company, push.run, now)):
        settle(company, push, "skipped", "condition", now)
    elif push.customer in company.muted:
        settle(company, push, "skipped", "muted", now)


def confirm(company: Company, now: int) -> bool:
    """Members who tap "send" do it for the whole task (D14)."""
    moved = False
    for task in company.tasks:
        if confirmation(company, task) == now:
            moved = True
            task.confirmed = now
            for push in task.pushes:
                relation = company.relation(task.member, push.customer)
                task.statuses[push.customer] = company.wecom.deliver(relation, push.customer, now)
    return moved


def confirmation(company: Company, task: Task) -> int | None:
    """When the member will confirm it, as far as nothing comes between."""
    if task.created is None or task.confirmed is not None or task.cancelled is not None:
        return None
    delay = company.delay(task.member, task.step.text, task.created)
    return None if delay is None else task.created + max(delay, DISPATCHING)


# -- our side --------------------------------------------------------------------------------------------------------


def _next_poll(task: Task, created: int, now: int) -> int:
    """1, 5, 15 and 60 minutes after creation, hourly for two days, then daily; at the latest when it expires."""
    plan = [MINUTE, 5 * MINUTE, 15 * MINUTE, *(hour * HOUR for hour in range(1, 49))]
    plan += [2 * DAY + day * DAY for day in range(1, 60)]
    return min([created + after for after in plan if created + after > now] + [task.expires])


def collect(company: Company, now: int) -> bool:
    """Read what is due to be read, and act on it."""
    due = [task for task in company.tasks if task.look_at is not None and task.look_at <= now]
    for task in due:
        {"out": _poll, "cancelling": _reread, "gathering": _reissue}[task.state](company, task, now)
    return bool(due)


def _poll(company: Company, task: Task, now: int) -> None:
    if task.confirmed is not None:
        _take_results(company, task, now)
    elif now >= task.expires:
        stop(company, task, "expiry", now)
    else:
        task.look_at = _next_poll(task, task.created, now)


def stop(company: Company, task: Task, purpose: str, now: int) -> None:
    """Cancel it in WeCom at the first call for it, then read twice, a minute apart (D15, D17). A re-issued task is
    left alone by ends."""
    if task.state != "out" or (purpose == "end" and task.is_reissue):
        return
    task.state, task.stop_for, task.stop_at = "cancelling", purpose, now
    task.look_at = max(now, task.created + DISPATCHING)


def _reread(company: Company, task: Task, now: int) -> None:
    if task.cancelled is None and task.confirmed is None:
        task.cancelled = now
    task.reads.append(None if task.confirmed is None else set(task.statuses.values()))
    if len(task.reads) < 2:
        task.look_at = now + MINUTE
        return
    seen = set().union(*(read for read in task.reads if read))
    if people.SENT in seen:
        _take_results(company, task, now)
    elif not seen:
        _free(company, task, now)
    else:
        task.state, task.look_at = "needs_operator", None


def _take_results(company: Company, task: Task, now: int) -> None:
    """Every recipient by WeCom's word (SPEC 7.6, D8)."""
    task.state, task.look_at = "done", None
    for push in task.pushes:
        status = task.statuses[push.customer]
        if status == people.SENT:
            push.sent_at = task.confirmed
            push.could_not_stop = push.stopped is not None and task.confirmed > push.stopped
            settle(company, push, "sent", "", now)
        elif status == people.NO_FRIEND or not company.relation(task.member, push.customer).friends:
            settle(company, push, "failed", "not a friend", now)
        else:
            push.task, push.state = None, "waiting"
            quota.quota_full(company, push, now)


def _free(company: Company, task: Task, now: int) -> None:
    """Certainly not confirmed: ended ones are cancelled, the others go where the purpose sends them."""
    task.state, task.look_at = "done", None
    for push in list(task.pushes):
        push.task = None
        if not push.run.is_open:
            settle(company, push, "cancelled", push.run.reason, now)
        elif task.stop_for == "expiry" or now >= task.expires:
            settle(company, push, "expired", "not confirmed", now)
        elif task.sop.state == "paused":
            wait(company, push, None, "sop paused", now)
        else:
            push.task, push.state, push.reason = task, "waiting", "re-issue"
    task.pushes = [push for push in task.pushes if push.task is task]
    if task.pushes:
        task.state, task.look_at = "gathering", max(now, task.stop_at + GATHERING)


def _reissue(company: Company, task: Task, now: int) -> None:
    """One new task for those still inside, outside quiet hours, with the old expiry (D17)."""
    task.state, task.look_at = "done", None
    inside = [push for push in task.pushes if not push.is_settled]
    at = slots.creation(task.sop.calendar, task.sop.calendar.sendable(now), task.expires)
    new = Task(task.sop, task.step, task.member, task.slot_at, task.expires, at, [], is_reissue=True)
    for push in inside:
        push.task = None
        if not push.run.is_open:
            settle(company, push, "cancelled", push.run.reason, now)
        elif at >= task.expires:
            settle(company, push, "expired", "not confirmed", now)
        elif task.sop.state == "paused":
            wait(company, push, None, "sop paused", now)
        else:
            push.task, push.state, push.reason = new, "planned", ""
            new.pushes.append(push)
    if new.pushes:
        company.tasks.append(new)
