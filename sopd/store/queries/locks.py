"""The order in which everybody locks: customer, relation, enrollment, push, task (ARCHITECTURE 5).

Whoever changes what rules look at, or moves runs, holds the customer first. So nobody waits for somebody who waits for
him, and of two changes to one customer the later one is judged on both. Called by the queries that lock relations and
runs, and by `handlers.touches`. SQLite has one writer at a time and needs none of it: no statement is made there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sopd.store.transaction import Transaction

_ORDERED = " order by c.id for update of c"


def customers(tx: Transaction, customer_ids: Iterable[int]) -> None:
    """Lock these customers, those that this transaction does not hold yet."""
    if not tx.dialect.one_writer:
        _lock(tx, "select c.id from customer c where c.id in (select id from {given} g)", set(customer_ids) - tx.held)


def of_runs(tx: Transaction, run_ids: Iterable[int]) -> None:
    """Lock the customers of these enrollments."""
    _lock(
        tx,
        "select c.id from customer c where c.id in"
        " (select customer_id from enrollment where id in (select id from {given} g))",
        run_ids,
    )


def of_tasks(tx: Transaction, dispatch_ids: Iterable[int]) -> None:
    """Lock the customers of the unsettled pushes in these tasks."""
    _lock(
        tx,
        "select c.id from customer c where c.id in (select customer_id from push"
        " where dispatch_id in (select id from {given} g) and settled_at is null)",
        dispatch_ids,
    )


def of_relations(tx: Transaction, relation_ids: Iterable[int]) -> None:
    """Lock the customers of these relations."""
    _lock(
        tx,
        "select c.id from customer c where c.id in"
        " (select customer_id from relation where id in (select id from {given} g))",
        relation_ids,
    )


def named(tx: Transaction, external_userids: Sequence[str]) -> list[tuple[Any, ...]]:
    """Lock the known ones among these customers, before an upsert would do so in another order.

    Returns them as (id, external_userid, name, kind, gender, unionid).
    """
    if not external_userids:
        return []
    given = tx.table({"external_userid": "text"}, [(one,) for one in external_userids])
    rows = tx.rows(
        "select c.id, c.external_userid, c.name, c.kind, c.gender, c.unionid from customer c where c.external_userid in"
        f" (select external_userid from {given.sql} g) order by c.id{tx.for_update('c')}",
        given.params,
    )
    tx.held.update([row[0] for row in rows])
    return rows


def free_runs(tx: Transaction, run_ids: Sequence[int]) -> Sequence[int]:
    """Lock the customers of these enrollments that nobody else holds; returns the enrollments of those."""
    if tx.dialect.one_writer or not run_ids:
        return run_ids
    given = tx.ids(run_ids)
    rows = tx.rows(
        "select e.id from enrollment e join customer c on c.id = e.customer_id"
        f" where e.id in (select id from {given.sql} g){_ORDERED} skip locked",
        given.params,
    )
    return [row[0] for row in rows]


def _lock(tx: Transaction, sql: str, ids: Iterable[int]) -> None:
    wanted = [] if tx.dialect.one_writer else list(ids)
    if wanted:
        given = tx.ids(wanted)
        tx.held.update([row[0] for row in tx.rows(sql.format(given=given.sql) + _ORDERED, given.params)])
