"""Statements about the tag library and the tags on relations. Called by the handlers of tags and of observations."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sopd.store.queries import locks
from sopd.store.tables import Outbox, Tag
from sopd.store.transaction import Transaction


class Held(NamedTuple):
    """One tag on one relation: WeCom's last word and our pending write (1 add, 0 remove, None nothing pending)."""

    relation_id: int
    tag_id: str
    in_wecom: bool
    wanted: int | None

    @property
    def holds(self) -> bool:
        """Whether rules see the tag."""
        return self.in_wecom if self.wanted is None else self.wanted == 1

    @property
    def is_nothing(self) -> bool:
        """Neither there nor wanted: the row can go."""
        return not self.in_wecom and self.wanted is None


class LibraryTag(NamedTuple):
    """A tag of the library. `deleted_at` None: it is live."""

    tag_id: str
    name: str
    group_id: str
    group_name: str
    deleted_at: int | None

    @property
    def path(self) -> str:
        """The tag as people write it, group and name."""
        return f"{self.group_name}/{self.name}"


# -- on relations ----------------------------------------------------------------------------------------------------


def lock(tx: Transaction, relation_ids: Iterable[int]) -> None:
    """Lock these relations, in the order of their ids, whatever their state; their customers first."""
    relation_ids = list(relation_ids)
    locks.of_relations(tx, relation_ids)
    lock_of_held(tx, relation_ids)


def lock_of_held(tx: Transaction, relation_ids: Iterable[int]) -> None:
    """As `lock`, if the caller holds their customers. What this transaction has written to is locked already."""
    locking = tx.for_update("relation")
    left = [one for one in relation_ids if one not in tx.raised] if locking else []
    if left:
        given = tx.ids(left)
        tx.rows(
            f"select id from relation where id in (select id from {given.sql} g) order by id{locking}", given.params
        )


def raise_generation(tx: Transaction, relation_ids: Iterable[int]) -> None:
    """Let every re-read that has begun already be thrown away (ARCHITECTURE 5); once a transaction is enough."""
    fresh = sorted(set(relation_ids) - tx.raised)
    if not fresh:
        return
    tx.raised.update(fresh)
    given = tx.ids(fresh)
    tx.run(f"update relation set generation = generation + 1 where id in (select id from {given.sql} g)", given.params)


def on_relations(tx: Transaction, relation_ids: Iterable[int]) -> list[Held]:
    """Every row of these relations, held or not. The caller has locked them, so each is read once a transaction."""
    relation_ids, known = list(relation_ids), tx.tags_of
    strange = [one for one in relation_ids if one not in known]
    if strange:
        given = tx.ids(strange)
        rows = tx.rows(
            "select relation_id, tag_id, in_wecom, wanted from relation_tag"
            f" where relation_id in (select id from {given.sql} g)",
            given.params,
        )
        known.update((one, {}) for one in strange)
        for relation_id, tag_id, in_wecom, wanted in rows:
            known[relation_id][tag_id] = Held(relation_id, tag_id, bool(in_wecom), wanted)
    return [row for one in relation_ids for row in known[one].values()]


def put(tx: Transaction, rows: Iterable[Held]) -> None:
    """Write rows as they are to be; those that hold nothing and wait for nothing are taken out."""
    alike: defaultdict[tuple[str, bool, int | None], list[int]] = defaultdict(list)
    gone: list[tuple[int, str]] = []
    for row in rows:
        known = tx.tags_of.get(row.relation_id, {})
        if row.is_nothing:
            gone.append((row.relation_id, row.tag_id))
            known.pop(row.tag_id, None)
        else:
            alike[row[1:]].append(row.relation_id)
            known[row.tag_id] = row
    if alike:
        types = {"tag_id": "text", "in_wecom": "bool", "wanted": "int"}
        given = tx.alike(types, [(ids, like) for like, ids in alike.items()])
        tx.run(
            "insert into relation_tag (relation_id, tag_id, in_wecom, wanted, since)"
            f" select n.id, n.tag_id, n.in_wecom, n.wanted, cast(? as bigint) from {given.sql} n where true"
            " on conflict (relation_id, tag_id) do update set in_wecom = excluded.in_wecom, wanted = excluded.wanted,"
            " since = excluded.since",
            (tx.now, *given.params),
        )
    if gone:
        these = tx.table({"relation_id": "bigint", "tag_id": "text"}, gone)
        tx.run(
            "delete from relation_tag where (relation_id, tag_id) in"
            f" (select relation_id, tag_id from {these.sql} g)",
            these.params,
        )


def of_deleted(tx: Transaction, limit: int) -> list[tuple[int, str]]:
    """Some (relation, tag) where WeCom had the tag when we last looked, although the library has dropped it."""
    deleted = tx.rows("select tag_id from tag where deleted_at is not null order by tag_id")
    if not deleted:
        return []
    given = tx.table({"tag_id": "text"}, deleted)  # a join with the library would read all tags of all relations
    return tx.rows(
        f"select relation_id, tag_id from relation_tag where tag_id in (select tag_id from {given.sql} g) and in_wecom"
        " order by tag_id, relation_id limit ?",
        (*given.params, limit),
    )


# -- writes on their way ---------------------------------------------------------------------------------------------


def insert_writes(tx: Transaction, cause_key: str, groups: Sequence[tuple[Sequence[int], str]]) -> set[int]:
    """Outbox rows of writes, given as (relations, payload); returns the relations for which this cause is new.

    Relations that are not active are left out.
    """
    given = tx.alike({"payload": "text"}, [(ids, (payload,)) for ids, payload in groups])
    written = tx.rows(
        "insert into outbox (kind, key, relation_id, payload, state, fast, attempts, created_at, act_at)"
        " select 'mark_tag', cast(? as text) || '/' || n.id, n.id, n.payload, 'pending', false, 0, cast(? as bigint),"
        f" cast(? as bigint) from {given.sql} n cross join relation r where r.id = n.id and r.state = 'active'"
        " on conflict (key) do nothing returning relation_id",
        (cause_key, tx.now, tx.now, *given.params),
    )
    return {row[0] for row in written}


def insert_alone(tx: Transaction, rows: Sequence[tuple[str, int, str]]) -> None:
    """As `insert_writes`, each with a key of its own: (key, relation, payload)."""
    tx.insert(
        Outbox,
        [("mark_tag", *row, tx.now, tx.now) for row in rows],
        columns=("kind", "key", "relation_id", "payload", "created_at", "act_at"),
        returning=(),
        on_conflict="ignore",
    )


def open_writes(tx: Transaction, relation_ids: Iterable[int]) -> list[tuple[int, int, str]]:
    """Writes that are still to be made or under way, as (outbox id, relation id, payload)."""
    given = tx.ids(relation_ids)
    return tx.rows(
        "select id, relation_id, payload from outbox where state in ('pending','sending') and kind = 'mark_tag'"
        f" and relation_id in (select id from {given.sql} g) order by id",
        given.params,
    )


# -- the library -----------------------------------------------------------------------------------------------------

_LIBRARY = "select tag_id, name, group_id, group_name, deleted_at from tag"


def library(tx: Transaction) -> list[LibraryTag]:
    """Every tag that was ever in the library, deleted ones too."""
    return [LibraryTag(*row) for row in tx.rows(f"{_LIBRARY} order by group_name, name, tag_id")]


def by_ids(tx: Transaction, tag_ids: Iterable[str]) -> dict[str, LibraryTag]:
    """The known ones among these tags; each is read once a transaction."""
    wanted, known = set(tag_ids), tx.library
    strange = sorted(wanted - known.keys())
    if strange:
        given = tx.table({"tag_id": "text"}, [(tag_id,) for tag_id in strange])
        rows = tx.rows(f"{_LIBRARY} where tag_id in (select tag_id from {given.sql} g)", given.params)
        known.update(dict.fromkeys(strange) | {row[0]: LibraryTag(*row) for row in rows})
    return {tag_id: tag for tag_id in wanted if (tag := known[tag_id]) is not None}


def put_library(tx: Transaction, rows: Sequence[LibraryTag]) -> None:
    """Write tags as the library shows them, each once; one that had been deleted and is there again is live."""
    tx.library.clear()
    tx.insert(
        Tag,
        [row._asdict() for row in sorted(rows)],
        returning=(),
        on_conflict="(tag_id) do update set name = excluded.name, group_id = excluded.group_id,"
        " group_name = excluded.group_name, deleted_at = excluded.deleted_at",
    )


def mark_deleted(tx: Transaction, tag_ids: Iterable[str]) -> None:
    """These tags are no longer in the library."""
    tx.library.clear()
    given = tx.table({"tag_id": "text"}, [(tag_id,) for tag_id in sorted(set(tag_ids))])
    tx.run(
        "update tag set deleted_at = ? where deleted_at is null"
        f" and tag_id in (select tag_id from {given.sql} g)",
        (tx.now, *given.params),
    )


def is_synced(tx: Transaction) -> bool:
    """Whether the library was ever read; an enterprise without any tag counts as unread, which costs a call."""
    return tx.one("select 1 from tag limit 1") is not None
