"""The main story, on both databases: a customer adds a member, hears from us, and it stops the moment it has worked."""

from __future__ import annotations

from sopd import metrics
from sopd.handlers import figures
from sopd.sandbox.config import SandboxConfig
from sopd.sandbox.world import World
from sopd.store import Store
from tests.support.rig import Rig, at

SOP = """
sop: welcome
title: 新客户
kind: new_customer
entry: {when: {source: [expo2026]}}
steps:
  - {id: hello, by: welcome, text: 您好}
  - {id: first, day: 1, at: "10:00", by: mass_send, text: 第一天}
  - {id: second, day: 3, at: "10:00", by: mass_send, text: 第三天}
early_end: {when: {tag: [结果/已下单]}, add_tags: [结果/已转化]}
normal_end: {add_tags: [结果/未转化]}
"""


def rig_for(store: Store) -> Rig:
    began = at("2026-03-02 09:00")
    world = World("story", SandboxConfig(), began)
    world.hire("alice")
    for tag in ("结果/已下单", "结果/已转化", "结果/未转化"):
        world.stock_tag(tag, now=began)
    rig = Rig(store, world, began)
    rig.publish(("welcome.yaml", SOP))
    rig.settle()
    return rig


def pushes(rig: Rig) -> list[tuple[str, str, str | None]]:
    with rig.store.reading() as tx:
        return tx.rows("select step_id, state, reason from push order by id")


def states(rig: Rig) -> list[str]:
    with rig.store.reading() as tx:
        return [row[0] for row in tx.rows("select state from enrollment order by id")]


def confirm_everything(rig: Rig) -> None:
    for task in list(rig.world.tasks.values()):
        for member, assignment in task.assignments.items():
            if assignment.confirmed_at is None and task.cancelled_at is None and task.ready_at <= rig.now:
                rig.world.member_confirms(task.msgid, member, now=rig.now)


def test_a_customer_is_greeted_at_once_and_hears_each_step_on_its_day(store: Store) -> None:
    rig = rig_for(store)
    rig.world.customer_adds("alice", "wmMei", state="expo2026", now=rig.now)
    rig.run_for(seconds=5)

    assert pushes(rig) == [("hello", "sent", None)]
    assert states(rig) == ["hello"]

    rig.run_until(at("2026-03-03 10:30"))
    assert pushes(rig)[1][:2] == ("first", "requested")
    confirm_everything(rig)
    rig.run_until(at("2026-03-05 10:30"))
    confirm_everything(rig)
    rig.run_until(at("2026-03-07 12:00"))

    assert [row[:2] for row in pushes(rig)] == [("hello", "sent"), ("first", "sent"), ("second", "sent")]
    assert states(rig) == ["normal_end"]
    account = rig.world.account()["alice", "wmMei"]
    assert [message["text"] for message in account["messages"]] == ["第一天", "第三天"]
    assert account["tags"] == ["结果/未转化"]


def test_it_stops_the_moment_the_tag_is_there(store: Store) -> None:
    rig = rig_for(store)
    rig.world.customer_adds("alice", "wmMei", state="expo2026", now=rig.now)
    rig.run_until(at("2026-03-03 10:30"))
    confirm_everything(rig)
    rig.run_until(at("2026-03-04 15:00"))
    rig.world.member_tags("alice", "wmMei", "结果/已下单", now=rig.now)
    rig.run_until(at("2026-03-08 12:00"))

    assert states(rig) == ["early_end"]
    account = rig.world.account()["alice", "wmMei"]
    assert [message["text"] for message in account["messages"]] == ["第一天"]
    assert account["tags"] == ["结果/已下单", "结果/已转化"]


def test_another_source_is_left_alone(store: Store) -> None:
    rig = rig_for(store)
    rig.world.customer_adds("alice", "wmMei", state="live", now=rig.now)
    rig.run_for(days=5)

    assert states(rig) == []
    assert rig.world.account()["alice", "wmMei"]["welcomes"] == []


def test_a_customer_who_leaves_hears_nothing_more(store: Store) -> None:
    rig = rig_for(store)
    rig.world.customer_adds("alice", "wmMei", state="expo2026", now=rig.now)
    rig.run_until(at("2026-03-02 12:00"))
    rig.world.customer_deletes("alice", "wmMei", now=rig.now)
    rig.run_for(days=5)

    assert states(rig) == ["lost"]
    assert rig.world.account()["alice", "wmMei"]["messages"] == []


def test_prometheus_hears_what_became_of_it_all(store: Store) -> None:
    rig = rig_for(store)
    rig.world.customer_adds("alice", "wmMei", state="expo2026", now=rig.now)
    rig.run_until(at("2026-03-03 10:30"))
    rig.world.member_tags("alice", "wmMei", "结果/已下单", now=rig.now)
    rig.run_for(hours=1)

    figures.show(rig.app)

    text = metrics.exposition()[0].decode()
    assert 'sopd_pushes{reason="",state="sent"} 1.0' in text, "the welcome"
    assert 'sopd_enrollments{state="entered"} 1.0' in text
    assert 'sopd_enrollments{state="early_end"} 1.0' in text
    assert "sopd_set_aside{" not in text
