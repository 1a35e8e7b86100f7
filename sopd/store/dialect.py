"""What differs between SQLite and PostgreSQL, behind one shape; used by `Store` and `Transaction` only.

SQL is written once, with `?` placeholders, in the common subset (`UPDATE .. FROM`, `RETURNING`, `ON CONFLICT`). What
the subset lacks is asked of the dialect: rows as a table, locks, the time. No table names and no decisions here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from peewee import Database

from .errors import StoreError

TYPES = ("bigint", "int", "text", "bool")


class Given(NamedTuple):
    """Rows handed to a statement: `sql` goes after FROM (give it an alias), `params` in its place among the others."""

    sql: str
    params: tuple[Any, ...]


class Dialect(Protocol):
    """One of the two databases. `name` is 'sqlite' or 'postgres'; `place` names it to people, without a password.

    `now` is an SQL expression of milliseconds; `most_params` is how many parameters `given` puts into its fast form,
    `worth_folding` how many ids a group must have on average so that they are folded into one row.
    """

    name: str
    place: str
    begin: str
    begin_reading: str
    now: str
    skip_locked: str
    unfolded: str
    worth_folding: int
    one_writer: bool
    most_params: int | None
    driver_error: type[Exception]

    def database(self, pool: int) -> Database:
        """A pooled peewee database, not yet connected."""

    def text(self, sql: str) -> str:
        """The statement as the driver wants it."""

    def for_update(self, of: str) -> str:
        """The locking clause of a SELECT, with a leading blank; empty where one writer at a time makes it needless."""

    def given(self, columns: Mapping[str, str], rows: Sequence[Sequence[Any]]) -> Given:
        """`rows` as a table with these columns; any number of rows in one statement."""

    def keyed(self, table: str, key: Sequence[str], given: str) -> str:
        """The condition that a row of `table` has one of the keys (of several columns) in the table `given`."""

    def unchanged(self, table: str, key: Sequence[str], still: Sequence[str], given: str) -> str:
        """As `keyed`, and that the columns `still` are as given; rows of these keys are locked in their order."""

    def listed(self, ids: list[int]) -> Given:
        """As `given`, for one column `id` of numbers: by far the most frequent."""

    def folded(self, ids: Sequence[int]) -> str:
        """Ids as one text. As `s.ids` in a table, `unfolded` gives them back: its `i.value`, one a row."""

    def set_reading(self, connection: Any, on: bool) -> None:
        """Let the connection refuse writes, where BEGIN cannot say so."""

    def is_broken(self, connection: Any) -> bool:
        """Whether the connection is of no further use."""

    def explain(self, sql: str) -> str:
        """The statement that shows the plan of `sql`."""

    def translate(self, error: Exception, sql: str) -> StoreError:
        """The driver's error in our words."""


Columns = dict[str, tuple[Any, ...]]
"""Values by column."""


def apart(columns: Mapping[str, str], rows: Sequence[Sequence[Any]]) -> tuple[dict[str, Any], Columns]:
    """(columns that have one value in all rows, which is given to the database once; the others, at least one)."""
    same: dict[str, Any] = {}
    other: Columns = {}
    for name, values in zip(columns, zip(*rows, strict=True), strict=True):
        first = values[0]
        if len(values) > 1 and first == values[-1] and values.count(first) == len(values):
            same[name] = values[0]
        else:
            other[name] = values
    if not other:
        name, value = same.popitem()
        other[name] = (value,) * len(rows)
    return same, other


def typed(columns: Mapping[str, str]) -> None:
    """Refuse column types that `Transaction.table` does not know."""
    if wrong := sorted(set(columns.values()) - set(TYPES)):
        raise ValueError(f"column types {wrong}: allowed are {', '.join(TYPES)}")
