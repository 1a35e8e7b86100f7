"""What pruning costs and what it holds back: a few statements a batch, each along an index."""

from __future__ import annotations

import pytest

from sopd.handlers import pruning
from sopd.store import Store
from sopd.store.queries import pruning as queries
from sopd.store.tables import Inbox, Journal, Push, Refusal, Signal
from tests.support.factories import add, add_many, all_rows, befriend, enrol, publish
from tests.support.plans import hearing, plan_of

DAY_MS = 86_400_000
NOW = 1_795_000_000_000
OLD = NOW - 400 * DAY_MS
NUMBERS = [kind for kind in pruning.KINDS if kind not in ("places", "refusals", "claims")]
"""Kinds whose walk goes along numbers alone."""


class OnlyStore:
    """All of an App that pruning by hand touches."""

    def __init__(self, store: Store) -> None:
        self.store = store


@pytest.fixture
def app(store: Store) -> OnlyStore:
    store.set_clock(NOW)
    return OnlyStore(store)


def ended_runs(store: Store, count: int) -> None:
    sop = publish(store)
    for _ in range(count):
        run = enrol(store, sop, befriend(store), closed_at=OLD, state="normal_end", entered_at=OLD)
        add(store, Push, enrollment_id=run.id, step_id="a", state="sent", settled_at=OLD)
        add_many(store, Journal, [{"enrollment_id": run.id, "at": OLD}] * 3)


def statements(app: OnlyStore, kind: str) -> list[str]:
    with hearing(app.store) as said:
        pruning.prune(app, kind, NOW)
    return said


@pytest.mark.parametrize("size", [2, 40])
def test_a_batch_of_runs_costs_the_same_statements_whatever_its_size(app: OnlyStore, size: int) -> None:
    ended_runs(app.store, size)

    assert len(statements(app, "runs")) <= 13
    assert len(all_rows(app.store, Journal)) == 3, "the newest run keeps its story, so that no id comes back"


@pytest.mark.parametrize("kind", NUMBERS)
def test_every_walk_goes_along_an_index(app: OnlyStore, kind: str) -> None:
    ended_runs(app.store, 3)
    pages = [sql for sql in statements(app, kind) if sql.startswith("select") and sql.endswith("limit ?")]

    assert pages
    for sql in pages:
        plan = plan_of(app.store, sql, (NOW,) * (sql.count("?") - 1) + (500,))
        assert not [line for line in plan.splitlines() if line.strip().startswith(("SCAN", "Seq Scan"))], plan


def test_the_newest_row_stays_so_that_no_id_comes_back(app: OnlyStore) -> None:
    rows = [{"received_at": OLD, "last_at": OLD, "handled_at": OLD, "state": "done"}] * 3
    made = add_many(app.store, Inbox, [*rows, {**rows[0], "state": "set_aside"}, rows[0]])

    assert pruning.prune(app, "inbox", NOW).rows == {"inbox": 3}
    assert [row[0] for row in all_rows(app.store, Inbox, "id")] == [made[3].id, made[4].id]


def test_what_an_open_run_may_ask_for_stays(app: OnlyStore) -> None:
    sop = publish(app.store)
    run = enrol(app.store, sop, befriend(app.store), entered_at=OLD, due_at=NOW + DAY_MS)
    theirs = {"customer_id": run.customer_id, "at": OLD + 1, "received_at": OLD + 1, "handled_at": OLD + 1}
    others = [{**theirs, "customer_id": run.customer_id + 1}] * 3
    add_many(app.store, Signal, [theirs, *others])

    assert pruning.prune(app, "signals", NOW).rows == {"signal": 2}
    assert all_rows(app.store, Signal, "customer_id", order="id")[0] == (run.customer_id,)


def test_a_row_that_came_to_life_after_its_page_stays_and_is_not_told_as_gone(app: OnlyStore) -> None:
    """What is told is summed up: who was refused again meanwhile must not count twice."""
    add_many(app.store, Refusal, [{"sop_id": 1, "subject_id": n, "reason": "muted", "last_at": OLD} for n in (1, 2)])

    with app.store.transaction() as tx:
        page = queries.page(tx, queries.REFUSALS, queries.REFUSALS.first, NOW, 10)
        tx.run("update refusal set last_at = ? where subject_id = 1", (NOW,))
        gone = queries.delete(tx, queries.REFUSALS, page.keys, NOW)

    assert (len(page.keys), gone) == (2, [(1, 2, "muted")])
    assert all_rows(app.store, Refusal, "subject_id") == [(1,)]
