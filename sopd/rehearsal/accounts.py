"""Two accounts of the same weeks, compared customer by customer: the sandbox's books and the engine's tables.

The sandbox's books are written at each effect and know nothing of the engine. The engine's account is read from its
tables. A difference is a sentence about one relation.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from machines.calendar import SECOND_MS
from sopd.store import Store
from sopd.store.queries import account as queries

Pair = tuple[str, str]
INHERITED = 202  # WeCom's add_way of a customer allocated by an administrator
Delivery = tuple[str, int]
"""(msgid, send_time in whole seconds): WeCom tells no finer."""


@dataclass
class EnginePage:
    """What the engine says of one relation. `run_of`: for which run each task was; `runs`: those of a new customer."""

    friends: bool = False
    tags: set[str] = field(default_factory=set)
    welcomes: int = 0
    delivered: set[Delivery] = field(default_factory=set)
    run_of: dict[str, int] = field(default_factory=dict)
    doubtful: int = 0
    doubtful_welcomes: int = 0
    runs: int = 0
    unfinished: tuple[str, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """`differences` are sentences, one per fault of a relation; `doubtful` pushes wait for an operator."""

    compared: int
    customers: int
    deliveries: int
    doubtful: int
    differences: tuple[str, ...]


def engine_account(store: Store) -> dict[Pair, EnginePage]:
    """The engine's account, per (member, external_userid); a handful of queries whatever the size."""
    pages: dict[Pair, EnginePage] = defaultdict(EnginePage)
    with store.reading() as tx:
        for userid, customer, state in queries.relations(tx):
            pages[userid, customer].friends = state == "active"
        for userid, customer, tag_id in queries.tags(tx):
            pages[userid, customer].tags.add(tag_id)
        for userid, customer, channel, msgid, sent_at, run in queries.sent(tx):
            page = pages[userid, customer]
            if channel == "welcome":
                page.welcomes += 1
            else:
                page.delivered.add((msgid, sent_at // SECOND_MS))
                page.run_of[msgid] = run
        for userid, customer, channel in queries.doubtful(tx):
            page = pages[userid, customer]
            if channel == "welcome":
                page.doubtful_welcomes += 1
            else:
                page.doubtful += 1
        for userid, customer in queries.runs(tx):
            pages[userid, customer].runs += 1
        for userid, customer, state in queries.ended_without_all_steps(tx):
            pages[userid, customer].unfinished += (state,)
    return dict(pages)


def compare(
    world_account: Mapping[Pair, Mapping[str, Any]],
    engine: Mapping[Pair, EnginePage],
    invited: Callable[[Mapping[str, Any]], bool],
) -> Verdict:
    """Hold one against the other. Relations the app never could see (half-adds not confirmed) have no adds.

    `invited(add)` says whether an add of the sandbox's books is one that the published SOPs are for: then somebody who
    never got into a run was missed.
    """
    seen = {pair: row for pair, row in world_account.items() if row["adds"]}
    #: Customers that were handed over, and whose run went with them.
    heirs = {
        pair[1] for pair, row in seen.items()
        if pair in engine and engine[pair].runs and any(add["add_way"] == INHERITED for add in row["adds"])
    }  # fmt: skip
    differences: list[str] = []
    for pair in sorted({*seen, *engine}):
        row, page = seen.get(pair), engine.get(pair, EnginePage())
        if row is None:
            differences.append(f"{_named(pair)}: the engine knows a relation that never was")
            continue
        differences += _relation_differences(pair, row, page)
        taken_over = pair[1] in heirs
        if any(invited(add) for add in row["adds"]) and not page.runs and not taken_over:
            differences.append(f"{_named(pair)}: added one of our members and was never let in")
    return Verdict(
        compared=len(seen),
        customers=len({customer for _, customer in seen}),
        deliveries=sum(len(_delivered(row)) for row in seen.values()),
        doubtful=sum(page.doubtful + page.doubtful_welcomes for page in engine.values()),
        differences=tuple(differences),
    )


def _relation_differences(pair: Pair, row: Mapping[str, Any], page: EnginePage) -> list[str]:
    found = []
    if row["friends"] != page.friends:
        found.append(f"friends: WeCom says {row['friends']}, the engine {page.friends}")
    if row["friends"] and set(row["tag_ids"]) != page.tags:
        found.append(f"tags: WeCom has {sorted(row['tag_ids'])}, the engine {sorted(page.tags)}")
    if not page.welcomes <= len(row["welcomes"]) <= page.welcomes + page.doubtful_welcomes:
        found.append(f"welcomes: {len(row['welcomes'])} arrived, the engine says {page.welcomes}")
    arrived = _delivered(row)
    if lost := page.delivered - arrived:
        found.append(f"the engine says sent, but nothing arrived: {_listed(lost)}")
    if len(unknown := arrived - page.delivered) > page.doubtful:
        found.append(f"arrived, but the engine does not say sent: {_listed(unknown)}")
    if page.unfinished:
        found.append("a run has its normal end, but not every step has a settled push")
    if twice := _twice(row, page):
        found.append(f"arrived twice: {', '.join(twice)}")
    return [f"{_named(pair)}: {what}" for what in found]


def _delivered(row: Mapping[str, Any]) -> set[Delivery]:
    return {
        (message["msgid"], message["at"] // SECOND_MS) for message in row["messages"] if message["kind"] == "enterprise"
    }


def _twice(row: Mapping[str, Any], page: EnginePage) -> list[str]:
    """Contents that reached one customer through one member more often than they had runs that say it."""
    tasks: dict[str, list[str]] = {}
    for message in row["messages"]:
        if message["kind"] == "enterprise":
            tasks.setdefault(message["text"], []).append(message["msgid"])
    return sorted(
        text[:20] for text, msgids in tasks.items() if len(msgids) > len({page.run_of.get(msgid) for msgid in msgids})
    )


def _named(pair: Pair) -> str:
    return f"{pair[1]} at {pair[0]}"


def _listed(deliveries: set[Delivery]) -> str:
    return ", ".join(msgid for msgid, _ in sorted(deliveries))
