"""Who enters, with which steps already behind, and who gets the one welcome (SPEC 4, 6, D2, D3)."""

from __future__ import annotations

from tests.support.oracle import gates, rules, subjects
from tests.support.oracle.chains import OUTSIDE, News
from tests.support.oracle.company import Company
from tests.support.oracle.firing import pass_over
from tests.support.oracle.people import Relation
from tests.support.oracle.run import Push, Run, Sop


def admit(company: Company, relation: Relation, now: int, *, code: bool) -> list[News]:
    """Judge a relation once, at its add or discovery, for every SOP; enroll it and, with a `code`, greet it."""
    entered = []
    for sop in company.sops:
        if sop.state not in gates.TAKES or not _is_meant(company, sop, relation, now):
            continue
        wish = gates.Wish(sop, relation, "own", "added", OUTSIDE)
        if reasons := gates.against(company, wish, now):
            gates.refuse(company, wish, reasons, now)
        else:
            entered.append(_enroll(company, wish, now))
    _welcome(company, entered, relation, now, code)
    return [News(run.customer, frozenset({f"sop {run.sop.plan.key}"}), cause=run.chain) for run in entered]


def _is_meant(company: Company, sop: Sop, relation: Relation, now: int) -> bool:
    """New, in scope, and the entry rule true: of others nothing is recorded."""
    plan = sop.plan
    return (
        plan.is_for_new
        and relation.began // 1000 >= sop.started // 1000
        and (plan.members is None or relation.member in plan.members)
        and rules.holds(plan.entry, subjects.before(company, sop, relation, now))
    )


def admit_late(company: Company, sop: Sop, relation: Relation, now: int) -> list[News]:
    """`resume` admits who was recorded while the SOP was paused: the createtime is the anchor, now the entry."""
    if not relation.known or not _is_meant(company, sop, relation, now):
        return []
    wish = gates.Wish(sop, relation, "own", "resumed", OUTSIDE)
    if reasons := gates.against(company, wish, now):
        gates.refuse(company, wish, reasons, now)
        return []
    run = gates.enroll(
        company, sop, relation, now, cause="resumed", chain=OUTSIDE, anchor=relation.began, entered=now
    )
    if run.steps[0].is_welcome:
        pass_over(company, run, run.steps[0], "no welcome code", now)
    return [News(run.customer, frozenset({f"sop {sop.plan.key}"}), cause=run.chain)]


def _enroll(company: Company, wish: gates.Wish, now: int) -> Run:
    """The createtime is both anchor and entry (D2)."""
    began = wish.relation.began
    return gates.enroll(
        company, wish.sop, wish.relation, now, cause=wish.cause, chain=OUTSIDE, anchor=began, entered=began
    )


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
        push.state == "sent" and push.step.is_welcome and push.run.sop is run.sop
        and push.run.relation is not run.relation
        for push in company.pushes(customer=run.customer)
    )
