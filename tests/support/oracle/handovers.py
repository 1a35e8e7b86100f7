"""What becomes of open runs when a relation ends: they are handed over, somebody else acts, or they are lost.

SPEC 4, 8, D22. Where the customer went from one member to another, runs wait a day for the relation that takes over.
"""

from __future__ import annotations

from tests.support.oracle import ends, subjects
from tests.support.oracle.chains import OUTSIDE, News
from tests.support.oracle.company import Company
from tests.support.oracle.definition import DAY, HOUR
from tests.support.oracle.follow import follow
from tests.support.oracle.gates import ALLOCATED
from tests.support.oracle.people import Relation
from tests.support.oracle.run import Run
from tests.support.oracle.settling import detach, wait


def lose(company: Company, relation: Relation, now: int, *, by: str, at: int) -> None:
    """The relation is over since `at`. No task is cancelled for it (D22). `by`: customer, member, transfer, or reading:
    nobody told, it was found out."""
    words = frozenset({"lost", *(f"tag {name}" for name in relation.seen_tags)})
    news = [News(relation.customer, words, relation, went=frozenset(relation.seen_tags))]
    relation.known, relation.seen_tags, relation.lost_at, relation.lost_by = False, set(), at, by
    heir, over = _heir(company, relation), []
    if by == "transfer" and heir is None and company.open_runs(relation=relation):
        relation.handed_over = max(at + DAY, now + HOUR)
        for run in company.open_runs(relation=relation):
            _hold(company, run, now)
    else:
        over = _lead_on(company, relation, heir, now)
    follow(company, [*news, *ended(over)], now, left=over)


def ended(runs: list[Run]) -> list[News]:
    """The news that these runs are over."""
    return [News(run.customer, frozenset({f"sop {run.sop.plan.key}"}), cause=OUTSIDE.further()) for run in runs]


def take_over(company: Company, begun: Relation, now: int) -> list[Run]:
    """A relation has begun: perhaps it is the one for which the runs of another wait. If its own wait, they are its
    own no longer, for it is a new one. Returns runs that are over by that."""
    over = []
    for relation in company.relations_of(begun.customer):
        if relation.handed_over is None:
            continue
        heir = _heir(company, relation)
        if (heir is not None and begun.add_way == ALLOCATED) or relation is begun:
            relation.handed_over = None
            over += _lead_on(company, relation, heir, now)
    return over


def give_up(company: Company, now: int) -> bool:
    """Nobody has come in time: somebody else acts, or the runs are lost."""
    waited = [one for one in company.relations.values() if one.handed_over is not None and one.handed_over <= now]
    for relation in waited:
        relation.handed_over = None
        over = _lead_on(company, relation, None, now)
        follow(company, [_lost(relation), *ended(over)], now, left=over)
    return bool(waited)


def _lost(relation: Relation) -> News:
    """Who waited to be taken over is lost only now, if at all."""
    return News(relation.customer, frozenset({"lost"}), relation)


def _heir(company: Company, relation: Relation) -> Relation | None:
    """The inherited relation that began closest to the end, a day before or after it. Where we found the end out by
    reading, it may have come up to a day sooner."""
    if relation.lost_by not in ("transfer", "reading"):
        return None
    able = [one for one in company.relations_of(relation.customer) if one.known and one.add_way == ALLOCATED]
    if relation.lost_by == "transfer":
        near = [one for one in able if abs(one.known_since - relation.lost_at) <= DAY]
    else:
        near = [one for one in able if max(one.known_since, one.learned) >= relation.lost_at - 2 * DAY]
    return min(near, key=lambda one: (abs(one.known_since - relation.lost_at), one.number), default=None)


def _hold(company: Company, run: Run, now: int) -> None:
    """What nobody was asked to send waits."""
    company.told(run, now, "waits for whoever takes over")
    for push in run.pushes:
        if push.state == "planned" and not push.is_out:
            detach(push)
            wait(company, push, run.relation.handed_over, "handed over", now)


def _lead_on(company: Company, relation: Relation, heir: Relation | None, now: int) -> list[Run]:
    """Runs of a customer go to the heir or by the owner rule, those of a relation to the heir only, if in scope; the
    others end, and are returned."""
    runs = company.open_runs(relation=relation)
    for run in runs:
        to = _next_owner(company, run, heir)
        if to is None:
            ends.close(company, run, "lost", "lost", now)
        elif run.sop.plan.is_for_new and any(one.is_open for one in company.runs_of(run.sop, to)):
            ends.close(company, run, "merged", "merged", now)
        else:
            move(company, run, to, now)
    return [run for run in runs if not run.is_open]


def _next_owner(company: Company, run: Run, heir: Relation | None) -> Relation | None:
    reach = subjects.in_scope(company, run.sop, run.customer)
    if heir is not None and heir in reach:
        return heir
    return None if run.sop.plan.is_for_new else subjects.owner(run.sop, reach)


def move(company: Company, run: Run, relation: Relation, now: int) -> None:
    """Another member acts from now on; what nobody was asked to send goes along and is planned anew."""
    company.told(run, now, f"goes on with {relation.member}")
    if run.sop.plan.is_for_new:
        run.run_no = 1 + len(company.runs_of(run.sop, relation))
    run.relation = relation
    for push in run.pushes:
        planned = push.state == "planned" and not push.is_out
        if planned:
            detach(push)
        if planned or (push.state == "waiting" and push.reason == "handed over"):
            push.look_at = now
