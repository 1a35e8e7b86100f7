"""One round of what happened, as rules see it: changes of tags and other news alike, each about one customer.

A part of `consequences.follow`. It writes nothing but the cut of a chain that has grown too long.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from machines.entry import MOST_HOPS
from machines.facts import Dependencies, EventFact
from machines.reasons import CHAIN_TOO_LONG
from machines.sop import Program
from sopd.handlers.happened import Cause, Consequences, News, Only, TagChange
from sopd.handlers.owners import NO_TAGS
from sopd.store import Transaction
from sopd.store.queries import enrollments as runs
from sopd.store.queries import facts as queries
from sopd.store.queries import locks
from sopd.store.queries import tags as tag_queries
from sopd.store.queries.enrollments import Note


class Touch(NamedTuple):
    """Something that rules may look at is different now for one customer (see `happened.News`).

    added and removed: tags of the relation; then `text` is empty, because what is told of them depends on the rule.
    """

    customer_id: int
    relation_id: int | None
    touched: Dependencies
    cause: Cause
    text: str = ""
    added: frozenset[str] = NO_TAGS
    removed: frozenset[str] = NO_TAGS
    event: EventFact | None = None
    signal_id: int | None = None
    only: Only | None = None

    @property
    def topics(self) -> frozenset[tuple[str, str]]:
        """What it is about, as the rules' dependencies say it."""
        return self.touched.topics


@lru_cache(maxsize=4096)
def _about(added: frozenset[str], removed: frozenset[str]) -> Dependencies:
    return Dependencies(tags=added | removed)


def of(tx: Transaction, happened: Consequences) -> dict[int, list[Touch]]:
    """What this round is to rules, by customer. What is more than ten hops from the outside is cut (SPEC 4)."""
    found = [*_of_tags(tx, happened.tag_changes), *map(_of_news, happened.news)]
    locks.customers(tx, {one.customer_id for one in found})
    cut = [one for one in found if one.cause.hop > MOST_HOPS]
    if cut:
        _note(tx, cut)
        found = [one for one in found if one.cause.hop <= MOST_HOPS]
    by_customer: defaultdict[int, list[Touch]] = defaultdict(list)
    for one in found:
        by_customer[one.customer_id].append(one)
    return dict(by_customer)


def _of_tags(tx: Transaction, changes: Sequence[TagChange]) -> list[Touch]:
    net = [one for one in _net(changes).values() if one.added or one.removed]
    customers = queries.customers_of(tx, [one.relation_id for one in net]) if net else {}
    return [
        Touch(
            customers[one.relation_id], one.relation_id, _about(one.added, one.removed), one.cause, "", one.added,
            one.removed,
        )
        for one in net
    ]  # fmt: skip


def _net(changes: Iterable[TagChange]) -> dict[int, TagChange]:
    """One change per relation; what came and went within one round did neither."""
    net: dict[int, TagChange] = {}
    for change in changes:
        known = net.get(change.relation_id)
        net[change.relation_id] = change if known is None else TagChange(
            change.relation_id,
            added=(known.added - change.removed) | (change.added - known.removed),
            removed=(known.removed - change.added) | (change.removed - known.added),
            cause=known.cause,
        )
    return net


def _of_news(one: News) -> Touch:
    return Touch(
        one.customer_id, one.relation_id, one.touched, one.cause, one.text, NO_TAGS, NO_TAGS, one.event, one.signal_id,
        one.only,
    )  # fmt: skip


def _note(tx: Transaction, cut: Iterable[Touch]) -> None:
    """The journal of the run whose end did it says that the chain goes no further."""
    ended = sorted({one.cause.run for one in cut if one.cause.run is not None})
    runs.journal(tx, [Note(run_id, "note", reason=CHAIN_TOO_LONG, detail=json.dumps({"hop": MOST_HOPS + 1}))
                      for run_id in ended])  # fmt: skip


def tag_names(tx: Transaction, ending: Iterable[Program]) -> dict[str, str]:
    """Names for people of the tags at which these early ends look; a tag the library does not know is left out.

    Those that the ends write are looked up on the way, before they are asked for one by one.
    """
    named = {
        tag_id
        for one in ending
        for tag_id in (*one.end_needs.tags, *one.early_end.add_tags, *one.early_end.remove_tags)
    }
    return {tag_id: tag.path for tag_id, tag in tag_queries.by_ids(tx, named).items()}


def text(touches: Iterable[Touch], needs: Dependencies, names: Mapping[str, str]) -> str:
    """For people, of what happened that which the rule mentions: `tag 结果/已复购`, `tag 阶段/新客 removed (hop 2)`."""
    told = [_text(one, needs, names) for one in touches]
    return ", ".join(dict.fromkeys(part for part in told if part))


def _text(one: Touch, needs: Dependencies, names: Mapping[str, str]) -> str:
    parts = [f"tag {names.get(tag_id, tag_id)}" for tag_id in sorted(one.added & needs.tags)]
    parts += [f"tag {names.get(tag_id, tag_id)} removed" for tag_id in sorted(one.removed & needs.tags)]
    said = ", ".join(parts) or one.text
    return f"{said} (hop {one.cause.hop})" if said and one.cause.hop else said
