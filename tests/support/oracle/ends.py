"""How a run ends, what its end writes, and what becomes of the pushes it leaves behind (SPEC 8, D15, D17, D22)."""

from __future__ import annotations

from tests.support.oracle import tasks
from tests.support.oracle.chains import Flow, News, tag_news
from tests.support.oracle.company import Company
from tests.support.oracle.definition import End, Writes
from tests.support.oracle.people import Relation
from tests.support.oracle.run import Cause, Run
from tests.support.oracle.settling import settle


def close(company: Company, run: Run, state: str, reason: str, now: int) -> None:
    """The run is over; what its end writes is yet to be written. Whoever is lost or merged keeps the task."""
    run.closed, run.state, run.reason, run.waits = now, state, reason, False
    company.told(run, now, f"ends: {reason}")
    for push in [push for push in run.pushes if not push.is_settled]:
        if not push.is_out:
            settle(company, push, "cancelled", reason, now)
        elif state not in ("lost", "merged"):
            push.stopped = now
            tasks.stop(company, push.task, "end", now)


def follow_up(company: Company, run: Run, end: End, cause: Cause) -> tuple[list[News], list[Flow]]:
    """What the end of a run writes and where it leads: tags first, then attributes, then the flow (SPEC 8)."""
    news = [News(run.customer, frozenset({f"sop {run.sop.plan.key}"}), cause=cause)]
    news += write(company, run.relation, end.writes, cause)
    return news, [Flow(run, end.flow_to, cause)] if end.flow_to else []


def write(company: Company, relation: Relation, writes: Writes, cause: Cause) -> list[News]:
    """Tags of ours act at once, here and in WeCom; it says no to a relation that is over, so they are gone again."""
    before = set(relation.seen_tags)
    relation.seen_tags = (before | set(writes.adds)) - set(writes.removes)
    if relation.friends:
        relation.tags = (relation.tags | set(writes.adds)) - set(writes.removes)
    else:
        company.refused_tags.append((relation, set(writes.adds)))
    news = tag_news(relation, relation.seen_tags - before, before - relation.seen_tags, cause)
    return news + set_attributes(company, relation.customer, dict(writes.sets), cause)


def set_attributes(company: Company, name: str, values: dict[str, object], cause: Cause) -> list[News]:
    """Attributes of the customer; what is as it was is no news."""
    known = company.customer(name).attributes
    changed = {key for key, value in values.items() if known.get(key) != value or type(known[key]) is not type(value)}
    known.update(values)
    return [News(name, frozenset(f"attribute {key}" for key in changed), cause=cause)] if changed else []
