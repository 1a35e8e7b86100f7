"""The checks of `sopd doctor`: each a function that yields findings, run one after the other.

A check that cannot look (no settings, no database) says so, and those that lean on it are left out. Nothing is changed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import click

from sopd.cli import instants, output
from sopd.cli.desk import Desk
from sopd.cli.failure import FAILED
from sopd.cli.output import Column
from sopd.cli.taming import tame
from sopd.errors import ConfigError, SopdError
from sopd.store.errors import StoreError

Verdict = Literal["ok", "note", "wrong"]

LEAST_FREE_BYTES = 200 * 1024 * 1024
MOST_SKEW_MS = 2_000


@dataclass(frozen=True)
class Finding:
    """One line: what was looked at, what was found, and what to do about it (empty if nothing is to do)."""

    check: str
    verdict: Verdict
    what: str
    fix: str = ""


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
    from sopd import config
    from sopd.cli import checks_wecom, checks_work

    try:
        file = config.find_file(desk.config, os.environ)
        changed = len(desk.settings.origins)
    except ConfigError as error:
        yield from _faulty(error)
        return
    yield Finding("settings", "ok", f"{file or 'no file, environment only'}: {changed} differ from the defaults")
    yield from calendar_years(desk)
    if not offline:
        yield from checks_wecom.callback(desk, callback_url)
    try:
        yield from database(desk)
    except SopdError as error:
        yield Finding("database", "wrong", error.message, error.hint)
        return
    yield from clocks(desk)
    yield from checks_work.all_of(desk)
    if not offline:
        yield from checks_wecom.reach(desk)


def _faulty(error: ConfigError) -> Iterator[Finding]:
    fix = error.hint or "correct it; `sopd init` writes a file with every setting"
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


# -- what stands by itself ---------------------------------------------------------------------------------------------


def calendar_years(desk: Desk) -> Iterator[Finding]:
    """Years of the calendar that nobody has told the days off of."""
    from machines.calendar import local_date
    from sopd import holidays

    try:
        table = holidays.workdays(desk.settings.company.holidays_file)
    except ConfigError as error:
        yield from (Finding("calendar", "wrong", fault, error.hint) for fault in error.faults or (error.message,))
        return
    today = local_date(time.time_ns() // 1_000_000, desk.zone)
    missing = holidays.missing_years(table, today)
    if missing:
        years = ", ".join(map(str, missing))
        yield Finding(
            "calendar", "note", f"no days off and make-up days are known for {years}: plain weekdays are used",
            "update sopd, or write them into a file and name it in company.holidays_file",
        )  # fmt: skip
    else:
        yield Finding("calendar", "ok", f"{today.year} is known")


def database(desk: Desk) -> Iterator[Finding]:
    """Reachable, at this program's schema, writable, with room on the disk. Raises what keeps it from being so."""
    store = desk.store
    with store.transaction() as tx:  # begins, and so proves that writing is possible; writes nothing
        tx.value("select 1")
    yield Finding("database", "ok", f"{store.dialect.place} can be written")
    file = desk.database_file
    if file is not None:
        yield from _room(file)
    if file is not None and not os.access(file.parent, os.W_OK):
        yield Finding("database", "wrong", f"{file.parent} cannot be written", "SQLite keeps its log beside the file")


def _room(file: Path) -> Iterator[Finding]:
    disk = os.statvfs(file.parent)
    free = disk.f_bavail * disk.f_frsize
    if free < LEAST_FREE_BYTES:
        what = f"{free // 1_048_576} MB are free on the disk of {file.parent}"
        yield Finding("disk", "wrong", what, "make room before it is full")


def clocks(desk: Desk) -> Iterator[Finding]:
    """The database's clock decides; this machine's is held against it. A rehearsal's clock has no place in earnest."""
    from sopd.store.queries import views_health

    try:
        with desk.reading() as tx:
            theirs, rehearsed = views_health.database_time(tx), views_health.rehearsal_clock(tx)
    except StoreError as error:
        yield Finding("clock", "wrong", error.message, error.hint)
        return
    skew = time.time_ns() // 1_000_000 - theirs
    if abs(skew) > MOST_SKEW_MS:
        ahead = "ahead of" if skew > 0 else "behind"
        yield Finding(
            "clock", "wrong", f"this machine's clock is {instants.span(skew)} {ahead} the database's",
            "let both follow the same time server; the database's time decides when something is due",
        )  # fmt: skip
    elif rehearsed is not None and not desk.settings.wecom.is_local:
        at = instants.shown(rehearsed, desk.zone)
        yield Finding(
            "clock", "wrong", f"time stands at {at}: a rehearsal's clock was left here",
            "this is the database of a rehearsal; use another one for the real WeCom",
        )  # fmt: skip
    else:
        yield Finding("clock", "ok", f"database {instants.shown(theirs, desk.zone, seconds=True)}, no skew")
