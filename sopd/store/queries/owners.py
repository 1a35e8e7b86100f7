"""Statements about who may own runs and who does. Called by the handlers of owners and of hand-overs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from sopd.store.transaction import Transaction


class RelationRow(NamedTuple):
    """A relation with its member. `able`: the member may send to customers."""

    relation_id: int
    customer_id: int
    member_id: int
    userid: str
    able: bool
    state: str
    channel: str
    add_way: int
    began_at: int
    last_talk_at: int | None


def relations(tx: Transaction, customer_ids: Iterable[int]) -> list[RelationRow]:
    """Every relation of these customers, by id."""
    given = tx.ids(customer_ids)
    rows = tx.rows(
        "select r.id, r.customer_id, r.member_id, m.userid, case when m.can_send and m.in_scope then 1 else 0 end,"
        " r.state, r.channel, r.add_way, r.began_at, r.last_talk_at from relation r"
        f" join member m on m.id = r.member_id where r.customer_id in (select id from {given.sql} g) order by r.id",
        given.params,
    )
    return [one._replace(able=bool(one.able)) for one in (RelationRow(*row) for row in rows)]
