"""One round of what happened, as rules see it: changes of tags and other news alike, each about one customer.

A part of `consequences.follow`. It writes nothing but the cut of a chain that has grown too long.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from machines.entry import MOST_HOPS
from machines.facts import Dependencies, EventFact
from machines.reasons import CHAIN_TOO_LONG
from machines.sop import Program
from sopd.handlers.app import App
from sopd.handlers.catalogue import Catalogue
from sopd.handlers.happened import Cause, Consequences, News, Only, TagChange
from sopd.handlers.owners import NO_TAGS
from sopd.store import Transaction
from sopd.store.queries import enrollments as runs
from sopd.store.queries import facts as queries
from sopd.store.queries import locks
from sopd.store.queries import tags as tag_queries
from sopd.store.queries.enrollments import Note


@dataclass(frozen=True, eq=False)
class Touch:
    """Something that rules may look at is different now (see `happened.News`); of many customers it may be the same.

    added and removed: tags of the relation; then `text` is empty, because what is told of them depends on the rule.
    """

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


Touched = Mapping[int, Sequence[tuple[int | None, Touch]]]
"""By customer: the relation that it is about, if it is about one only, and what has happened."""


def of(tx: Transaction, app: App, catalogue: Catalogue, happened: Consequences) -> Touched:
    """What this round is to rules. What is more than ten hops from the outside is cut (SPEC 4).

    What no rule listens to is left out at once: ends write tags at which hardly anybody looks.
    """
    changes, news = list(_net(happened.tag_changes).values()), happened.news
    customers = queries.customers_of(tx, [one.relation_id for one in changes]) if changes else {}
    concerned = {*[customers[one.relation_id] for one in changes], *[one.customer_id for one in news]}
    locks.customers(tx, concerned)
    _note_cut(tx, [one.cause for one in (*changes, *news) if one.cause.hop > MOST_HOPS])
    listens = _listening(tx, app, catalogue, concerned)
    found: defaultdict[int, list[tuple[int | None, Touch]]] = defaultdict(list)
    for change in changes:
        if change.cause.hop <= MOST_HOPS and listens(_about(change.added, change.removed)):
            found[customers[change.relation_id]].append((change.relation_id, _of_tags(*change[1:], change.cause.run)))
    for one in news:
        if one.cause.hop <= MOST_HOPS and (one.only is not None or listens(one.touched)):
            found[one.customer_id].append((one.relation_id, _of_news(one)))
    return dict(found)


def _listening(
    tx: Transaction, app: App, catalogue: Catalogue, customer_ids: Collection[int]
) -> Callable[[Dependencies], bool]:
    """Whether any gate, or any early end of these customers' open runs, may look at this."""
    versions = runs.known_versions(tx, customer_ids)
    if versions is None:  # their runs have not been read yet
        return lambda touched: True
    ends = [one.end_topics for one in app.programs.all(tx, versions).values()]
    topics = catalogue.topics.union(*ends)
    return lambda touched: not topics.isdisjoint(touched.topics)


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
    return {relation_id: one for relation_id, one in net.items() if one.added or one.removed}


@lru_cache(maxsize=4096)
def _about(added: frozenset[str], removed: frozenset[str]) -> Dependencies:
    return Dependencies(tags=added | removed)


@lru_cache(maxsize=1024)
def _of_tags(added: frozenset[str], removed: frozenset[str], cause: Cause, run: int | None) -> Touch:
    """Kept, because a page of people are touched alike. `run`: the cause's own, which does not make it another one."""
    return Touch(_about(added, removed), cause, added=added, removed=removed)


def _of_news(one: News) -> Touch:
    return Touch(one.touched, one.cause, one.text, event=one.event, signal_id=one.signal_id, only=one.only)


def _note_cut(tx: Transaction, cut: Iterable[Cause]) -> None:
    """The journal of the run whose end did it says that the chain goes no further."""
    ended = sorted({cause.run for cause in cut if cause.run is not None})
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
