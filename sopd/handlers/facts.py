"""What rules may look at, loaded for a whole batch with two statements (ARCHITECTURE 1.3).

A part: it reads inside the caller's transaction and writes nothing. It fills what this version's conditions ask for
(tags, source, member, lost, and when the relation began); every other field of `machines.facts.Facts` stays empty.
"""

from __future__ import annotations

from collections.abc import Collection

from machines.calendar import Instant
from machines.facts import Facts
from sopd.store import Transaction
from sopd.store.queries import facts as queries

_NO_TAGS: frozenset[str] = frozenset()


def load(tx: Transaction, relation_ids: Collection[int], now: Instant) -> dict[int, Facts]:
    """The facts of each relation at `now`, by relation id; an id that does not exist is left out.

    Tags are those that hold: our pending writes count at once, over WeCom's last word (ARCHITECTURE 5). Exact, not
    restricted: group them with `Facts.restricted_to` of the rule at hand.
    """
    if not relation_ids:
        return {}
    tags = queries.held_tags(tx, relation_ids)
    return {
        one.relation_id: Facts(
            now=now,
            tags=tags.get(one.relation_id, _NO_TAGS),
            lost=one.state == "lost",
            source=one.channel or None,
            add_way=one.add_way,
            member=one.userid,
            added_at=one.began_at,
        )
        for one in queries.subjects(tx, relation_ids)
    }
