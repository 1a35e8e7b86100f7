"""Who enters, with which steps already behind, and who gets the one welcome (SPEC 4, 6, D2, D3)."""

from __future__ import annotations

from tests.support.oracle.company import Company, Refusal
from tests.support.oracle.definition import holds
from tests.support.oracle.people import Relation
from tests.support.oracle.run import Push, Run, Sop

ALLOCATED = 202


def admit(company: Company, relation: Relation, now: int, *, code: bool) -> None:
    """Judge a relation once, at its add or discovery, for every SOP; enroll it and, with a `code`, greet it."""
    entered = []
    for sop in company.sops:
        if sop.state not in ("running", "paused") or not _is_meant(company, sop, relation):
            continue
        against = _against(company, sop, relation)
        if against:
            company.refusals.append(Refusal(now, sop.plan.key, relation, frozenset(against)))
        else:
            entered.append(_enroll(company, sop, relation, now))
    _welcome(company, entered, relation, now, code)


def _is_meant(company: Company, sop: Sop, relation: Relation) -> bool:
    """New, added and not handed over, in scope, and the entry rule true: of others nothing is recorded."""
    plan = sop.plan
    return (
        relation.began // 1000 >= sop.started // 1000
        and relation.add_way != ALLOCATED
        and (plan.members is None or relation.member in plan.members)
        and holds(plan.entry, company.about(relation))
    )


def _against(company: Company, sop: Sop, relation: Relation) -> set[str]:
    """Everything that speaks against the entry; the engine names one of it."""
    reasons = set()
    earlier = [run for run in company.runs if run.sop is sop and run.relation is relation]
    if sop.plan.early is not None and holds(sop.plan.early, company.about(relation)):
        reasons.add("already at its end")
    if any(run.is_open for run in earlier):
        reasons.add("already inside")
    elif earlier:
        reasons.add("re-entry never")
    if relation.customer in company.muted:
        reasons.add("muted")
    if sop.state == "paused":
        reasons.add("sop paused")
    return reasons


def _enroll(company: Company, sop: Sop, relation: Relation, now: int) -> Run:
    calendar = sop.calendar
    before, dues = calendar.at_entry(calendar.dues(relation.began), relation.began)
    run = Run(
        number=len(company.runs) + 1,
        sop=sop,
        relation=relation,
        run_no=1 + sum(run.sop is sop and run.relation is relation for run in company.runs),
        entered=relation.began,
        dues=dues,
        before_entry=before,
        learned=now,
    )
    company.runs.append(run)
    company.told(run, now, "enters")
    return run


def _welcome(company: Company, runs: list[Run], relation: Relation, now: int, code: bool) -> None:
    """One code per add: the highest priority wins it, the others are told by whom (SPEC 6)."""
    greeting = [run for run in runs if run.steps[0].is_welcome]
    able = [run for run in greeting if not _same_welcome(company, run)]
    best = min(able, key=lambda run: (-run.sop.plan.priority, run.sop.number), default=None)
    for run in greeting:
        push = Push(run, run.steps[0], due=run.dues[0], settled_at=now)
        run.fired, run.state = 1, run.steps[0].id
        if run not in able:
            push.state, push.reason = "skipped", "same content via"
        elif not code:
            push.state, push.reason = "skipped", "no welcome code"
        elif run is not best:
            push.state, push.reason = "skipped", "welcome used by"
        elif relation.chatting:
            push.state, push.reason = "skipped", "welcome already used"
        else:
            push.state, push.sent_at = "sent", now
        run.pushes.append(push)
        company.told(run, now, f"{push.step.id}: {push.state} {push.reason}")


def _same_welcome(company: Company, run: Run) -> bool:
    """`once_per: customer`: this SOP greeted the customer through another relation (SPEC 4)."""
    return run.sop.plan.once_per == "customer" and any(
        push.state == "sent" and push.step.is_welcome and push.run.sop is run.sop and push.run is not run
        for push in company.pushes(customer=run.relation.customer)
    )
