"""The rule the project comes from (SPEC 4): who is at a SOP's end already does not enter, but flows in all the same.

`buyers` cares for customers who have bought again. It ends for whoever buys again or sends something back, so nobody
who has bought again gets in by its own rule. And yet `winback` leads into it exactly those who have: a flow asks no
rules. What held then is inherited and reads false, so that inside only what is new ends the run.
"""

from __future__ import annotations

import json

import pytest

from sopd.store import Store
from tests.support.shop import Shop

VIP, COLD, AGAIN, BACK, WON = "客户/VIP", "客户/沉睡", "结果/已复购", "结果/退货", "结果/已唤回"

WINBACK = f"""
sop: winback
title: 唤回
kind: nurture
entry: {{when: {{tag: [{COLD}]}}}}
steps:
  - {{id: hello, day: 5, at: "10:00", by: mass_send, text: 好久不见}}
early_end: {{when: {{event: order_paid}}, add_tags: [{WON}], flow_to: buyers}}
"""
BUYERS = f"""
sop: buyers
title: 复购客户
kind: nurture
entry: {{when: {{tag: [{VIP}]}}}}
steps:
  - {{id: thanks, day: 1, at: "10:00", by: mass_send, text: 谢谢}}
early_end: {{when: {{any: [{{tag: [{AGAIN}]}}, {{tag: [{WON}]}}, {{tag: [{BACK}]}}, {{event: order_paid}}]}}}}
"""
INSIDE = ("buyers", "enrolled", None)


@pytest.fixture
def shop(store: Store) -> Shop:
    made = Shop(store, VIP, COLD, AGAIN, BACK, WON)
    made.start(WINBACK)
    made.start(BUYERS)
    return made


def test_entry_and_early_end_both_true_refuses_and_says_so(shop: Shop) -> None:
    mei = shop.meets("alice", "mei", AGAIN)

    shop.tagged(mei, VIP)

    assert shop.story("mei") == []
    assert shop.refusals("mei") == [("buyers", "already at its end", 1)]


def test_the_same_customer_gets_in_through_a_flow(shop: Shop) -> None:
    mei = shop.meets("alice", "mei", AGAIN)
    shop.tagged(mei, VIP)  # refused, as above
    shop.tagged(mei, COLD)

    shop.event("mei", "order_paid")

    assert shop.story("mei") == [("winback", "early_end", "early end: event order_paid"), INSIDE]
    run = shop.run_of("mei", "buyers")
    assert (run.cause, run.hop, run.owner) == ("flow:winback", 1, "alice")
    # Bought again, long ago; won back, by the end it flowed from; the purchase itself was before the entry.
    assert len(json.loads(run.inherited)) == 2


def test_inside_what_held_already_ends_nothing(shop: Shop) -> None:
    mei = flowed(shop)

    shop.untagged(mei, VIP)
    shop.tagged(mei, COLD, AGAIN)  # the tag is there already: nothing has happened

    assert shop.story("mei")[-1] == INSIDE


@pytest.mark.parametrize(
    ("happens", "reason"),
    [
        (lambda shop, mei: shop.tagged(mei, BACK), f"early end: tag {BACK}"),
        (lambda shop, mei: shop.event("mei", "order_paid"), "early end: event order_paid"),
    ],
    ids=["a tag that was not there", "the event once more"],
)
def test_inside_what_is_new_ends_the_run_at_once(shop: Shop, happens, reason: str) -> None:
    mei = flowed(shop)

    happens(shop, mei)

    assert shop.story("mei")[-1] == ("buyers", "early_end", reason)


def test_inside_what_went_and_came_again_is_new(shop: Shop) -> None:
    mei = flowed(shop)

    shop.untagged(mei, AGAIN)
    still_inside = shop.story("mei")[-1]
    shop.tagged(mei, AGAIN)

    assert still_inside == INSIDE
    assert shop.story("mei")[-1] == ("buyers", "early_end", f"early end: tag {AGAIN}")


def test_by_hand_is_like_a_flow(shop: Shop) -> None:
    mei = shop.meets("alice", "mei", AGAIN)

    assert [one.reason for one in shop.pull("buyers", "mei")] == [""]
    shop.tagged(mei, VIP)
    assert shop.story("mei") == [INSIDE]
    shop.tagged(mei, BACK)
    assert shop.story("mei") == [("buyers", "early_end", f"early end: tag {BACK}")]


def flowed(shop: Shop):
    """Mei, who had bought again before, is won back: inside `buyers`."""
    mei = shop.meets("alice", "mei", AGAIN)
    shop.tagged(mei, COLD)
    shop.event("mei", "order_paid")
    assert shop.story("mei")[-1] == INSIDE
    return mei
