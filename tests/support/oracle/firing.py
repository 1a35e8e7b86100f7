"""A due step fires (SPEC 5, 7.1): in order, never with two unsettled mass sends, and late only by our own fault.

Under `pace: stepwise` the next step counts from the settlement of the one before, or from the answer it waits for.
"""

from __future__ import annotations

import datetime as dt

from tests.support.oracle.company import Company
from tests.support.oracle.run import NEVER, Push, Run, Step
from tests.support.oracle.settling import settle


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
            fire_step(company, run, step, now)
    return moved


def pass_over(company: Company, run: Run, step: Step, reason: str, now: int) -> None:
    """The step is behind the run without a send; it settles nothing and waits for nothing (SPEC 5)."""
    push = Push(run, step, due=run.dues[step.index], state="skipped", reason=reason, settled_at=now)
    run.pushes.append(push)
    _advance(run)
    company.told(run, now, f"{step.id}: skipped {reason}")


def fire_step(company: Company, run: Run, step: Step, now: int) -> None:
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


# -- stepwise --------------------------------------------------------------------------------------------------------


def go_on(company: Company, now: int) -> bool:
    """The next step of a stepwise run falls due some time after the last one settled (D13), or was answered."""
    moved = [_count(company, run, now) for run in company.open_runs() if run.sop.plan.is_stepwise]
    return any(moved)


def _count(company: Company, run: Run, now: int) -> bool:
    """Once the step before has settled; and again when the answer comes that was waited for."""
    step = run.next_step()
    if not run.pushes or step is None or run.pushes[-1].is_unsettled:
        return False
    known = run.dues[step.index] != NEVER
    if known and run.answer_until is None:
        return False
    settled, waits = _settled(run.pushes[-1], now), _asks(run.pushes[-1])
    answer = _answer(company, run, run.pushes[-1]) if waits else None
    if known and answer is None:
        return False
    run.counts_from = settled + waits if answer is None else answer
    run.answer_until = settled + waits if waits and answer is None else None
    calendar = run.sop.calendar
    due = calendar.due_after(step, run.counts_from, quota_day(run))
    run.dues[step.index] = due if due >= now else calendar.sendable(now, calendar.date(due))
    company.told(run, now, f"{step.id} falls due {calendar.local(run.dues[step.index]):%m-%d %H:%M:%S}")
    return True


def _settled(push: Push, now: int) -> int:
    """WeCom's send_time, else the instant we learned it (D13); a task that needs an operator became so now (D20)."""
    if push.state == "sent":
        return push.sent_at // 1000 * 1000
    return now if push.settled_at is None else push.settled_at


def _asks(push: Push) -> int:
    """How long an answer is waited for: after a step that was sent."""
    return push.step.waits or 0 if push.state == "sent" else 0


def _answer(company: Company, run: Run, push: Push) -> int | None:
    """The first answer since it was sent that came in time."""
    since = push.sent_at // 1000 * 1000
    return min(
        (
            signal.at
            for signal in company.signals[: company.handled]
            if signal.kind == "reply" and signal.customer == run.customer
            and since <= signal.at <= since + push.step.waits
            and (not run.sop.plan.is_for_new or signal.relation is run.relation)
        ),
        default=None,
    )  # fmt: skip


def quota_day(run: Run) -> dt.date | None:
    """The local day of the last mass send, on which no other goes out."""
    sent = [push.sent_at for push in run.pushes if push.state == "sent" and push.step.by == "mass_send"]
    return run.sop.calendar.date(max(sent)) if sent else None
