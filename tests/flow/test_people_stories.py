"""Stories of people in the whole engine: what callbacks tell, what they do not, and what it means for runs."""

from __future__ import annotations

from sopd.commands import MuteCustomers
from sopd.handlers import customers
from sopd.sandbox.config import SandboxConfig
from sopd.sandbox.faults import Fault
from sopd.sandbox.letters import PostHabits
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
early_end: {when: {tag: [结果/已下单]}, add_tags: [结果/已转化]}
normal_end: {add_tags: [结果/未转化]}
"""
TAGS = ("结果/已下单", "结果/已转化", "结果/未转化")


def rig_for(store: Store, habits: PostHabits | None = None, **sandbox: object) -> Rig:
    began = at("2026-03-02 09:00")
    world = World("people", SandboxConfig(**sandbox), began, habits)  # type: ignore[arg-type]
    for member in ("alice", "bob"):
        world.hire(member)
    for tag in TAGS:
        world.stock_tag(tag, now=began)
    rig = Rig(store, world, began)
    rig.publish(("welcome.yaml", SOP))
    rig.run_for(seconds=10)
    return rig


def pushes(rig: Rig) -> list[tuple[str, str, str, str | None]]:
    with rig.store.reading() as tx:
        return tx.rows(
            "select c.external_userid, p.step_id, p.state, p.reason from push p"
            " join customer c on c.id = p.customer_id order by p.customer_id, p.id"
        )


def runs(rig: Rig) -> list[tuple[str, str]]:
    with rig.store.reading() as tx:
        return tx.rows("select c.external_userid, e.state from enrollment e join customer c on c.id = e.customer_id"
                       " order by e.id")  # fmt: skip


def confirm(rig: Rig) -> None:
    for task in list(rig.world.tasks.values()):
        for member, assignment in task.assignments.items():
            if assignment.confirmed_at is None and task.cancelled_at is None and task.ready_at <= rig.now:
                rig.world.member_confirms(task.msgid, member, now=rig.now)


def add(rig: Rig, *names: str, member: str = "alice") -> None:
    for name in names:
        rig.world.customer_adds(member, name, state="expo2026", now=rig.now)


def test_without_any_callback_the_nightly_read_finds_new_customers_in_time(store: Store) -> None:
    rig = rig_for(store, PostHabits(lost=1.0))
    add(rig, "wmMei")
    rig.run_until(at("2026-03-03 03:00"))
    before = runs(rig)
    rig.run_until(at("2026-03-03 10:30"))
    confirm(rig)
    rig.run_until(at("2026-03-04 12:00"))

    assert before == []
    assert pushes(rig) == [
        ("wmMei", "hello", "skipped", "no welcome code"), ("wmMei", "first", "sent", None)
    ]  # fmt: skip
    assert rig.world.account()["alice", "wmMei"]["tags"] == ["结果/未转化"]


def test_the_nightly_read_sees_what_ended_and_what_was_tagged(store: Store) -> None:
    rig = rig_for(store)
    add(rig, "wmMei", "wmLan", "wmJia")
    rig.run_for(minutes=1)
    rig.world.customer_deletes("alice", "wmMei", now=rig.now)
    rig.world.member_tags("alice", "wmLan", "结果/已下单", now=rig.now)
    rig.world.mailbox.waiting.clear()
    rig.run_until(at("2026-03-03 04:00"))

    assert dict(runs(rig)) == {"wmMei": "lost", "wmLan": "early_end", "wmJia": "hello"}
    assert rig.world.account()["alice", "wmLan"]["tags"] == ["结果/已下单", "结果/已转化"]


def test_welcomes_arrive_in_time_while_letters_come_late_and_twice(store: Store) -> None:
    rig = rig_for(store, PostHabits(duplicated=0.5, overtaken=1.0))
    names = [f"wm{number:02d}" for number in range(20)]
    for name in names:
        add(rig, name)
        rig.run_for(seconds=1)
    rig.run_for(seconds=20)

    assert [row[1:3] for row in pushes(rig)] == [("hello", "sent")] * 20
    assert all(len(rig.world.account()["alice", name]["welcomes"]) == 1 for name in names)


def test_callbacks_accepted_while_wecom_is_away_are_not_forgotten(store: Store) -> None:
    rig = rig_for(store)
    faults = rig.stage.gateway.faults
    faults.plan("get", Fault("http_502"), times=10_000)
    add(rig, "wmMei")
    rig.run_for(hours=2)
    before = runs(rig)
    faults.clear()
    rig.run_for(hours=2)

    assert before == []
    assert runs(rig) == [("wmMei", "hello")]
    assert pushes(rig) == [("wmMei", "hello", "skipped", "welcome code expired")]


def test_a_customer_handed_over_is_not_new_to_the_taker(store: Store) -> None:
    rig = rig_for(store)
    add(rig, "wmMei")
    rig.run_for(minutes=1)
    rig.world.transfer("alice", "bob", "wmMei", now=rig.now)
    rig.run_until(at("2026-03-03 11:00"))
    confirm(rig)
    rig.run_until(at("2026-03-04 12:00"))

    assert runs(rig) == [("wmMei", "normal_end")]
    assert [list(task.assignments) for task in rig.world.tasks.values()] == [["bob"]]


def test_a_mute_takes_the_customer_out_of_the_task_that_is_out(store: Store) -> None:
    rig = rig_for(store)
    add(rig, "wmMei", "wmLan")
    rig.run_until(at("2026-03-03 10:40"))
    with store.reading() as tx:
        out = tx.rows("select state from dispatch")
    customers.mute(rig.app, MuteCustomers(("wmMei",), True, "operator"))
    rig.run_until(at("2026-03-03 11:30"))
    confirm(rig)
    rig.run_until(at("2026-03-03 14:00"))

    assert out == [("requested",)]
    assert {row[0]: row[2:] for row in pushes(rig) if row[1] == "first"} == {
        "wmMei": ("skipped", "muted"), "wmLan": ("sent", None)
    }  # fmt: skip
    account = rig.world.account()
    assert [message["text"] for message in account["alice", "wmLan"]["messages"]] == ["第一天"]
    assert account["alice", "wmMei"]["messages"] == []


def test_an_echo_of_our_own_tags_ends_nothing_twice(store: Store) -> None:
    rig = rig_for(store, echo=True)
    add(rig, "wmMei")
    rig.run_for(minutes=1)
    rig.world.member_tags("alice", "wmMei", "结果/已下单", now=rig.now)
    rig.run_for(hours=1)

    assert runs(rig) == [("wmMei", "early_end")]
    assert rig.world.account()["alice", "wmMei"]["tags"] == ["结果/已下单", "结果/已转化"]
    with store.reading() as tx:
        assert tx.value("select count(*) from journal where kind = 'end'") == 1
        assert tx.value("select count(*) from dirty") == 0
