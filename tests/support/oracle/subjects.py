"""Who a SOP is about: relations in scope, who acts for a customer, and what rules may look at (SPEC 4, 8)."""

from __future__ import annotations

from collections.abc import Iterable

from tests.support.oracle import rules
from tests.support.oracle.company import Company
from tests.support.oracle.people import Relation
from tests.support.oracle.rules import About, Happening
from tests.support.oracle.run import Run, Sop


def in_scope(company: Company, sop: Sop, customer: str) -> list[Relation]:
    """The relations through which this SOP may reach somebody now, the oldest first."""
    members = sop.plan.members
    found = [
        relation
        for relation in company.relations_of(customer)
        if relation.known and (members is None or relation.member in members)
    ]
    return sorted(found, key=lambda relation: (relation.known_since, relation.number))


def owner(sop: Sop, relations: list[Relation]) -> Relation | None:
    """Who acts for a customer of a nurture SOP: `first_added`, `last_added`, or the first with a tag of the entry."""
    if not relations:
        return None
    if sop.plan.owner == "last_added":
        return relations[-1]
    wanted = rules.positive_tags(sop.plan.entry) if sop.plan.owner == "tagged_by" else set()
    return next((relation for relation in relations if relation.seen_tags & wanted), relations[0])


def outside(company: Company, sop: Sop, customer: str, now: int, event: Happening | None = None) -> About:
    """A customer before the entry; of events only the one at hand counts. Without a relation in scope there are no
    tags, nor anybody who would act."""
    relation = owner(sop, in_scope(company, sop, customer))
    if relation is None:
        relation = Relation(0, "", customer)
    return before(company, sop, relation, now, event)


def before(company: Company, sop: Sop, relation: Relation, now: int, event: Happening | None = None) -> About:
    """The same, with the relation of whoever is to act."""
    events = () if event is None else (event,)
    return _about(company, sop, relation, now, events=events, said={})


def inside(company: Company, run: Run, now: int) -> About:
    """Somebody in a run: events and answers since its beginning count, as far as they have been handled."""
    heard = company.signals[: company.handled]
    signals = [one for one in heard if one.customer == run.customer and one.number > run.after_signal]
    events = [
        Happening(one.name, one.at, one.properties) for one in signals if one.kind == "event" and one.at >= run.entered
    ]
    answers = [
        (one.at, one.text)
        for one in signals
        if one.kind == "reply" and (not run.sop.plan.is_for_new or one.relation is run.relation)
    ]
    begins = {None: run.entered} | {push.step.id: push.sent_at for push in run.pushes if push.state == "sent"}
    said = {since: tuple(text for at, text in answers if at >= begun) for since, begun in begins.items()}
    return _about(company, run.sop, run.relation, now, events=events, said=said)


def _is_awaited(company: Company, sop: Sop, relation: Relation) -> bool:
    """Whether somebody is expected to take the customer over: nobody is lost meanwhile."""
    members = sop.plan.members
    every = [relation] if sop.plan.is_for_new else company.relations_of(relation.customer)
    return any(one.handed_over is not None and (members is None or one.member in members) for one in every)


def _about(
    company: Company,
    sop: Sop,
    relation: Relation,
    now: int,
    events: Iterable[Happening],
    said: dict[str | None, tuple[str, ...]],
) -> About:
    customer = company.customer(relation.customer)
    reach = [relation] if sop.plan.is_for_new else in_scope(company, sop, customer.name)
    runs = [run for run in company.runs if run.customer == customer.name]
    return About(
        now=now,
        tags=tuple(frozenset(one.seen_tags) for one in reach) or (frozenset(),),
        source=relation.source,
        add_way=relation.add_way,
        member=relation.member,
        lost=not any(one.known for one in reach) and not _is_awaited(company, sop, relation),
        attributes=dict(customer.attributes),
        audiences=frozenset(customer.audiences),
        events=tuple(events),
        said=said,
        inside=frozenset(run.sop.plan.key for run in runs if run.is_open),
        ended=frozenset((run.sop.plan.key, run.state) for run in runs if not run.is_open),
        added=relation.known_since // 1000 * 1000 if relation.known_since else None,
        talked=max((one.talked for one in reach if one.talked is not None), default=None),
        zone=company.zone,
    )
