"""The enterprise's members as far as WeCom lets the app see them (WeCom 0.3, 4.1). Called by reconciliation.

A member that a complete, error-free list leaves out is out of sight: nothing is sent through him, and his customers'
absence from lists means nothing. Only the userid is needed of anybody.
"""

from __future__ import annotations

from collections.abc import Sequence

from sopd.handlers.app import App
from sopd.store.queries import members as queries

OUT_OF_SIGHT = "not among the members who may use customer contact and whom the app may see"
"""Why such a member cannot send; the reason goes when he is listed again."""
UNKNOWN = "WeCom did not know this member when a task was made"
"""Why such a member cannot send (40003, 60111); this reason goes, too, when a complete list names him again."""


def take_list(app: App, userids: Sequence[str]) -> None:
    """Take over the whole list of members in sight; it must not be empty."""
    with app.store.transaction() as tx:
        queries.member_ids(tx, userids)
        queries.set_sight(tx, userids, OUT_OF_SIGHT, cured=(OUT_OF_SIGHT, UNKNOWN))


def cannot_send(app: App, userids: Sequence[str]) -> None:
    """WeCom does not know these members: nothing more is sent through them until they are seen able again."""
    with app.store.transaction() as tx:
        queries.set_unable(tx, userids, UNKNOWN)


def take_read(app: App, userids: Sequence[str]) -> None:
    """All customers of these members have just been read completely and without error."""
    with app.store.transaction() as tx:
        queries.set_read(tx, userids)
