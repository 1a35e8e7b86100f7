"""Everything the oracle remembers of one company, and small questions about it. The moves are in the other modules."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from tests.support.oracle.calendar import Calendar
from tests.support.oracle.definition import read
from tests.support.oracle.people import Customer, Letter, Relation, Signal, Wecom
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
class OwnSend:
    """A mass send of a member's own to one customer; `booked` once we have counted it (D9)."""

    relation: Relation
    at: int
    was_sent: bool
    booked: bool = False


@dataclass
class Refusal:
    """Somebody was not let in; any of `reasons` may be the one recorded. `member`: of whom, where it is relations that
    enter."""

    at: int
    sop: str
    member: str
    customer: str
    reasons: frozenset[str]


@dataclass
class Company:
    """`mode` is the quota mode of its WeCom; SOPs are numbered in the order in which they are published."""

    mode: str
    delay: Delay
    zone: str = "Asia/Shanghai"
    sops: list[Sop] = field(default_factory=list)
    customers: dict[str, Customer] = field(default_factory=dict)
    relations: dict[tuple[str, str], Relation] = field(default_factory=dict)
    runs: list[Run] = field(default_factory=list)
    tasks: list[Task] = field(default_factory=list)
    slots: dict[str, list[Slot]] = field(default_factory=dict)
    muted: set[str] = field(default_factory=set)
    half_known: set[str] = field(default_factory=set)
    refusals: list[Refusal] = field(default_factory=list)
    letters: list[Letter] = field(default_factory=list)
    signals: list[Signal] = field(default_factory=list)
    handled: int = 0
    waits: dict[tuple[str, str], int] = field(default_factory=dict)
    refused_tags: list[tuple[Relation, set[str]]] = field(default_factory=list)
    flips: dict[tuple[str, object], int] = field(default_factory=dict)
    own_sends: list[OwnSend] = field(default_factory=list)
    own_sends_at: int = 0
    listed_until: int | None = None
    is_up: bool = True
    reconcile_at: int = 0

    def __post_init__(self) -> None:
        self.wecom = Wecom(self.mode)
        self.shares_days = self.mode != "day:1"

    def publish(self, text: str) -> Sop:
        """Keep a definition as a draft."""
        plan = read(text)
        calendar = Calendar(plan, self.zone, shares_days=self.shares_days)
        self.sops.append(Sop(len(self.sops) + 1, plan, calendar))
        return self.sops[-1]

    def sop(self, key: str) -> Sop | None:
        return next((sop for sop in self.sops if sop.plan.key == key), None)

    def customer(self, name: str) -> Customer:
        return self.customers.setdefault(name, Customer(name))

    def is_known(self, customer: str) -> bool:
        """Whether the engine has ever heard of somebody, were it by a one-way adding alone."""
        return customer in self.half_known or any(relation.known_since for relation in self.relations_of(customer))

    def relation(self, member: str, customer: str) -> Relation:
        """The pair's one relation; a re-add is the same one (D24)."""
        known = self.relations.get((member, customer))
        if known is None:
            known = Relation(len(self.relations) + 1, member, customer)
            self.relations[member, customer] = known
        return known

    def relations_of(self, customer: str) -> list[Relation]:
        return [relation for relation in self.relations.values() if relation.customer == customer]

    def open_runs(self, *, relation: Relation | None = None, customer: str | None = None) -> list[Run]:
        return [
            run
            for run in self.runs
            if run.is_open
            and (relation is None or run.relation is relation)
            and (customer is None or run.customer == customer)
        ]

    def runs_of(self, sop: Sop, relation: Relation) -> list[Run]:
        """All runs of one subject: the relation, or in SOPs of the other kinds its customer (SPEC 4)."""
        runs = [run for run in self.runs if run.sop is sop and run.customer == relation.customer]
        return [run for run in runs if run.relation is relation or not sop.plan.is_for_new]

    def pushes(self, *, customer: str | None = None) -> Iterable[Push]:
        return [push for run in self.runs if customer is None or run.customer == customer for push in run.pushes]

    def own_time(self, push: Push) -> dt.time:
        """The time of day at which a push is tried again on another day."""
        return push.run.sop.calendar.own_time(push.step.index, push.run.dues[push.step.index])

    def told(self, run: Run, now: int, what: str) -> None:
        """A line of this run's story."""
        run.story.append((now, what))
