"""SQLite, the embedded default: WAL, one writer at a time, synced at every commit (ARCHITECTURE 5).

Rows become a table as VALUES, the fastest by far, as long as their parameters fit into one statement; more of them,
and lists of one column, go through `json_each` as one parameter (figures: `given`).
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from playhouse.pool import PooledSqliteDatabase

from .dialect import Given, apart, typed
from .errors import BadAddress, BadStatement, BadValue, Conflict, NoSchema, StoreBusy, StoreError, Unreachable

SCHEME = "sqlite:///"
BUSY_MS = 5000
MOST_PARAMS = 30_000  # SQLite takes 32,766 a statement; the rest is left to the statement around the rows
MANY_ROWS = 50
"""SQLite takes n rows of VALUES for 2^(n/10) rows, and would rather read a table than look up that many in it. So from
here on it is told how many there are."""
PRAGMAS = {
    "journal_mode": "wal",
    "synchronous": "full",
    "busy_timeout": BUSY_MS,
    "foreign_keys": 1,
    "cache_size": -65536,
    "temp_store": "memory",
}

_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_DISK = {
    sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH, sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_NOMEM,
}  # fmt: skip
_VALUE = {sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_MISMATCH}
_DATATYPE = 3091  # SQLITE_CONSTRAINT_DATATYPE of a STRICT table, which the driver has no name for


class Sqlite:
    """The dialect of one SQLite file."""

    name = "sqlite"
    begin = "begin immediate"  # a read lock cannot be upgraded: a plain BEGIN fails where this one waits
    begin_reading = "begin"
    now = "cast(round((julianday('now') - 2440587.5) * 86400000.0) as integer)"
    skip_locked = ""
    unfolded = "json_each(s.ids) i"
    worth_folding = 1
    one_writer = True
    most_params = MOST_PARAMS
    driver_error: type[Exception] = sqlite3.Error

    def __init__(self, url: str) -> None:
        path = url.removeprefix(SCHEME)
        if not path or ":memory:" in path or path.startswith("file:"):
            raise BadAddress(url)  # every pooled connection would open a database of its own
        self.path = Path(path).absolute()
        self.place = str(self.path)

    def database(self, pool: int) -> PooledSqliteDatabase:
        return PooledSqliteDatabase(
            str(self.path), pragmas=PRAGMAS, lock_type="IMMEDIATE", autoconnect=False, max_connections=pool,
            timeout=BUSY_MS / 1000, check_same_thread=False, cached_statements=100,
        )  # fmt: skip

    def text(self, sql: str) -> str:
        return sql

    def for_update(self, of: str) -> str:
        return ""

    def given(self, columns: Mapping[str, str], rows: Sequence[Sequence[Any]]) -> Given:
        """Rows a second on 2 cores: an insert of 14 columns 420 k by VALUES, 210 k by executemany, 125 k by JSON; an
        update of 2 columns 490 k, 370 k, 350 k; a look-up by 500 ids 1.03 M by VALUES, 1.00 M by JSON.
        """
        typed(columns)
        if len(columns) == 1:
            name, values = next(iter(columns)), [row[0] for row in rows]
            return Given(f"(select value as {name} from json_each(?))", (json.dumps(values),))
        if 0 < len(rows) * len(columns) <= self.most_params:
            same, other = apart(columns, rows)
            picked = ", ".join(
                [*(f"? as {name}" for name in same), *(f"column{at} as {name}" for at, name in enumerate(other, 1))]
            )
            marks = ",".join([f"({','.join('?' * len(other))})"] * len(rows))
            values = chain.from_iterable(zip(*other.values(), strict=True))
            bound = f" limit {len(rows)}" if len(rows) >= MANY_ROWS else ""
            return Given(f"(select {picked} from (values {marks}){bound})", (*same.values(), *values))
        picked = ", ".join(f"json_extract(value, '$[{at}]') as {name}" for at, name in enumerate(columns))
        return Given(f"(select {picked} from json_each(?))", (json.dumps(rows),))

    def keyed(self, table: str, key: Sequence[str], given: str) -> str:
        """One look by the index for each key, whatever the figures say.

        For `(a, b) in (select ..)` SQLite reads the whole table where the first columns have few values, and for a join
        with some hundred keys it reads the whole index into a Bloom filter.
        """
        same = " and ".join(f"t.{name} = g.{name}" for name in key)
        return f"rowid in (select (select t.rowid from {table} t where {same}) from {given} g)"

    def unchanged(self, table: str, key: Sequence[str], still: Sequence[str], given: str) -> str:
        return self.keyed(table, [*key, *still], given)

    def listed(self, ids: list[int]) -> Given:
        return Given("(select value as id from json_each(?))", (repr(ids),))

    def folded(self, ids: Sequence[int]) -> str:
        return repr(list(ids))

    def set_reading(self, connection: sqlite3.Connection, on: bool) -> None:
        connection.execute(f"pragma query_only = {int(on)}")

    def is_broken(self, connection: sqlite3.Connection) -> bool:
        return False

    def explain(self, sql: str) -> str:
        return f"explain query plan {sql}"

    def translate(self, error: Exception, sql: str) -> StoreError:
        code = getattr(error, "sqlite_errorcode", 0)
        kind = code & 0xFF  # the rest tells sorts of it apart
        if kind in _BUSY:
            return StoreBusy(f"{self.place} was locked by another process for {BUSY_MS // 1000} s", "try again")
        if kind in _DISK:
            return Unreachable(f"cannot use {self.place}: {error}", "check the disk, the path and its permissions")
        if kind in _VALUE or code == _DATATYPE or isinstance(error, sqlite3.DataError):
            return BadValue(f"a value does not fit: {error}")
        if kind == sqlite3.SQLITE_CONSTRAINT:
            return Conflict(str(error))
        if "no such table" in str(error):
            return NoSchema(str(error))
        return BadStatement(f"{error} in: {sql}")
