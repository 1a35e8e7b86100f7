"""What an operator does with a SOP or a customer: start, pause, resume, stop, end, transfer (SPEC 4, 8, 12, D23)."""

from __future__ import annotations

from tests.support.oracle import gates, tasks
from tests.support.oracle.chains import OUTSIDE, Flow
from tests.support.oracle.company import Company
from tests.support.oracle.definition import End
from tests.support.oracle.follow import end, follow
from tests.support.oracle.run import Run
from tests.support.oracle.settling import detach, wait


def start(company: Company, key: str, now: int) -> None:
    """New customers from now on; of a nurture SOP also everybody there is, once the daemon gets to it (SPEC 4)."""
    sop = company.sop(key)
    if sop.state == "draft":
        sop.state, sop.started = "running" if sop.plan.is_for_new else "initialising", now


def initialise(company: Company, now: int) -> bool:
    """The SOPs that are being started."""
    starting = [sop for sop in company.sops if sop.state == "initialising"]
    for sop in starting:
        follow(company, gates.initialise(company, sop, now), now)
    return bool(starting)


def pull_in(company: Company, key: str, customer: str, member: str, now: int) -> None:
    """Manual entry, with a wished-for owner or none."""
    follow(company, gates.by_hand(company, key, customer, member, now), now)


def transfer(company: Company, run: Run, target: str, now: int) -> None:
    """Manual end and flow in one; where the flow is refused nothing changes (SPEC 8)."""
    cause = OUTSIDE.further()
    if gates.may_flow(company, Flow(run, target, cause), now):
        end(company, [run], "manual_end", "manual end", now, End(flow_to=target))


def pause(company: Company, key: str, now: int) -> None:
    """Planning stops; what no member has confirmed is cancelled, and its pushes wait (SPEC 12, D23)."""
    sop = company.sop(key)
    if sop.state != "running":
        return
    sop.state, sop.paused = "paused", now
    for push in company.pushes():
        if push.run.sop is sop and push.state == "planned" and not push.is_out:
            detach(push)
            wait(company, push, None, "sop paused", now)
    for task in company.tasks:
        if task.sop is sop and task.state == "out":
            tasks.stop(company, task, "pause", now)


def stop(company: Company, key: str, now: int) -> None:
    """End the SOP and all its runs: no tags, no flow (SPEC 8)."""
    sop = company.sop(key)
    if sop.state not in ("running", "paused"):
        return
    sop.state = "ended"
    end(company, [run for run in company.open_runs() if run.sop is sop], "stopped", "stopped", now)
