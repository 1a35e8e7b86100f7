"""How a run ends, what its end writes, and what becomes of the pushes it leaves behind (SPEC 8, D15, D17, D22)."""

from __future__ import annotations

from collections.abc import Iterable

from tests.support.oracle import tasks
from tests.support.oracle.company import Company
from tests.support.oracle.definition import About, holds
from tests.support.oracle.people import Relation
from tests.support.oracle.run import Run
from tests.support.oracle.settling import settle


def end(
    company: Company, run: Run, state: str, reason: str, now: int, adds: Iterable[str] = (), removes: Iterable[str] = ()
) -> None:
    """Close a run; whoever is lost keeps the task, everybody else asks for its cancellation."""
    close(company, run, state, reason, now)
    write_tags(company, run.relation, adds, removes, now)


def close(company: Company, run: Run, state: str, reason: str, now: int) -> None:
    """The run is over; its tags are yet to be written."""
    run.closed, run.state, run.reason, run.waits = now, state, reason, False
    company.told(run, now, f"ends: {reason}")
    for push in [push for push in run.pushes if not push.is_settled]:
        if not push.is_out:
            settle(company, push, "cancelled", reason, now)
        elif state != "lost":
            push.stopped = now
            tasks.stop(company, push.task, "end", now)


def write_tags(company: Company, relation: Relation, adds: Iterable[str], removes: Iterable[str], now: int) -> None:
    """Our own tags act at once, here and in WeCom; to a relation that is over WeCom says no, so nothing is added."""
    before = company.about(relation)
    if relation.friends:
        relation.tags = (relation.tags | set(adds)) - set(removes)
        relation.seen_tags = (relation.seen_tags | set(adds)) - set(removes)
    react(company, relation, before, now)


def react(company: Company, relation: Relation, before: About, now: int) -> None:
    """End early whoever's rule became true by this change ("was tagged", edge-triggered); who ends at one instant ends
    together, before any of them writes."""
    after = company.about(relation)
    ended = [
        run
        for run in company.open_runs(relation=relation)
        if (rule := run.sop.plan.early) is not None and holds(rule, after) and not holds(rule, before)
    ]
    for run in ended:
        close(company, run, "early_end", "early end", now)
    for run in ended:
        write_tags(company, relation, run.sop.plan.early_adds, run.sop.plan.early_removes, now)


def lose(company: Company, relation: Relation, now: int) -> None:
    """The relation is over: its open runs end `lost`, without tags; no task is cancelled for it (D22)."""
    relation.known = False
    relation.seen_tags = set()
    for run in company.open_runs(relation=relation):
        end(company, run, "lost", "lost", now)


def finish(company: Company, now: int) -> bool:
    """Normal end of every run whose steps have all fired and whose pushes have settled, unless its SOP is paused.

    Those of one instant end together, before any of them writes a tag."""
    done = [
        run
        for run in company.open_runs()
        if run.sop.state == "running" and run.fired == len(run.steps) and not any(p.is_unsettled for p in run.pushes)
    ]
    for run in done:
        close(company, run, "normal_end", "normal end", now)
    for run in done:
        write_tags(company, run.relation, run.sop.plan.normal_adds, run.sop.plan.normal_removes, now)
    return bool(done)
