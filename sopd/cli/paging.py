"""Lists in pages: the shared options of every list, and rows that come a page at a time without holding the database.

Pages go by id from the newest down, so a page stays what it is while new rows come in. What is left is told on standard
error, with the option that shows it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from sopd.cli import instants, output
from sopd.cli.desk import Desk
from sopd.cli.instants import MOMENT
from sopd.cli.output import Column

if TYPE_CHECKING:
    from sopd.store import Transaction

A_PAGE = 500
DEFAULT_LIMIT = 50

Fetch = Callable[["Transaction", int | None, int], Sequence[Any]]
"""(transaction, ids below this one, at most so many) -> rows with `id`, descending."""


def page_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """--limit and --before."""
    limit = click.option(
        "--limit",
        type=click.IntRange(min=0),
        default=DEFAULT_LIMIT,
        show_default=True,
        help="At most so many rows, 0 for all.",
    )
    before = click.option("--before", type=click.IntRange(min=1), metavar="ID", help="The page after this id.")
    return limit(before(command))


def since_option(help: str) -> Callable[..., Any]:
    """--since, converted by `instants.instant`."""
    return click.option("--since", type=MOMENT, metavar="MOMENT", help=f"{help} (3d, 12h, 2026-03-01).")


@dataclass
class Pages:
    """An iterable of rows; afterwards `left_at` is the id to go on before, None if nothing is left."""

    desk: Desk
    fetch: Fetch
    limit: int
    before: int | None
    left_at: int | None = None

    def __iter__(self) -> Iterator[Any]:
        before, given = self.before, 0
        while True:
            wanted = min(A_PAGE, self.limit - given) if self.limit else A_PAGE
            with self.desk.reading() as tx:
                rows = self.fetch(tx, before, wanted + 1)
            yield from rows[:wanted]
            if len(rows) <= wanted:
                return
            given, before = given + wanted, rows[wanted - 1].id
            if self.limit and given >= self.limit:
                self.left_at = before
                return


def listing(desk: Desk, columns: Sequence[Column], fetch: Fetch, limit: int, before: int | None) -> None:
    """Print a list and say how to see the rest of it."""
    pages = Pages(desk, fetch, limit, before)
    output.listing(desk, columns, pages)
    if pages.left_at is not None:
        output.note(desk, "more: add --before {id}, or --limit 0 for all", id=pages.left_at)


def instant_of(desk: Desk, tx: Transaction, moment: Any) -> int | None:
    """The instant that an option means."""
    return instants.instant(moment, desk.zone, tx.now)
