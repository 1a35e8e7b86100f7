"""Hot questions about people go through indexes, on both databases (ARCHITECTURE 5, SPEC 15.4)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sopd.store import Store, Transaction
from sopd.store.queries import enrollments, entries, facts, inbox, owners, people, tags
from sopd.store.tables import Customer, Enrollment, Member, Outbox, Relation, RelationTag
from tests.support.plans import assert_uses_index, overheard

PAIRS = [("alice", "wm1"), ("bob", "wm2")]
QUESTIONS: list[tuple[str, Callable[[Transaction], object], tuple[str, ...]]] = [
    ("callbacks that wait", lambda tx: inbox.new_ids(tx, True, 10), ("inbox_new",)),
    ("whether a re-read is due", lambda tx: inbox.any_due(tx, False), ("dirty_act",)),
    ("re-reads to claim", lambda tx: inbox.claim(tx, False, 10, 1000), ("dirty_act", "dirty_pkey")),
    ("re-reads that are done", lambda tx: inbox.finish(tx, [("alice", "wm1", 1)]), ("dirty_pkey",)),
    ("re-reads that are put off", lambda tx: inbox.postpone(tx, [("alice", "wm1", 1, "r")]), ("dirty_pkey",)),
    ("relations by ids of WeCom", lambda tx: people.lock_known(tx, PAIRS),
     ("customer_external_userid", "relation_customer_id_member_id")),
    ("relations by ids of ours", lambda tx: people.lock_between(tx, {(1, 1): PAIRS[0]}),
     ("relation_customer_id_member_id",)),
    ("relations of a member", lambda tx: people.of_member(tx, "alice"), ("relation_member_id",)),
    ("open runs of relations", lambda tx: people.open_runs(tx, [1, 2]), ("enrollment_open_relation",)),
    ("open runs of customers", lambda tx: people.runs_of_customers(tx, [1, 2]), ("enrollment_open_customer",)),
    ("relations handed over to nobody", lambda tx: owners.over_ids(tx, 10), ("relation_handover",)),
    ("relations that are missing", lambda tx: people.missing(tx, "alice"), ("relation_missing",)),
    ("relations of customers", lambda tx: owners.relations(tx, [1, 2]), ("relation_customer_id_member_id",)),
    ("tags that hold", lambda tx: facts.held_tags(tx, [1, 2]), ("relation_tag_pkey",)),
    ("runs that news may end", lambda tx: enrollments.open_runs_of(tx, [1, 2]), ("enrollment_open_customer",)),
    ("last runs of subjects", lambda tx: entries.last_runs(tx, [1], [1, 2]), ("enrollment_runs",)),
    ("runs in SOPs rules ask about", lambda tx: facts.runs_in_sops(tx, [1, 2], [1, 2], ["care"]), ("enrollment_runs",)),
    ("tag rows of relations", lambda tx: tags.on_relations(tx, [1, 2]), ("relation_tag_pkey",)),
    ("tag writes still to be made", lambda tx: tags.open_writes(tx, [1, 2]), ("outbox_relation",)),
    ("tags by id", lambda tx: tags.by_ids(tx, ["et1"]), ("tag_tag_id",)),
]  # fmt: skip


@pytest.fixture(scope="module")
def filled(own_store: Store) -> Store:
    with own_store.transaction() as tx:
        populate(tx)
    return own_store


@pytest.mark.parametrize(("question", "ask", "indexes"), QUESTIONS, ids=[row[0] for row in QUESTIONS])
def test_a_question_goes_through_its_index(
    filled: Store, question: str, ask: Callable[[Transaction], object], indexes: tuple[str, ...]
) -> None:
    with filled.transaction() as tx:
        asked = overheard(tx)
        ask(tx)
        sql, params = asked[-1]

    for index in indexes:
        assert_uses_index(filled, sql, params, index)


def populate(tx: Transaction) -> None:
    """Enough of everything that a planner need not guess."""
    every = range(1, 1501)
    tx.insert(Member, [{"userid": f"m{n}", "seen_at": 0} for n in range(1, 4)])
    tx.insert(Customer, [{"external_userid": f"wm{n}", "seen_at": 0} for n in every])
    tx.insert(Relation, [{"member_id": 1 + n % 3, "customer_id": n, "began_at": 0, "learned_at": 0} for n in every])
    tx.insert(RelationTag, [{"relation_id": n, "tag_id": "et1", "since": 0} for n in every], returning=())
    tx.insert(Enrollment, [{"sop_id": 1, "version_id": 1, "subject_id": n, "customer_id": n, "relation_id": n,
                            "member_id": 1, "anchor_at": 0, "entered_at": 0, "cause": "added"}
                           for n in every])  # fmt: skip
    tx.insert(Outbox, [{"kind": "mark_tag", "key": f"end/{n}", "relation_id": n, "payload": "{}", "created_at": 0,
                        "state": "pending" if n % 3 else "done"} for n in every])  # fmt: skip
    tx.run("analyze")
