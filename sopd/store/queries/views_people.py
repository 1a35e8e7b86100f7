"""Read-only questions about customers, members and tags: lists, look-ups by name, what was probably meant."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from sopd.store.queries.views import Where
from sopd.store.transaction import Transaction

_AFTER_ALL = "\U0010ffff"


@dataclass(frozen=True)
class CustomerFilter:
    """Which customers. `name` is a part of the name; `tag_id` one that holds on any relation. None: any."""

    member_id: int | None = None
    name: str | None = None
    tag_id: str | None = None
    is_muted: bool | None = None
    since: int | None = None

    def where(self) -> Where:
        """The conditions, on `c`."""
        where = Where()
        if self.name is not None:
            where.add("lower(c.name) like ? escape '!'", f"%{_literal(self.name.lower())}%")
        where.add(
            "exists (select 1 from relation r where r.customer_id = c.id and r.member_id = ? and r.state <> 'lost')",
            self.member_id,
        )
        where.add(
            "exists (select 1 from relation r join relation_tag t on t.relation_id = r.id where r.customer_id = c.id"
            " and t.tag_id = ? and coalesce(t.wanted, case when t.in_wecom then 1 else 0 end) = 1)",
            self.tag_id,
        )
        where.add("exists (select 1 from relation r where r.customer_id = c.id and r.began_at >= ?)", self.since)
        if self.is_muted is not None:
            where.add(f"c.muted_at is {'not ' if self.is_muted else ''}null")
        return where


def _literal(text: str) -> str:
    """A text as LIKE matches it letter by letter, with `!` as the escape."""
    return text.replace("!", "!!").replace("%", "!%").replace("_", "!_")


class CustomerRow(NamedTuple):
    """One customer. `relations` counts the active ones, `open` the runs inside."""

    id: int
    external_userid: str
    name: str
    muted_at: int | None
    relations: int
    open: int
    seen_at: int
    attributes: dict[str, Any]


_CUSTOMER = (
    "select c.id, c.external_userid, c.name, c.muted_at,"
    " (select count(*) from relation r where r.customer_id = c.id and r.state = 'active'),"
    " (select count(*) from enrollment e where e.customer_id = c.id and e.closed_at is null), c.seen_at, c.attributes"
    " from customer c"
)


def customers(tx: Transaction, wanted: CustomerFilter, before: int | None, limit: int) -> list[CustomerRow]:
    """A page of customers, the newest first: those with an id below `before`."""
    where = wanted.where().add("c.id < ?", before)
    return _customers(tx, f"{where} order by c.id desc limit ?", (*where.params, limit))


def customer(tx: Transaction, reference: str) -> list[CustomerRow]:
    """Those meant by an external_userid, else by a whole name: one, none or several (at most 10)."""
    found = _customers(tx, " where c.external_userid = ?", (reference,))
    return found or _customers(tx, " where c.name = ? order by c.id limit 10", (reference,))


def customers_of(tx: Transaction, external_userids: Iterable[str]) -> list[CustomerRow]:
    """Those of these customers whom we know, in no order."""
    given = tx.table({"external_userid": "text"}, [(one,) for one in external_userids])
    return _customers(tx, f" where c.external_userid in (select external_userid from {given.sql} g)", given.params)


def _customers(tx: Transaction, rest: str, params: Iterable[Any]) -> list[CustomerRow]:
    rows = tx.rows(f"{_CUSTOMER}{rest}", tuple(params))
    return [CustomerRow(*row[:7], json.loads(row[7])) for row in rows]


def customers_like(tx: Transaction, reference: str) -> list[str]:
    """Ids and names that somebody who wrote this may have meant; a bounded look, not a search."""
    names = tx.rows(
        "select name from customer where name like ? escape '!' limit 5", (f"%{_literal(reference)}%",)
    )
    for length in dict.fromkeys((len(reference), len(reference) - 1, len(reference) - 3, len(reference) // 2)):
        start = reference[: max(1, length)]
        rows = tx.rows(
            "select external_userid from customer where external_userid >= ? and external_userid < ?"
            " order by external_userid limit 50",
            (start, start + _AFTER_ALL),
        )
        if rows:
            return [row[0] for row in (*names, *rows)]
    return [row[0] for row in names]


class RelationRow(NamedTuple):
    """One relation of a customer."""

    id: int
    member: str
    state: str
    began_at: int
    channel: str
    add_way: int
    lost_at: int | None
    lost_by: str | None
    missing_at: int | None
    learned_at: int


def relations_of(tx: Transaction, customer_id: int) -> list[RelationRow]:
    """A customer's relations, the oldest first."""
    rows = tx.rows(
        "select r.id, m.userid, r.state, r.began_at, r.channel, r.add_way, r.lost_at, r.lost_by, r.missing_at,"
        " r.learned_at from relation r join member m on m.id = r.member_id where r.customer_id = ?"
        " order by r.began_at, r.id",
        (customer_id,),
    )
    return [RelationRow(*row) for row in rows]


def relation(tx: Transaction, relation_id: int) -> RelationRow | None:
    """One relation by its id."""
    row = tx.one(
        "select r.id, m.userid, r.state, r.began_at, r.channel, r.add_way, r.lost_at, r.lost_by, r.missing_at,"
        " r.learned_at from relation r join member m on m.id = r.member_id where r.id = ?",
        (relation_id,),
    )
    return None if row is None else RelationRow(*row)


class HeldTag(NamedTuple):
    """A tag of a relation. `wanted`: 1 an addition, 0 a removal that WeCom has not taken yet, None nothing pending."""

    relation_id: int
    tag_id: str
    name: str
    in_wecom: bool
    wanted: int | None
    since: int


def tags_of(tx: Transaction, customer_id: int) -> list[HeldTag]:
    """Every tag on a customer's relations, those with a write pending too; gone ones are left out."""
    rows = tx.rows(
        "select r.id, t.tag_id, coalesce(g.group_name || '/' || g.name, t.tag_id), t.in_wecom, t.wanted, t.since"
        " from relation r join relation_tag t on t.relation_id = r.id left join tag g on g.tag_id = t.tag_id"
        " where r.customer_id = ? and (t.in_wecom or t.wanted is not null) order by r.id, 3",
        (customer_id,),
    )
    return [HeldTag(row[0], row[1], row[2], bool(row[3]), row[4], row[5]) for row in rows]


class RefusalRow(NamedTuple):
    """Why a customer was not let into a SOP."""

    sop: str
    reason: str
    times: int
    first_at: int
    last_at: int


def refusals_of(tx: Transaction, customer_id: int) -> list[RefusalRow]:
    """A customer's refused entries, the latest first."""
    rows = tx.rows(
        "select s.key, f.reason, f.times, f.first_at, f.last_at from refusal f join sop s on s.id = f.sop_id"
        " where f.customer_id = ? order by f.last_at desc, s.key",
        (customer_id,),
    )
    return [RefusalRow(*row) for row in rows]


def member_id(tx: Transaction, userid: str) -> int | None:
    """A member's id by their user id."""
    found = tx.value("select id from member where userid = ?", (userid,))
    return None if found is None else int(found)


def member_userids(tx: Transaction) -> list[str]:
    """The user ids of all members."""
    return [row[0] for row in tx.rows("select userid from member order by userid")]


def tag_library(tx: Transaction) -> list[tuple[str, str, str]]:
    """(tag id, group, name) of every tag that was not deleted: empty before the first synchronisation."""
    return tx.rows("select tag_id, group_name, name from tag where deleted_at is null order by group_name, name")


def tag_names(tx: Transaction, tag_ids: Iterable[str]) -> dict[str, str]:
    """`group/name` by tag id; deleted ones too."""
    named = tx.table({"tag_id": "text"}, [(each,) for each in sorted(set(tag_ids))])
    rows = tx.rows(
        f"select tag_id, group_name || '/' || name from tag where tag_id in (select tag_id from {named.sql} g)",
        named.params,
    )
    return dict(rows)
