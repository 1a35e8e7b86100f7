"""Statements about pushes that are over and tried again. Called by `handlers.retries` only."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from sopd.store.transaction import Transaction


class Over(NamedTuple):
    """A push as far as it matters for trying it again."""

    id: int
    enrollment_id: int
    sop_id: int
    version_id: int
    step_id: str
    channel: str
    state: str
    reason: str | None
    settled_at: int | None


def rows(tx: Transaction, ids: Iterable[int]) -> list[Over]:
    """These pushes, under the locks of their enrollments."""
    given = tx.ids(ids)
    columns = ", ".join(Over._fields)
    return [Over(*row) for row in tx.rows(f"select {columns} from push where id in (select id from {given.sql} g)"
                                          " order by id", given.params)]  # fmt: skip


def reopen(tx: Transaction, ids: Iterable[int]) -> None:
    """Make them due now, out of their old tasks and with the present owner; nothing is held against them any more."""
    given = tx.ids(ids)
    tx.run(
        "update push set state = 'due', reason = 'retry', mark = null, plan_at = ?, deferred = 0, expires_at = null,"
        " dispatch_id = null, settled_at = null, stopped_at = null, relation_id = e.relation_id,"
        " member_id = e.member_id from enrollment e where e.id = push.enrollment_id"
        f" and push.id in (select id from {given.sql} g)",
        (tx.now, *given.params),
    )
