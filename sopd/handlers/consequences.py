"""The end of every command that moves runs: what its parts made necessary is done until nothing is left.

A push that settles may let a waiting step fall due or bring a run to its normal end; an end writes tags and attributes
and flows on; what is different then may end other runs early or let somebody in, and so on (SPEC 4, chains). Parts
return `Consequences`, commands hand them to `follow` inside the same transaction.

It goes on in rounds. In each, first the open runs are judged at the news, then the ended ones flow, then the gates are
judged: so nobody is ended by what came before the entry, and a flow finds the tags of its source written. Every piece
of news carries its own chain; one that is more than ten hops from the outside is cut (`touches`).
"""

from __future__ import annotations

from sopd.handlers import enrollments, entries_by_news, flows, reactions, touches
from sopd.handlers.app import App
from sopd.handlers.catalogue import Catalogue
from sopd.handlers.happened import NOTHING, Consequences
from sopd.store import Transaction


def follow(tx: Transaction, app: App, happened: Consequences, catalogue: Catalogue | None = None) -> None:
    """Do all that follows from what happened. `catalogue`: if this transaction has read it already."""
    while happened:
        following = NOTHING
        if happened.concerns_rules:
            catalogue = catalogue or app.programs.catalogue(tx)
            news = touches.of(tx, app, catalogue, happened)
            following += reactions.react(tx, app, news, happened.seen)
            following += flows.flow(tx, app, happened.flows)
            following += entries_by_news.enter(tx, app, catalogue, news, happened.left)
        if happened.settled:
            following += enrollments.pushes_settled(tx, app, sorted(happened.settled))
        happened = following
