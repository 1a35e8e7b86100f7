"""Statements about cards: dispatches that speak to a member instead of a customer (SPEC 6). For handlers only.

What is the same for tasks is in `dispatches`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sopd.store.queries.dispatches import lease_among
from sopd.store.queries.due import CARDS
from sopd.store.tables import Dispatch
from sopd.store.transaction import Transaction


class CardRow(NamedTuple):
    """A dispatch that is a card, with its owner: the member whose customers are in it."""

    id: int
    owner: str
    owner_name: str
    supervisor: str | None
    member_id: int
    sop_id: int
    version_id: int
    step_id: str
    channel: str
    content_hash: str
    state: str
    reason: str | None
    send_at: int
    slot_at: int
    expires_at: int
    act_at: int | None
    lease_until: int | None
    attempts: int
    attempted_at: int | None
    msgid: str | None
    requested_at: int | None
    confirmed_at: int | None
    settled_at: int | None
    stop_at: int | None
    memory: str | None
    to_userid: str | None
    card_no: int


class Saved(NamedTuple):
    """What a card becomes."""

    id: int
    state: str
    reason: str | None
    act_at: int | None
    lease_until: int | None
    attempted_at: int | None
    msgid: str | None
    requested_at: int | None
    confirmed_at: int | None
    settled_at: int | None
    memory: str | None
    to_userid: str | None
    card_no: int


class About(NamedTuple):
    """A customer as a card speaks of them. `attributes` is a JSON object."""

    push_id: int
    dispatch_id: int
    external_userid: str
    name: str
    attributes: str


_OF_MEMBER = {"owner": "m.userid", "owner_name": "m.name", "supervisor": "m.supervisor"}
_CARD = ", ".join(_OF_MEMBER.get(name, f"d.{name}") for name in CardRow._fields)


def lease(tx: Transaction, states: Sequence[str], *, limit: int, lease_ms: int) -> dict[int, int]:
    """Lease due cards in these states, the longest waiting first: the claim's number by id."""
    return lease_among(tx, CARDS, states, limit, lease_ms)


def lock(tx: Transaction, ids: Iterable[int]) -> list[CardRow]:
    """These cards, locked, by id; tasks among the ids are left out."""
    return _cards(tx, ids, tx.for_update("d"))


def _cards(tx: Transaction, ids: Iterable[int], locking: str) -> list[CardRow]:
    given = tx.ids(sorted(set(ids)))
    rows = tx.rows(
        f"select {_CARD} from dispatch d join member m on m.id = d.member_id"
        f" where d.id in (select id from {given.sql} g) and d.{CARDS} order by d.id{locking}",
        given.params,
    )
    return [CardRow(*row) for row in rows]


def read(tx: Transaction, ids: Iterable[int]) -> list[CardRow]:
    """These cards as they are, not locked, by id."""
    return _cards(tx, ids, "")


def lock_members(tx: Transaction, userids: Iterable[str]) -> None:
    """Hand cards to these members alone: two at a time could exceed their pace. Locked before runs, as by planning."""
    locking = tx.for_update("member")
    if locking:
        given = tx.table({"userid": "text"}, [(userid,) for userid in sorted(set(userids))])
        tx.rows(
            f"select id from member where userid in (select userid from {given.sql} g) order by id{locking}",
            given.params,
        )


def handed_since(tx: Transaction, userids: Iterable[str], since: int) -> list[tuple[str, int]]:
    """(member, instant) of every card handed, tried or just being handed to one of these members since then."""
    given = tx.table({"userid": "text"}, [(userid,) for userid in sorted(set(userids))])
    joined = f"from {given.sql} g join dispatch d on d.to_userid = g.userid and d.to_userid is not null"
    return tx.rows(
        f"select d.to_userid, d.attempted_at {joined} and d.attempted_at > ?"
        f" union all select d.to_userid, cast(? as bigint) {joined} and d.attempted_at is null and d.state = 'handing'",
        (*given.params, since, tx.now, *given.params),
    )


LIKENESS = ("member_id", "version_id", "step_id", "channel", "send_at", "slot_at", "expires_at")


def split(tx: Transaction, rows: Sequence[dict[str, object]]) -> list[tuple[int, tuple[object, ...]]]:
    """Make cards like others, each for a part of their pushes; returns (new id, its `LIKENESS`)."""
    return [(row[0], tuple(row[1:])) for row in tx.insert(Dispatch, rows, returning=("id", *LIKENESS))]


def part(tx: Transaction, moved: Sequence[tuple[int, int]], sizes: Sequence[tuple[int, int]]) -> None:
    """Give pushes (push, new card) to cards of their own, and write how many are left in cards (card, size)."""
    given = tx.table({"id": "bigint", "dispatch_id": "bigint"}, moved)
    tx.run(f"update push set dispatch_id = n.dispatch_id from {given.sql} n where push.id = n.id", given.params)
    given = tx.table({"id": "bigint", "size": "bigint"}, sizes)
    tx.run(f"update dispatch set size = n.size from {given.sql} n where dispatch.id = n.id", given.params)


def about(tx: Transaction, dispatch_ids: Iterable[int]) -> list[About]:
    """Who the unsettled pushes of these cards are for, by push."""
    given = tx.ids(dispatch_ids)
    rows = tx.rows(
        "select p.id, p.dispatch_id, c.external_userid, c.name, c.attributes from push p"
        f" join customer c on c.id = p.customer_id where p.dispatch_id in (select id from {given.sql} g)"
        " and p.settled_at is null order by p.id",
        given.params,
    )
    return [About(*row) for row in rows]


def customers_of(tx: Transaction, push_ids: Iterable[int]) -> dict[int, tuple[int, int]]:
    """(customer, relation) of each of these pushes."""
    given = tx.ids(sorted(set(push_ids)))
    rows = tx.rows(
        f"select id, customer_id, relation_id from push where id in (select id from {given.sql} g)", given.params
    )
    return {row[0]: (row[1], row[2]) for row in rows}


def look_at(tx: Transaction, dispatch_ids: Iterable[int]) -> int:
    """Something happened to whom these cards are for: those that are out are looked at, at once or when known."""
    given = tx.ids(dispatch_ids)
    return tx.run(
        "update dispatch set stop_at = coalesce(stop_at, cast(? as bigint)),"
        " act_at = case when state = 'handed' then ? else act_at end,"
        " lease_until = case when state = 'handed' then null else lease_until end"
        f" where id in (select id from {given.sql} g) and state in ('handing', 'unsure', 'handed')",
        (tx.now, tx.now, *given.params),
    )


def set_supervisors(tx: Transaction, rows: Sequence[tuple[str, str, str | None]]) -> None:
    """Write (userid, name, supervisor) of members as WeCom tells them."""
    given = tx.table({"userid": "text", "name": "text", "supervisor": "text"}, rows)
    tx.run(
        "update member set supervisor = n.supervisor, name = case when n.name = '' then member.name else n.name end"
        f" from {given.sql} n where member.userid = n.userid",
        given.params,
    )
