"""The small moves every part makes: settle a push, let it wait, take it out of a task that nobody has yet."""

from __future__ import annotations

from tests.support.oracle.company import Company
from tests.support.oracle.run import Push


def settle(company: Company, push: Push, state: str, reason: str, now: int) -> None:
    """A final state with a reason people can read."""
    if not push.is_out:
        detach(push)
    push.state, push.reason, push.settled_at, push.look_at = state, reason, now, None
    company.told(push.run, now, f"{push.step.id}: {state} {reason}".rstrip())


def detach(push: Push) -> None:
    """Take a push out of a task that nobody has yet."""
    if push.task is not None and push.task.created is None:
        push.task.pushes.remove(push)
        push.task = None


def wait(company: Company, push: Push, until: int | None, reason: str, now: int) -> None:
    """Look at it again at `until`; None if something else will wake it."""
    push.state, push.reason, push.look_at = "waiting", reason, until
    until_text = f" until {push.run.sop.calendar.local(until):%m-%d %H:%M:%S}" if until else ""
    company.told(push.run, now, f"{push.step.id}: waits, {reason}{until_text}")
