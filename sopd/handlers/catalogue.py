"""Every SOP and, of those that take part, which news their rules listen to: an index over the few SOPs of a company.

Built by `app.Programs` and kept for as long as the table of SOPs reads the same, so that a tag event costs the SOPs
that mention the tag, and not all of them (SPEC 3). It holds no customers and decides nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from machines.sop import Program

LIVE = ("initialising", "running", "paused")
"""States in which a SOP has people inside and takes, or records, new ones."""

BEGINS = ("added", "")
"""The topic that only a relation that begins touches: it may bring the customer to any gate, whatever the rule asks."""


@dataclass(frozen=True)
class RunningSop:
    """One SOP that may take part now, with the program new entries get."""

    sop_id: int
    key: str
    version_id: int
    kind: str
    state: str
    started_at: int
    program: Program


def rank(sop: RunningSop) -> tuple[int, int]:
    """Who comes first: the highest priority, then the lowest id."""
    return -sop.program.priority, sop.sop_id


@dataclass(frozen=True, eq=False)
class Catalogue:
    """`live`: those that take part, highest priority first, then lowest id; the other maps are of every SOP, by id.

    `asked`: SOPs that some rule asks about (`in_sop`, `ended_sop`): only their entries and ends are news.
    """

    live: Mapping[int, RunningSop]
    states: Mapping[int, str]
    keys: Mapping[int, str]
    kinds: Mapping[int, str]
    asked: frozenset[str]
    _entering: Mapping[tuple[str, str], tuple[int, ...]]

    @cached_property
    def topics(self) -> frozenset[tuple[str, str]]:
        """All that any entry rule looks at."""
        return frozenset(self._entering)

    def of_kind(self, kind: str, states: Iterable[str]) -> list[RunningSop]:
        """Those of this kind in these states, in order."""
        return [sop for sop in self.live.values() if sop.kind == kind and sop.state in states]

    def id_of(self, key: str) -> int | None:
        """A SOP by its key, None if there is none."""
        return next((sop_id for sop_id, known in self.keys.items() if known == key), None)

    def entering(self, topics: Iterable[tuple[str, str]]) -> list[RunningSop]:
        """The nurture SOPs whose entry rule may change by such news, in order."""
        found = {sop_id for topic in topics for sop_id in self._entering.get(topic, ())}
        return sorted((self.live[sop_id] for sop_id in found), key=rank)


def build(rows: Iterable[Sequence[Any]], sops: Iterable[RunningSop], programs: Iterable[Program]) -> Catalogue:
    """The catalogue of all SOPs, as rows that begin with id, key, version, kind and state, and of the live ones.

    `programs` are all whose rules may ask about SOPs, older versions too.
    """
    rows = list(rows)
    live = {sop.sop_id: sop for sop in sorted(sops, key=rank)}
    entering: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for sop in live.values():
        if sop.kind != "nurture" or sop.program.entry_rule is None:
            continue
        for topic in sop.program.entry_needs.topics | {BEGINS}:
            entering[topic].append(sop.sop_id)
    return Catalogue(
        live,
        {row[0]: row[4] for row in rows},
        {row[0]: row[1] for row in rows},
        {row[0]: row[3] for row in rows},
        frozenset(key for program in programs for key in program.dependencies.sops),
        {topic: tuple(ids) for topic, ids in entering.items()},
    )
