"""From a definition file to a published version (SPEC 3, D25): parsed, its tags bound to ids, compiled once to be sure.

A part of `sops`. Faults of the file, of its tag names and of what this version cannot run are told by line and column,
all at once; nothing is written then.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from machines.errors import DefinitionError
from machines.sop import Sop, not_run_yet, tag_names, tags_of
from machines.sop.step_checks import Problem
from sopd import definitions
from sopd.definitions import DefinitionFaults, Document
from sopd.errors import Refused
from sopd.handlers import links, tag_library
from sopd.handlers.app import App
from sopd.store import Transaction
from sopd.store.queries.sops import VersionRow
from sopd.wecom.errors import WeComFailure


@dataclass(frozen=True)
class Definition:
    """A definition without faults: the file it came from and what it says."""

    document: Document
    sop: Sop


def read(app: App, name: str, text: str) -> Definition:
    """Read a definition under this company's settings. Raises DefinitionFaults with all faults of the file."""
    document = definitions.read(text, name)
    sop = definitions.parse_sop(
        document, quota_mode=app.settings.quota.mode, company_quiet=app.company.quiet
    )
    return Definition(document, sop)


def of_version(app: App, version: VersionRow) -> Definition:
    """The definition behind a published version, from its own text."""
    return read(app, version.source_name, version.source)


def know_tags(app: App, definition: Definition) -> None:
    """See to it that tag names can be looked up: a library that was never read is read now, from WeCom.

    Calls WeCom, so no transaction may be open. Raises Refused if WeCom cannot be asked.
    """
    if not tag_names(definition.sop):
        return
    with app.store.reading() as tx:
        if tag_library.is_synced(tx):
            return
    try:
        tag_library.sync(app)
    except WeComFailure as error:
        raise Refused(
            f"{definition.document.name} names tags, and WeCom's tag library has never been read: {error}",
            "apply it again once WeCom can be reached; `sopd doctor` shows what is missing",
        ) from error


def program_text(tx: Transaction, app: App, definition: Definition) -> str:
    """What is stored of a version: the definition with its tag ids, as JSON. Raises DefinitionFaults for bad names."""
    names = tag_names(definition.sop)
    found = tag_library.resolve(tx, names)
    if found.faults:
        problems = [
            Problem(path, found.faults[name]) for path, name in tags_of(definition.sop) if name in found.faults
        ]
        raise DefinitionFaults(definitions.placed(definition.document, problems))
    try:
        app.programs.compile(definition.sop, found.tag_ids)
    except DefinitionError as error:
        problem = Problem(error.where, error.message)
        raise DefinitionFaults(definitions.placed(definition.document, [problem])) from error
    return json.dumps(
        {"sop": definition.sop.model_dump(mode="json"), "tag_ids": found.tag_ids}, ensure_ascii=False, sort_keys=True
    )


def may_flow(tx: Transaction, definition: Definition) -> None:
    """Raise DefinitionFaults naming every flow into a SOP that nobody may flow into (SPEC 8)."""
    problems = links.faults(definition.sop, links.known(tx))
    if problems:
        raise DefinitionFaults(definitions.placed(definition.document, problems))


def must_run(definition: Definition) -> None:
    """Raise DefinitionFaults naming every line that this version does not run yet."""
    problems = not_run_yet(definition.sop)
    if problems:
        raise DefinitionFaults(definitions.placed(definition.document, problems))
