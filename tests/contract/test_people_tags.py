"""Our tag writes and WeCom's word about them, kept apart, on both databases (ARCHITECTURE 5, SPEC 8)."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from sopd.config import Settings
from sopd.handlers import tags
from sopd.handlers.app import App
from sopd.handlers.happened import TagChange
from sopd.handlers.tags import Payload, Written
from sopd.store import Store
from sopd.store.queries import facts
from sopd.store.tables import Outbox, Relation, RelationTag, Tag
from tests.support.factories import T0, add, all_rows, befriend
from tests.support.plans import hearing

BOUGHT, ASKED = "etBought", "etAsked"


@pytest.fixture
def app(store: Store) -> App:
    store.set_clock(T0)
    return App(Settings(), store, None, None, None)  # type: ignore[arg-type]


def write(app: App, wishes: list[tuple[int, list[str], list[str]]], key: str = "end/1") -> list[TagChange]:
    with app.store.transaction() as tx:
        return tags.write(tx, app, wishes, key)


def answer(app: App, outbox: SimpleNamespace, *, done: bool) -> list[TagChange]:
    """What the outbox loop does when a call has ended."""
    with app.store.transaction() as tx:
        tx.run("update outbox set state = ? where id = ?", ("done" if done else "failed", outbox.id))
        payload = Payload.read(outbox.payload)
        return tags.written(tx, app, [Written(outbox.id, outbox.relation_id, payload, done)])


def outbox_rows(store: Store) -> list[SimpleNamespace]:
    return [SimpleNamespace(id=row[0], relation_id=row[1], payload=row[2], key=row[3])
            for row in all_rows(store, Outbox, "id", "relation_id", "payload", "key")]  # fmt: skip


def held(store: Store, relation: SimpleNamespace) -> set[str]:
    with store.reading() as tx:
        return set(facts.held_tags(tx, [relation.id]).get(relation.id, ()))


def test_a_written_tag_holds_at_once_and_is_one_outbox_row(app: App, store: Store) -> None:
    relation = befriend(store, "alice", "wm1")

    changes = write(app, [(relation.id, [BOUGHT], [ASKED])])

    assert changes == [TagChange(relation.id, added=frozenset({BOUGHT}))]
    assert held(store, relation) == {BOUGHT}
    (row,) = outbox_rows(store)
    assert row.key == f"end/1/{relation.id}"
    assert row.relation_id == relation.id
    assert json.loads(row.payload) == {"add": [BOUGHT], "remove": [ASKED]}


def test_a_cause_that_comes_twice_writes_once(app: App, store: Store) -> None:
    relation = befriend(store)

    write(app, [(relation.id, [BOUGHT], [])])

    assert write(app, [(relation.id, [BOUGHT], [])]) == []
    assert len(outbox_rows(store)) == 1


def test_a_write_is_answered_and_nothing_changes_any_more(app: App, store: Store) -> None:
    relation = befriend(store)
    write(app, [(relation.id, [BOUGHT], [])])

    assert answer(app, outbox_rows(store)[0], done=True) == []
    assert all_rows(store, RelationTag, "tag_id", "in_wecom", "wanted") == [(BOUGHT, 1, None)]


def test_an_add_that_fails_for_good_counts_as_removed(app: App, store: Store) -> None:
    relation = befriend(store)
    write(app, [(relation.id, [BOUGHT], [])])

    assert answer(app, outbox_rows(store)[0], done=False) == [TagChange(relation.id, removed=frozenset({BOUGHT}))]
    assert all_rows(store, RelationTag) == []


def test_a_removal_that_fails_for_good_leaves_what_wecom_has(app: App, store: Store) -> None:
    relation = befriend(store)
    add(store, RelationTag, relation_id=relation.id, tag_id=ASKED)
    assert write(app, [(relation.id, [], [ASKED])]) == [TagChange(relation.id, removed=frozenset({ASKED}))]

    assert answer(app, outbox_rows(store)[0], done=False) == [TagChange(relation.id, added=frozenset({ASKED}))]
    assert held(store, relation) == {ASKED}


def test_a_younger_write_outlives_the_answer_to_an_older_one(app: App, store: Store) -> None:
    relation = befriend(store)
    write(app, [(relation.id, [BOUGHT], [])], "end/1")
    write(app, [(relation.id, [], [BOUGHT])], "end/2")
    first, second = outbox_rows(store)

    assert answer(app, first, done=True) == []
    assert held(store, relation) == set()
    assert answer(app, second, done=True) == []
    assert all_rows(store, RelationTag) == []


def test_every_write_and_every_answer_raises_the_generation(app: App, store: Store) -> None:
    relation = befriend(store)

    write(app, [(relation.id, [BOUGHT], [])])
    assert all_rows(store, Relation, "generation") == [(1,)]
    answer(app, outbox_rows(store)[0], done=True)
    assert all_rows(store, Relation, "generation") == [(2,)]


def test_lost_relations_and_dropped_tags_are_not_written(app: App, store: Store) -> None:
    lost, kept = befriend(store, state="lost"), befriend(store)
    add(store, Tag, tag_id=ASKED, deleted_at=T0)

    changes = write(app, [(lost.id, [BOUGHT], []), (kept.id, [BOUGHT, ASKED], [])])

    assert changes == [TagChange(kept.id, added=frozenset({BOUGHT}))]
    assert [Payload.read(row.payload).add for row in outbox_rows(store)] == [(BOUGHT,)]


def test_a_tag_that_is_added_and_removed_is_added(app: App, store: Store) -> None:
    relation = befriend(store)

    write(app, [(relation.id, [BOUGHT], [BOUGHT])])

    assert held(store, relation) == {BOUGHT}


def test_deleted_tags_leave_relations_by_pages(app: App, store: Store) -> None:
    relations = [befriend(store) for _ in range(3)]
    add(store, Tag, tag_id=BOUGHT, deleted_at=T0)
    for relation in relations:
        add(store, RelationTag, relation_id=relation.id, tag_id=BOUGHT)
        add(store, RelationTag, relation_id=relation.id, tag_id=ASKED)

    counts, seen = [], []
    for _ in range(3):
        with store.transaction() as tx:
            count, changes = tags.drop_deleted(tx, limit=2)
        counts.append(count)
        seen += changes

    assert counts == [2, 1, 0]
    assert {change.relation_id: change.removed for change in seen} == {one.id: {BOUGHT} for one in relations}
    assert held(store, relations[0]) == {ASKED}


@pytest.mark.parametrize("size", [1, 40])
def test_the_number_of_statements_does_not_grow_with_the_page(app: App, store: Store, size: int) -> None:
    relations = [befriend(store, f"member{n}") for n in range(size)]

    with hearing(store) as statements:
        write(app, [(one.id, [BOUGHT], [ASKED]) for one in relations])
        with store.transaction() as tx:
            rows = tx.rows("select id, relation_id, payload from outbox")
            tags.written(tx, app, [Written(*ids, Payload.read(text), True) for *ids, text in rows])

    assert len(statements) <= 24
