"""Time alone changes rules: when each of them next does, and the news of it (SPEC 3, time atoms)."""

from __future__ import annotations

from tests.support.oracle import gates, rules, subjects
from tests.support.oracle.chains import News
from tests.support.oracle.company import Company
from tests.support.oracle.follow import follow
from tests.support.oracle.run import Run, Sop


def strike(company: Company, now: int) -> bool:
    """Everything that time has changed by now is judged."""
    due = sorted((at, nth, key) for nth, (key, at) in enumerate(company.flips.items()) if at <= now)
    for _, _, key in due:
        at = company.flips.pop(key)
        about, only = key
        if isinstance(only, Run):
            if only.is_open:
                follow(company, [News(only.customer, frozenset(), only=only)], now)
        elif company.waits.get((only.plan.key, about)) == at or _has_turned(company, only, about, at, now):
            follow(company, [News(about, frozenset(), only=only)], now)
    return bool(due)


def _has_turned(company: Company, sop: Sop, customer: str, at: int, now: int) -> bool:
    """Whether the entry rule reads differently than just before; if not, the flip was of no account."""
    about = subjects.outside(company, sop, customer, now)
    return rules.holds(sop.plan.entry, rules.at(about, at - 1)) != rules.holds(sop.plan.entry, about)


def look_ahead(company: Company, now: int) -> None:
    """When time next changes a rule: of everybody outside for the entries, of everybody inside for the early ends."""
    flips: dict[tuple[str, object], int] = {}
    for run in company.open_runs():
        at = rules.next_flip(run.sop.plan.early, subjects.inside(company, run, now))
        if at is not None:
            flips["", run] = at
    for sop in company.sops:
        if sop.plan.is_for_new or sop.state not in gates.TAKES:
            continue
        for customer in company.customers:
            relation = subjects.owner(sop, subjects.in_scope(company, sop, customer))
            if relation is None or any(run.is_open for run in company.runs_of(sop, relation)):
                continue
            flip = rules.next_flip(sop.plan.entry, subjects.outside(company, sop, customer, now))
            both = [at for at in (flip, company.waits.get((sop.plan.key, customer))) if at is not None and at > now]
            if both:
                flips[customer, sop] = min(both)
    company.flips = flips
