"""Statements about what holds of relations now, for rules. Called by `handlers.facts` only."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from sopd.store.transaction import Transaction

HOLDS = "(wanted = 1 or (wanted is null and in_wecom))"
"""Whether a row of relation_tag holds now: our pending write if there is one, else WeCom's last word."""


class Subject(NamedTuple):
    """A relation as rules see it, its tags aside."""

    relation_id: int
    userid: str
    state: str
    channel: str
    add_way: int
    began_at: int


def subjects(tx: Transaction, relation_ids: Iterable[int]) -> list[Subject]:
    """The relations of these ids, in no order."""
    given = tx.ids(relation_ids)
    rows = tx.rows(
        "select r.id, m.userid, r.state, r.channel, r.add_way, r.began_at"
        f" from relation r join member m on m.id = r.member_id where r.id in (select id from {given.sql} g)",
        given.params,
    )
    return [Subject(*row) for row in rows]


def held_tags(tx: Transaction, relation_ids: Iterable[int]) -> dict[int, frozenset[str]]:
    """The tag ids that hold on each relation now; a relation without any is left out."""
    given = tx.ids(relation_ids)
    rows = tx.rows(
        f"select relation_id, tag_id from relation_tag where relation_id in (select id from {given.sql} g) and {HOLDS}",
        given.params,
    )
    found: defaultdict[int, set[str]] = defaultdict(set)
    for relation_id, tag_id in rows:
        found[relation_id].add(tag_id)
    return {relation_id: frozenset(tag_ids) for relation_id, tag_ids in found.items()}
