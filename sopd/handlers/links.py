"""What SOPs say of each other (SPEC 3, 4, 8): where a flow may lead, and the cycles that all definitions make together.

A part of `sops.apply`, and asked by the command line for files that are not applied yet. A flow into a SOP of another
kind than nurture is a fault. A flow to a key that nobody has applied yet is a warning only, or two SOPs that flow into
each other could never be applied; as long as the target is missing the flow itself is refused when it happens.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from machines.graph import Bound, cycles_through, edges
from machines.rules import Path, located
from machines.rules.atoms import Audience, EndedSop, InSop, Member
from machines.sop import Sop, rules_of
from machines.sop.definition import EarlyEnd, End
from machines.sop.step_checks import Problem
from sopd import definitions
from sopd.definitions import Fault
from sopd.store import Transaction
from sopd.store.queries import audiences
from sopd.store.queries import links as queries

ENTERED_BY_FLOW = "nurture"


@dataclass(frozen=True)
class Known:
    """The definitions there are, by key, and the SOPs among them that have ended or were never started; the company's
    members and audiences by name. `is_all`: there are no others."""

    bound: Mapping[str, Bound] = field(default_factory=dict)
    ended: frozenset[str] = frozenset()
    drafts: frozenset[str] = frozenset()
    members: frozenset[str] = frozenset()
    audiences: frozenset[str] = frozenset()
    is_all: bool = False

    def beside(self, others: Sequence[Bound]) -> Known:
        """These, and others that are about to be applied."""
        return replace(self, bound={**self.bound, **{one.sop.sop: one for one in others}})


def known(tx: Transaction) -> Known:
    """What is published now."""
    rows = queries.published(tx)
    states = {state: frozenset(row.key for row in rows if row.state == state) for state in ("ended", "draft")}
    return Known(
        {row.key: _bound(row.program) for row in rows}, states["ended"], states["draft"],
        frozenset(queries.userids(tx)), frozenset(audiences.names(tx)), is_all=True,
    )  # fmt: skip


def _bound(program: str) -> Bound:
    stored = json.loads(program)
    return Bound(Sop.model_validate(stored["sop"]), stored["tag_ids"])


def faults(sop: Sop, others: Known) -> tuple[Problem, ...]:
    """Flows of this definition into SOPs that nobody may flow into."""
    return tuple(
        Problem(path, f"{key} is of kind {others.bound[key].sop.kind}, and only SOPs of kind {ENTERED_BY_FLOW} may be "
                "flowed into")
        for path, key in _flows(sop)
        if key in others.bound and others.bound[key].sop.kind != ENTERED_BY_FLOW
    )  # fmt: skip


def warnings(sop: Sop, others: Known) -> tuple[Problem, ...]:
    """What is doubtful about a definition among the others; `others` holds the definition itself."""
    return (*_targets(sop, others), *_sources(sop, others), *_cycles(sop, others), *_strangers(sop, others))


def warnings_of(tx: Transaction, key: str) -> list[Fault]:
    """The warnings about a SOP's published version, with their places in its file."""
    row = next(row for row in queries.published(tx) if row.key == key)
    document = definitions.read(row.source, row.source_name)
    others = known(tx)
    return definitions.placed(document, warnings(others.bound[key].sop, others))


def asleep(tx: Transaction, key: str) -> list[str]:
    """Drafts that a SOP's published version flows into: until they are started, nobody does."""
    others = known(tx)
    return sorted({target for _, target in _flows(others.bound[key].sop)} & others.drafts)


def _targets(sop: Sop, others: Known) -> Iterator[Problem]:
    for path, key in _flows(sop):
        if key not in others.bound and others.is_all:
            yield Problem(path, f"there is no SOP {key} yet; until it is applied and started nobody flows into it")
        elif key in others.ended:
            yield Problem(path, f"{key} has ended; nobody flows into it any more")


def _sources(sop: Sop, others: Known) -> Iterator[Problem]:
    """Flows into this SOP from definitions that were applied before it."""
    if sop.kind == ENTERED_BY_FLOW:
        return
    for key, other in others.bound.items():
        if key not in others.ended and any(target == sop.sop for _, target in _flows(other.sop)):
            yield Problem(("kind",), f"{key} flows into this SOP, and its people will be refused: only SOPs of kind "
                          f"{ENTERED_BY_FLOW} may be flowed into")  # fmt: skip


def _cycles(sop: Sop, others: Known) -> Iterator[Problem]:
    live = [one for key, one in others.bound.items() if key not in others.ended]
    for cycle in cycles_through(sop.sop, edges(live)):
        yield Problem(cycle.edges[0].path, f"is part of a cycle: {cycle}; every chain is cut when it comes to the same "
                      "SOP again, and after 10 hops")  # fmt: skip


def _strangers(sop: Sop, others: Known) -> Iterator[Problem]:
    """Members, audiences and SOPs that nobody knows: a rule that names them is never true of anybody."""
    if not others.is_all:
        return
    for path, kind, name in _names(sop):
        there = {"member": others.members, "audience": others.audiences, "SOP": others.bound}[kind]
        if name not in there and (kind != "member" or there):  # a company whose members were never read has none
            yield Problem(path, f"there is no {kind} {name}: a slip, or one that is still to come?")


def _names(sop: Sop) -> Iterator[tuple[Path, str, str]]:
    """(where, what kind of thing, its name), for all that stands outside the definition."""
    for index, name in enumerate(sop.members or ()):
        yield ("members", index), "member", name
    for index, step in enumerate(sop.steps):
        if step.assign is not None and step.assign.startswith("member:"):
            yield ("steps", index, "assign"), "member", step.assign.removeprefix("member:")
    for path, rule in rules_of(sop):
        for place, atom in located(rule, path):
            match atom:
                case Member():
                    yield from ((place, "member", name) for name in atom.member)
                case Audience():
                    yield from ((place, "audience", name) for name in atom.audience)
                case InSop():
                    yield from ((place, "SOP", name) for name in atom.in_sop)
                case EndedSop():
                    yield from ((place, "SOP", name) for name in atom.ended_sop.sop)


def _flows(sop: Sop) -> Iterator[tuple[Path, str]]:
    ends: list[tuple[str, EarlyEnd | End | None]] = [("early_end", sop.early_end), ("normal_end", sop.normal_end)]
    for name, end in ends:
        if end is not None and end.flow_to is not None:
            yield (name, "flow_to"), end.flow_to
