"""Statements about attributes and identities of customers. Called by handlers only."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sopd.store.transaction import Transaction


class Known(NamedTuple):
    """A customer's attributes as they are."""

    id: int
    attributes: dict[str, Any]


def lock(tx: Transaction, customer_ids: Iterable[int]) -> list[Known]:
    """The attributes of these customers, locked by id."""
    given = tx.ids(sorted(set(customer_ids)))
    rows = tx.rows(
        f"select id, attributes from customer where id in (select id from {given.sql} g)"
        f" order by id{tx.for_update('customer')}",
        given.params,
    )
    return [Known(customer_id, json.loads(text)) for customer_id, text in rows]


def put(tx: Transaction, rows: Sequence[tuple[int, str]]) -> None:
    """Write the attributes of locked customers, each as a JSON object."""
    if not rows:
        return
    given = tx.table({"id": "bigint", "attributes": "text"}, rows)
    tx.run(
        f"update customer set attributes = n.attributes from {given.sql} n where customer.id = n.id", given.params
    )


def teach(tx: Transaction, rows: Sequence[tuple[int, str | None, str | None]]) -> set[int]:
    """Learn (customer, CRM id, phone hash), None for what was not told; returns those of whom it was new."""
    if not rows:
        return set()
    given = tx.table({"id": "bigint", "crm_id": "text", "phone_hash": "text"}, rows)
    written = tx.rows(
        "update customer set crm_id = coalesce(n.crm_id, customer.crm_id),"
        f" phone_hash = coalesce(n.phone_hash, customer.phone_hash) from {given.sql} n where customer.id = n.id"
        " and (coalesce(n.crm_id, customer.crm_id, '') <> coalesce(customer.crm_id, '')"
        " or coalesce(n.phone_hash, customer.phone_hash, '') <> coalesce(customer.phone_hash, ''))"
        " returning customer.id",
        given.params,
    )
    return {row[0] for row in written}
