"""Looking at SOPs: the list, the page of one, its file, its diagram."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import click

from sopd.cli import describing, finding, output, states
from sopd.cli.desk import Desk
from sopd.cli.output import Column, plain
from sopd.cli.page import Page, joined
from sopd.handlers import initialising
from sopd.handlers.initialising import Progress
from sopd.store.queries import views
from sopd.store.queries.views import Published, Refused, SopSummary, Version

LIST = (
    Column("key"), Column("title"), Column("kind", "kind"), Column("state", "state"), Column("version", "number"),
    Column("open", "number"), Column("ended", "number"), Column("started_at", "instant"),
    Column("paused_at", "instant", wide=True), Column("ended_at", "instant", wide=True),
)  # fmt: skip

STEPS = (
    Column("no", "number"), Column("step"), Column("moment"), Column("channel", "channel"), Column("here", "number"),
    Column("open", "number"), Column("sent", "number"), Column("skipped", "number"), Column("failed", "number"),
    Column("expired", "number"), Column("cancelled", "number"), Column("text"),
)  # fmt: skip

VERSIONS = (
    Column("number", "number"), Column("created_at", "instant"), Column("created_by"), Column("open", "number"),
    Column("source_name"),
)  # fmt: skip

REFUSALS = (
    Column("reason", "reason"), Column("count", "number"), Column("first_at", "instant"), Column("last_at", "instant"),
)  # fmt: skip


def show_list(desk: Desk, wanted: Sequence[str]) -> None:
    """`sop list`."""
    with desk.reading() as tx:
        rows = views.sops(tx, wanted or None)
    output.listing(desk, LIST, rows)


def show_source(desk: Desk, key: str, number: int | None) -> None:
    """`sop show --source`: the file, byte for byte."""
    with desk.reading() as tx:
        published = finding.version(tx, finding.sop(tx, key), number)
    click.echo(published.source, nl=False)


@dataclass(frozen=True)
class StepRow:
    """One step with what became of it: `here` runs whose last step it is, pushes by state, unsettled ones as `open`."""

    no: int
    step: str
    moment: str
    channel: str
    here: int
    open: int
    sent: int
    skipped: int
    failed: int
    expired: int
    cancelled: int
    text: str


@dataclass(frozen=True)
class Seen:
    """All that the page of one SOP shows."""

    sop: SopSummary
    published: Published
    versions: list[Version]
    runs: dict[str, int]
    pushes: dict[str, dict[str, int]]
    refusals: list[Refused]
    initialised: Progress | None

    @property
    def definition(self) -> dict[str, Any]:
        """The definition, as JSON."""
        return dict(self.published.stored["sop"])

    @property
    def ended(self) -> dict[str, int]:
        """Ended runs by how they ended."""
        return {state: self.runs[state] for state in states.ENROLLMENT_ENDS if self.runs.get(state)}


def show_page(desk: Desk, key: str, number: int | None) -> None:
    """`sop show`."""
    seen = _seen(desk, key, number)
    steps = [_step(desk, seen, no, step) for no, step in enumerate(seen.definition["steps"], start=1)]
    if desk.output == "json":
        output.document(desk, _as_json(desk, seen, steps))
        return
    page = Page(desk)
    _head(page, seen)
    page.section("Steps")
    page.table(STEPS, steps)
    page.section("Versions")
    page.table(VERSIONS, seen.versions)
    if seen.refusals:
        page.section("Not let in")
        page.table(REFUSALS, seen.refusals)
    page.print()


def _seen(desk: Desk, key: str, number: int | None) -> Seen:
    initialised = initialising.progress(desk.app, key)
    with desk.reading() as tx:
        sop = finding.sop(tx, key)
        return Seen(
            sop,
            finding.version(tx, sop, number),
            views.versions(tx, sop.id),
            views.states_of_runs(tx, sop.id),
            views.states_of_pushes(tx, sop.id),
            views.refusals_of(tx, sop.id),
            initialised,
        )


def _head(page: Page, seen: Seen) -> None:
    words, sop, definition = page.words, seen.sop, seen.definition
    began = dict.fromkeys(("initialising", "running"), sop.started_at)
    since = {**began, "paused": sop.paused_at, "ended": sop.ended_at}.get(sop.state)
    version = words.say("version {number} of {last}", number=seen.published.number, last=len(seen.versions))
    ended = ", ".join(f"{words.state(state)} {count}" for state, count in seen.ended.items())
    early = definition.get("early_end")
    page.title(sop.key, sop.title)
    page.facts(
        [
            ("state", joined([page.state(sop.state), words.say("since {at}", at=page.at(since)) if since else None,
                              _initialised(page, seen)])),
            ("kind", joined([words.kind(sop.kind), version, f"{words.heading('priority')} {definition['priority']}"])),
            ("members", describing.members(definition.get("members"), words)),
            ("entry", joined([_entry(page, definition), _again(page, definition)])),
            ("anchor", describing.anchor(definition.get("anchor"), words)),
            ("early_end", joined([describing.rule(early["when"]), describing.end(early)]) if early else None),
            ("normal_end", describing.end(definition.get("normal_end"))),
            ("open", str(sop.open)),
            ("ended", joined([str(sop.ended), ended])),
        ]
    )


def _entry(page: Page, definition: dict[str, Any]) -> str:
    """Whom the SOP is for."""
    rule = describing.rule(definition["entry"].get("when"))
    everybody = "every new customer" if definition["kind"] == "new_customer" else "by flow or by hand only"
    return rule or page.words.say(everybody)


def _again(page: Page, definition: dict[str, Any]) -> str | None:
    """Whether somebody may enter more than once; nothing for never."""
    again = definition["entry"].get("reenter", "never")
    if again == "never":
        return None
    if again == "after_end":
        return page.words.say("again after each end")
    return page.words.say("again {after} after each end", after=page.words.duration(again["after"]))


def _initialised(page: Page, seen: Seen) -> str | None:
    """How far an initialisation is that goes on."""
    found = seen.initialised
    if found is None or found.is_over:
        return None
    return page.words.say("judged {done} of {total}, entered {entered}", done=found.done, total=found.total,
                          entered=found.entered)  # fmt: skip


def _step(desk: Desk, seen: Seen, no: int, step: dict[str, Any]) -> StepRow:
    counted = seen.pushes.get(step["id"], {})
    return StepRow(
        no, step["id"], describing.moment(step, desk.words), step["by"], seen.runs.get(step["id"], 0),
        sum(counted.get(state, 0) for state in states.PUSH_OPEN),
        *(counted.get(state, 0) for state in ("sent", "skipped", "failed", "expired", "cancelled")),
        describing.text(step),
    )  # fmt: skip


def _as_json(desk: Desk, seen: Seen, steps: list[StepRow]) -> dict[str, Any]:
    return {
        **plain(LIST, seen.sop, desk.zone),
        "shown_version": seen.published.number,
        "definition": seen.definition,
        "steps": [plain(STEPS, step, desk.zone) for step in steps],
        "ended_by_kind": seen.ended,
        "versions": [plain(VERSIONS, version, desk.zone) for version in seen.versions],
        "refusals": [plain(REFUSALS, refusal, desk.zone) for refusal in seen.refusals],
        "initialised": asdict(seen.initialised) if seen.initialised else None,
    }


def show_graph(desk: Desk, key: str, number: int | None) -> None:
    """`sop graph`: Mermaid text."""
    from machines.diagram import mermaid
    from machines.enrollment import machine_for

    with desk.reading() as tx:
        sop = finding.sop(tx, key)
        published = finding.version(tx, sop, number)
        counts = views.states_of_runs(tx, sop.id, None if number is None else published.id)
    steps = tuple(step["id"] for step in published.stored["sop"]["steps"])
    words = desk.column_words
    labels = {step: words.say("step {place} {step}", place=describing.place(step, steps), step=step) for step in steps}
    table = machine_for(steps)
    labels |= {state: words.state(state) for state in table.states if state not in steps}
    click.echo(mermaid(table, counts, labels), nl=False)
