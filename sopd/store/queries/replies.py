"""Statements about runs that a customer's answer may concern. Called by `handlers.replies` only."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from sopd.store.transaction import Transaction


class Answered(NamedTuple):
    """A run whose customer wrote. `kind` is its SOP's; `is_open` False: it ended normally a short while ago."""

    id: int
    sop_id: int
    version_id: int
    kind: str
    subject_id: int
    customer_id: int
    relation_id: int
    waits_reply: bool
    is_open: bool


_RUN = (
    "select e.id, e.sop_id, e.version_id, s.kind, e.subject_id, e.customer_id, e.relation_id, e.waits_reply,"
    " case when e.closed_at is null then 1 else 0 end from enrollment e join sop s on s.id = e.sop_id"
)


def open_runs(tx: Transaction, customer_ids: Iterable[int]) -> list[Answered]:
    """The open runs of these customers, by id."""
    given = tx.ids(customer_ids)
    return _runs(
        tx,
        f"{_RUN} where e.closed_at is null and e.customer_id in (select id from {given.sql} g) order by e.id",
        given.params,
    )


def ended_runs(
    tx: Transaction, sop_ids: Iterable[int], subject_ids: Iterable[int], since: int
) -> list[Answered]:
    """Runs of these SOPs and subjects that ended normally since then, by id."""
    sops, subjects = tx.ids(sop_ids), tx.ids(subject_ids)
    return _runs(
        tx,
        f"{_RUN} where e.sop_id in (select id from {sops.sql} g) and e.subject_id in (select id from {subjects.sql} h)"
        " and e.state = 'normal_end' and e.closed_at >= ? order by e.id",
        (*sops.params, *subjects.params, since),
    )


def _runs(tx: Transaction, sql: str, params: tuple[object, ...]) -> list[Answered]:
    return [Answered(*row[:7], bool(row[7]), bool(row[8])) for row in tx.rows(sql, params)]
