"""Definition files: lint, diff, apply. Every fault is `file:line:column`; nothing changes while there is one."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from machines.graph import Bound
from machines.sop import Sop, not_run_yet
from sopd import definitions
from sopd.cli import finding, output
from sopd.cli.desk import Desk
from sopd.cli.output import Column
from sopd.commands import ApplySop
from sopd.definitions import DefinitionFaults, Document, TagLibrary
from sopd.errors import SopdError
from sopd.handlers import links
from sopd.store.errors import StoreError
from sopd.store.queries import views, views_people

if TYPE_CHECKING:
    from sopd.store import Transaction

STANDARD_INPUT = "-"


@dataclass(frozen=True)
class Written:
    """A file that was read and has no fault."""

    document: Document
    sop: Sop


def read(desk: Desk, files: Sequence[str]) -> list[Written]:
    """Read files. Raises DefinitionFaults with all faults of all of them."""
    written: list[Written] = []
    faults: list[definitions.Fault] = []
    for file in files:
        try:
            written.append(_read(desk, file))
        except DefinitionFaults as found:
            faults += found.faults
    if faults:
        raise DefinitionFaults(faults)
    return written


def _read(desk: Desk, file: str) -> Written:
    company = desk.settings.company
    if file == STANDARD_INPUT:
        document = definitions.read(sys.stdin.buffer.read(), "standard input")
    else:
        document = definitions.read(Path(file))
    sop = definitions.parse_sop(document, quota_mode=desk.settings.quota.mode, company_quiet=company.quiet_hours)
    return Written(document, sop)


def lint(desk: Desk, files: Sequence[str]) -> None:
    """Check files, also against each other, and print what is doubtful in them; faults end with exit code 1."""
    faults: list[definitions.Fault] = []
    read: list[tuple[str, Written]] = []
    for file in files:
        try:
            read.append((file, _read(desk, file)))
        except DefinitionFaults as found:
            faults += found.faults
    library, others = _surroundings(desk, [written for _, written in read])
    for file, written in read:
        refused = links.faults(written.sop, others)
        faults += definitions.placed(written.document, refused)
        _print_warnings(desk, written, library, others)
        if not refused:
            output.say(desk, "{file}: {sop} has no fault, steps: {steps}", file=file, sop=written.sop.sop,
                       steps=len(written.sop.steps))  # fmt: skip
    if faults:
        raise DefinitionFaults(faults)


def _surroundings(desk: Desk, read: Sequence[Written]) -> tuple[TagLibrary | None, links.Known]:
    """The company's tags and the definitions there are, these files among them. Linting needs no database."""
    rows, known = [], links.Known()
    try:
        with desk.reading() as tx:
            rows, known = views_people.tag_library(tx), links.known(tx)
    except StoreError:  # none has been made yet, or it is away: then the files are judged by themselves
        pass
    library = TagLibrary.of(rows) if rows else None
    bound = [Bound(one.sop, definitions.bind(one.sop, library).tag_ids if library else {}) for one in read]
    return library, known.beside(bound)


def _print_warnings(desk: Desk, written: Written, library: TagLibrary | None, others: links.Known) -> None:
    problems = definitions.lint(
        written.sop,
        library=library,
        quota_mode=desk.settings.quota.mode,
        company_quiet=desk.settings.company.quiet_hours,
    )
    found = [*problems, *links.warnings(written.sop, others)]
    for title, some in (("warning", found), ("not run yet", list(not_run_yet(written.sop)))):
        _print_placed(desk, title, definitions.placed(written.document, some))


def _print_placed(desk: Desk, title: str, faults: Sequence[definitions.Fault], *, err: bool = False) -> None:
    for fault in faults:
        click.echo(f"{fault.file}:{fault.line}:{fault.column}: {desk.words.say(title)}: {fault.message}", err=err)


def diff(desk: Desk, file: str, number: int | None) -> None:
    """Print what a file would change against a published version."""
    written = read(desk, [file])[0]
    with desk.reading() as tx:
        if number is not None:
            finding.sop(tx, written.sop.sop)
        changes = _changes(tx, written.sop, number)
    if changes is None:
        output.say(desk, "{sop} has not been applied yet: everything in {file} is new", sop=written.sop.sop, file=file)
    elif not changes.lines:
        output.say(desk, "{sop}: nothing would change against version {number}", sop=written.sop.sop,
                   number=changes.number)  # fmt: skip
    else:
        output.say(desk, "{sop}: against version {number}", sop=written.sop.sop, number=changes.number)
        for line in changes.lines:
            click.echo(f"  {line}")


@dataclass(frozen=True)
class Changes:
    """What differs from one version, as lines; `state` and `open` of the SOP as it is."""

    number: int
    lines: tuple[str, ...]
    state: str
    open: int


def _changes(tx: Transaction, sop: Sop, number: int | None = None) -> Changes | None:
    """None if the SOP is new. Raises NotFound for a version there is not."""
    known = views.sop(tx, sop.sop)
    if known is None:
        return None
    published = finding.version(tx, known, number)
    old = Sop.model_validate(published.stored["sop"])
    return Changes(published.number, tuple(definitions.diff(old, sop)), known.state, known.open)


@dataclass(frozen=True)
class AppliedRow:
    """One line of what `apply` did."""

    sop: str
    version: int
    applied: bool
    changes: tuple[str, ...]
    file: str


COLUMNS = (
    Column("sop"), Column("version", "number"), Column("applied", "flag"), Column("changes"), Column("file"),
)  # fmt: skip


def apply(desk: Desk, files: Sequence[str]) -> None:
    """Check all files, then apply one after the other; at the end, say what is doubtful about them all together."""
    from sopd.handlers import sops

    done: list[AppliedRow] = []
    whole = read(desk, files)
    _check_flows(desk, whole)
    for written in whole:
        with desk.reading() as tx:
            changes = _changes(tx, written.sop)
        name, text = written.document.name, written.document.text
        try:
            applied = sops.apply(desk.app, ApplySop(name, text, desk.person))
        except SopdError:
            _tell(desk, done)
            raise
        lines = changes.lines if changes else ()
        done.append(AppliedRow(applied.key, applied.number, applied.changed, lines, name))
        if desk.output == "table":
            _say_applied(desk, done.pop(), changes)
    _tell(desk, done)
    for written in whole:
        with desk.reading() as tx:
            doubtful = links.warnings_of(tx, written.sop.sop)
        _print_placed(desk, "warning", doubtful, err=True)


def _check_flows(desk: Desk, whole: Sequence[Written]) -> None:
    """Flows of these files into each other and into what is published: refused before the first file is applied."""
    _, others = _surroundings(desk, whole)
    faults = [
        fault for one in whole for fault in definitions.placed(one.document, links.faults(one.sop, others))
    ]
    if faults:
        raise DefinitionFaults(faults)


def _tell(desk: Desk, done: Sequence[AppliedRow]) -> None:
    if done:
        output.listing(desk, COLUMNS, done)


def _say_applied(desk: Desk, row: AppliedRow, changes: Changes | None) -> None:
    values = {"sop": row.sop, "number": row.version}
    if not row.applied:
        output.say(desk, "{sop}: version {number} says the same already, nothing was changed", **values)
        return
    output.say(desk, "{sop}: version {number} is published", **values)
    for line in row.changes:
        click.echo(f"  {line}")
    if changes is None or changes.state == "draft":
        output.say(desk, "  it is a draft; `sopd sop start {sop}` lets customers in", **values)
    elif changes.open:
        inside = changes.open
        output.say(desk, "  whoever is inside stays in their version ({open}), new ones get this one", open=inside)
