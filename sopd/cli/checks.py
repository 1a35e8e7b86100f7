"""`sopd doctor`: runs the checks one after the other, and prints what they found. Nothing is changed.

A check is a function that yields findings; they are in `checks_ground`, `checks_work` and `checks_wecom`. One that
cannot look (no settings, no database) says so, and those that lean on it are left out.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import click

from sopd import config
from sopd.cli import checks_ground, checks_wecom, checks_work, output
from sopd.cli.desk import Desk
from sopd.cli.diagnosis import Finding, voice
from sopd.cli.failure import FAILED
from sopd.cli.output import Column
from sopd.cli.taming import tame
from sopd.errors import ConfigError, SopdError

COLUMNS = (Column("check"), Column("verdict"), Column("what"), Column("fix"))


@dataclass(frozen=True)
class Setting:
    """One setting in force."""

    setting: str
    value: str
    origin: str


def show_settings(desk: Desk) -> None:
    """`doctor --settings`: every setting, secrets hidden, and where it was found."""
    rows = [Setting(*row) for row in desk.settings.rows()]
    output.listing(desk, (Column("setting"), Column("value"), Column("origin")), rows)


def run(desk: Desk, *, offline: bool, callback_url: str | None) -> None:
    """Run all checks and print what they found; ends with exit code 1 if anything is wrong."""
    findings = list(_all(desk, offline, callback_url))
    if desk.output == "table":
        _print(desk, findings)
    else:
        output.listing(desk, COLUMNS, findings)
    if any(finding.verdict == "wrong" for finding in findings):
        click.get_current_context().exit(FAILED)


def _all(desk: Desk, offline: bool, callback_url: str | None) -> Iterator[Finding]:
    say = voice(desk).say
    try:
        file = config.find_file(desk.config, os.environ)
        changed = len(desk.settings.origins)
    except ConfigError as error:
        yield from _faulty(desk, error)
        return
    where = str(file) if file else say("no file, environment only")
    yield Finding("settings", "ok", say("{file}: {changed} differ from the defaults", file=where, changed=changed))
    yield from checks_ground.calendar_years(desk)
    if not offline:
        yield from checks_wecom.callback(desk, callback_url)
    yield from checks_ground.broker(desk)
    try:
        yield from checks_ground.database(desk)
    except SopdError as error:
        yield Finding("database", "wrong", error.message, error.hint)
        return
    yield from checks_ground.clocks(desk)
    yield from checks_work.all_of(desk)
    if not offline:
        yield from checks_wecom.clock(desk)
        yield from checks_wecom.reach(desk)


def _faulty(desk: Desk, error: ConfigError) -> Iterator[Finding]:
    fix = error.hint or voice(desk).say("correct it; `sopd init` writes a file with every setting")
    for fault in error.faults or (error.message,):
        yield Finding("settings", "wrong", fault, fix)


_SIGNS = {"ok": ("✓", "green"), "note": ("!", "yellow"), "wrong": ("✗", "red")}


def _print(desk: Desk, findings: Sequence[Finding]) -> None:
    from rich.console import Group
    from rich.padding import Padding
    from rich.text import Text

    parts: list[object] = []
    for finding in findings:
        sign, colour = _SIGNS[finding.verdict]
        line = Text(sign, style=colour).append(f" {desk.words.say(finding.check)}  ", style="bold")
        parts.append(line.append(tame(finding.what), style=""))
        if finding.fix:
            parts.append(Padding(Text(f"→ {tame(finding.fix)}"), (0, 0, 0, 4)))
    wrong = sum(finding.verdict == "wrong" for finding in findings)
    said = desk.words.say("wrong: {count}", count=wrong) if wrong else desk.words.say("nothing is wrong")
    parts.append(Text(said, style="bold red" if wrong else "bold green"))
    output.draw(Group(*parts))  # type: ignore[arg-type]
