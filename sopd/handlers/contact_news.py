"""News of relations for rules (SPEC 3): begun or back, ended. A part for those who learn of either.

It reads inside the caller's transaction, after the change and its tags have been written, and writes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from machines.facts import Dependencies
from sopd.handlers.happened import News
from sopd.handlers.owners import NO_TAGS
from sopd.store import Transaction
from sopd.store.queries import facts as fact_queries


class Contact(NamedTuple):
    """The relation that is spoken of."""

    relation_id: int
    customer_id: int
    userid: str


def began(contacts: Sequence[Contact], tags: Mapping[int, frozenset[str]]) -> tuple[News, ...]:
    """These relations are active and were not before; `tags` are those that hold, by relation."""
    return tuple(
        News(
            one.customer_id,
            _beginning(tags.get(one.relation_id, NO_TAGS)),
            f"contact with {one.userid} began",
            one.relation_id,
        )
        for one in contacts
    )


def ended(tx: Transaction, contacts: Sequence[Contact]) -> tuple[News, ...]:
    """These relations were active and are no longer: their tags do not count any more."""
    tags = fact_queries.held_tags(tx, [one.relation_id for one in contacts]) if contacts else {}
    return tuple(
        News(
            one.customer_id,
            Dependencies(tags=tags.get(one.relation_id, NO_TAGS), lost=True),
            f"contact with {one.userid} ended",
            one.relation_id,
        )
        for one in contacts
    )


@lru_cache(maxsize=4096)
def _beginning(tags: frozenset[str]) -> Dependencies:
    return Dependencies(tags=tags, lost=True, source=True, member=True, added=True)
