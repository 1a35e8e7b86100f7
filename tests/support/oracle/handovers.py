"""What becomes of open runs when a relation ends: they are lost, or somebody else acts (SPEC 4, 8, D22)."""

from __future__ import annotations

from tests.support.oracle import ends, subjects
from tests.support.oracle.chains import OUTSIDE, News
from tests.support.oracle.company import Company
from tests.support.oracle.follow import follow
from tests.support.oracle.people import Relation
from tests.support.oracle.run import Run


def lose(company: Company, relation: Relation, now: int) -> None:
    """The relation is over: its runs go to another relation in scope by the owner rule, or end `lost`, without tags
    and flow; no task is cancelled for it (D22)."""
    words = frozenset({"lost", *(f"tag {name}" for name in relation.seen_tags)})
    news = [News(relation.customer, words, relation, went=frozenset(relation.seen_tags))]
    relation.known, relation.seen_tags = False, set()
    for run in company.open_runs(relation=relation):
        if not _goes_on(company, run, now):
            ends.close(company, run, "lost", "lost", now)
            news.append(News(run.customer, frozenset({f"sop {run.sop.plan.key}"}), cause=OUTSIDE.further()))
    follow(company, news, now)


def _goes_on(company: Company, run: Run, now: int) -> bool:
    if run.sop.plan.is_for_new:
        return False
    new = subjects.owner(run.sop, subjects.in_scope(company, run.sop, run.customer))
    if new is not None:
        move(company, run, new, now)
    return new is not None


def move(company: Company, run: Run, relation: Relation, now: int) -> None:
    """Another member acts from now on; what nobody was asked to send goes along."""
    company.told(run, now, f"goes on with {relation.member}")
    run.relation = relation
