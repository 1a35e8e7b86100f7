"""Statements about audiences and who is in them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from sopd.store.tables import Audience, AudienceMember
from sopd.store.transaction import Transaction


class AudienceRow(NamedTuple):
    """An audience as people see it."""

    id: int
    name: str
    customers: int
    imported_at: int


class Inside(NamedTuple):
    """A customer of an audience; `id` is the customer's."""

    id: int
    external_userid: str
    name: str
    relations: int


def ensure(tx: Transaction, name: str) -> int:
    """The id of the audience of this name, made if need be; it counts as imported now. Locks it."""
    row = {"name": name, "imported_at": tx.now}
    return int(tx.insert(Audience, [row], on_conflict="(name) do update set imported_at = excluded.imported_at")[0][0])


def member_ids(tx: Transaction, audience_id: int) -> set[int]:
    """The ids of all customers in it."""
    return {row[0] for row in tx.rows("select customer_id from audience_member where audience_id = ?", (audience_id,))}


def join(tx: Transaction, audience_id: int, customer_ids: Iterable[int]) -> list[int]:
    """Put customers in; returns those who were not."""
    rows = [{"audience_id": audience_id, "customer_id": one} for one in customer_ids]
    return [row[0] for row in tx.insert(AudienceMember, rows, returning=("customer_id",), on_conflict="ignore")]


def leave(tx: Transaction, audience_id: int, customer_ids: Iterable[int]) -> list[int]:
    """Take customers out; returns those who were in it."""
    given = tx.ids(customer_ids)
    rows = tx.rows(
        f"delete from audience_member where audience_id = ? and customer_id in (select id from {given.sql} g)"
        " returning customer_id",
        (audience_id, *given.params),
    )
    return [row[0] for row in rows]


def page(tx: Transaction, before: int | None, limit: int, name: str | None = None) -> list[AudienceRow]:
    """Audiences, the newest first: those with an id below `before`; only the one of this name if it is given."""
    rows = tx.rows(
        "select a.id, a.name, (select count(*) from audience_member m where m.audience_id = a.id), a.imported_at"
        " from audience a where a.id < ? and (a.name = ? or ? = '') order by a.id desc limit ?",
        (before if before is not None else 2**62, name or "", name or "", limit),
    )
    return [AudienceRow(*row) for row in rows]


def names(tx: Transaction) -> list[str]:
    """The names of all audiences."""
    return [row[0] for row in tx.rows("select name from audience order by name")]


def inside(tx: Transaction, audience_id: int, before: int | None, limit: int) -> list[Inside]:
    """Its customers, the latest known first: those with an id below `before`."""
    rows = tx.rows(
        "select c.id, c.external_userid, c.name,"
        " (select count(*) from relation r where r.customer_id = c.id and r.state = 'active')"
        " from audience_member m join customer c on c.id = m.customer_id where m.audience_id = ? and c.id < ?"
        " order by c.id desc limit ?",
        (audience_id, before if before is not None else 2**62, limit),
    )
    return [Inside(*row) for row in rows]


def of_customer(tx: Transaction, customer_id: int) -> list[str]:
    """The names of the audiences that a customer is in."""
    rows = tx.rows(
        "select a.name from audience_member m join audience a on a.id = m.audience_id where m.customer_id = ?"
        " order by a.name",
        (customer_id,),
    )
    return [row[0] for row in rows]
