"""Takes over what WeCom shows of relations, a page at a time: beginnings, ends, names, tags (ARCHITECTURE 5, D24).

One command for both readers: intake (relations that callbacks made us read again) and reconciliation (everybody). A
page is one transaction with a fixed number of statements. What was written meanwhile is stronger than what was read: a
sighting of an older generation is thrown away and read again, and while our own tag write is under way the tags we see
are noted but decide nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple

from machines.calendar import Instant
from sopd.handlers import admission, contact_news, customers, forgotten, handovers, tags
from sopd.handlers.app import App
from sopd.handlers.consequences import follow
from sopd.handlers.contact_news import Contact
from sopd.handlers.entries import INHERITED_ADD_WAY
from sopd.handlers.happened import Consequences, TagChange
from sopd.handlers.observe_verdicts import RECONCILIATION, Sighting, Verdict, began_at, judge
from sopd.handlers.owners import NO_TAGS, Owner
from sopd.handlers.welcomes import Begun
from sopd.store import Transaction
from sopd.store.queries import inbox, people
from sopd.store.queries import members as member_queries
from sopd.store.queries import owners as owner_queries
from sopd.store.queries.inbox import Mark
from sopd.store.queries.members import Colleague
from sopd.store.queries.people import Known, Named, NewRelation, Pair
from sopd.store.queries.tags import Held

BEGINS: tuple[Verdict, ...] = ("begun", "begun_anew")
SHOWS_TAGS: tuple[Verdict, ...] = (*BEGINS, "back", "same")


class Page(NamedTuple):
    """Sightings, what they are judged by (locked) and, by verdict, what they mean; ids of members and customers.

    `ids` are those of the relations, ours included as soon as they are written; `made`: those are ours.
    """

    seen: dict[Pair, Sighting]
    known: dict[Pair, Known]
    verdicts: dict[Verdict, list[Pair]]
    members: dict[str, Colleague]
    customers: dict[str, int]
    ids: dict[Pair, int]
    made: set[int]

    def of(self, *verdicts: Verdict) -> list[Pair]:
        """The pairs judged so."""
        found = self.verdicts
        return [pair for verdict in verdicts if verdict in found for pair in found[verdict]]


def observe(app: App, sightings: Sequence[Sighting]) -> None:
    """Take over one page of sightings, and let runs begin, end and react. Finishes the re-reads behind them.

    Each pair is taken once, the last sighting of it.
    """
    with app.store.transaction() as tx:
        sightings = _without_forgotten(tx, sightings)
        page = _page(tx, {(one.userid, one.external_userid): one for one in sightings})
        _insert(tx, page)
        over = _write(tx, page)
        taken = _take_tags(tx, page)
        begun = _begun(page, taken.held)
        # Ends before beginnings: who is lost and comes back in one page enters anew.
        happened = customers.leave(tx, app, over) + handovers.take_over(tx, app, begun)
        catalogue = app.programs.catalogue(tx, holding=True) if begun else None
        happened += admission.admit(tx, app, begun, catalogue)
        news = contact_news.began([_contact(page, pair) for pair in page.of(*BEGINS, "back")], taken.held)
        happened += Consequences(tag_changes=tuple(taken.changes), news=news, seen=_seen(page, taken))
        follow(tx, app, happened, catalogue)
        # Last: others mark re-reads while they hold what has been locked above.
        _finish(tx, app, page, taken.pending)
        _ask_who_handed_over(tx, app, begun)


def _without_forgotten(tx: Transaction, sightings: Sequence[Sighting]) -> Sequence[Sighting]:
    """What is left of these when nobody comes back who was erased; the re-reads behind those passed over are done."""
    unwanted = forgotten.unwanted(tx, sightings)
    if not unwanted:
        return sightings
    inbox.finish(tx, [(*one.pair, one.mark) for one in sightings if one.pair in unwanted and one.mark is not None])
    return [one for one in sightings if one.pair not in unwanted]


def _page(tx: Transaction, seen: dict[Pair, Sighting]) -> Page:
    members = member_queries.members(tx, {userid for userid, _ in seen})
    named: dict[str, Named] = {}
    for (_, external_userid), one in seen.items():
        profile = one.profile
        if profile is not None:
            named[external_userid] = Named(
                external_userid, profile.name, profile.union_id or None, profile.kind, profile.gender
            )
        else:
            named.setdefault(external_userid, Named(external_userid))
    found = people.customers(tx, list(named.values()))
    ids = found.ids
    known = people.lock_between(
        tx, {(members[pair[0]].id, ids[pair[1]]): pair for pair in seen if pair[1] not in found.new}
    )
    verdicts: dict[Verdict, list[Pair]] = {}
    for pair, one in seen.items():
        verdicts.setdefault(judge(known.get(pair), one), []).append(pair)
    return Page(seen, known, verdicts, members, found.ids, {pair: row.id for pair, row in known.items()}, set())


def _insert(tx: Transaction, page: Page) -> None:
    """Write relations nobody knew; one that another transaction has written meanwhile is to be read again."""
    known, members, customer_ids, now = page.known, page.members, page.customers, tx.now
    rows: dict[tuple[int, int], Pair] = {}
    new = []
    for pair in page.of("begun", "half"):
        if pair not in known:
            one, key = page.seen[pair], (members[pair[0]].id, customer_ids[pair[1]])
            rows[key] = pair
            new.append(_row(one, "half" if one.cause == "half_added" else "active", key, now))
    made = people.insert(tx, new)
    page.ids.update({rows[key]: relation_id for key, relation_id in made.items()})
    page.made.update(made.values())
    if len(made) < len(rows):
        missed = {pair for key, pair in rows.items() if key not in made}
        begun, half = ([pair for pair in page.of(verdict) if pair not in missed] for verdict in ("begun", "half"))
        page.verdicts.update(begun=begun, half=half, again=[*page.of("again"), *missed])


def _row(one: Sighting, state: str, key: tuple[int, int], now: Instant) -> NewRelation:
    follow = one.follow
    return NewRelation(
        *key, state, one.added_at or now if follow is None else began_at(None, one), now, _channel(one),
        0 if follow is None else follow.add_way,
    )  # fmt: skip


def _channel(one: Sighting) -> str:
    return (one.follow.state if one.follow else "") or one.channel or ""


def _write(tx: Transaction, page: Page) -> list[Known]:
    """Write known relations that changed; returns those that are over, as written."""
    known, seen, now = page.known, page.seen, tx.now
    begun, gone, written = [], [], []
    for pair in page.of(*BEGINS):
        one, row = seen[pair], known.get(pair)
        if row is not None and one.follow is not None:
            begun.append(row._replace(
                state="active", channel=_channel(one), add_way=one.follow.add_way, began_at=began_at(row, one),
                learned_at=now, lost_at=None, lost_by=None, missing_at=None,
            ))  # fmt: skip
    for pair in page.of("back", "same"):
        row = known[pair]
        if row.state != "active" or row.missing_at is not None:
            written.append(row._replace(state="active", lost_at=None, lost_by=None, missing_at=None))
    for pair in page.of("gone"):
        gone.append(known[pair]._replace(
            state="lost", lost_at=now, lost_by=RECONCILIATION, missing_at=None
        ))  # fmt: skip
    people.write(tx, begun + written + gone)
    anew = {known[pair].id for pair in page.of("begun_anew")}
    return gone + [row for row in begun if row.id in anew]


class Taken(NamedTuple):
    """What WeCom's word on tags has changed, the tags that hold on each relation now, and where our write is under way.
    """

    changes: list[TagChange]
    held: Mapping[int, frozenset[str]]
    pending: set[Pair]


def _take_tags(tx: Transaction, page: Page) -> Taken:
    """Note WeCom's word on tags.

    A beginning is judged by its tags as they stand, so they are no change to it.
    """
    seen, ids = page.seen, page.ids
    shown = {ids[pair]: pair for pair in page.of(*SHOWS_TAGS)}
    before = tags.held(tx, shown.keys() - page.made)
    after: dict[tuple[int, str], Held] = {}
    for key, row in before.items():
        is_there = row.tag_id in _tag_ids(seen[shown[row.relation_id]])
        after[key] = row if row.in_wecom == is_there else row._replace(in_wecom=is_there)
    for relation_id, pair in shown.items():
        for tag_id in _tag_ids(seen[pair]):
            if (relation_id, tag_id) not in after:
                after[relation_id, tag_id] = Held(relation_id, tag_id, True, None)
    # A re-read that is through makes every older one worthless, even where it found nothing new.
    through = {ids[pair] for pair in page.of("same") if seen[pair].mark is not None}
    changes = tags.keep(tx, before, after, touched=through)
    beginning = {ids[pair] for pair in page.of(*BEGINS)}
    pending = {shown[row.relation_id] for row in after.values() if row.wanted is not None}
    changes = [change for change in changes if change.relation_id not in beginning] if beginning else changes
    return Taken(changes, tags.holding(after.values()), pending)


def _seen(page: Page, taken: Taken) -> dict[int, Owner]:
    """The active relations whose tags have changed, as they stand now."""
    changed = {change.relation_id for change in taken.changes}
    return {
        row.id: Owner(
            row.id, row.customer_id, row.member_id, row.userid, page.members[row.userid].able, "active", row.channel,
            row.add_way, row.began_at, None, row.learned_at, taken.held.get(row.id, NO_TAGS),
        )
        for row in page.known.values()
        if row.id in changed
    }  # fmt: skip


def _tag_ids(one: Sighting) -> tuple[str, ...]:
    return () if one.follow is None else one.follow.tag_ids


def _begun(page: Page, held: Mapping[int, frozenset[str]]) -> list[Begun]:
    begun = []
    for pair in page.of(*BEGINS):
        one, relation_id, member = page.seen[pair], page.ids[pair], page.members[pair[0]]
        begun.append(Begun(
            relation_id, member.id, page.customers[pair[1]], pair[0], began_at(page.known.get(pair), one),
            _channel(one), one.follow.add_way if one.follow else 0,
            "added" if one.cause == "added" else RECONCILIATION, one.welcome_code, one.welcome_until,
            relation_id in page.made, member.able, held.get(relation_id, NO_TAGS),
        ))  # fmt: skip
    return begun


def _contact(page: Page, pair: Pair) -> Contact:
    return Contact(page.ids[pair], page.customers[pair[1]], pair[0])


def _ask_who_handed_over(tx: Transaction, app: App, begun: Sequence[Begun]) -> None:
    """Where somebody took over, another relation has ended: those that carry runs are read again, in case no event
    tells (WeCom 7)."""
    taken = [one.relation_id for one in begun if one.add_way == INHERITED_ADD_WAY]
    pairs = owner_queries.other_pairs(tx, taken) if taken else []
    if pairs:
        inbox.mark(tx, [Mark(*pair, "local") for pair in pairs])
        tx.after_commit(partial(app.ring, "intake"))


def _finish(tx: Transaction, app: App, page: Page, waiting: set[Pair]) -> None:
    """End the re-reads behind the sightings. What was thrown away is read again; what waits for our write, after it."""
    again = set(page.of("again"))
    asked = {pair: one.mark for pair, one in page.seen.items() if one.mark is not None}
    left = again | waiting
    inbox.finish(tx, [(*pair, mark) for pair, mark in asked.items() if pair not in left])
    inbox.postpone(tx, [(*pair, None, inbox.PENDING) for pair in waiting if pair in asked])
    inbox.postpone(tx, [(*pair, tx.now, "written meanwhile") for pair in again if pair in asked])
    inbox.mark(tx, [Mark(*pair, "local") for pair in left if pair not in asked])
    if left:
        tx.after_commit(partial(app.ring, "intake"))
