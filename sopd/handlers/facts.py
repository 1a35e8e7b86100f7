"""What rules may look at, loaded for a whole batch with a fixed number of statements (ARCHITECTURE 1.3, SPEC 3, 8).

A part: it reads inside the caller's transaction and writes nothing. Only what the rules at hand depend on is loaded;
every other field of `machines.facts.Facts` stays empty. The subject of a new-customer SOP is a relation, of every other
kind a customer with all relations in scope, one of which is its owner's. Facts are exact, not restricted: group them
with `Facts.restricted_to` of the rule at hand.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, reduce
from operator import or_
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from machines.calendar import Instant
from machines.facts import Attribute, Dependencies, Facts, answers, attributes
from machines.sop import Program
from sopd.handlers import owners
from sopd.handlers.owners import Owner
from sopd.store import Transaction
from sopd.store.queries import facts as queries
from sopd.store.queries import signals
from sopd.store.queries.signals import Since

_USERID, _BEGAN = Owner._fields.index("userid"), Owner._fields.index("began_at")
"""Between them stands what rules may see of an owner as it is: member, whether able, state, channel and way."""


class RunLike(Protocol):
    """What facts need of an enrollment."""

    @property
    def id(self) -> int: ...
    @property
    def version_id(self) -> int: ...
    @property
    def customer_id(self) -> int: ...
    @property
    def relation_id(self) -> int: ...
    @property
    def entered_at(self) -> Instant: ...
    @property
    def after_signal(self) -> int: ...


@dataclass(frozen=True)
class Known:
    """What was loaded of some customers, ready to be put together for any SOP.

    relations: of each customer, lost ones too. muted: those with 免打扰. in_sops and ended_sops: as in `Facts`, by
    customer.
    """

    now: Instant
    relations: Mapping[int, Sequence[Owner]]
    muted: Collection[int] = frozenset()
    attributes: Mapping[int, tuple[Attribute, ...]] = field(default_factory=dict)
    audiences: Mapping[int, frozenset[str]] = field(default_factory=dict)
    in_sops: Mapping[int, frozenset[str]] = field(default_factory=dict)
    ended_sops: Mapping[int, frozenset[tuple[str, str]]] = field(default_factory=dict)

    @cached_property
    def by_id(self) -> Mapping[int, Owner]:
        """Every relation by its id."""
        return {one.relation_id: one for some in self.relations.values() for one in some}

    @cached_property
    def _is_plain(self) -> bool:
        """Nothing but relations is known."""
        return not (self.attributes or self.audiences or self.in_sops or self.ended_sops)

    def owner(self, program: Program, customer_id: int, *, prefer: int | None = None) -> Owner | None:
        """Who would act for the customer now (see `owners.choose`)."""
        return owners.choose(program, self.relations.get(customer_id, ()), prefer=prefer)

    def like(self, program: Program, customer_id: int, owner: Owner | None) -> Hashable:
        """Equal for subjects of one SOP, with these owners, of whom plain rules see the same (see `is_plain`)."""
        if owner is not None and program.kind == "new_customer":
            return owner[_USERID:_BEGAN], owner.tags
        every = self.relations.get(customer_id, ())
        return owner is not None and owner[_USERID:_BEGAN], tuple([(one.userid, one.state, one.tags) for one in every])

    def of(self, program: Program, customer_id: int, relation_id: int | None) -> Facts:
        """The facts of one subject of this SOP; `relation_id` is the subject's own, or the owner's (None: nobody)."""
        about = self._of_customer(customer_id, program.timetable.zone)
        mine = None if relation_id is None else self.by_id.get(relation_id)
        if mine is not None:
            about |= {
                "source": mine.channel or None, "add_way": mine.add_way, "member": mine.userid,
                "added_at": mine.began_at, "last_talk_at": mine.last_talk_at,
            }  # fmt: skip
        if program.kind == "new_customer":
            known: dict[str, Any] = {} if mine is None else {"tags": mine.tags, "lost": mine.state == "lost"}
            return Facts(now=self.now, **about, **known)
        return Facts(now=self.now, **(about | self._in_scope(program, customer_id)))

    def _of_customer(self, customer_id: int, zone: str) -> dict[str, Any]:
        about: dict[str, Any] = {"zone": zone}
        if self._is_plain:
            return about
        for name in ("attributes", "audiences", "in_sops", "ended_sops"):
            if found := getattr(self, name).get(customer_id):
                about[name] = found
        return about

    def _in_scope(self, program: Program, customer_id: int) -> dict[str, Any]:
        """Tags of each relation in scope, the last talk on any of them, and whether none is left or to come."""
        every = self.relations.get(customer_id, ())
        scope = owners.in_scope(program, every)
        states = {one.state for one in every if program.in_scope(one.userid)}
        talks = [one.last_talk_at for one in scope if one.last_talk_at is not None]
        return {
            "relation_tag_sets": tuple(one.tags for one in scope),
            "last_talk_at": max(talks, default=None),
            "lost": bool(states) and states.isdisjoint(("active", "handed_over")),
        }


def of_customers(
    tx: Transaction, customer_ids: Collection[int], needs: Dependencies, *, by_tags: bool = False,
    people: bool = False, made: Mapping[int, tuple[Owner, ...]] = MappingProxyType({}),
) -> Known:
    """Load what `needs` asks for of these customers, and their relations in any case.

    `by_tags`: an owner rule looks at tags, although no rule may. `people`: 免打扰 and attributes in any case.
    `made`: the relations of customers that this transaction has made just now, of whom there is nothing else to know.
    """  # fmt: skip
    ids = sorted(set(customer_ids) - made.keys())
    if not ids:
        return Known(tx.now, made)
    relations = {**made, **owners.candidates(tx, ids, with_tags=bool(needs.tags) or by_tags)}
    told = queries.muted_and_attributes(tx, ids) if people or needs.attributes else []
    runs = _runs(tx, ids, relations, needs.sops)
    return Known(
        tx.now,
        relations,
        frozenset([customer_id for customer_id, muted, _ in told if muted]),
        {customer_id: attributes(json.loads(text)) for customer_id, _, text in told if text != "{}"},
        queries.audiences(tx, ids, needs.audiences) if needs.audiences else {},
        {customer_id: frozenset(key for key, _, is_open in some if is_open) for customer_id, some in runs.items()},
        {
            customer_id: frozenset((key, state) for key, state, is_open in some if not is_open)
            for customer_id, some in runs.items()
        },
    )


def _runs(
    tx: Transaction, ids: Sequence[int], relations: Mapping[int, Sequence[Owner]], keys: Collection[str]
) -> dict[int, list[tuple[str, str, bool]]]:
    if not keys:
        return {}
    subjects = {*ids, *(one.relation_id for some in relations.values() for one in some)}
    found: dict[int, list[tuple[str, str, bool]]] = {}
    for customer_id, key, state, is_open in queries.runs_in_sops(tx, ids, sorted(subjects), keys):
        found.setdefault(customer_id, []).append((key, state, is_open))
    return found


class _Heard(Protocol):
    def __call__(self, run: RunLike, about: Facts) -> Facts: ...


class OfRuns(NamedTuple):
    """What was loaded of some runs."""

    known: Known
    heard: _Heard

    def of(self, program: Program, run: RunLike) -> Facts:
        """The facts of one of them."""
        return self.heard(run, self.known.of(program, run.customer_id, run.relation_id))

    def like(self, program: Program, run: RunLike) -> Hashable:
        """Equal for runs of this program of which plain rules see the same."""
        return self.known.like(program, run.customer_id, self.known.by_id.get(run.relation_id))


def load_runs(
    tx: Transaction, runs: Sequence[RunLike], programs: Mapping[int, Program], needs: Iterable[Dependencies],
    seen: Mapping[int, Owner] = MappingProxyType({}),
) -> OfRuns:
    """Load what is to be known of these open runs: `needs` are those of every rule at hand.

    Events and replies count from the entry on, after the signal that created the run; a reply to the run of one
    relation comes from that relation. A signal counts once it is handled. `seen`: relations as they stand, which is
    enough for plain rules about runs of relations.
    """  # fmt: skip
    wanted = reduce(or_, needs, Dependencies())
    if wanted.is_plain and all(_is_seen(run, programs, seen) for run in runs):
        return OfRuns(_of_relations(tx.now, seen.values()), lambda run, about: about)
    known = of_customers(tx, {run.customer_id for run in runs}, wanted)
    return OfRuns(known, _said(tx, runs, programs, wanted))


def _is_seen(run: RunLike, programs: Mapping[int, Program], seen: Mapping[int, Owner]) -> bool:
    return run.relation_id in seen and programs[run.version_id].kind == "new_customer"


def _of_relations(now: Instant, relations: Iterable[Owner]) -> Known:
    """These relations and nothing else: of their customers there may be more to know."""
    by_customer: dict[int, tuple[Owner, ...]] = {}
    for one in relations:
        by_customer[one.customer_id] = (*by_customer.get(one.customer_id, ()), one)
    return Known(now, by_customer)


def of_runs(
    tx: Transaction, runs: Sequence[RunLike], programs: Mapping[int, Program], needs: Iterable[Dependencies]
) -> dict[int, Facts]:
    """The facts of these open runs, by run; see `load_runs`."""
    loaded = load_runs(tx, runs, programs, needs)
    return {run.id: loaded.of(programs[run.version_id], run) for run in runs}


def _said(tx: Transaction, runs: Sequence[RunLike], programs: Mapping[int, Program], needs: Dependencies) -> _Heard:
    """Adds events and replies to the facts of a run."""
    if not (needs.events or needs.asked):
        return lambda run, about: about
    since = [
        Since(run.id, run.customer_id, run.after_signal, run.entered_at,
              run.relation_id if programs[run.version_id].kind == "new_customer" else None)
        for run in runs
    ]  # fmt: skip
    events = signals.events_since(tx, since, needs.events) if needs.events else {}
    replied = signals.replies_since(tx, since) if needs.asked else {}
    sent = signals.sent_steps(tx, [run.id for run in runs]) if needs.asked - {None} else {}

    def heard(run: RunLike, about: Facts) -> Facts:
        asked: dict[str | None, Instant] = {None: run.entered_at}
        asked |= {step: at for step, at in sent.get(run.id, {}).items() if step in needs.asked}
        replies = answers(replied.get(run.id, ()), asked, needs.keywords) if needs.asked else ()
        return replace(about, events=events.get(run.id, ()), replies=replies)

    return heard
