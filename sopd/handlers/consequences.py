"""The end of every command that moves runs: what its parts made necessary is done until nothing is left.

A push that settles may let a waiting step fall due or bring a run to its normal end; an end writes tags; a tag may end
other runs early, which writes tags again (SPEC 4, chains). Parts return `Consequences`, commands hand them to `follow`
inside the same transaction. Each round of tags is one hop further from its cause; after ten the chain is cut and the
runs it would have touched say so in their journals.
"""

from __future__ import annotations

from machines.entry import MOST_HOPS
from machines.reasons import CHAIN_TOO_LONG
from sopd.handlers import enrollments, reactions
from sopd.handlers.app import App
from sopd.handlers.happened import Consequences
from sopd.store import Transaction
from sopd.store.queries import enrollments as queries

__all__ = ["Consequences", "follow"]


def follow(tx: Transaction, app: App, happened: Consequences, *, hop: int = 0) -> None:
    """Do all that follows from what happened. `hop` is how far the tag changes at hand are from their cause."""
    while happened:
        following = Consequences()
        if happened.tag_changes and hop < MOST_HOPS:
            following += reactions.react(tx, app, happened.tag_changes, hop=hop)
            hop += 1
        elif happened.tag_changes:
            queries.note_cut(tx, {change.relation_id for change in happened.tag_changes}, CHAIN_TOO_LONG)
        if happened.settled:
            following += enrollments.pushes_settled(tx, app, sorted(happened.settled))
        happened = following
