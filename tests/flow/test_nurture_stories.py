"""Nurture SOPs through the whole engine on both databases: old customers and new ones, and what time alone changes."""

from __future__ import annotations

import pytest

from sopd.handlers import attributes
from sopd.handlers.attributes import Change
from sopd.handlers.consequences import follow
from sopd.handlers.happened import Consequences
from sopd.handlers.signals import take_messages
from sopd.incoming.conversation import Message
from sopd.sandbox.config import SandboxConfig
from sopd.sandbox.world import World
from sopd.store import Store
from tests.support.company import local
from tests.support.rig import Rig, at

VIP, WON = "等级/会员", "结果/已唤回"

CARE = f"""
sop: care
title: 回访
kind: nurture
entry: {{when: {{tag: [{VIP}]}}}}
steps:
  - {{id: one, day: 1, at: "10:00", by: mass_send, text: one}}
  - {{id: two, day: 3, at: "10:00", by: mass_send, text: two}}
early_end: {{when: {{tag: [{WON}]}}}}
"""


@pytest.fixture
def rig(store: Store) -> Rig:
    began = at("2026-03-02 09:00")
    world = World("nurture", SandboxConfig(), began)
    for userid in ("alice", "bob"):
        world.hire(userid)
    for path in (VIP, WON):
        world.stock_tag(path, now=began)
    return Rig(store, world, began)


def care(key: str = "care", **changes: str) -> tuple[str, str]:
    text = CARE.replace("sop: care", f"sop: {key}")
    for which, rule in changes.items():
        text = text.replace({"entry": f"{{tag: [{VIP}]}}", "end": f"{{tag: [{WON}]}}"}[which], rule)
    return f"{key}.yaml", text


def add(rig: Rig, *names: str, member: str = "alice") -> None:
    for name in names:
        rig.world.customer_adds(member, name, now=rig.now)
    rig.run_for(minutes=1)


def tag(rig: Rig, name: str, path: str, member: str = "alice") -> None:
    rig.world.member_tags(member, name, path, now=rig.now)
    rig.run_for(minutes=1)


def confirm(rig: Rig) -> None:
    for task in list(rig.world.tasks.values()):
        for member, assignment in task.assignments.items():
            if assignment.confirmed_at is None and task.cancelled_at is None and task.ready_at <= rig.now:
                rig.world.member_confirms(task.msgid, member, now=rig.now)


def runs(rig: Rig, key: str = "care") -> list[tuple[str, str, str, str, str]]:
    """(customer, member, state, cause, when it entered)"""
    with rig.store.reading() as tx:
        rows = tx.rows(
            "select c.external_userid, m.userid, e.state, e.cause, e.entered_at from enrollment e"
            " join customer c on c.id = e.customer_id join member m on m.id = e.member_id"
            " join sop s on s.id = e.sop_id where s.key = ? order by e.id",
            (key,),
        )
    return [(*row[:4], local(row[4])) for row in rows]


def received(rig: Rig, name: str) -> list[str]:
    """What the customer got by WeCom's account."""
    return [
        message["text"]
        for (_, external), account in sorted(rig.world.account().items())
        if external == name
        for message in account["messages"]
    ]


def test_old_customers_get_it_from_the_start_on_and_new_ones_from_their_tag_on(rig: Rig) -> None:
    add(rig, "wmOld", "wmPlain")
    tag(rig, "wmOld", VIP)
    rig.run_until(at("2026-03-02 12:00"))
    rig.publish(care())
    rig.run_until(at("2026-03-03 09:00"))
    add(rig, "wmNew", member="bob")
    tag(rig, "wmNew", VIP, "bob")
    for day in range(3, 8):
        rig.run_until(at(f"2026-03-0{day} 11:00"))
        confirm(rig)
    rig.run_until(at("2026-03-08 12:00"))

    assert runs(rig) == [
        ("wmOld", "alice", "normal_end", "initialised", "2026-03-02 12:00"),
        ("wmNew", "bob", "normal_end", "rule", "2026-03-03 09:01"),
    ]
    assert {name: received(rig, name) for name in ("wmOld", "wmNew", "wmPlain")} == {
        "wmOld": ["one", "two"], "wmNew": ["one", "two"], "wmPlain": []
    }  # fmt: skip


def test_time_since_the_adding_lets_in_whoever_has_been_there_that_long(rig: Rig) -> None:
    add(rig, "wmOld")
    rig.publish(care(entry="{added: {older_than: 3d}}"))
    rig.run_until(at("2026-03-03 15:00"))
    add(rig, "wmNew")
    rig.run_until(at("2026-03-05 08:59"))
    assert runs(rig) == []
    rig.run_until(at("2026-03-07 12:00"))

    assert [(row[0], row[3], row[4]) for row in runs(rig)] == [
        ("wmOld", "rule", "2026-03-05 09:00"), ("wmNew", "rule", "2026-03-06 15:00")
    ]  # fmt: skip


def test_whoever_was_silent_long_enough_enters_and_a_word_puts_it_off(rig: Rig) -> None:
    add(rig, "wmMei", "wmLan")
    rig.publish(care(entry="{silent: 3d}"))
    rig.run_until(at("2026-03-04 18:00"))
    take_messages(rig.app, [(1, Message.model_validate({"ref": "m1", "from": "wmMei", "to": "alice", "text": "在吗"}))])
    rig.run_until(at("2026-03-07 17:59"))
    assert [(row[0], row[4]) for row in runs(rig)] == [("wmLan", "2026-03-05 09:00")]
    rig.run_until(at("2026-03-07 18:01"))

    assert [(row[0], row[4]) for row in runs(rig)][1:] == [("wmMei", "2026-03-07 18:00")]


def test_the_day_itself_lets_in_at_midnight(rig: Rig) -> None:
    add(rig, "wmMei", "wmLan")
    rig.publish(care(entry="{date_of: birthday}"))
    born(rig, "wmMei", "1990-03-04")
    rig.run_until(at("2026-03-05 12:00"))

    assert [(row[0], row[4]) for row in runs(rig)] == [("wmMei", "2026-03-04 00:00")]


def born(rig: Rig, name: str, day: str) -> None:
    with rig.store.transaction() as tx:
        customer_id = tx.value("select id from customer where external_userid = ?", (name,))
        follow(tx, rig.app, Consequences(news=tuple(attributes.write(tx, [Change(customer_id, {"birthday": day})]))))


def test_a_run_ends_by_the_time_that_passed(rig: Rig) -> None:
    add(rig, "wmMei")
    tag(rig, "wmMei", VIP)
    rig.publish(care(end="{silent: 2d}"))
    rig.run_until(at("2026-03-03 12:00"))
    confirm(rig)
    rig.run_until(at("2026-03-06 12:00"))

    with rig.store.reading() as tx:
        closed = [(state, local(at)) for state, at in tx.rows("select state, closed_at from enrollment")]
        left = tx.value("select count(*) from flip")
    assert closed == [("early_end", "2026-03-04 09:00")]
    assert received(rig, "wmMei") == ["one"]
    assert left == 0


def test_a_tag_that_comes_after_the_time_has_flipped_lets_in_at_once(rig: Rig) -> None:
    add(rig, "wmMei")
    rig.publish(care(entry=f"{{all: [{{tag: [{VIP}]}}, {{added: {{older_than: 1d}}}}]}}"))
    rig.run_until(at("2026-03-04 15:00"))
    assert runs(rig) == []
    tag(rig, "wmMei", VIP)

    assert [(row[0], row[4]) for row in runs(rig)] == [("wmMei", "2026-03-04 15:00")]


def test_a_customer_two_members_know_is_led_by_the_first_and_only_once(rig: Rig) -> None:
    add(rig, "wmMei", member="bob")
    add(rig, "wmMei", member="alice")
    tag(rig, "wmMei", VIP, "alice")
    rig.publish(care())
    rig.run_until(at("2026-03-03 11:00"))
    confirm(rig)
    rig.run_until(at("2026-03-03 12:00"))

    assert [row[:2] for row in runs(rig)] == [("wmMei", "bob")]
    assert received(rig, "wmMei") == ["one"]
