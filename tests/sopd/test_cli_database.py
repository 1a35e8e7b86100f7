"""Set-up and the database as a whole, from the command line, on both databases."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from sopd.store import Store
from sopd.store.filelock import hold
from sopd.store.tables import Customer
from tests.support.factories import add, all_rows
from tests.support.shell import *  # noqa: F403
from tests.support.shell import SETTINGS, Shell
from tests.support.stores import *  # noqa: F403


@pytest.fixture
def bare(bare_url: str, tmp_path: Path) -> Shell:
    """The command line on a database without a schema."""
    (tmp_path / "sopd.toml").write_text(SETTINGS.format(url=bare_url), encoding="utf-8")
    return Shell(tmp_path)


def test_init_writes_what_is_missing_and_overwrites_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SOPD_CONFIG", raising=False)
    (tmp_path / "site").mkdir()
    mine = tmp_path / "site" / "holidays.yaml"
    mine.write_text("# mine\n", encoding="utf-8")
    shell = Shell(tmp_path / "site")
    shell._settings = list  # type: ignore[method-assign]  # the settings are what is being made

    said = shell("init", "site").stdout
    again = shell("init", "site").stdout

    assert "holidays.yaml exists and stays as it is" in said and mine.read_text(encoding="utf-8") == "# mine\n"
    assert "is ready" in said and "is at the newest schema already" in again
    for private in ("sopd.toml", "sopd.db"):
        assert stat.S_IMODE((tmp_path / "site" / private).stat().st_mode) == 0o600
    assert shell("--config", "site/sopd.toml", "sop", "lint", "site/sops/new-customer-30d.yaml").exit_code == 0
    assert os.listdir(tmp_path) == ["site"]


def test_a_database_is_made_and_brought_forward(bare: Shell) -> None:
    before = bare("db", "status", code=1)
    assert "the database has not been set up" in before.stderr
    assert "run `sopd db migrate`" in bare("sop", "list", code=1).stderr

    assert "applied 0001_initial" in bare("db", "migrate").stdout
    assert bare("db", "migrate").stdout.startswith("nothing to do")
    assert bare.objects("db", "status")[0]["missing"] == []
    assert bare.rows("sop", "list") == []


def test_a_newer_schema_is_refused_by_every_command(bare: Shell, bare_url: str) -> None:
    bare("db", "migrate")
    store = Store.open(bare_url)
    with store.transaction() as tx:
        tx.run("insert into schema_migration (number, name, applied_at) values (99, '0099_later', 0)")
    store.close()

    for words in (("db", "status"), ("db", "migrate"), ("sop", "list"), ("enrollment", "show", "1")):
        told = bare(*words, code=1).stderr
        assert "the database is at schema 99" in told and "run the newer sopd" in told


def test_a_backup_goes_back_whole(bare: Shell, bare_url: str) -> None:
    """In a database of its own, for going back ends with ANALYZE."""
    shell = bare
    shell("db", "migrate")
    store = Store.open(bare_url)
    add(store, Customer, external_userid="wmMei", name="梅")
    backup = shell.folder / "one.backup"

    assert f"{backup}: schema " in shell("db", "backup", backup).stdout
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    assert "exists already" in shell("db", "backup", backup, code=1).stderr
    assert "is not empty" in shell("db", "restore", backup, code=1).stderr

    with store.transaction() as tx:
        tx.run("delete from customer")
    add(store, Customer, external_userid="wmOther")
    store.close()
    assert "nothing was changed" in shell("db", "restore", backup, "--force", text="n\n", code=1).stderr
    shell("db", "restore", backup, "--force", "--yes")

    assert all_rows(store, Customer, "external_userid", "name") == [("wmMei", "梅")]
    store.close()


def test_what_is_no_backup_is_refused(shell: Shell) -> None:
    torn = shell.folder / "torn"
    torn.write_text("hello", encoding="utf-8")

    assert "Traceback" not in shell("db", "restore", torn, code=1).stderr
    assert "cannot read" in shell("db", "restore", "nowhere.backup", code=1).stderr


def test_migration_of_a_file_that_a_daemon_holds_is_refused(tmp_path: Path, migrated_file: Path) -> None:
    file = tmp_path / "sopd.db"
    file.write_bytes(migrated_file.read_bytes())
    (tmp_path / "sopd.toml").write_text(SETTINGS.format(url=f"sqlite:///{file}"), encoding="utf-8")
    shell, held = Shell(tmp_path), Store.open(f"sqlite:///{file}")

    child = os.fork()
    if child == 0:
        with hold(held):
            os.kill(os.getpid(), 19)
        os._exit(0)
    os.waitpid(child, os.WUNTRACED)
    try:
        told = shell("db", "migrate", code=1).stderr
        assert f"process {child} already runs sopd" in told
        assert shell.rows("sop", "list") == [], "everything else works beside a daemon"
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)
        held.close()
