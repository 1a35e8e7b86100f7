"""Backups on both databases: whole, taken from a living database, put back whole or not at all."""

from __future__ import annotations

import gzip
import itertools
import shutil
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sopd.store import BackupError, NewerSchema, NoSchema, SecondDaemon, Store
from sopd.store.backup import backup, restore
from sopd.store.migrate import Step, migrate, require, status, steps, tables_here
from sopd.store.tables import TABLES, Customer, Journal, Member, RelationTag
from tests.support.factories import add, add_many, all_rows
from tests.support.schema import described

from .test_store_filelock import other_daemon

NASTY = "tab\t newline\n return\r backslash\\ \\. quote' \" 你好 🎁 \\N null"


@pytest.fixture
def empty(bare_url: str) -> Iterator[Store]:
    """A database of one's own, migrated."""
    opened = Store.open(bare_url)
    migrate(opened)
    yield opened
    opened.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "sopd.backup"


def fill(store: Store) -> None:
    """A row in every table, and a few that are hard to carry."""
    for table in TABLES:
        if table._meta.table_name != "clock":
            add(store, table)
    add_many(store, Customer, [{"name": NASTY, "muted_at": 5}, {"name": "", "attributes": "{}"}])
    add(store, RelationTag, in_wecom=False, wanted=0)


def contents(store: Store) -> dict[str, list[tuple]]:
    return {table._meta.table_name: sorted(all_rows(store, table), key=repr) for table in TABLES}


def wipe(store: Store) -> None:
    with store.transaction() as tx:
        for table in TABLES:
            tx.run(f"delete from {table._meta.table_name}")


def test_a_backup_brings_everything_back(empty: Store, file: Path) -> None:
    fill(empty)
    before, schema = contents(empty), described(empty)
    taken = backup(empty, file)
    wipe(empty)
    restored = restore(empty, file)
    assert contents(empty) == before
    assert described(empty) == schema
    assert restored == taken
    assert taken.schema == steps()[-1].number
    assert {name: n for name, n in taken.rows.items() if name != "schema_migration"} == {
        name: len(rows) for name, rows in before.items()
    }
    require(empty)


def test_a_backup_goes_into_a_database_that_never_was_set_up(empty: Store, file: Path) -> None:
    fill(empty)
    before = contents(empty)
    backup(empty, file)
    with empty.transaction() as tx:
        for table in tables_here(tx):
            tx.run(f"drop table {table}")
    assert status(empty).found == 0
    restore(empty, file)
    assert contents(empty) == before


def test_new_rows_after_a_restore_get_new_ids(empty: Store, file: Path) -> None:
    old = [add(empty, Journal).id for _ in range(3)]
    backup(empty, file)
    wipe(empty)
    restore(empty, file)
    assert add(empty, Journal).id > max(old)


def test_a_database_with_rows_is_not_overwritten_unless_forced(empty: Store, file: Path) -> None:
    add(empty, Member, userid="in the backup")
    backup(empty, file)
    add(empty, Member, userid="newer than the backup")
    with pytest.raises(BackupError, match="there are rows in member"):
        restore(empty, file)
    assert len(all_rows(empty, Member)) == 2
    restore(empty, file, force=True)
    assert all_rows(empty, Member, "userid") == [("in the backup",)]


def test_a_backup_is_one_moment_while_writers_go_on(empty: Store, file: Path) -> None:
    """Each transaction writes a customer and a journal row: no backup may have one without the other."""
    stop, written = threading.Event(), threading.Event()

    def write() -> None:
        for n in itertools.count():
            with empty.transaction() as tx:
                tx.insert(Customer, [{"external_userid": f"wm{n}", "seen_at": 1}])
                tx.insert(Journal, [{"enrollment_id": n, "at": 1, "kind": "note"}])
            written.set()
            if stop.is_set():
                return

    writer = threading.Thread(target=write)
    writer.start()
    written.wait()
    try:
        taken = backup(empty, file)
    finally:
        stop.set()
        writer.join()
    assert taken.rows["customer"] == taken.rows["journal"] > 0
    assert len(all_rows(empty, Customer)) >= taken.rows["customer"]
    restore(empty, file, force=True)
    assert len(all_rows(empty, Customer)) == len(all_rows(empty, Journal)) == taken.rows["customer"]


def test_a_backup_of_an_older_schema_is_brought_forward(
    empty: Store, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    member = add(empty, Member, userid="alice")
    backup(empty, file)
    statement = ("alter table member add column x text",)
    known = [*steps(), Step(99, "0099_later", {"sqlite": statement, "postgres": statement})]
    monkeypatch.setattr("sopd.store.migrate.steps", lambda: known)
    monkeypatch.setattr("sopd.store.backup.steps", lambda: known)
    migrate(empty)
    assert restore(empty, file, force=True).schema == known[-2].number
    assert status(empty).missing == ()
    with empty.reading() as tx:
        assert tx.rows("select id, x from member") == [(member.id, None)]


def test_a_backup_of_a_newer_schema_is_refused_and_changes_nothing(empty: Store, file: Path) -> None:
    with empty.transaction() as tx:
        tx.run("insert into schema_migration (number, name, applied_at) values (99, 'later', 1)")
    backup(empty, file)
    with empty.transaction() as tx:
        tx.run("delete from schema_migration where number = 99")
    add(empty, Member, userid="alice")
    with pytest.raises(NewerSchema):
        restore(empty, file, force=True)
    assert all_rows(empty, Member, "userid") == [("alice",)]


@pytest.mark.parametrize("keep", [0.999, 0.5, 0.01])
def test_a_file_cut_short_is_refused_and_changes_nothing(empty: Store, file: Path, keep: float) -> None:
    fill(empty)
    backup(empty, file)
    before = contents(empty)
    whole = file.read_bytes()
    file.write_bytes(whole[: int(len(whole) * keep)])
    with pytest.raises(BackupError):
        restore(empty, file, force=True)
    assert contents(empty) == before


def test_a_dump_without_its_last_lines_is_refused(emptied_postgres: Callable[[], str], file: Path) -> None:
    store = Store.open(emptied_postgres())
    fill(store)
    backup(store, file)
    before = contents(store)
    lines = gzip.decompress(file.read_bytes()).splitlines(keepends=True)
    for cut in (0, 1, 2, len(lines) // 2, len(lines) - 2, len(lines) - 1):
        file.write_bytes(gzip.compress(b"".join(lines[:cut]), compresslevel=1))
        with pytest.raises(BackupError, match="is damaged"):
            restore(store, file, force=True)
    assert contents(store) == before
    store.close()


def test_a_file_that_is_no_backup_is_refused(empty: Store, file: Path) -> None:
    for contents_ in (b"", b"hello\n", gzip.compress(b'{"a": 1}\n'), gzip.compress(b"[]"), b"SQLite format 3\0 or so"):
        file.write_bytes(contents_)
        with pytest.raises(BackupError):
            restore(empty, file)
    with pytest.raises(BackupError, match="cannot read"):
        restore(empty, file.with_name("none"))


def test_a_backup_of_the_other_kind_is_refused(store: Store, migrated_file: Path, file: Path) -> None:
    if store.dialect.name == "postgres":
        shutil.copy(migrated_file, file)
    else:
        file.write_bytes(gzip.compress(b'{"sopd_backup": 1, "schema": 1}\n'))
    with pytest.raises(BackupError, match="goes back into"):
        restore(store, file)


def test_an_existing_file_is_never_overwritten(store: Store, file: Path) -> None:
    file.write_text("precious")
    with pytest.raises(BackupError, match="exists already"):
        backup(store, file)
    assert file.read_text() == "precious"


def test_only_the_owner_may_read_a_backup(store: Store, file: Path) -> None:
    backup(store, file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.glob("sopd.backup*")] == [file.name]


def test_a_place_that_cannot_be_written_is_named(store: Store) -> None:
    with pytest.raises(BackupError, match="cannot write /nowhere/x"):
        backup(store, Path("/nowhere/x"))


def test_a_database_that_was_never_set_up_has_nothing_to_back_up(bare_url: str, file: Path) -> None:
    bare = Store.open(bare_url)
    with pytest.raises(NoSchema):
        backup(bare, file)
    bare.close()
    assert not file.exists()


def test_nothing_is_restored_under_a_running_daemon(empty: Store, bare_url: str, file: Path) -> None:
    add(empty, Member, userid="alice")
    backup(empty, file)
    if empty.dialect.name == "sqlite":
        with other_daemon(bare_url), pytest.raises(SecondDaemon):
            restore(empty, file, force=True)
    else:
        daemon = Store.open(bare_url)
        assert daemon.now() > 0
        with pytest.raises(BackupError, match="stop daemons and workers first"):
            restore(empty, file, force=True)
        daemon.close()
    restore(empty, file, force=True)
