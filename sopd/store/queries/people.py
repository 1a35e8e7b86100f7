"""Statements about members, customers and their relations: whole pages in, whole pages out. Called by handlers only."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from sopd.store.transaction import Transaction


class OpenRun(NamedTuple):
    """An open enrollment, as far as it must be known to end it."""

    id: int
    relation_id: int
    version_id: int


def open_runs(tx: Transaction, relation_ids: Iterable[int]) -> list[OpenRun]:
    """The open enrollments that these relations own, by id."""
    given = tx.ids(relation_ids)
    rows = tx.rows(
        "select id, relation_id, version_id from enrollment where closed_at is null"
        f" and relation_id in (select id from {given.sql} g) order by id",
        given.params,
    )
    return [OpenRun(*row) for row in rows]
