"""`sopd init`: the first files of a new installation. Never overwrites one."""

from __future__ import annotations

import importlib.resources
import os
from pathlib import Path

import click

from sopd.cli.desk import Desk
from sopd.cli.output import say
from sopd.cli.verbs import Verb, pass_desk

SHIPPED = {"sopd.toml": 0o600, "holidays.yaml": 0o644}  # the settings hold secrets
SOPS = "sops"


@click.command(
    "init",
    cls=Verb,
    examples="""
    sopd init
    sopd init /etc/sopd
    cd /srv/sopd && sopd init && sopd doctor
    """,
)
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), default=Path("."))
@pass_desk
def init(desk: Desk, folder: Path) -> None:
    """Write a commented sopd.toml, an example SOP and an empty database into FOLDER (default: here).

    Files that exist are left as they are, so it may be called again.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shipped = importlib.resources.files("sopd") / "shipped"
    for name, mode in SHIPPED.items():
        _write(desk, folder / name, (shipped / name).read_text(encoding="utf-8"), mode)
    examples = folder / SOPS
    examples.mkdir(exist_ok=True)
    for file in sorted((shipped / SOPS).iterdir(), key=lambda each: each.name):
        _write(desk, examples / file.name, file.read_text(encoding="utf-8"), 0o644)
    if desk.config is None:
        desk.config = folder / "sopd.toml"
    _make_database(desk)
    say(desk, "next: fill in [wecom] in {file}, then `sopd doctor`; or see it all without WeCom: `sopd demo`",
        file=desk.config)  # fmt: skip


def _write(desk: Desk, file: Path, text: str, mode: int) -> None:
    """Write a new file, never over an old one."""
    try:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError:
        say(desk, "{file} exists and stays as it is", file=file)
        return
    with os.fdopen(handle, "w", encoding="utf-8") as made:
        made.write(text)
    say(desk, "{file} written", file=file)


def _make_database(desk: Desk) -> None:
    """The database of the settings just written, or of those that were there; a SQLite file gets its folder.

    It will hold personal data, so only its owner may read it; SQLite gives its log the same permissions.
    """
    from sopd.store import migrate

    file = desk.database_file
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        if not file.exists():
            file.touch(0o600)
    done = migrate.migrate(desk.unchecked_store)
    place = desk.unchecked_store.dialect.place
    say(desk, "{place} is ready" if done else "{place} is at the newest schema already", place=place)
