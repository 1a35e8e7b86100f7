"""Who is meant: customers by external_userid, unionid, CRM id or phone hash (SPEC 10). A part; it writes nothing."""

from __future__ import annotations

from collections.abc import Iterable

from sopd.incoming.identities import Identity
from sopd.store import Transaction
from sopd.store.queries import identities as queries


def find(tx: Transaction, identities: Iterable[Identity]) -> dict[Identity, int | str]:
    """For each identity the customer's id, or the sentence that says why there is none."""
    asked = set(identities)
    found = queries.customers(tx, asked)
    return {one: _verdict(one, found.get(one, [])) for one in asked}


def _verdict(identity: Identity, customer_ids: list[int]) -> int | str:
    if len(customer_ids) == 1:
        return customer_ids[0]
    if not customer_ids:
        return f"no customer has {identity}"
    return f"{len(customer_ids)} customers have {identity}; name one by external_userid"
