"""Which SOP may lead into which, by what is written in the definitions alone, and the cycles in that (SPEC 4, chains).

An edge says: an end of the one may let somebody into the other by itself, through a flow, through a tag or attribute
that it writes, or because the other asks for people who entered or ended it. Only nurture SOPs are entered like that.
What customers do in between is no edge (`on_reply`), and neither is a rule that something else has to make true as
well: an edge is a possibility, never a promise. At run time every chain is cut anyhow, so a cycle is worth a warning
and no more. Called when definitions are applied and linted; it knows no rows.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from machines.facts import Attribute, kind_of
from machines.rules import Path, signed
from machines.rules.atoms import AttributeIs, EndedSop, InSop, Tag
from machines.sop import Sop
from machines.sop.definition import End


@dataclass(frozen=True)
class Bound:
    """One definition with its tags. `tag_ids` binds its tag names; a name without an id stands for itself."""

    sop: Sop
    tag_ids: Mapping[str, str]

    def tags(self, names: Iterable[str]) -> frozenset[str]:
        """These names as ids."""
        return frozenset(self.tag_ids.get(name, name) for name in names)


@dataclass(frozen=True)
class Edge:
    """The one SOP may lead into the other: `vias` say how, `path` where the first of them stands in the source."""

    source: str
    target: str
    vias: tuple[str, ...]
    path: Path


@dataclass(frozen=True)
class Cycle:
    """A way from a SOP back to itself, as edges; the first one leaves the SOP that was asked for."""

    edges: tuple[Edge, ...]

    def __str__(self) -> str:
        """`care -> winback (flow_to) -> care (tag 阶段/新客)`."""
        steps = [f" -> {edge.target} ({', '.join(edge.vias)})" for edge in self.edges]
        return self.edges[0].source + "".join(steps)


def edges(definitions: Sequence[Bound]) -> tuple[Edge, ...]:
    """Every edge between these definitions, those from a SOP to itself included: one per pair, however many ways."""
    waiting: defaultdict[Trace, list[Wait]] = defaultdict(list)
    for one in definitions:
        for trace, wait in _waits(one):
            waiting[trace].append(wait)
    ways: dict[tuple[str, str], dict[str, Path]] = {}
    for one in definitions:
        for given in _gives(one):
            for wait in waiting.get(given.trace, ()):
                if wait.answered_by(given.value):
                    ways.setdefault((one.sop.sop, wait.key), {}).setdefault(given.via, given.path)
    return tuple(Edge(*pair, tuple(vias), next(iter(vias.values()))) for pair, vias in ways.items())


def cycles_through(key: str, graph: Iterable[Edge]) -> tuple[Cycle, ...]:
    """For each edge that leaves this SOP, the shortest way back, if there is one."""
    leaving: dict[str, list[Edge]] = {}
    for edge in graph:
        leaving.setdefault(edge.source, []).append(edge)
    found = []
    for edge in leaving.get(key, ()):
        back = _shortest(edge.target, key, leaving)
        if back is not None:
            found.append(Cycle((edge, *back)))
    return tuple(found)


def _shortest(start: str, goal: str, leaving: Mapping[str, Sequence[Edge]]) -> tuple[Edge, ...] | None:
    came: dict[str, Edge | None] = {start: None}
    waiting = deque([start])
    while waiting and goal not in came:
        for edge in leaving.get(waiting.popleft(), ()):
            if edge.target not in came:
                came[edge.target] = edge
                waiting.append(edge.target)
    if goal not in came:
        return None
    way: list[Edge] = []
    while (last := came[way[-1].source if way else goal]) is not None:
        way.append(last)
    return tuple(reversed(way))


# -- what one leaves behind, and what the other waits for --------------------------------------------------------------

Trace = tuple[str, str]
"""What can lead somebody on: (flow, SOP), (tag | no tag, id), (attribute, name), (in | not in | ended, SOP)."""


class Given(NamedTuple):
    """A trace that a SOP leaves, how to say it, where it is written; `value` of an attribute."""

    trace: Trace
    via: str
    path: Path
    value: Attribute | None = None


class Wait(NamedTuple):
    """A SOP that may be entered because of a trace; of an attribute, what is asked of it, and with which sign."""

    key: str
    asked: AttributeIs | None = None
    sign: bool = True

    def answered_by(self, value: Attribute | None) -> bool:
        """Whether this value may make the condition (or its contrary) true; what has no value always may."""
        if self.asked is None or value is None:
            return True
        return any(each.name == value.name and each.test.passes(value) is self.sign for each in self.asked.attribute)


def _waits(one: Bound) -> Iterator[tuple[Trace, Wait]]:
    sop = one.sop
    if sop.kind != "nurture":
        return
    yield ("flow", sop.sop), Wait(sop.sop)
    for atom, sign in signed(sop.entry.when) if sop.entry.when is not None else ():
        if isinstance(atom, Tag):
            for tag_id in one.tags(atom.tag):
                yield ("tag" if sign else "no tag", tag_id), Wait(sop.sop)
        elif isinstance(atom, AttributeIs):
            for name in {each.name for each in atom.attribute}:
                yield ("attribute", name), Wait(sop.sop, atom, sign)
        elif isinstance(atom, InSop):
            for key in atom.in_sop:
                yield ("in" if sign else "not in", key), Wait(sop.sop)
        elif isinstance(atom, EndedSop) and sign:
            for key in atom.ended_sop.sop:
                yield ("ended", key), Wait(sop.sop)


def _gives(one: Bound) -> Iterator[Given]:
    sop = one.sop
    ends: list[tuple[str, End | None]] = [("early_end", sop.early_end), ("normal_end", sop.normal_end)]
    for name, end in ends:
        if end is None:
            continue
        if end.flow_to is not None:
            yield Given(("flow", end.flow_to), "flow_to", (name, "flow_to"))
        for key, kind, said, tags in (
            ("add_tags", "tag", "tag {}", end.add_tags), ("remove_tags", "no tag", "tag {} removed", end.remove_tags),
        ):  # fmt: skip
            for index, tag in enumerate(tags):
                yield Given((kind, one.tag_ids.get(tag, tag)), said.format(tag), (name, key, index))
        for attribute, value in end.set.items():
            written = Attribute(attribute, kind_of(value), value)
            yield Given(("attribute", attribute), f"attribute {attribute}", (name, "set", attribute), written)
    for kind, said in (("in", "in_sop"), ("not in", "not in_sop"), ("ended", "ended_sop")):
        yield Given((kind, sop.sop), said, ("sop",))
