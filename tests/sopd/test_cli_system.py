"""`sopd init --system`: the program's files are renewed, the administrator's are never touched."""

from __future__ import annotations

import stat
import sys
import sysconfig
from pathlib import Path

import pytest

from sopd import config
from sopd.cli.system import SECRETS
from tests.support.shell import Shell

UNITS = Path("etc/systemd/system")


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """The command line on a machine where sopd has no settings yet."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SOPD_CONFIG", raising=False)
    made = Shell(tmp_path)
    made._settings = list  # type: ignore[method-assign]  # the settings are what is being made
    return made


def test_every_file_is_where_the_machine_looks_for_it(shell: Shell, tmp_path: Path) -> None:
    said = shell("init", "--system", "--root", "machine").stdout

    machine = tmp_path / "machine"
    written = {str(file.relative_to(machine)) for file in machine.rglob("*") if file.is_file()}
    assert written >= {
        *(f"{UNITS}/{name}" for name in ("sopd.target", "sopd.service", "sopd@.service", "sopd-worker@.service")),
        "etc/sysusers.d/sopd.conf", "etc/tmpfiles.d/sopd.conf", "etc/sopd/sopd.toml", "etc/sopd/holidays.yaml",
        "usr/local/share/sopd/sops/winback.yaml", "usr/local/share/sopd/schema/sop.schema.json",
        *(f"etc/sopd/credentials/{name}" for name in SECRETS),
    }  # fmt: skip
    assert "systemd-tmpfiles --create" in said


def test_units_start_the_program_that_wrote_them(shell: Shell, tmp_path: Path) -> None:
    shell("init", "--system", "--root", "machine")

    for unit in (tmp_path / "machine" / UNITS).glob("*.service"):
        assert f"ExecStart={sysconfig.get_path('scripts')}/sopd " in unit.read_text(encoding="utf-8")


def test_settings_are_usable_and_keep_the_database_where_the_daemon_may_write(shell: Shell, tmp_path: Path) -> None:
    shell("init", "--system", "--root", "machine")
    shell("init", "--system", "--root", "machine", "--company", "acme")

    for folder, database in (("etc/sopd", "/var/lib/sopd/sopd.db"), ("etc/sopd/acme", "/var/lib/sopd/acme/sopd.db")):
        place = tmp_path / "machine" / folder
        settings = config.load(place / "sopd.toml", {"CREDENTIALS_DIRECTORY": str(place / "credentials")})
        assert settings.store.url == f"sqlite:///{database}"
        assert stat.S_IMODE((place / "sopd.toml").stat().st_mode) == 0o640
        assert {stat.S_IMODE((place / "credentials" / name).stat().st_mode) for name in SECRETS} == {0o640}


def test_an_upgrade_renews_units_and_keeps_settings_and_secrets(shell: Shell, tmp_path: Path) -> None:
    shell("init", "--system", "--root", "machine")
    machine = tmp_path / "machine"
    fresh = (machine / UNITS / "sopd.service").read_text(encoding="utf-8")
    (machine / UNITS / "sopd.service").write_text("of an older version\n", encoding="utf-8")
    mine = (machine / "etc/sopd/sopd.toml", machine / "etc/sopd/credentials/wecom_secret")
    for file in mine:
        file.write_text("mine\n", encoding="utf-8")

    said = shell("init", "--system", "--root", "machine").stdout

    assert (machine / UNITS / "sopd.service").read_text(encoding="utf-8") == fresh
    assert [file.read_text(encoding="utf-8") for file in mine] == ["mine\n", "mine\n"]
    assert "sopd.service written" in said and "sopd.target is up to date" in said
    assert "wecom_secret exists and stays as it is" in said


def test_a_company_gets_folders_and_workers_of_its_own(shell: Shell, tmp_path: Path) -> None:
    shell("init", "--system", "--root", "machine", "--company", "acme")
    machine = tmp_path / "machine"

    assert (machine / UNITS / "sopd-worker-acme@.service").is_file()
    assert (machine / "etc/sopd/acme/credentials/store_url").is_file()
    assert not (machine / "etc/sopd/sopd.toml").exists()


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--company", "acme"), "go with --system"),
        (("--root", "machine"), "go with --system"),
        (("--system", "machine"), "leave FOLDER out"),
        (("--system", "--root", "machine", "--company", "acme-cn"), "small letters and digits"),
        (("--system", "--root", "machine", "--company", "../acme"), "small letters and digits"),
    ],
)
def test_a_wrong_call_is_told_and_writes_nothing(
    shell: Shell, tmp_path: Path, words: tuple[str, ...], why: str
) -> None:
    assert why in " ".join(shell("init", *words, code=2).stderr.split())
    assert list(tmp_path.iterdir()) == []


def test_a_program_that_units_cannot_see_is_refused(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sysconfig, "get_path", lambda name: "/home/somebody/venv/bin")

    refused = shell("init", "--system", code=1).stderr

    assert "units could not start /home/somebody/venv/bin/sopd" in refused and "/opt/sopd/venv/bin/sopd" in refused


def test_a_python_that_units_cannot_see_is_refused(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sysconfig, "get_path", lambda name: "/opt/sopd/venv/bin")
    monkeypatch.setattr(sys, "executable", "/root/somewhere/bin/python3")

    refused = shell("init", "--system", code=1).stderr

    assert "units could not start /root/somewhere/bin/python3" in refused and "distribution's Python" in refused
