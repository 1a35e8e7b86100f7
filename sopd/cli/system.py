"""The files that an administrator needs, put where a Linux machine looks for them: `sopd init --system`.

Two kinds, kept apart: what belongs to the program (units, user, folders, alert rules, examples) is replaced by this
version's, for changes to it belong into drop-ins; what belongs to the administrator (settings, secrets) is never
overwritten. Nothing is started and no user is made: systemd does that when it is asked to.
"""

from __future__ import annotations

import importlib.resources
import os
import sys
import sysconfig
from collections.abc import Iterator
from importlib.resources.abc import Traversable
from pathlib import Path

from sopd.cli.desk import Desk
from sopd.cli.output import say
from sopd.errors import ConfigError

PROGRAM = "/opt/sopd/venv/bin/sopd"
"""Where the units in the checkout look for it; they are written with the path of this installation."""

UNITS, SHARE = Path("etc/systemd/system"), Path("usr/local/share/sopd")
COMPANY_UNIT = "sopd-worker-company@.service"
SECRETS = ("wecom_secret", "wecom_token", "wecom_encoding_aes_key", "store_url", "broker_url")
UNSEEN_BY_UNITS = ("/home/", "/root/", "/run/user/", "/tmp/", "/var/tmp/")  # ProtectHome=, PrivateTmp=


def install(desk: Desk, root: Path, company: str | None) -> None:
    """Write every file below `root`: of the program, and settings and secrets of the only company or of `company`.

    Raises ConfigError if units could not see the program where it is installed. Needs the right to write there.
    """
    program = _program(root)
    for place, text in of_the_program(program):
        _replace(desk, root / place, text)
    if company is not None:
        unit = _text(_shipped("units") / COMPANY_UNIT).replace(PROGRAM, program)
        _replace(desk, root / UNITS / COMPANY_UNIT.replace("company", company), unit)
    for place, text, mode in of_the_administrator(company):
        write_new(desk, root / place, text, mode)


def of_the_program(program: str) -> Iterator[tuple[Path, str]]:
    """(place below the root, text) of every file that a new version replaces."""
    units = _shipped("units")
    for unit in _files(units):
        if unit.name.endswith((".service", ".target")) and unit.name != COMPANY_UNIT:
            yield UNITS / unit.name, _text(unit).replace(PROGRAM, program)
    for kind in ("sysusers", "tmpfiles"):
        yield Path(f"etc/{kind}.d/sopd.conf"), _text(units / f"sopd.{kind}.conf")
    for folder in _shipped("shipped").iterdir():
        if folder.is_dir():
            yield from ((SHARE / folder.name / file.name, _text(file)) for file in _files(folder))


def of_the_administrator(company: str | None) -> Iterator[tuple[Path, str, int]]:
    """(place below the root, text, mode) of what is written once and then belongs to the administrator."""
    folder = Path("etc/sopd") / (company or "")
    state = Path("/var/lib/sopd") / (company or "")
    settings = _text(_shipped("shipped") / "sopd.toml")
    database = settings.replace('#url = "sqlite:///sopd.db"', f'url = "sqlite:///{state}/sopd.db"')
    yield folder / "sopd.toml", database, 0o640
    yield folder / "holidays.yaml", _text(_shipped("shipped") / "holidays.yaml"), 0o644
    yield from ((folder / "credentials" / name, "", 0o640) for name in SECRETS)


def write_new(desk: Desk, file: Path, text: str, mode: int) -> None:
    """Write a new file with this mode, never over an old one; its folder is made if it is missing."""
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError:
        say(desk, "{file} exists and stays as it is", file=file)
        return
    with os.fdopen(handle, "w", encoding="utf-8") as made:
        made.write(text)
    say(desk, "{file} written", file=file)


def _replace(desk: Desk, file: Path, text: str) -> None:
    """Bring a file of the program to this version: whole or not at all, for systemd may read it meanwhile."""
    if file.is_file() and file.read_text(encoding="utf-8") == text:
        say(desk, "{file} is up to date", file=file)
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_name(f".{file.name}.new")
    fresh.write_text(text, encoding="utf-8")
    fresh.chmod(0o644)
    os.replace(fresh, file)
    say(desk, "{file} written", file=file)


def _program(root: Path) -> str:
    """The path of this installation's `sopd`; what is written for another root is not started from here."""
    path = f"{sysconfig.get_path('scripts')}/sopd"
    unseen = [part for part in (path, os.path.realpath(sys.executable)) if part.startswith(UNSEEN_BY_UNITS)]
    if root == Path("/") and unseen:
        hidden = ", ".join(part.rstrip("/") for part in UNSEEN_BY_UNITS)
        raise ConfigError(
            f"units could not start {unseen[0]}: systemd hides {hidden} from them",
            f"install sopd as {PROGRAM}, in an environment made with the distribution's Python",
        )
    return path


def _shipped(folder: str) -> Traversable:
    return importlib.resources.files("sopd") / folder


def _files(folder: Traversable) -> list[Traversable]:
    return sorted((each for each in folder.iterdir() if each.is_file()), key=lambda each: each.name)


def _text(file: Traversable) -> str:
    return file.read_text(encoding="utf-8")
