"""Audiences: the import of a list, which ones there are, and who is in one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from sopd.cli import paging, taking
from sopd.cli.asking import agree, with_progress
from sopd.cli.desk import Desk
from sopd.cli.failure import unknown
from sopd.cli.output import Column
from sopd.commands import ImportAudience
from sopd.handlers import audiences, identities
from sopd.incoming import people
from sopd.store.queries import audiences as queries
from sopd.store.queries.audiences import AudienceRow, Inside

if TYPE_CHECKING:
    from sopd.incoming.identities import Identity
    from sopd.store import Transaction

LIST = (
    Column("name"), Column("customers", "number"), Column("imported_at", "instant"), Column("id", "number", wide=True),
)  # fmt: skip
INSIDE = (
    Column("external_userid"), Column("name"), Column("relations", "number"), Column("id", "number", wide=True),
)  # fmt: skip


class Changed(NamedTuple):
    """What an import changed. `unknown`: lines left out."""

    audience: str
    joined: int
    left: int
    stayed: int
    unknown: int


CHANGED = (
    Column("audience"), Column("joined", "number"), Column("left", "number"), Column("stayed", "number"),
    Column("unknown", "number"),
)  # fmt: skip


def import_(desk: Desk, name: str, file: Path, keep: bool, skip_unknown: bool, yes: bool) -> None:
    """`audience import`: look at everything, compare, then let people join and leave by batches."""
    called, data = taking.bytes_of(file)
    rows = people.bare(called, data)
    members = people.members(rows)
    with desk.reading() as tx:
        known, strangers = _known(tx, members)
        inside = sum(row.customers for row in queries.page(tx, None, 1, name))
    taking.require(called, [*rows.faults, *([] if skip_unknown else strangers)])
    if inside and not known and not keep:
        agree(desk, yes, "{file} names nobody. Take all {count} customers out of {audience}?", file=called,
              count=inside, audience=name)  # fmt: skip
    to = audiences.begin(desk.app, ImportAudience(name, desk.person, keep), known)
    moved = {"joined": 0, "left": 0}

    def join(batch: list[int]) -> None:
        moved["joined"] += audiences.join(desk.app, to, batch)

    def leave(batch: list[int]) -> None:
        moved["left"] += audiences.leave(desk.app, to, batch)

    with_progress(desk, "importing", to.join, audiences.BATCH, join)
    with_progress(desk, "importing", to.leave, audiences.BATCH, leave)
    done = Changed(name, stayed=to.stay, unknown=len(strangers), **moved)
    taking.outcome(desk, CHANGED, done, "{audience}: joined {joined}, left {left}, stayed {stayed}, left out {unknown}",
                   **done._asdict())  # fmt: skip


def _known(
    tx: Transaction, members: Sequence[tuple[int, Identity]]
) -> tuple[list[int], list[tuple[int, str]]]:
    """(customers who are meant, (line, why nobody is meant))."""
    found = identities.find(tx, {who for _, who in members})
    verdicts = [(line, found[who]) for line, who in members]
    known = [verdict for _, verdict in verdicts if isinstance(verdict, int)]
    return known, [(line, verdict) for line, verdict in verdicts if isinstance(verdict, str)]


def show_list(desk: Desk, limit: int, before: int | None) -> None:
    """`audience list`."""

    def fetch(tx: Transaction, below: int | None, count: int) -> Sequence[AudienceRow]:
        return queries.page(tx, below, count)

    paging.listing(desk, LIST, fetch, limit, before)


def show_page(desk: Desk, name: str, limit: int, before: int | None) -> None:
    """`audience show`."""
    with desk.reading() as tx:
        audience = next(iter(queries.page(tx, None, 1, name)), None)
        if audience is None:
            raise unknown("audience", name, queries.names(tx), "`sopd audience list` shows all")

    def fetch(tx: Transaction, below: int | None, count: int) -> Sequence[Inside]:
        return queries.inside(tx, audience.id, below, count)

    paging.listing(desk, INSIDE, fetch, limit, before)
