"""Tags on relations: our writes, remembered before WeCom has them, and what WeCom answered to them (SPEC 8).

Parts. A write holds for rules at once, as `wanted`; the outbox carries it to WeCom, and until that is done no reading
of WeCom's can take it back: that is why there is no false "tag removed" (ARCHITECTURE 5). Whoever writes returns what
changed, and the command's `consequences.follow` lets other runs react to it. Names are the business of `tag_library`.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import NamedTuple

from sopd.handlers.app import App
from sopd.handlers.happened import TagChange
from sopd.handlers.owners import NO_TAGS
from sopd.store import Transaction
from sopd.store.queries import inbox
from sopd.store.queries import tags as queries
from sopd.store.queries.tags import Held

Wish = tuple[int, Iterable[str], Iterable[str]]
"""(relation id, tag ids to add, tag ids to remove)"""
HeldTags = Mapping[tuple[int, str], Held]


class Payload(NamedTuple):
    """What a `mark_tag` row of the outbox carries: tag ids, each once. For whom they are the row's relation tells."""

    add: tuple[str, ...]
    remove: tuple[str, ...]

    @classmethod
    def read(cls, text: str) -> Payload:
        """From the row's `payload`."""
        found = json.loads(text)
        return cls(tuple(found["add"]), tuple(found["remove"]))

    def text(self) -> str:
        """For the row's `payload`."""
        return _text(self)

    def without(self, tag_ids: set[str]) -> Payload:
        """The same without these tags."""
        add, remove = (tuple(tag_id for tag_id in part if tag_id not in tag_ids) for part in self)
        return Payload(add, remove)

    def tags(self) -> Iterator[tuple[str, bool]]:
        """Every tag it speaks of: (tag id, whether it is to be there)."""
        yield from ((tag_id, True) for tag_id in self.add)
        yield from ((tag_id, False) for tag_id in self.remove)

    @property
    def asks(self) -> bool:
        """Whether there is anything to write."""
        return bool(self.add or self.remove)


@lru_cache(maxsize=1024)
def _text(payload: Payload) -> str:
    """Kept, because most of a page write the same tags."""
    return json.dumps(payload._asdict())


@dataclass(frozen=True)
class Written:
    """What became of one `mark_tag` row. `done` False: it failed for good and is not tried again."""

    outbox_id: int
    relation_id: int
    payload: Payload
    done: bool


def write(tx: Transaction, app: App, wishes: Sequence[Wish], cause_key: str) -> list[TagChange]:
    """Write tags here and, through the outbox, in WeCom; returns what holds differently from now on.

    One wish per relation at most. The outbox row's key is `cause_key/relation`: a cause that comes twice writes once.
    What WeCom could not take is left out, as if it had failed for good: relations that are not active, tags that the
    library has dropped. A tag that holds already is written all the same, because our knowledge of WeCom may be old.
    """
    alike: defaultdict[Payload, list[int]] = defaultdict(list)
    for relation_id, add, remove in wishes:
        alike[_asked(tuple(add), tuple(remove))].append(relation_id)
    asked = _without_dropped(tx, alike)
    if not asked:
        return []
    queries.lock_of_held(tx, [relation_id for ids, _ in asked for relation_id in ids])
    fresh = queries.insert_writes(tx, cause_key, [(ids, payload.text()) for ids, payload in asked])
    if not fresh:
        return []
    tx.after_commit(partial(app.ring, "outbox"))
    before = held(tx, fresh)
    after: dict[tuple[int, str], Held] = {}
    for ids, payload in asked:
        for tag_id, is_added in payload.tags():
            for relation_id in fresh.intersection(ids):
                known = before.get((relation_id, tag_id))
                in_wecom = known is not None and known.in_wecom
                after[relation_id, tag_id] = Held(relation_id, tag_id, in_wecom, int(is_added))
    return keep(tx, before, after)


def _without_dropped(tx: Transaction, alike: Mapping[Payload, Sequence[int]]) -> list[tuple[Sequence[int], Payload]]:
    """(relations, what to write) of those for whom something is left to be written."""
    named = {tag_id for payload in alike for tag_id, _ in payload.tags()}
    dropped = {one.tag_id for one in queries.by_ids(tx, named).values() if one.deleted_at is not None}
    asked = [(ids, payload.without(dropped) if dropped else payload) for payload, ids in alike.items()]
    return [one for one in asked if one[1].asks]


def written(tx: Transaction, app: App, outcomes: Sequence[Written]) -> list[TagChange]:
    """Take over what WeCom answered to our writes; returns what holds differently now.

    Done: WeCom's word is what we wrote. Failed for good: WeCom's last word holds again, so an add counts as removed
    (SPEC 8). A tag that a younger write of the same relation is still to settle stays as that one wants it. Called in
    the transaction that closes the outbox rows; the order in which that one does it does not matter.
    """
    relation_ids = sorted({outcome.relation_id for outcome in outcomes})
    if not relation_ids:
        return []
    queries.lock(tx, relation_ids)
    before = held(tx, relation_ids)
    after = dict(before)
    younger = _younger(tx, relation_ids)
    for outcome in sorted(outcomes, key=lambda one: one.outbox_id):
        for tag_id, there in outcome.payload.tags():
            key = (outcome.relation_id, tag_id)
            known = after.get(key, Held(*key, False, None))
            in_wecom = there if outcome.done else known.in_wecom
            is_wanted_later = younger.get(key, 0) > outcome.outbox_id
            after[key] = Held(*key, in_wecom, known.wanted if is_wanted_later else None)
    # What was read of WeCom while the write was under way proved nothing: it is read again.
    if inbox.wake(tx, relation_ids):
        tx.after_commit(partial(app.ring, "intake"))
    return keep(tx, before, after)


def write_one_by_one(tx: Transaction, refused: Iterable[Written]) -> None:
    """Write the tags of refused writes again, each alone: of several, one that is unknown must not take the rest along.

    A tag that a younger write speaks of is left to that one. Called before `written` hears of the refusal, so that
    what is written again goes on holding.
    """
    several = {one.relation_id: one for one in refused if len(list(one.payload.tags())) > 1}
    if not several:
        return
    younger = _younger(tx, sorted(several))
    rows = []
    for relation_id, one in several.items():
        for tag_id, there in one.payload.tags():
            if younger.get((relation_id, tag_id), 0) <= one.outbox_id:
                add, remove = ((tag_id,), ()) if there else ((), (tag_id,))
                rows.append((f"outbox/{one.outbox_id}/{tag_id}", relation_id, Payload(add, remove).text()))
    queries.insert_alone(tx, rows)


def drop_deleted(tx: Transaction, *, limit: int) -> tuple[int, list[TagChange]]:
    """Take tags that the library has dropped from relations, at most `limit` of them: (how many, what changed).

    WeCom raises no event for each customer who loses a tag that way (WeCom 3.1).
    """
    meant = set(queries.of_deleted(tx, limit))
    relation_ids = {relation_id for relation_id, _ in meant}
    queries.lock(tx, relation_ids)
    before = {key: row for key, row in held(tx, relation_ids).items() if key in meant}
    after = {key: row._replace(in_wecom=False) for key, row in before.items()}
    return len(meant), keep(tx, before, after)


# -- shared with the handlers of observations ------------------------------------------------------------------------


def held(tx: Transaction, relation_ids: Iterable[int]) -> dict[tuple[int, str], Held]:
    """Every tag row of these relations, by (relation id, tag id)."""
    ids = list(relation_ids)
    return {(row[0], row[1]): row for row in queries.on_relations(tx, ids)} if ids else {}


def holding(rows: Iterable[Held]) -> dict[int, frozenset[str]]:
    """The tags that hold, by relation; one without any is left out."""
    found: defaultdict[int, list[str]] = defaultdict(list)
    for row in rows:
        if row.holds:
            found[row.relation_id].append(row.tag_id)
    return {relation_id: _several(tuple(some)) for relation_id, some in found.items()}


def keep(tx: Transaction, before: HeldTags, after: HeldTags, *, touched: Iterable[int] = ()) -> list[TagChange]:
    """Write the rows that differ and raise the generation of their relations; returns what rules see differently.

    The relations are locked by the caller. `touched` are relations whose generation is to rise in any case.
    """
    differing = [row for key, row in after.items() if before.get(key) != row]
    if differing:
        queries.put(tx, differing)
    if risen := {row.relation_id for row in differing}.union(touched):
        queries.raise_generation(tx, risen)
    added: dict[int, frozenset[str]] = {}
    removed: dict[int, frozenset[str]] = {}
    for row in differing:
        known, holds = before.get((row.relation_id, row.tag_id)), row.holds
        if holds != (known is not None and known.holds):
            into, alone = added if holds else removed, _alone(row.tag_id)
            into[row.relation_id] = into[row.relation_id] | alone if row.relation_id in into else alone
    return [
        TagChange(relation_id, added.get(relation_id, NO_TAGS), removed.get(relation_id, NO_TAGS))
        for relation_id in sorted({*added, *removed})
    ]


@lru_cache(maxsize=4096)
def _alone(tag_id: str) -> frozenset[str]:
    return frozenset((tag_id,))


@lru_cache(maxsize=4096)
def _several(tag_ids: tuple[str, ...]) -> frozenset[str]:
    """Kept, because a page of people have few sets of tags among them."""
    return frozenset(tag_ids)


# -- inside ----------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1024)
def _asked(add: tuple[str, ...], remove: tuple[str, ...]) -> Payload:
    """Each tag once; one that is to be added and removed is added."""
    wanted = tuple(dict.fromkeys(add))
    return Payload(wanted, tuple(tag_id for tag_id in dict.fromkeys(remove) if tag_id not in wanted))


def _younger(tx: Transaction, relation_ids: Sequence[int]) -> dict[tuple[int, str], int]:
    """The youngest write still to be made of each tag of each relation."""
    found: dict[tuple[int, str], int] = {}
    for outbox_id, relation_id, text in queries.open_writes(tx, relation_ids):
        for tag_id, _ in Payload.read(text).tags():
            found[relation_id, tag_id] = max(outbox_id, found.get((relation_id, tag_id), 0))
    return found
