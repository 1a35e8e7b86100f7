"""Who enters when customers add members (SPEC 4, D2): every new-customer SOP judges every new relation once.

A part, called by the handler that observes WeCom, for a whole page of new relations. It is one of the ways into
`entries`, which judges, lets in and remembers who was refused; here the order is made in which welcome codes are given.
"""

from __future__ import annotations

from collections.abc import Sequence

from sopd.handlers import entries
from sopd.handlers.app import App
from sopd.handlers.catalogue import Catalogue
from sopd.handlers.entries import Wish
from sopd.handlers.happened import NOTHING, Consequences
from sopd.handlers.welcomes import Begun
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
    wishes = [
        Wish(sop.sop_id, one.customer_id, "own", one.cause, relation_id=one.relation_id)
        for sop in sops
        for one in by_age
    ]
    _, happened = entries.enter(
        tx, app, wishes, begun={one.relation_id: one for one in begun}, catalogue=catalogue
    )
    return happened
