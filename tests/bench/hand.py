"""One connection of the driver's own, for SQL written by hand: no pool, no hooks, nothing of the engine around it.

Only two things are borrowed from the store: the spelling of placeholders, and the fastest known way to hand rows in.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg

from sopd.store import Store
from sopd.store.dialect import Given
from sopd.store.sqlite import PRAGMAS, SCHEME


class Hand:
    """Statements by hand. `now` is the instant they write, handed in: whoever writes SQL by hand has it."""

    def __init__(self, store: Store, url: str, now: int) -> None:
        self.dialect = store.dialect
        self.now = now
        self.skip_locked = store.dialect.skip_locked
        if url.startswith(SCHEME):
            self._connection: Any = sqlite3.connect(url.removeprefix(SCHEME), isolation_level=None)
            for name, value in PRAGMAS.items():
                self._connection.execute(f"pragma {name} = {value}")
        else:
            self._connection = psycopg.connect(url, autocommit=True)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """One durable unit."""
        self.run(self.dialect.begin)
        yield
        self.run("commit")

    def run(self, sql: str, params: Sequence[Any] = ()) -> Any:
        """One statement; returns the cursor."""
        return self._connection.execute(self.dialect.text(sql), tuple(params))

    def rows(self, sql: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """One statement and its rows."""
        return self.run(sql, params).fetchall()

    def given(self, columns: Mapping[str, str], rows: Sequence[Sequence[Any]]) -> Given:
        """Rows as a table."""
        return self.dialect.given(columns, rows)

    def close(self) -> None:
        self._connection.close()
