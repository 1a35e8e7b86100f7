"""Statements about what holds of customers and relations now, for rules. Called by handlers only."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from sopd.store.transaction import Transaction

HOLDS = "(wanted = 1 or (wanted is null and in_wecom))"
"""Whether a row of relation_tag holds now: our pending write if there is one, else WeCom's last word."""


def held_tags(tx: Transaction, relation_ids: Iterable[int]) -> dict[int, frozenset[str]]:
    """The tag ids that hold on each relation now; a relation without any is left out."""
    given = tx.ids(relation_ids)
    rows = tx.rows(
        f"select relation_id, tag_id from relation_tag where relation_id in (select id from {given.sql} g) and {HOLDS}",
        given.params,
    )
    return _sets(rows)


# -- of customers ------------------------------------------------------------------------------------------------------


def muted_and_attributes(tx: Transaction, customer_ids: Iterable[int]) -> list[tuple[int, bool, str]]:
    """(customer, whether muted, attributes as a JSON object); those who are not muted and have none are left out."""
    given = tx.ids(customer_ids)
    rows = tx.rows(
        "select id, case when muted_at is null then 0 else 1 end, attributes from customer"
        f" where id in (select id from {given.sql} g) and (muted_at is not null or attributes <> '{{}}')",
        given.params,
    )
    return [(customer_id, bool(muted), attributes) for customer_id, muted, attributes in rows]


def audiences(tx: Transaction, customer_ids: Iterable[int], names: Iterable[str]) -> dict[int, frozenset[str]]:
    """In which of these audiences each customer is; one in none is left out."""
    given, named = tx.ids(customer_ids), tx.table({"name": "text"}, [(name,) for name in sorted(names)])
    rows = tx.rows(
        "select am.customer_id, a.name from audience a join audience_member am on am.audience_id = a.id"
        f" where a.name in (select name from {named.sql} n) and am.customer_id in (select id from {given.sql} g)",
        (*named.params, *given.params),
    )
    return _sets(rows)


def runs_in_sops(
    tx: Transaction, customer_ids: Iterable[int], subjects: Iterable[int], keys: Iterable[str]
) -> list[tuple[int, str, str, bool]]:
    """(customer, SOP, state, whether open) of their runs in these SOPs. `subjects`: the customers and their relations.

    Subjects lead through the index; ids of customers and relations may be equal, so the customer decides.
    """
    people, given = tx.ids(customer_ids), tx.ids(subjects)
    named = tx.table({"key": "text"}, [(key,) for key in sorted(keys)])
    rows = tx.rows(
        "select distinct e.customer_id, s.key, e.state, case when e.closed_at is null then 1 else 0 end"
        " from sop s join enrollment e on e.sop_id = s.id"
        f" where s.key in (select key from {named.sql} n) and e.subject_id in (select id from {given.sql} g)"
        f" and e.customer_id in (select id from {people.sql} p)",
        (*named.params, *given.params, *people.params),
    )
    return [(customer_id, key, state, bool(is_open)) for customer_id, key, state, is_open in rows]


def customers_of(tx: Transaction, relation_ids: Iterable[int]) -> Mapping[int, int]:
    """The customer of each relation, and of others this transaction came across: asked for are those it did not."""
    known = tx.customer_of
    if strange := [one for one in relation_ids if one not in known]:
        given = tx.ids(strange)
        sql = f"select id, customer_id from relation where id in (select id from {given.sql} g)"
        known |= dict(tx.rows(sql, given.params))
    return known


def _sets(rows: Iterable[tuple[int, str]]) -> dict[int, frozenset[str]]:
    found: defaultdict[int, set[str]] = defaultdict(set)
    for key, value in rows:
        found[key].add(value)
    return {key: frozenset(values) for key, values in found.items()}
