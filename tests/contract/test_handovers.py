"""Runs that change hands, in bulk and on both databases: what it costs, and rows that fail alone (SPEC 4, 8, 15.3)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace

import pytest

from machines.calendar import DAY_MS
from sopd.commands import RetrySetAside
from sopd.handlers import aside, customers, handovers
from sopd.handlers.consequences import follow
from sopd.handlers.customers import Loss
from sopd.handlers.observe import observe
from sopd.handlers.observe_verdicts import Sighting
from sopd.store import Store
from sopd.store.tables import TABLES
from sopd.wecom.people import Follow
from tests.contract.test_runs_costs import statements
from tests.support.company import WHO
from tests.support.shop import Shop

VIP = "客户/VIP"
NURSE = f"""
sop: nurse
title: 培育
kind: nurture
entry: {{when: {{tag: [{VIP}]}}}}
steps:
  - {{id: one, day: 0, at: "09:30", by: mass_send, text: 第一次}}
  - {{id: two, day: 3, at: "10:00", by: mass_send, text: 第二次}}
"""
CARE = """
sop: care
title: 新客户
kind: new_customer
steps:
  - {id: first, day: 0, at: "09:30", by: mass_send, text: 第一天}
  - {id: second, day: 4, at: "10:00", by: mass_send, text: 第四天}
"""
SMALL, LARGE = 2, 24


@pytest.fixture
def shop(store: Store) -> Shop:
    made = Shop(store, VIP)
    made.start(NURSE)
    made.start(CARE)
    return made


def inside(shop: Shop, count: int, *others: str) -> list[SimpleNamespace]:
    """So many customers of alice, known to others too, each in both SOPs with a push in a planned task."""
    mine = [shop.meets("alice", f"c{number}") for number in range(count)]
    for number in range(count):
        for other in others:
            shop.meets(other, f"c{number}")
    shop.admit(mine)
    for number in range(count):
        shop.pull("nurse", f"c{number}", member="alice")
    shop.go_to("2026-03-02 09:30")
    shop.work()
    return mine


def lose(shop: Shop, relations: Sequence[SimpleNamespace], by: str) -> Callable[[], None]:
    losses = [Loss(one.userid, shop.name_of(one), by, shop.now) for one in relations]

    def work() -> None:
        with shop.store.transaction() as tx:
            follow(tx, shop.app, customers.lost(tx, shop.app, losses))

    return work


def taken(shop: Shop, count: int, by: str) -> Callable[[], None]:
    seen = [
        Sighting(by, f"c{number}", None, "added", follow=Follow(f"c{number}", by, created_at=shop.now, add_way=202))
        for number in range(count)
    ]
    return lambda: observe(shop.app, seen)


def owners(shop: Shop, key: str) -> set[tuple[str, str]]:
    return set(shop.rows(
        "select m.userid, e.state from enrollment e join sop s on s.id = e.sop_id join member m on m.id = e.member_id"
        " where s.key = ?", key,
    ))  # fmt: skip


def costs(store: Store, work: Callable[[Shop, int], int]) -> list[int]:
    """What `work` costs of few and of many, each in a new company."""
    found = []
    for count in (SMALL, LARGE):
        with store.transaction() as tx:
            for table in reversed(TABLES):
                tx.run(f"delete from {table._meta.table_name}")
        shop = Shop(store, VIP)
        shop.start(NURSE)
        shop.start(CARE)
        found.append(work(shop, count))
    return found


@pytest.mark.parametrize("by", ["customer", "transfer"])
def test_a_loss_costs_the_same_statements_however_many_are_lost(store: Store, by: str) -> None:
    few, many = costs(store, lambda shop, count: statements(shop, lose(shop, inside(shop, count, "bob"), by)))

    assert few == many


def test_taking_over_costs_the_same_statements_however_many_come(store: Store) -> None:
    def work(shop: Shop, count: int) -> int:
        lose(shop, inside(shop, count), "transfer")()
        assert owners(shop, "nurse") | owners(shop, "care") == {("alice", "one"), ("alice", "first")}
        shop.member("bob")
        cost = statements(shop, taken(shop, count, "bob"))
        assert owners(shop, "nurse") | owners(shop, "care") == {("bob", "one"), ("bob", "first")}
        left = "select m.userid, p.state, p.reason, p.plan_at from push p join member m on m.id = p.member_id"
        assert set(shop.rows(f"{left} where p.reason = 'handed over'")) == {("bob", "waiting", "handed over", shop.now)}
        return cost

    few, many = costs(store, work)

    assert few == many


def test_giving_up_costs_the_same_statements_however_many_waited(store: Store) -> None:
    def work(shop: Shop, count: int) -> int:
        lose(shop, inside(shop, count, "bob"), "transfer")()
        assert handovers.close(shop.app) == 0
        shop.now += DAY_MS
        shop.store.set_clock(shop.now)
        cost = statements(shop, lambda: handovers.close(shop.app))
        assert owners(shop, "nurse") == {("bob", "one")}
        assert owners(shop, "care") == {("alice", "lost")}
        return cost

    few, many = costs(store, work)

    assert few == many


def test_one_that_cannot_be_led_on_is_set_aside_and_tried_again(shop: Shop) -> None:
    first, second = inside(shop, 2, "bob")
    lose(shop, [first, second], "transfer")()
    with shop.store.transaction() as tx:
        version = tx.value("select version_id from enrollment where relation_id = ? order by id limit 1", (first.id,))
        tx.run("update enrollment set version_id = -1 where relation_id = ?", (first.id,))
    shop.now += DAY_MS
    shop.store.set_clock(shop.now)
    handovers.close(shop.app)
    aside_now = shop.rows("select kind, row_key from set_aside")
    led_on = shop.rows("select state from enrollment where relation_id = ?", second.id)
    with shop.store.transaction() as tx:
        tx.run("update enrollment set version_id = ? where version_id = -1", (version,))
    aside.retry(shop.app, RetrySetAside(WHO))
    handovers.close(shop.app)

    assert aside_now == [("relation", str(first.id))]
    assert led_on == [("lost",)]
    assert shop.rows("select distinct handover_until from relation") == [(None,)]
