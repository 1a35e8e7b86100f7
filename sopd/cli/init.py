"""`sopd init`: the first files of a new installation, in a folder or for the whole machine."""

from __future__ import annotations

import importlib.resources
import re
from pathlib import Path

import click

from sopd.cli.desk import Desk
from sopd.cli.output import say
from sopd.cli.system import install, write_new
from sopd.cli.verbs import Verb, pass_desk
from sopd.errors import ConfigError

SHIPPED = {"sopd.toml": 0o600, "holidays.yaml": 0o644}  # the settings hold secrets
SOPS = "sops"
COMPANY = re.compile(r"[a-z][a-z0-9]{0,29}")  # no dash: units take what follows the last one as the name


@click.command(
    "init",
    cls=Verb,
    examples="""
    sopd init
    cd /srv/sopd && sopd init && sopd doctor
    sudo /opt/sopd/venv/bin/sopd init --system
    sudo /opt/sopd/venv/bin/sopd init --system --company acme
    """,
)
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), required=False)
@click.option("--system", is_flag=True, help="Set up this machine: units, user, folders, settings, alert rules.")
@click.option("--company", metavar="NAME", help="With --system: one of several companies, as in sopd@NAME.")
@click.option("--root", type=click.Path(path_type=Path, file_okay=False), help="With --system: write below it.")
@pass_desk
def init(desk: Desk, folder: Path | None, system: bool, company: str | None, root: Path | None) -> None:
    """Write a commented sopd.toml, example SOPs and an empty database into FOLDER (default: here).

    Files that exist are left as they are, so it may be called again.

    With --system, as root: put units, sysusers, tmpfiles, alert rules and examples where the machine looks for them,
    settings into /etc/sopd. Call it again after an upgrade: settings and secrets stay, the program's files are renewed.
    """
    if not system:
        if company is not None or root is not None:
            raise click.UsageError("--company and --root go with --system")
        _init_folder(desk, folder or Path("."))
        return
    if folder is not None:
        raise click.UsageError("--system has its own folders: leave FOLDER out, or use --root")
    if company is not None and not COMPANY.fullmatch(company):
        raise click.UsageError(f"a company is named by small letters and digits, at most 30, and {company} is not")
    _init_system(desk, root or Path("/"), company)


def _init_system(desk: Desk, root: Path, company: str | None) -> None:
    try:
        install(desk, root, company)
    except PermissionError as error:
        raise ConfigError(f"{error.filename} cannot be written", "call it as root: sudo ... init --system") from None
    say(desk, "next: systemd-sysusers && systemd-tmpfiles --create && systemctl daemon-reload")
    say(desk, "then fill in [wecom] in {file} and the files in {folder}",
        file=root / "etc/sopd" / (company or "") / "sopd.toml",
        folder=root / "etc/sopd" / (company or "") / "credentials")  # fmt: skip


def _init_folder(desk: Desk, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    shipped = importlib.resources.files("sopd") / "shipped"
    for name, mode in SHIPPED.items():
        write_new(desk, folder / name, (shipped / name).read_text(encoding="utf-8"), mode)
    for file in sorted((shipped / SOPS).iterdir(), key=lambda each: each.name):
        write_new(desk, folder / SOPS / file.name, file.read_text(encoding="utf-8"), 0o644)
    if desk.config is None:
        desk.config = folder / "sopd.toml"
    _make_database(desk)
    say(desk, "next: fill in [wecom] in {file}, then `sopd doctor`; or see it all without WeCom: `sopd demo`",
        file=desk.config)  # fmt: skip


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
