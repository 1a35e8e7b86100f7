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
