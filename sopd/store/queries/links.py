"""What the published definitions say of each other. Called by `handlers.links` only."""

from __future__ import annotations

from typing import NamedTuple

from sopd.store.transaction import Transaction


class PublishedSop(NamedTuple):
    """A SOP and the version that new entries get; `program` is its JSON, with the tag ids."""

    key: str
    kind: str
    state: str
    source_name: str
    source: str
    program: str


def published(tx: Transaction) -> list[PublishedSop]:
    """Every SOP that has a version, by key; those that have ended too. There are few."""
    rows = tx.rows(
        "select s.key, s.kind, s.state, v.source_name, v.source, v.program"
        " from sop s join sop_version v on v.id = s.version_id order by s.key"
    )
    return [PublishedSop(*row) for row in rows]


def userids(tx: Transaction) -> list[str]:
    """Every member there is or was."""
    return [row[0] for row in tx.rows("select userid from member")]
