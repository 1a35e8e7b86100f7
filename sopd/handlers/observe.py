"""Takes over what WeCom shows of relations, a page at a time: beginnings, ends, names, tags (ARCHITECTURE 5, D24).

One command for both readers: intake (relations that callbacks made us read again) and reconciliation (everybody). A
page is one transaction with a fixed number of statements. What was written meanwhile is stronger than what was read: a
sighting of an older generation is thrown away and read again, and while our own tag write is under way the tags we see
are noted but decide nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from sopd.handlers import contact_news, customers, enrollments, handovers, tags
from sopd.handlers.app import App
from sopd.handlers.consequences import Consequences, follow
from sopd.handlers.contact_news import Contact
from sopd.handlers.enrollments import Begun
from sopd.handlers.entries import INHERITED_ADD_WAY
from sopd.handlers.observe_verdicts import Sighting, Verdict, began_at, judge
from sopd.handlers.tags import TagChange
from sopd.store import Transaction
from sopd.store.queries import inbox, people
from sopd.store.queries import owners as owner_queries
from sopd.store.queries.inbox import Mark
from sopd.store.queries.people import Known, Named, Pair
from sopd.store.queries.tags import Held

BEGINS: tuple[Verdict, ...] = ("begun", "begun_anew")
SHOWS_TAGS: tuple[Verdict, ...] = (*BEGINS, "back", "same")


@dataclass(frozen=True)
class Page:
    """Sightings, what they are judged by (locked) and their verdicts; ids of their members and customers."""

    seen: dict[Pair, Sighting]
    known: dict[Pair, Known]
    verdicts: dict[Pair, Verdict]
    members: dict[str, int]
    customers: dict[str, int]

    def of(self, *verdicts: Verdict) -> list[Pair]:
        """The pairs judged so."""
        return [pair for pair, verdict in self.verdicts.items() if verdict in verdicts]


def observe(app: App, sightings: Sequence[Sighting]) -> None:
    """Take over one page of sightings, and let runs begin, end and react. Finishes the re-reads behind them.

    Each pair is taken once, the last sighting of it.
    """
    with app.store.transaction() as tx:
        page = _page(tx, {one.pair: one for one in sightings})
        made = _insert(tx, page)
        over = _write(tx, page)
        ids = {**{pair: row.id for pair, row in page.known.items()}, **made}
        changes, pending = _take_tags(tx, page, ids)
        begun = _begun(page, ids)
        # Ends before beginnings: who is lost and comes back in one page enters anew.
        happened = customers.leave(tx, app, over) + handovers.take_over(tx, app, begun)
        happened += enrollments.admit(tx, app, begun)
        news = contact_news.began(tx, [_contact(page, ids, pair) for pair in page.of(*BEGINS, "back")])
        follow(tx, app, happened + Consequences(tag_changes=tuple(changes), news=news))
        # Last: others mark re-reads while they hold what has been locked above.
        _finish(tx, app, page, pending)
        _ask_who_handed_over(tx, app, begun)


def _page(tx: Transaction, seen: dict[Pair, Sighting]) -> Page:
    members = people.member_ids(tx, {userid for userid, _ in seen})
    named: dict[str, Named] = {}
    for (_, external_userid), one in seen.items():
        if one.profile is not None:
            profile = one.profile
            named[external_userid] = Named(
                external_userid, profile.name, profile.union_id or None, profile.kind, profile.gender
            )
        else:
            named.setdefault(external_userid, Named(external_userid))
    ids = people.customer_ids(tx, list(named.values()))
    known = people.lock_known(tx, seen)
    return Page(seen, known, {pair: judge(known.get(pair), one) for pair, one in seen.items()}, members, ids)


def _insert(tx: Transaction, page: Page) -> dict[Pair, int]:
    """Write relations nobody knew; one that another transaction has written meanwhile is to be read again."""
    new = [pair for pair in page.of("begun", "half") if pair not in page.known]
    rows = {(page.members[pair[0]], page.customers[pair[1]]): pair for pair in new}
    made = people.insert(tx, [_row(tx, page, pair, key) for key, pair in rows.items()])
    page.verdicts.update({pair: "again" for key, pair in rows.items() if key not in made})
    return {rows[key]: relation_id for key, relation_id in made.items()}


def _row(tx: Transaction, page: Page, pair: Pair, key: tuple[int, int]) -> dict[str, object]:
    one, is_half = page.seen[pair], page.verdicts[pair] == "half"
    return {
        "member_id": key[0], "customer_id": key[1], "state": "half" if is_half else "active",
        "channel": _channel(one), "add_way": one.follow.add_way if one.follow else 0,
        "began_at": began_at(None, one) if one.follow else one.added_at or tx.now, "learned_at": tx.now,
    }  # fmt: skip


def _channel(one: Sighting) -> str:
    return (one.follow.state if one.follow else "") or one.channel or ""


def _write(tx: Transaction, page: Page) -> list[Known]:
    """Write known relations that changed; returns those that are over, as written."""
    written: list[Known] = []
    for pair, row in page.known.items():
        one, verdict = page.seen[pair], page.verdicts[pair]
        if verdict in BEGINS and one.follow is not None:
            written.append(row._replace(
                state="active", channel=_channel(one), add_way=one.follow.add_way, began_at=began_at(row, one),
                learned_at=tx.now, lost_at=None, lost_by=None, missing_at=None,
            ))  # fmt: skip
        elif verdict == "back" or (verdict == "same" and row.missing_at is not None):
            written.append(row._replace(state="active", lost_at=None, lost_by=None, missing_at=None))
        elif verdict == "gone":
            written.append(row._replace(
                state="lost", lost_at=tx.now, lost_by=customers.RECONCILIATION, missing_at=None
            ))  # fmt: skip
    people.write(tx, written)
    over = {page.known[pair].id for pair in page.of("gone", "begun_anew")}
    return [row for row in written if row.id in over]


def _take_tags(tx: Transaction, page: Page, ids: Mapping[Pair, int]) -> tuple[list[TagChange], set[Pair]]:
    """Note WeCom's word on tags; returns what holds differently, and the pairs where our own write is under way.

    A beginning is judged by its tags as they stand, so they are no change to it.
    """
    shown = {ids[pair]: pair for pair in page.of(*SHOWS_TAGS)}
    before = tags.held(tx, shown)
    after: dict[tuple[int, str], Held] = {}
    for key, row in before.items():
        after[key] = row._replace(in_wecom=row.tag_id in _tag_ids(page, shown[row.relation_id]))
    for relation_id, pair in shown.items():
        for tag_id in _tag_ids(page, pair):
            after.setdefault((relation_id, tag_id), Held(relation_id, tag_id, True, None))
    # A re-read that is through makes every older one worthless, even where it found nothing new.
    through = {ids[pair] for pair in page.of("same") if page.seen[pair].mark is not None}
    changes = tags.keep(tx, before, after, touched=through)
    beginning = {ids[pair] for pair in page.of(*BEGINS)}
    pending = {shown[row.relation_id] for row in after.values() if row.wanted is not None}
    return [change for change in changes if change.relation_id not in beginning], pending


def _tag_ids(page: Page, pair: Pair) -> tuple[str, ...]:
    seen = page.seen[pair].follow
    return () if seen is None else seen.tag_ids


def _begun(page: Page, ids: Mapping[Pair, int]) -> list[Begun]:
    return [
        Begun(
            relation_id=ids[pair],
            member_id=page.members[pair[0]],
            customer_id=page.customers[pair[1]],
            userid=pair[0],
            began_at=began_at(page.known.get(pair), one),
            channel=_channel(one),
            add_way=one.follow.add_way if one.follow else 0,
            cause="added" if one.cause == "added" else customers.RECONCILIATION,
            welcome_code=one.welcome_code,
            welcome_until=one.welcome_until,
        )
        for pair in page.of(*BEGINS)
        for one in (page.seen[pair],)
    ]


def _contact(page: Page, ids: Mapping[Pair, int], pair: Pair) -> Contact:
    return Contact(ids[pair], page.customers[pair[1]], pair[0])


def _ask_who_handed_over(tx: Transaction, app: App, begun: Sequence[Begun]) -> None:
    """Where somebody took over, another relation has ended: those that carry runs are read again, in case no event
    tells (WeCom 7)."""
    taken = [one.relation_id for one in begun if one.add_way == INHERITED_ADD_WAY]
    pairs = owner_queries.other_pairs(tx, taken) if taken else []
    if pairs:
        inbox.mark(tx, [Mark(*pair, "local") for pair in pairs])
        tx.after_commit(partial(app.ring, "intake"))


def _finish(tx: Transaction, app: App, page: Page, pending: Iterable[Pair]) -> None:
    """End the re-reads behind the sightings. What was thrown away is read again; what waits for our write, after it."""
    waiting = set(pending)
    again = set(page.of("again"))
    asked = {pair: one.mark for pair, one in page.seen.items() if one.mark is not None}
    inbox.finish(tx, [(*pair, mark) for pair, mark in asked.items() if pair not in again | waiting])
    inbox.postpone(tx, [(*pair, None, inbox.PENDING) for pair in waiting if pair in asked])
    inbox.postpone(tx, [(*pair, tx.now, "written meanwhile") for pair in again if pair in asked])
    inbox.mark(tx, [Mark(*pair, "local") for pair in (again | waiting) if pair not in asked])
    if again or waiting:
        tx.after_commit(partial(app.ring, "intake"))
