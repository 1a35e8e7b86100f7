"""A PostgreSQL database as one gzip file, written and read through COPY; called by `backup` only.

Lines of text: a JSON head; then for each table a JSON line with its name, columns and next id, its rows as COPY writes
them, and COPY's own end mark `\\.`; at last a JSON line with the number of rows of each table. A file cut short lacks
that line and is refused.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from .errors import BackupError
from .migrate import tables_here
from .transaction import Transaction, quoted

FORMAT = 1
_END = b"\\.\n"


def write(tx: Transaction, path: Path, schema: int) -> dict[str, int]:
    """Write every table as of this transaction's snapshot; returns the rows of each."""
    tx.run("set local statement_timeout = 0")
    rows: dict[str, int] = {}
    with gzip.open(path, "wb", compresslevel=3) as file:
        _line(file, {"sopd_backup": FORMAT, "schema": schema})
        for name in tables_here(tx):
            columns = _columns(tx, name)
            _line(file, {"table": name, "columns": columns, "next_id": _next_id(tx, name, columns)})
            rows[name] = 0
            with tx.connection.cursor().copy(f"copy {name} ({_listed(columns)}) to stdout") as copied:
                for row in copied:
                    rows[name] += bytes(row).count(b"\n")
                    file.write(row)
            file.write(_END)
        _line(file, {"end": rows})
    return rows


class Reading:
    """An opened backup: its schema's number, and its rows to be loaded once."""

    def __init__(self, file: IO[bytes], path: Path) -> None:
        self._file, self._path = file, path
        head = self._json()
        if head.get("sopd_backup") != FORMAT:
            raise BackupError(f"{path} is no backup that this program can read", "name a file that `db backup` wrote")
        self.schema: int = head["schema"]

    def load(self, tx: Transaction) -> dict[str, int]:
        """Put every row into the (empty) tables and set the next ids; raises if the file ends too early."""
        tx.run("set local statement_timeout = 0")
        rows: dict[str, int] = {}
        while "end" not in (part := self._json()):
            name, columns = part["table"], part["columns"]
            rows[name] = self._copy(tx, f"copy {name} ({_listed(columns)}) from stdin")
            if part["next_id"] is not None:
                tx.rows("select setval(pg_get_serial_sequence(?, 'id'), ?, false)", (name, part["next_id"]))
        if rows != part["end"] or self._file.read(1):  # reading past the end lets gzip check its sum
            raise self._damaged("its rows do not add up")
        return rows

    def _copy(self, tx: Transaction, sql: str) -> int:
        rows = 0
        try:
            with tx.connection.cursor().copy(sql) as copied:
                while (line := self._file.readline()) != _END:
                    if not line:
                        raise self._damaged("it ends too early")
                    copied.write(line)
                    rows += 1
        except tx.dialect.driver_error as error:
            raise tx.dialect.translate(error, sql) from error
        return rows

    def _json(self) -> dict[str, Any]:
        try:
            found = json.loads(self._file.readline())
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise self._damaged("a line of it makes no sense")
        return found

    def _damaged(self, why: str) -> BackupError:
        return BackupError(f"{self._path} is damaged: {why}", "use another backup")


@contextmanager
def reading(path: Path) -> Iterator[Reading]:
    """Open a backup; whatever gzip finds wrong with it is a damaged backup."""
    try:
        with gzip.open(path, "rb") as file:
            yield Reading(file, path)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise BackupError(f"{path} is damaged: {error}", "use another backup") from error


def _columns(tx: Transaction, table: str) -> list[str]:
    """From the catalogue, not from our tables: a backup is also taken before an upgrade."""
    found = tx.rows(
        "select column_name from information_schema.columns where table_schema = current_schema() and table_name = ?"
        " order by ordinal_position",
        (table,),
    )
    return [name for (name,) in found]


def _next_id(tx: Transaction, table: str, columns: list[str]) -> int | None:
    sequence = tx.value("select pg_get_serial_sequence(?, 'id')", (table,)) if "id" in columns else None
    if sequence is None:
        return None
    last, called = tx.one(f"select last_value, is_called from {sequence}")
    return last + int(called)


def _listed(columns: list[str]) -> str:
    return ", ".join(map(quoted, columns))


def _line(file: Any, value: dict[str, Any]) -> None:
    file.write(json.dumps(value).encode() + b"\n")
