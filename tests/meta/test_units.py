"""What systemd is told is true: commands and options, secrets, folders, times; no unit is less locked in than another.

`make units` asks systemd itself about the same files.
"""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from sopd.cli.root import root
from sopd.config import Settings, all_settings
from tests.meta.sources import ROOT

UNITS = ROOT / "systemd"
SERVICES = sorted(UNITS.glob("*.service"))
INSTALL = (ROOT / "docs/install.md").read_text(encoding="utf-8")
HIDDEN = [f"{section}_{item.name}" for section, item in all_settings() if item.metadata["kind"].hides]
CALL_SECONDS = 20
ITS_OWN = {"Description", "After", "Environment", "ExecStart", "WorkingDirectory", "StateDirectory", "LoadCredential"}
COMPANY_WALLS = {"TemporaryFileSystem", "BindReadOnlyPaths", "BindPaths"}

Unit = dict[str, list[str]]


def by_name(path: Path) -> str:
    return path.name


def unit(path: Path) -> Unit:
    """Every setting of a unit, with its values in their order."""
    settings: Unit = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            settings.setdefault(name, []).append(value)
    return settings


def rows(name: str) -> list[list[str]]:
    """The lines of a sysusers or tmpfiles file, as words."""
    lines = (UNITS / name).read_text(encoding="utf-8").splitlines()
    return [re.findall(r'"[^"]*"|\S+', line) for line in lines if line and not line.startswith("#")]


def started_by(settings: Unit) -> list[str]:
    """What ExecStart calls, with the unit's own variables put in."""
    variables = dict(value.split("=", 1) for value in settings["Environment"])
    (line,) = settings["ExecStart"]
    return re.sub(r"\$(\w+)", lambda found: variables[found[1]], line).split()


def seconds(value: str) -> int:
    number, scale = re.fullmatch(r"(\d+)(s|min)", value).groups()  # type: ignore[union-attr]
    return int(number) * {"s": 1, "min": 60}[scale]


@pytest.mark.parametrize("path", SERVICES, ids=by_name)
def test_unit_starts_a_command_there_is_with_options_it_takes(path: Path) -> None:
    _, noun, *options = started_by(unit(path))
    command = root.get_command(click.Context(root), noun)

    assert command is not None
    command.make_context(noun, options)  # a wrong option or value raises a UsageError


@pytest.mark.parametrize("path", SERVICES, ids=by_name)
def test_unit_hands_over_every_secret_that_settings_read(path: Path) -> None:
    credentials = [value.partition(":")[0] for value in unit(path)["LoadCredential"]]

    assert sorted(credentials) == sorted(HIDDEN)


@pytest.mark.parametrize("path", SERVICES, ids=by_name)
def test_unit_waits_longer_than_running_work_takes_to_stop(path: Path) -> None:
    assert seconds(unit(path)["TimeoutStopSec"][0]) > Settings().engine.stop_within_seconds + CALL_SECONDS


@pytest.mark.parametrize("path", SERVICES, ids=by_name)
def test_watchdog_bears_with_many_ticks_and_the_longest_statement(path: Path) -> None:
    watchdog = seconds(unit(path)["WatchdogSec"][0])

    assert unit(path)["Type"] == ["notify"]
    assert watchdog * 1000 >= 20 * Settings().engine.tick_ms
    assert watchdog > 2 * Settings().store.statement_deadline_seconds


@pytest.mark.parametrize("path", SERVICES, ids=by_name)
def test_units_differ_in_what_they_start_and_read_and_in_nothing_else(path: Path) -> None:
    def shared(settings: Unit) -> Unit:
        own = ITS_OWN | COMPANY_WALLS | {"Nice"}
        return {name: values for name, values in settings.items() if name not in own}

    assert shared(unit(path)) == shared(unit(UNITS / "sopd.service"))


@pytest.mark.parametrize("path", SERVICES, ids=by_name)
def test_only_workers_stand_back_for_callbacks(path: Path) -> None:
    is_worker = started_by(unit(path))[1] == "worker"

    assert unit(path).get("Nice", []) == (["5"] if is_worker else [])


@pytest.mark.parametrize("path", SERVICES, ids=by_name)
def test_target_starts_every_unit_and_waits_until_it_has_stopped(path: Path) -> None:
    settings = unit(path)

    assert (settings["PartOf"], settings["WantedBy"], settings["Also"]) == (["sopd.target"],) * 3
    assert "sopd.target" in settings["After"]
    assert unit(UNITS / "sopd.target")["WantedBy"] == ["multi-user.target"]


@pytest.mark.parametrize(
    ("only", "companies", "company"),
    [("sopd.service", "sopd@.service", "%i"), ("sopd-worker@.service", "sopd-worker-company@.service", "%j")],
)
def test_company_gets_the_same_as_the_only_one_but_folders_of_its_own(only: str, companies: str, company: str) -> None:
    one, several = unit(UNITS / only), unit(UNITS / companies)
    folders = ("/etc/sopd", "/var/lib/sopd")

    def moved(value: str) -> str:
        value = re.sub(r"(/etc/sopd|/var/lib/sopd|^sopd$)", rf"\1/{company}", value)
        return value.replace("sopd.service", f"sopd@{company}.service")

    assert several["ExecStart"] == one["ExecStart"]
    for name in ITS_OWN - {"Description", "ExecStart"}:
        assert several[name] == [moved(value) for value in one[name]]
    assert several["TemporaryFileSystem"] == [" ".join(f"{folder}:ro" for folder in folders)]
    assert several["BindReadOnlyPaths"] + several["BindPaths"] == [f"{folder}/{company}" for folder in folders]


@pytest.mark.parametrize("path", SERVICES, ids=by_name)
def test_user_and_folders_are_those_that_sysusers_and_tmpfiles_make(path: Path) -> None:
    settings = unit(path)
    made = {words[1]: words[2:5] for words in rows("sopd.tmpfiles.conf")}
    (user,) = rows("sopd.sysusers.conf")

    assert settings["User"] == settings["Group"] == [user[1]]
    assert made["/var/lib/sopd"] == [settings["StateDirectoryMode"][0], user[1], user[1]]
    if settings["StateDirectory"] == [user[1]]:
        sources = [value.partition(":")[2] for value in settings["LoadCredential"]]
        assert all(made[source] == ["0640", "root", user[1]] for source in sources)


def test_install_page_tells_of_every_file_and_folder_that_units_name() -> None:
    told = ["sopd.target", "sopd@", "sopd-worker@", "sopd-worker-acme@", "/var/lib/sopd", "/etc/sopd", *HIDDEN]
    told += {started_by(unit(path))[0] for path in SERVICES}

    assert [name for name in told if name not in INSTALL] == []


def test_options_that_the_install_page_puts_into_drop_ins_are_those_that_run_takes() -> None:
    said = re.findall(r'RUN_OPTIONS=([^"\n]+)', INSTALL)
    command = root.get_command(click.Context(root), "run")

    assert said and command is not None
    for options in said:
        command.make_context("run", options.split())
