"""Events and messages from the command line: one by hand, or a file that is checked whole before anything is taken."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from sopd.cli import finding, instants, taking
from sopd.cli.asking import in_batches, with_progress
from sopd.cli.desk import Desk
from sopd.cli.output import Column, note
from sopd.errors import Refused
from sopd.handlers import imports, signals
from sopd.incoming import arrivals, files
from sopd.incoming.events import EventIn
from sopd.incoming.shapes import read

if TYPE_CHECKING:
    from sopd.handlers.signals import Receipt
    from sopd.store import Transaction


class Taken(NamedTuple):
    """What came of a file. `unknown`: lines left out; `ignored`: archive records that are no message of two people."""

    taken: int
    repeated: int
    unknown: int
    ignored: int


class Sent(NamedTuple):
    """What came of one event."""

    customer: str
    event: str
    ref: str
    is_new: bool


FILE = (
    Column("taken", "number"), Column("repeated", "number"), Column("unknown", "number"), Column("ignored", "number"),
)  # fmt: skip
ONE = (Column("customer"), Column("event"), Column("ref"), Column("is_new", "flag"))


def send(desk: Desk, name: str, customer: str, at: Any, props: Sequence[str], ref: str | None) -> None:
    """`event send`."""
    with desk.reading() as tx:
        found = finding.customer(tx, customer)
        when = instants.instant(at, desk.zone, tx.now)
    fields = {
        "ref": ref or f"cli/{uuid.uuid4()}", "name": name, "customer": found.external_userid,
        "properties": dict(_prop(text) for text in props),
    }  # fmt: skip
    checked = read(EventIn, [fields])
    if checked.faults:
        raise click.UsageError("; ".join(map(str, checked.faults)))
    event = checked.items[0][1].model_copy(update={"at": when})
    receipt = signals.take_events(desk.app, [(0, event)])
    if receipt.refused:
        raise Refused(receipt.refused[0][1])
    imports.record(desk.app, desk.person, "event send", found.external_userid, {"event": name, "ref": event.ref})
    row = Sent(found.external_userid, name, event.ref, bool(receipt.accepted))
    sentence = "{event} of {customer} is taken" if row.is_new else "{event} of {customer} had been taken before"
    taking.outcome(desk, ONE, row, sentence, event=name, customer=found.name or found.external_userid)


def _prop(text: str) -> tuple[str, Any]:
    """`amount:number=99` as a name and a typed value."""
    heading, is_given, value = text.partition("=")
    name, _, kind = heading.rpartition(":") if ":" in heading else (heading, "", "text")
    if not is_given or not name or kind not in files.TYPES:
        raise click.BadParameter(f'"{text}": write NAME=VALUE or NAME:TYPE=VALUE, TYPE one of {", ".join(files.TYPES)}',
                                 param_hint="--prop")  # fmt: skip
    try:
        return name, files.typed(value, kind)
    except ValueError as fault:
        raise click.BadParameter(f"{name} {fault}", param_hint="--prop") from None


def import_(desk: Desk, file: Path, messages: bool, skip_unknown: bool) -> None:
    """`event import`: look at everything, then take it by batches."""
    name, data = taking.bytes_of(file)
    rows = files.read(name, data)
    ignored = 0
    items: list[tuple[int, Any]]
    if messages:
        items, ignored = arrivals.messages(rows, desk.zone)  # type: ignore[assignment]
        take: Callable[..., Receipt] = signals.take_messages
        refused_of: Callable[..., list[tuple[int, str]]] = signals.refused_messages
    else:
        items = arrivals.events(rows, desk.zone)  # type: ignore[assignment]
        take, refused_of = signals.take_events, signals.refused_events
    with desk.reading() as tx:
        refused = _refused(tx, items, refused_of)
    unknown = [one for one in refused if signals.IN_FUTURE not in one[1]] if skip_unknown else []
    taking.require(name, [*rows.faults, *(one for one in refused if one not in unknown)])
    left_out = {line for line, _ in unknown}
    wanted = [item for item in items if item[0] not in left_out]
    receipts: list[Receipt] = []
    with_progress(desk, "importing", wanted, taking.A_BATCH, lambda batch: receipts.append(take(desk.app, batch)))
    # Who was known a moment ago and is not any more is unknown after all.
    lost = sum(len(receipt.refused) for receipt in receipts)
    done = Taken(
        sum(one.accepted for one in receipts), sum(one.repeated for one in receipts), len(unknown) + lost, ignored
    )
    imports.record(desk.app, desk.person, "event import", name, done._asdict())
    taking.outcome(desk, FILE, done, "taken: {taken}, known before: {repeated}, left out: {unknown}",
                   taken=done.taken, repeated=done.repeated, unknown=done.unknown + ignored)  # fmt: skip
    if done.taken:
        note(desk, "a running daemon lets rules see them within a second")


def _refused(
    tx: Transaction, items: Sequence[tuple[int, Any]], refused_of: Callable[..., list[tuple[int, str]]]
) -> list[tuple[int, str]]:
    return [one for batch in in_batches(items, taking.A_BATCH) for one in refused_of(tx, batch)]

