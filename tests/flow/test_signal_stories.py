"""What customers do and say, from the sandbox through the API to rules: whole ways, on both databases (SPEC 4, 10)."""

from __future__ import annotations

import pytest

from sopd.sandbox.config import SandboxConfig
from sopd.sandbox.world import World
from sopd.store import Store
from tests.support.rig import Rig, at

PRICE = "阶段/考虑价格"

TALK = """
sop: product-talk
title: 聊过防晒
kind: nurture
entry: {when: {event: {name: product_discussed, where: {product: 防晒}}}, reenter: after_end}
anchor: event
steps:
  - {id: benefits, day: 1, at: "10:00", by: mass_send, text: 防晒的好处}
early_end: {when: {event: order_paid}}
"""

ASKING = """
sop: offer
title: 优惠
kind: new_customer
priority: 60
entry: {when: {source: [live]}}
steps:
  - {id: coupon, day: 1, at: "10:00", by: mass_send, text: 优惠券,
     on_reply: {keywords: {价格: {add_tags: [阶段/考虑价格], set: {asked: true}}}}}
"""

CARE = """
sop: care
title: 关怀
kind: new_customer
entry: {when: {source: [live]}}
steps:
  - {id: hello, day: 3, at: "10:00", by: mass_send, text: 您好}
early_end: {when: {tag: [阶段/考虑价格]}, add_tags: [结果/转销售]}
"""


class Shop:
    """A rig with two members and the tags of the stories."""

    def __init__(self, store: Store, *definitions: str) -> None:
        start = at("2026-03-02 08:30")
        self.world = World("shop", SandboxConfig(), start)
        for member in ("alice", "bob"):
            self.world.hire(member)
        for path in (PRICE, "结果/转销售"):
            self.world.stock_tag(path, now=start)
        self.rig = Rig(store, self.world, start)
        self.rig.run_for(minutes=1)
        self.rig.publish(*((f"{n}.yaml", text) for n, text in enumerate(definitions)))
        self.rig.run_until(at("2026-03-02 09:00"))

    def rows(self, sql: str) -> list[tuple]:
        with self.rig.store.reading() as tx:
            return tx.rows(sql)

    def runs(self) -> list[tuple[str, str, str | None]]:
        return self.rows(
            "select s.key, e.state, e.reason from enrollment e join sop s on s.id = e.sop_id order by e.id"
        )

    def confirm_all(self) -> None:
        """Every member confirms every task that is out, now."""
        for task in self.world.tasks.values():
            for member, share in task.assignments.items():
                if share.confirmed_at is None and task.cancelled_at is None:
                    self.world.member_confirms(task.msgid, member, now=self.rig.now)


def test_who_talked_about_a_product_gets_its_benefits_the_next_morning(store: Store) -> None:
    shop = Shop(store, TALK)
    shop.world.customer_adds("alice", "wmMei", now=shop.rig.now)
    shop.world.customer_adds("alice", "wmLan", now=shop.rig.now)
    shop.rig.run_until(at("2026-03-04 15:20"))

    shop.world.customer_does("wmMei", "product_discussed", now=shop.rig.now, properties={"product": "防晒"})
    shop.world.customer_does("wmLan", "product_discussed", now=shop.rig.now, properties={"product": "口红"})
    shop.rig.run_until(at("2026-03-05 09:59"))
    assert shop.runs() == [("product-talk", "enrolled", None)] and shop.world.tasks == {}
    shop.rig.run_until(at("2026-03-05 10:30"))

    (task,) = shop.world.tasks.values()
    assert [*task.assignments["alice"].recipients] == ["wmMei"]
    assert at("2026-03-05 10:00") <= task.created_at < at("2026-03-05 10:30")
    assert shop.rows("select cause, anchor_at from enrollment") == [
        ("event:product_discussed", at("2026-03-04 15:20"))
    ]  # fmt: skip


def test_an_order_ends_what_it_makes_needless_and_an_earlier_one_does_not(store: Store) -> None:
    shop = Shop(store, TALK)
    shop.world.customer_adds("alice", "wmMei", now=shop.rig.now)
    shop.world.customer_does("wmMei", "order_paid", now=shop.rig.now)
    shop.rig.run_until(at("2026-03-02 15:00"))
    shop.world.customer_does("wmMei", "product_discussed", now=shop.rig.now, properties={"product": "防晒"})
    shop.rig.run_until(at("2026-03-02 16:00"))
    assert shop.runs() == [("product-talk", "enrolled", None)]

    shop.world.customer_does("wmMei", "order_paid", now=shop.rig.now, properties={"amount": 99})
    shop.rig.run_until(at("2026-03-03 11:00"))

    assert shop.runs() == [("product-talk", "early_end", "early end: event order_paid")]
    assert shop.world.tasks == {}


def test_a_keyword_in_an_answer_tags_and_the_tag_ends_another_run(store: Store) -> None:
    shop = Shop(store, ASKING, CARE)
    shop.world.customer_adds("bob", "wmMei", now=shop.rig.now, state="live")
    shop.rig.run_until(at("2026-03-03 10:40"))
    shop.confirm_all()
    shop.rig.run_until(at("2026-03-03 12:00"))

    shop.world.chat("bob", "wmMei", now=shop.rig.now, text="价格多少?")
    shop.rig.run_for(minutes=5)

    ended = {key: (state, reason) for key, state, reason in shop.runs()}
    assert ended["care"] == ("early_end", f"early end: tag {PRICE} (hop 1)")
    assert set(shop.world.account()["bob", "wmMei"]["tags"]) == {PRICE, "结果/转销售"}
    assert shop.rows("select attributes from customer") == [('{"asked": true}',)]


@pytest.mark.parametrize("text", ["多少钱", "好的"])
def test_another_answer_ends_nothing(store: Store, text: str) -> None:
    shop = Shop(store, ASKING, CARE)
    shop.world.customer_adds("bob", "wmMei", now=shop.rig.now, state="live")
    shop.rig.run_until(at("2026-03-03 10:40"))
    shop.confirm_all()
    shop.rig.run_until(at("2026-03-03 12:00"))

    shop.world.chat("bob", "wmMei", now=shop.rig.now, text=text)
    shop.rig.run_for(minutes=5)

    assert ("care", "enrolled", None) in shop.runs()
    assert shop.rows("select last_talk_at from relation") == [(at("2026-03-03 12:00"),)]
