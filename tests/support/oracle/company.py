"""Everything the oracle remembers of one company, and small questions about it. The moves are in the other modules."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from tests.support.oracle.calendar import Calendar
from tests.support.oracle.definition import About, read
from tests.support.oracle.people import Letter, Relation, Wecom
from tests.support.oracle.run import Push, Run, Sop, Task

Delay = Callable[[str, str, int], int | None]
"""How long (ms) a member takes to confirm a task of this text created at that instant; None: never."""


@dataclass
class Slot:
    """One sending slot of a member (D12)."""

    opens: int
    closes: int
    used: int = 0


@dataclass
class Refusal:
    """Somebody was not let in; any of `reasons` may be the one recorded."""

    at: int
    sop: str
    relation: Relation
    reasons: frozenset[str]


@dataclass
class Company:
    """`mode` is the quota mode of its WeCom; SOPs are numbered in the order in which they are started."""

    mode: str
    delay: Delay
    zone: str = "Asia/Shanghai"
    sops: list[Sop] = field(default_factory=list)
    relations: dict[tuple[str, str], Relation] = field(default_factory=dict)
    runs: list[Run] = field(default_factory=list)
    tasks: list[Task] = field(default_factory=list)
    slots: dict[str, list[Slot]] = field(default_factory=dict)
    muted: set[str] = field(default_factory=set)
    refusals: list[Refusal] = field(default_factory=list)
    letters: list[Letter] = field(default_factory=list)
    is_up: bool = True
    reconcile_at: int = 0

    def __post_init__(self) -> None:
        self.wecom = Wecom(self.mode)
        self.shares_days = self.mode != "day:1"

    def start(self, text: str, now: int) -> Sop:
        """Publish and start a SOP: new customers from now on."""
        plan = read(text)
        calendar = Calendar(plan, self.zone, shares_days=self.shares_days)
        self.sops.append(Sop(len(self.sops) + 1, plan, calendar, started=now))
        return self.sops[-1]

    def sop(self, key: str) -> Sop:
        return next(sop for sop in self.sops if sop.plan.key == key)

    def relation(self, member: str, customer: str) -> Relation:
        """The pair's one relation; a re-add is the same one (D24)."""
        known = self.relations.get((member, customer))
        if known is None:
            known = Relation(len(self.relations) + 1, member, customer)
            self.relations[member, customer] = known
        return known

    def about(self, relation: Relation) -> About:
        """The relation as the engine knows it."""
        return About(frozenset(relation.seen_tags), relation.source, relation.member, lost=not relation.known)

    def open_runs(self, *, relation: Relation | None = None, customer: str | None = None) -> list[Run]:
        return [
            run
            for run in self.runs
            if run.is_open
            and (relation is None or run.relation is relation)
            and (customer is None or run.relation.customer == customer)
        ]

    def pushes(self, *, customer: str | None = None) -> Iterable[Push]:
        return [
            push for run in self.runs if customer is None or run.relation.customer == customer for push in run.pushes
        ]

    def own_time(self, push: Push) -> dt.time:
        """The time of day at which a push is tried again on another day."""
        return push.run.sop.calendar.own_time(push.step.index, push.run.dues[push.step.index])

    def told(self, run: Run, now: int, what: str) -> None:
        """A line of this run's story."""
        run.story.append((now, what))
