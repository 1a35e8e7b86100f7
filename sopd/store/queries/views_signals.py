"""Read-only questions about what customers did and said, for the page of one customer. Never what was said."""

from __future__ import annotations

from typing import NamedTuple

from sopd.store.transaction import Transaction


class SignalRow(NamedTuple):
    """One signal. kind: event | reply | message; `name` is an event's, `member` whom a reply went to or came from."""

    at: int
    kind: str
    name: str
    member: str | None
    properties: str
    ref: str
    received_at: int
    handled_at: int | None


def of_customer(tx: Transaction, customer_id: int, limit: int) -> list[SignalRow]:
    """A customer's latest signals, the last received first. `properties` is a JSON object."""
    rows = tx.rows(
        "select s.at, s.kind, s.name, m.userid, s.properties, s.ref, s.received_at, s.handled_at from signal s"
        " left join relation r on r.id = s.relation_id left join member m on m.id = r.member_id"
        " where s.customer_id = ? order by s.id desc limit ?",
        (customer_id, limit),
    )
    return [SignalRow(*row) for row in rows]


def last_talks(tx: Transaction, customer_id: int) -> dict[int, int]:
    """When a customer and each of their members wrote last, by relation."""
    return dict(
        tx.rows(
            "select id, last_talk_at from relation where customer_id = ? and last_talk_at is not null", (customer_id,)
        )
    )


def called(tx: Transaction, customer_id: int) -> tuple[str | None, str | None, bool]:
    """(CRM id, unionid, whether a phone number is known) of a customer."""
    row = tx.one("select crm_id, unionid, phone_hash from customer where id = ?", (customer_id,))
    return (None, None, False) if row is None else (row[0], row[1], row[2] is not None)
