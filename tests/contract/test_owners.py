"""Who may own runs of a customer, loaded on both databases (SPEC 4, 8)."""

from __future__ import annotations

from sopd.handlers import owners
from sopd.store import Store
from sopd.store.tables import Customer, Member, Relation, RelationTag
from tests.support.factories import T0, add, befriend
from tests.support.plans import overheard


def test_candidates_are_all_relations_with_what_owner_rules_look_at(store: Store) -> None:
    alice = befriend(store, "alice", "wm1", channel="expo2026", add_way=1, began_at=T0)
    carol = add(store, Member, userid="carol", can_send=False)
    gone = add(
        store, Relation, member_id=carol.id, customer_id=alice.customer_id, state="lost", began_at=T0 + 1,
        last_talk_at=T0 + 2,
    )  # fmt: skip
    for relation, tag_id, wanted in ((alice, "et1", None), (alice, "et2", 0), (gone, "et3", 1)):
        add(store, RelationTag, relation_id=relation.id, tag_id=tag_id, wanted=wanted)
    stranger = add(store, Customer)

    with store.reading() as tx:
        bare = owners.candidates(tx, [alice.customer_id, stranger.id])
        tagged = owners.candidates(tx, [alice.customer_id], with_tags=True)

    first = owners.Owner(
        alice.id, alice.customer_id, alice.member_id, "alice", True, "active", "expo2026", 1, T0, None, T0
    )
    second = owners.Owner(gone.id, alice.customer_id, carol.id, "carol", False, "lost", "", 0, T0 + 1, T0 + 2, T0)
    assert bare == {alice.customer_id: (first, second)}
    assert tagged == {
        alice.customer_id: (first._replace(tags=frozenset({"et1"})), second._replace(tags=frozenset({"et3"})))
    }


def test_candidates_of_many_cost_as_many_statements_as_of_one(store: Store) -> None:
    people = [befriend(store, "alice").customer_id for _ in range(30)]
    counts = []
    for some in (people[:1], people):
        with store.reading() as tx:
            asked = overheard(tx)
            owners.candidates(tx, some, with_tags=True)
        counts.append(sum("from relation" in sql for sql, _ in asked))

    assert counts == [2, 2]
