"""Who enters when customers add members (SPEC 4, D2): every new-customer SOP judges every new relation once.

A part, called by the handler that observes WeCom, for a whole page of new relations. It is one of the ways into
`entries`, which judges, lets in and remembers who was refused; here it is found who of a page are alike. Of new
customers a plain rule sees their member and how they came, so a page full of them is a few judgements a SOP.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Hashable, Sequence

from machines import entry
from machines.sop import Program
from sopd.handlers import entries
from sopd.handlers.app import App
from sopd.handlers.catalogue import Catalogue, RunningSop
from sopd.handlers.happened import NOTHING, Consequences
from sopd.handlers.welcomes import Begun
from sopd.handlers.wishes import Wish
from sopd.store import Transaction


def admit(tx: Transaction, app: App, begun: Sequence[Begun], catalogue: Catalogue | None = None) -> Consequences:
    """Judge new relations for every SOP that takes new customers, and let in whom they take.

    Returns what follows. Of those not let in only the ones a SOP is meant for leave a row. `catalogue`: if the caller
    holds it already.
    """
    if not begun:
        return NOTHING
    catalogue = catalogue or app.programs.catalogue(tx, holding=True)
    sops = catalogue.of_kind("new_customer", ("running", "paused"))
    if not sops:
        return NOTHING
    by_age = sorted(begun, key=lambda one: (one.began_at, one.relation_id))
    crowds, others = _crowds(tx, by_age)
    wishes = [
        wish
        for sop in sops
        for wish in (_wishes(sop, crowds, others) if entries.is_plain(sop.program) else _each(sop, by_age))
    ]
    _, happened = entries.enter(
        tx, app, wishes, begun={one.relation_id: one for one in begun}, catalogue=catalogue
    )
    return happened


def _crowds(tx: Transaction, begun: Sequence[Begun]) -> tuple[list[list[Begun]], list[Begun]]:
    """(those nobody knew before, with all of whom plain rules see the same; everybody else)."""
    alike: defaultdict[Hashable, list[Begun]] = defaultdict(list)
    others = []
    for one in begun:
        if one.is_made and one.customer_id in tx.new:
            alike[one.userid, one.able, one.channel, one.add_way, one.tags, one.cause].append(one)
        else:
            others.append(one)
    return list(alike.values()), others


def _wishes(sop: RunningSop, crowds: Sequence[Sequence[Begun]], others: Sequence[Begun]) -> list[Wish]:
    """One for all whom the SOP takes for the same, and one for each of the others."""
    alike: defaultdict[Hashable, list[Begun]] = defaultdict(list)
    for crowd in crowds:
        seen = _seen_by(sop.program, crowd[0])
        new = bisect_left(crowd, True, key=lambda one: entry.is_new(one.began_at, sop.started_at))
        for is_new, part in ((False, crowd[:new]), (True, crowd[new:])):
            if part:
                alike[is_new, seen].extend(part)
    return [_wish(sop, part[0], part[1:]) for part in alike.values()] + _each(sop, others)


def _seen_by(program: Program, one: Begun) -> Hashable:
    """What the gate of a plain program sees of a new customer, but for the age: see `machines.entry.EntryFacts`."""
    needs = program.gate_needs
    return (
        one.cause,
        one.able,
        one.add_way == entries.INHERITED_ADD_WAY,
        program.in_scope(one.userid),
        one.userid if needs.member else None,
        (one.channel, one.add_way) if needs.source else None,
        one.tags & needs.tags,
    )


def _each(sop: RunningSop, begun: Sequence[Begun]) -> list[Wish]:
    return [_wish(sop, one, ()) for one in begun]


def _wish(sop: RunningSop, one: Begun, alike: Sequence[Begun]) -> Wish:
    return Wish(sop.sop_id, one.customer_id, "own", one.cause, one.relation_id, alike=alike)
