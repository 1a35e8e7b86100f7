"""`customer import`: attributes and identities out of a CRM's table, checked whole before anything is taken."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from sopd.cli import taking
from sopd.cli.asking import with_progress
from sopd.cli.desk import Desk
from sopd.cli.output import Column
from sopd.handlers import attribute_imports, imports
from sopd.incoming import files
from sopd.incoming.people import people


class Taken(NamedTuple):
    """What came of it. `unknown`: lines left out."""

    customers: int
    changed: int
    unknown: int


TAKEN = (Column("customers", "number"), Column("changed", "number"), Column("unknown", "number"))


def import_(desk: Desk, file: Path, clear: bool, skip_unknown: bool) -> None:
    """See the module."""
    name, data = taking.bytes_of(file)
    rows = files.read(name, data)
    persons = people(rows)
    with desk.reading() as tx:
        found = attribute_imports.resolve(tx, persons, clear=clear)
    taking.require(name, [*rows.faults, *found.faults, *([] if skip_unknown else found.unknown)])
    changed: list[int] = []
    with_progress(
        desk, "importing", found.known, attribute_imports.BATCH,
        lambda batch: changed.append(attribute_imports.take(desk.app, batch)),
    )  # fmt: skip
    done = Taken(len(found.known), sum(changed), len(found.unknown))
    imports.record(desk.app, desk.person, "customer import", name, done._asdict())
    taking.outcome(desk, TAKEN, done, "customers: {customers}, changed: {changed}, left out: {unknown}",
                   **done._asdict())  # fmt: skip
