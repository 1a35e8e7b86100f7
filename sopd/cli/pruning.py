"""`sopd db prune`: counts what may go, asks, and deletes it batch by batch beside a running daemon."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from sopd.cli import output
from sopd.cli.asking import agree, measured
from sopd.cli.desk import Desk
from sopd.cli.output import Column, note, say
from sopd.commands import PruneRows
from sopd.handlers import pruning
from sopd.handlers.app import App
from sopd.handlers.pruning import KINDS, Batch
from sopd.store.queries.pruning import Key

COUNTED = (Column("kind"), Column("kept_since", "instant"), Column("table"), Column("rows", "number"))

Act = Callable[[App, str, int, Key | None], Batch]


@dataclass(frozen=True)
class Counted:
    """How many rows of one table may go. `kept_since`: what was over before then may."""

    kind: str
    kept_since: int
    table: str
    rows: int


def prune(desk: Desk, kinds: Sequence[str], older_than: int | None, dry_run: bool, yes: bool) -> None:
    """Count and show, ask, delete, tell the sums."""
    limits = dict(_limits(desk, kinds, older_than))
    if not limits:
        say(desk, "the settings keep all of it for ever; --older-than says otherwise")
        return
    counted = [row for kind, before in limits.items() for row in _count(desk, kind, before)]
    total = sum(row.rows for row in counted)
    if dry_run or not total:
        output.listing(desk, COUNTED, counted)
        return
    for row in counted:
        note(desk, "{kind}: rows of {table}: {rows}", kind=row.kind, table=row.table, rows=row.rows)
    agree(desk, yes, "Delete {rows} rows for good?", rows=total)
    gone = _delete(desk, limits, total)
    pruning.note(desk.app, PruneRows(tuple(limits), tuple(sorted(gone.items())), desk.person))
    for table, rows in sorted(gone.items()):
        say(desk, "rows of {table} deleted: {rows}", table=table, rows=rows)


def _limits(desk: Desk, kinds: Sequence[str], older_than: int | None) -> Iterator[tuple[str, int]]:
    """(kind, what was over before then may go). --older-than leaves the audit alone unless it is named."""
    now = desk.store.now()
    for kind in kinds or KINDS:
        if older_than is None:
            before = pruning.kept_since(desk.settings.retention, kind, now)
        else:
            before = older_than if kinds or kind != "audit" else None
        if before is not None:
            yield kind, min(before, now - pruning.LEAST_MS[kind])


def _batches(app: App, act: Act, kind: str, before: int) -> Iterator[Counter[str]]:
    after: Key | None = None
    while True:
        batch = act(app, kind, before, after)
        yield Counter({table: n for table, n in batch.rows.items() if n})
        after = batch.after
        if after is None:
            return


def _count(desk: Desk, kind: str, before: int) -> Iterator[Counted]:
    sums = sum(_batches(desk.app, pruning.count, kind, before), Counter())
    yield from (Counted(kind, before, table, n) for table, n in sorted(sums.items()))


def _delete(desk: Desk, limits: dict[str, int], total: int) -> Counter[str]:
    """Rests after each batch as long as it took: a daemon beside must get its turns at the one writer of SQLite."""
    gone: Counter[str] = Counter()
    with measured(desk, "pruning", total) as show:
        for kind, before in limits.items():
            begun = time.monotonic()
            for rows in _batches(desk.app, pruning.prune, kind, before):
                gone += rows
                show(sum(gone.values()))
                time.sleep(min(time.monotonic() - begun, 1.0))
                begun = time.monotonic()
    return gone
