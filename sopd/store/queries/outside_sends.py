"""Statements about mass sends that are not ours: found in WeCom's list, read, booked (D9). Called by handlers only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sopd.store.tables import OutsideSend, Reservation
from sopd.store.transaction import Transaction


class Outside(NamedTuple):
    """A mass send of others whose results are to be read."""

    msgid: str
    create_type: int
    creator: str
    created_at: int


class Booking(NamedTuple):
    """A place that a mass send of others takes in a customer's window."""

    customer_id: int
    window: str
    place: int
    msgid: str


def members_with_runs(tx: Transaction) -> set[str]:
    """The members that act for some open run: one look per member, however many customers wait.

    From one member to the next along the index of open runs: PostgreSQL makes EXISTS a join with all of them.
    """
    following = "select min(member_id) from enrollment where closed_at is null"
    rows = tx.rows(
        f"with recursive busy(id) as ({following} union all"
        f" select ({following} and member_id > busy.id) from busy where busy.id is not null)"
        " select userid from member where id in (select id from busy)"
    )
    return {row[0] for row in rows}


def note(tx: Transaction, found: Iterable[Outside]) -> None:
    """Remember these to be read at once; those known already stay as they are."""
    rows = [{**one._asdict(), "act_at": tx.now} for one in found]
    tx.insert(OutsideSend, rows, returning=(), on_conflict="ignore")


def due(tx: Transaction, limit: int) -> list[Outside]:
    """Those whose results are to be read now, the longest waiting first."""
    columns = ", ".join(Outside._fields)
    rows = tx.rows(f"select {columns} from outside_send where act_at <= ? order by act_at, msgid limit ?",
                   (tx.now, limit))  # fmt: skip
    return [Outside(*row) for row in rows]


def next_at(tx: Transaction) -> int | None:
    """When the next of them is to be read."""
    at: int | None = tx.value("select min(act_at) from outside_send where act_at is not null")
    return at


def save(tx: Transaction, rows: Sequence[tuple[str, int | None, str | None]]) -> None:
    """Write (msgid, when to read it next, why nothing could be read); no next time: all is known."""
    given = tx.table({"msgid": "text", "act_at": "bigint", "reason": "text"}, rows)
    tx.run(
        "update outside_send set act_at = n.act_at, reason = n.reason, reads = outside_send.reads + 1"
        f" from {given.sql} n where outside_send.msgid = n.msgid",
        given.params,
    )


def forget_before(tx: Transaction, at: int) -> None:
    """Drop those that no list shows any more."""
    tx.run("delete from outside_send where created_at < ?", (at,))


def attempts_in_doubt(tx: Transaction) -> list[int]:
    """When we tried to create tasks of which nobody knows yet whether they exist: one in the list may be ours."""
    states = ("sending", "uncertain", "needs_operator")
    seeks = " union all ".join(
        f"select attempted_at as at from dispatch where state = '{state}' and msgid is null" for state in states
    )
    return [row[0] for row in tx.rows(f"select at from ({seeks}) s where at is not null")]


def customers(tx: Transaction, names: Iterable[str]) -> dict[str, int]:
    """The ids of the customers we know among these, by external_userid."""
    given = tx.table({"name": "text"}, [(name,) for name in sorted(set(names))])
    return dict(
        tx.rows(
            f"select c.external_userid, c.id from {given.sql} g join customer c on c.external_userid = g.name",
            given.params,
        )
    )


def places(tx: Transaction, wanted: Iterable[tuple[int, str]]) -> list[Booking]:
    """Every place taken in these (customer, window); the msgid is empty for our own pushes."""
    given = tx.table({"customer_id": "bigint", "name": "text"}, sorted(set(wanted)))
    rows = tx.rows(
        f"select r.customer_id, r.\"window\", r.place, coalesce(r.msgid, '') from {given.sql} g"
        ' join reservation r on r.customer_id = g.customer_id and r."window" = g.name',
        given.params,
    )
    return [Booking(*row) for row in rows]


def book(tx: Transaction, rows: Sequence[Booking]) -> int:
    """Take places that no push holds; returns how many of them were free still."""
    made = [{**one._asdict(), "at": tx.now} for one in sorted(rows)]
    return len(tx.insert(Reservation, made, returning=("place",), on_conflict="ignore"))
