"""Backups: one file that holds everything, taken while the daemon runs, put back whole or not at all.

Called by `sopd db backup` and `sopd db restore`. On SQLite the file is a database itself, made by SQLite's online
backup; on PostgreSQL it is a dump of our own (`dump`), so that nothing but sopd is needed. A backup goes back into the
kind of database it came from, into an empty one unless forced, and never into one that runs.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from . import dump
from .engine import Store
from .errors import BackupError, NewerSchema, NoSchema
from .filelock import hold
from .migrate import build, migrate, status, steps, tables_here
from .sqlite import Sqlite
from .transaction import Transaction

_SQLITE_MAGIC = b"SQLite format 3\0"
_NOT_DATA = {"clock", "schema_migration"}


@dataclass(frozen=True)
class Summary:
    """What a backup holds: its schema's number and the rows of each table."""

    schema: int
    rows: dict[str, int]


def backup(store: Store, target: Path) -> Summary:
    """Write everything as of now to `target`, which must not exist yet; it appears complete or not at all.

    The file holds personal data: only its owner may read it.
    """
    if target.exists():
        raise BackupError(f"{target} exists already", "give a file that does not exist")
    schema = status(store).found
    if not schema:
        raise NoSchema("there is nothing to back up")
    part = target.with_name(target.name + ".part")
    try:
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
        with store.reading() as tx:
            rows = _copied_out(store, tx, part) if isinstance(store.dialect, Sqlite) else dump.write(tx, part, schema)
        _publish(part, target)
    except OSError as error:
        raise BackupError(f"cannot write {target}: {error.strerror}", "check the folder and the disk") from error
    finally:
        part.unlink(missing_ok=True)
    return Summary(schema, rows)


def restore(store: Store, source: Path, *, force: bool = False) -> Summary:
    """Make the database what it was at the backup, then bring it forward to this program's schema.

    Without `force` only into a database without rows. One transaction: a restore that fails changes nothing.
    """
    try:
        with source.open("rb") as file:
            is_sqlite = file.read(len(_SQLITE_MAGIC)) == _SQLITE_MAGIC
    except OSError as error:
        raise BackupError(f"cannot read {source}: {error.strerror}", "name a file that `db backup` wrote") from error
    if is_sqlite != isinstance(store.dialect, Sqlite):
        kind = "SQLite" if is_sqlite else "PostgreSQL"
        raise BackupError(
            f"{source} is no backup of a {store.dialect.name} database", f"a {kind} backup goes back into {kind}"
        )
    with hold(store):
        if not force:
            _refuse_rows(store)
        summary = _copied_in(store, source) if is_sqlite else _loaded(store, source)
        migrate(store)
    return summary


def _refuse_rows(store: Store) -> None:
    with store.reading() as tx:
        here = tables_here(tx)
        full = [name for name in here if name not in _NOT_DATA and tx.one(f"select 1 from {name} limit 1")]
    if full:
        raise BackupError(
            f"{store.dialect.place} is not empty: there are rows in {', '.join(full[:5])}",
            "restore into an empty database, or add --force: then everything in it is lost",
        )


def _publish(part: Path, target: Path) -> None:
    """Give the finished file its name, safely on disk."""
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.rename(target)
    folder = os.open(target.absolute().parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


# -- SQLite --------------------------------------------------------------------------------------------------------


def _copied_out(store: Store, tx: Transaction, part: Path) -> dict[str, int]:
    """The file as of this transaction's snapshot. Writers go on meanwhile: that is what the WAL is for."""
    rows = {name: tx.value(f"select count(*) from {name}") for name in tables_here(tx)}
    with closing(sqlite3.connect(part, isolation_level=None)) as copy:
        tx.connection.backup(copy)
        copy.execute("pragma journal_mode = delete")  # one file, not three
        _refuse_broken(copy, part)
    return rows


def _copied_in(store: Store, source: Path) -> Summary:
    with closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)) as copy:
        _refuse_broken(copy, source)
        schema = _schema_of(copy, source)
        here = [name for (name,) in copy.execute("select name from sqlite_master where type = 'table'")]
        rows = {name: copy.execute(f'select count(*) from "{name}"').fetchone()[0] for name in here}
        store.database.close_all()
        with closing(sqlite3.connect(store.dialect.place, timeout=5, isolation_level=None)) as target:
            target.execute("pragma journal_mode = wal")
            target.execute("pragma synchronous = full")
            try:
                copy.backup(target)  # one transaction of SQLite's own: a crash leaves what was there
            except sqlite3.Error as error:
                raise store.dialect.translate(error, "restore") from error
    return Summary(schema, rows)


def _refuse_broken(connection: sqlite3.Connection, path: Path) -> None:
    try:
        said = connection.execute("pragma integrity_check(1)").fetchone()[0]
    except sqlite3.DatabaseError as error:
        said = str(error)
    if said != "ok":
        raise BackupError(f"{path} is damaged: {said}", "use another backup")


def _schema_of(connection: sqlite3.Connection, source: Path) -> int:
    try:
        found = connection.execute("select max(number) from schema_migration").fetchone()[0]
    except sqlite3.OperationalError:
        found = None
    if not found:
        raise BackupError(f"{source} is a SQLite database, but none of sopd", "name a file that `db backup` wrote")
    return _known(found)


# -- PostgreSQL ----------------------------------------------------------------------------------------------------


def _loaded(store: Store, source: Path) -> Summary:
    store.database.close_idle()
    with store.transaction() as tx:
        _refuse_company(tx)
        for name in tables_here(tx):
            tx.run(f"drop table {name}")
        with dump.reading(source) as backed_up:
            schema = _known(backed_up.schema)
            build(tx, schema)
            rows = backed_up.load(tx)
        tx.run("analyze")
    return Summary(schema, rows)


def _refuse_company(tx: Transaction) -> None:
    others = tx.value(
        "select count(*) from pg_stat_activity where datname = current_database()"
        " and application_name = 'sopd' and pid <> pg_backend_pid()"
    )
    if others:
        raise BackupError(f"{others} connections of sopd are open on this database", "stop daemons and workers first")


def _known(schema: int) -> int:
    newest = steps()[-1].number
    if schema > newest:
        raise NewerSchema(schema, newest)
    return schema
