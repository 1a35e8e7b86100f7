"""Statements that find customers by what they are called outside. Called by handlers only."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from sopd.incoming.identities import COLUMNS, Identity
from sopd.store.transaction import Transaction


def customers(tx: Transaction, identities: Iterable[Identity]) -> dict[Identity, list[int]]:
    """The ids of the customers of each identity, by id; one that nobody has is not among them.

    One statement per kind of identity. Only a unionid or a phone number can be several customers'.
    """
    by_kind: defaultdict[str, set[str]] = defaultdict(set)
    for one in identities:
        by_kind[one.kind].add(one.value)
    found: defaultdict[Identity, list[int]] = defaultdict(list)
    for kind, values in by_kind.items():
        column = COLUMNS[kind]
        given = tx.table({"value": "text"}, [(value,) for value in sorted(values)])
        rows = tx.rows(
            f"select c.{column}, c.id from {given.sql} g join customer c on c.{column} = g.value order by c.id",
            given.params,
        )
        for value, customer_id in rows:
            found[Identity(kind, value)].append(customer_id)
    return dict(found)
