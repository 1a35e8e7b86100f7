"""Bring the schema forward: numbered steps of frozen SQL, each in a transaction of its own, under a lock.

Called by `sopd db migrate` and by the daemon at its start. There is no way back: a newer schema is refused, a backup
restored. A step that fails leaves the database at the step before it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import resources

from .engine import Store
from .errors import NewerSchema, NoSchema, OlderSchema
from .filelock import hold
from .sqlite import Sqlite
from .transaction import Transaction

_ADVISORY = 7_316_002_017  # any number of our own: two runners on PostgreSQL meet here
_HISTORY = (
    "create table if not exists schema_migration"
    " (number integer not null primary key, name text not null, applied_at bigint not null)"
)


@dataclass(frozen=True)
class Step:
    """One migration. `sql` maps the dialect's name to its statements."""

    number: int
    name: str
    sql: dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class Status:
    """Where a database stands: `found` (0: no schema yet) against `known`, and the names of what is missing."""

    found: int
    known: int
    missing: tuple[str, ...]


def steps() -> list[Step]:
    """Every known step in its order."""
    files = {each.name: each for each in resources.files("sopd.store.migrations").iterdir()}
    names = sorted({name.partition(".")[0] for name in files if name.endswith(".sql")})
    return [
        Step(
            int(name.partition("_")[0]),
            name,
            {
                dialect: statements(files[f"{name}.{dialect}.sql"].read_text("utf-8"))
                for dialect in ("sqlite", "postgres")
            },
        )
        for name in names
    ]


def statements(text: str) -> tuple[str, ...]:
    """The statements of a file, without their comments."""
    code = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("--"))
    return tuple(part.strip() for part in code.split(";\n") if part.strip())


def status(store: Store) -> Status:
    """Where the database stands. Changes nothing."""
    known = steps()
    try:
        with store.reading() as tx:
            found = _found(tx)
    except NoSchema:
        found = 0
    missing = tuple(step.name for step in known if step.number > found)
    return Status(found, known[-1].number, missing)


def require(store: Store) -> None:
    """Raise unless the schema is exactly the one this program knows; every process asks once at its start."""
    now = status(store)
    if now.found > now.known:
        raise NewerSchema(now.found, now.known)
    if not now.found:
        raise NoSchema("it has no tables of sopd")
    if now.found < now.known:
        raise OlderSchema(now.found, now.known)


def migrate(store: Store) -> list[str]:
    """Apply what is missing and return its names. Two runners at once: one applies, the other finds nothing to do.

    On SQLite no daemon may run on the file meanwhile, except the one that calls this.
    """
    done: list[str] = []
    with hold(store):
        if isinstance(store.dialect, Sqlite):  # made here, so that only its owner may read the people in it
            store.dialect.path.touch(0o600)
        while (name := _apply_next(store)) is not None:
            done.append(name)
    return done


def _apply_next(store: Store) -> str | None:
    known = steps()
    with store.transaction() as tx:
        if tx.dialect.name == "postgres":
            tx.run("set local statement_timeout = 0")
            tx.rows("select 1 from (select pg_advisory_xact_lock(?)) locked", (_ADVISORY,))
        tx.run(_HISTORY)
        found = _found(tx)
        if found > known[-1].number:
            raise NewerSchema(found, known[-1].number)
        step = next((step for step in known if step.number > found), None)
        if step is None:
            return None
        _execute(tx, step)
        # Not `tx.now`: the rehearsal's clock may not exist yet, and this instant is for people.
        tx.run(f"insert into schema_migration (number, name, applied_at) values (?, ?, {tx.dialect.now})",
               (step.number, step.name))  # fmt: skip
        return step.name


def build(tx: Transaction, schema: int) -> None:
    """The empty tables of an older schema, without their history: a restore fills in both."""
    tx.run(_HISTORY)
    for step in steps():
        if step.number <= schema:
            _execute(tx, step)


def tables_here(tx: Transaction) -> list[str]:
    """Those tables of this database that are ours, by any step's word; whoever else keeps tables here is left alone."""
    ours = ["schema_migration"]
    for step in steps():
        for statement in step.sql[tx.dialect.name]:
            ours += re.findall(r"^create table (\w+)", statement)
    if tx.dialect.name == "sqlite":
        found = tx.rows("select name from sqlite_master where type = 'table'")
    else:
        found = tx.rows("select tablename from pg_tables where schemaname = current_schema()")
    return [name for name in ours if (name,) in found]


def _execute(tx: Transaction, step: Step) -> None:
    for statement in step.sql[tx.dialect.name]:
        tx.run(statement)


def _found(tx: Transaction) -> int:
    return tx.value("select coalesce(max(number), 0) from schema_migration")
