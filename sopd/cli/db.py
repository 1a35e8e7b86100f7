"""`sopd db`: the database as a whole. Declarations and the few lines each needs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from sopd.cli import output
from sopd.cli.asking import agree
from sopd.cli.desk import Desk
from sopd.cli.instants import MOMENT, instant
from sopd.cli.output import Column, say
from sopd.cli.states import PRUNED
from sopd.cli.verbs import chosen, noun, output_options, pass_desk, person_option, yes_option

db = noun("db", "The database: SQLite or PostgreSQL, as store.url says.")


@db.verb(
    "migrate",
    """
    sopd db migrate
    sopd db backup before-upgrade.db && sopd db migrate
    """,
)
@pass_desk
def migrate(desk: Desk) -> None:
    """Bring the schema forward to what this program knows, or make it.

    There is no way back but a backup. On SQLite, stop the daemon first; on PostgreSQL two runners do not hurt each
    other.
    """
    from sopd.store import migrate as migrations

    done = migrations.migrate(desk.unchecked_store)
    for name in done:
        say(desk, "applied {name}", name=name)
    known = migrations.status(desk.unchecked_store).known
    say(desk, "the database is at schema {number}" if done else "nothing to do: the database is at schema {number}",
        number=known)  # fmt: skip


@dataclass(frozen=True)
class StatusRow:
    """Where a database stands."""

    database: str
    kind: str
    schema: int
    known: int
    missing: tuple[str, ...]


@db.verb(
    "status",
    """
    sopd db status
    sopd db status --json
    """,
)
@output_options
@pass_desk
def status(desk: Desk) -> None:
    """Which database, and at which schema. Exit code 1 if this program cannot work with it as it is."""
    from sopd.store import migrate as migrations
    from sopd.store.migrate import Status

    file = desk.database_file
    if file is not None and not file.exists():
        found = Status(0, migrations.steps()[-1].number, tuple(step.name for step in migrations.steps()))
        place, kind = str(file), "sqlite"
    else:
        store = desk.unchecked_store
        found, place, kind = migrations.status(store), store.dialect.place, store.dialect.name
    columns = (
        Column("database"), Column("kind"), Column("schema", "number"), Column("known", "number"), Column("missing"),
    )  # fmt: skip
    output.listing(desk, columns, [StatusRow(place, kind, found.found, found.known, found.missing)])
    if found.found != found.known:
        migrations.require(desk.store)


@db.verb(
    "backup",
    """
    sopd db backup /var/backups/sopd-2026-03-01.db
    sopd db backup "$(date +%F).dump" && ls -l *.dump
    """,
)
@click.argument("target", type=click.Path(path_type=Path, dir_okay=False))
@pass_desk
def backup(desk: Desk, target: Path) -> None:
    """Write everything as of now to a new file, while the daemon runs.

    The file holds personal data: only its owner can read it.
    """
    from sopd.store import backup as backups

    summary = backups.backup(desk.store, target)
    size = target.stat().st_size
    say(desk, "{file}: schema {schema}, {rows} rows, {size} bytes", file=target, schema=summary.schema,
        rows=sum(summary.rows.values()), size=size)  # fmt: skip


@db.verb(
    "restore",
    """
    sopd db restore sopd-2026-03-01.db
    sopd db restore sopd-2026-03-01.db --force --yes
    """,
)
@click.argument("source", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--force", is_flag=True, help="Also into a database with rows: all of them are lost.")
@yes_option
@pass_desk
def restore(desk: Desk, source: Path, force: bool, yes: bool) -> None:
    """Put a backup back, whole or not at all, and bring it forward to this program's schema.

    Only into the kind of database it came from, and only while no daemon runs on it.
    """
    from sopd.store import backup as backups

    store = desk.unchecked_store
    if force:
        agree(desk, yes, "Replace everything in {place} by {file}?", place=store.dialect.place, file=source)
    summary = backups.restore(store, source, force=force)
    say(desk, "{place}: schema {schema}, {rows} rows from {file}", place=store.dialect.place, schema=summary.schema,
        rows=sum(summary.rows.values()), file=source)  # fmt: skip


@db.verb(
    "retry",
    """
    sopd db retry
    sopd doctor && sopd db retry
    """,
)
@pass_desk
def retry(desk: Desk) -> None:
    """Give every row that was set aside another try, once what broke it is mended.

    A row that makes its batch fail is set aside with its reason, and the rest goes on; `sopd doctor` lists them. What
    fails again is set aside again. Callbacks are handled once more by `sopd inbox replay --set-aside`.
    """
    from sopd.commands import RetrySetAside
    from sopd.handlers import aside

    due = aside.retry(desk.app, RetrySetAside(desk.person))
    if not due:
        say(desk, "nothing is set aside")
    for kind, number in sorted(due.items()):
        say(desk, "{kind}: {number} to be tried again", kind=kind, number=number)


@db.verb(
    "prune",
    """
    sopd db prune --dry-run
    sopd db prune --yes
    sopd db prune --only inbox --only signals --older-than 90d
    """,
)
@click.option(
    "--only", "kinds", multiple=True, type=chosen(PRUNED), help="Only rows of this kind (repeatable). Default: all."
)
@click.option(
    "--older-than",
    type=MOMENT,
    help="What was over before then. Default: as [retention] says. Leaves the audit alone unless --only names it.",
)
@click.option("--dry-run", is_flag=True, help="Only count what may go.")
@yes_option
@output_options
@person_option
@pass_desk
def prune(desk: Desk, kinds: tuple[str, ...], older_than: Any, dry_run: bool, yes: bool) -> None:
    """Delete what is over and old: callbacks, stories of ended runs, signals and more, as [retention] says.

    In small batches beside a running daemon, which does the same once a day. What a rule or a promise still needs
    stays, and all sums stay as they are. SQLite keeps the file's size and uses the room again.
    """
    from sopd.cli import pruning

    pruning.prune(desk, kinds, instant(older_than, desk.zone, desk.store.now()), dry_run, yes)
