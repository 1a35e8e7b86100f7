"""Runs through the whole engine on both databases: rivals, claims, pause and stop against WeCom's own account."""

from __future__ import annotations

import pytest

from sopd.commands import PauseSop, ResumeSop, StopSop
from sopd.handlers import sops
from sopd.sandbox.config import SandboxConfig
from sopd.sandbox.world import World
from sopd.store import Store
from tests.support.rig import WHO, Rig, at

CARE = """
sop: {key}
title: {key}
kind: new_customer
{also}
steps:
  - {{id: first, day: 1, at: "10:00", by: mass_send, text: {key} one}}
  - {{id: second, day: 3, at: "10:00", by: mass_send, text: {key} two}}
"""


def care(key: str = "care", also: str = "") -> tuple[str, str]:
    return f"{key}.yaml", CARE.format(key=key, also=also)


@pytest.fixture
def rig(store: Store) -> Rig:
    began = at("2026-03-02 09:00")
    world = World("runs", SandboxConfig(), began)
    for userid in ("alice", "bob"):
        world.hire(userid)
    return Rig(store, world, began)


def pushes(rig: Rig, key: str = "care") -> list[tuple[str, str, str, str | None]]:
    with rig.store.reading() as tx:
        return tx.rows(
            "select m.userid, p.step_id, p.state, p.reason from push p join member m on m.id = p.member_id"
            " join sop s on s.id = p.sop_id where s.key = ? order by p.id",
            (key,),
        )


def confirm(rig: Rig) -> None:
    """Every member confirms every task there is now."""
    for task in list(rig.world.tasks.values()):
        for member, assignment in task.assignments.items():
            if assignment.confirmed_at is None and task.cancelled_at is None and task.ready_at <= rig.now:
                rig.world.member_confirms(task.msgid, member, now=rig.now)


def texts(rig: Rig, customer: str = "wmMei") -> list[str]:
    """What the customer received by WeCom's account, from whomever."""
    return [
        message["text"]
        for (_, external), account in sorted(rig.world.account().items())
        if external == customer
        for message in account["messages"]
    ]


def test_what_one_member_let_expire_the_other_sends(rig: Rig) -> None:
    rig.publish(care())
    rig.world.customer_adds("alice", "wmMei", now=rig.now)
    rig.world.customer_adds("bob", "wmMei", now=rig.now)

    rig.run_until(at("2026-03-04 23:59"))
    waiting = pushes(rig)
    rig.run_until(at("2026-03-05 09:00"))
    confirm(rig)
    rig.run_until(at("2026-03-05 09:30"))

    assert waiting[1] == ("bob", "first", "waiting", "same content via alice")
    assert pushes(rig)[:2] == [("alice", "first", "expired", "not confirmed"), ("bob", "first", "sent", None)]
    assert texts(rig) == ["care one"]


def test_two_sops_share_a_customer_and_nobody_gets_two_messages_a_day(rig: Rig) -> None:
    rig.publish(care("weak"), care("strong", "priority: 90"))
    rig.world.customer_adds("alice", "wmMei", now=rig.now)
    for day in range(3, 9):
        rig.run_until(at(f"2026-03-0{day} 10:30"))
        confirm(rig)
        rig.run_until(at(f"2026-03-0{day} 20:00"))

    assert {row[2] for row in pushes(rig, "strong")} == {"sent"}
    assert [row[1:3] for row in pushes(rig, "weak")] == [("first", "sent"), ("second", "sent")]
    days = [message["at"] for account in rig.world.account().values() for message in account["messages"]]
    assert len(days) == 4
    assert len({instant // 86_400_000 for instant in days}) == 4


def test_a_members_own_send_defers_the_step_to_the_next_day(rig: Rig) -> None:
    rig.publish(care())
    rig.world.customer_adds("alice", "wmMei", now=rig.now)
    rig.run_until(at("2026-03-03 10:30"))
    rig.world.member_sends_own("alice", ["wmMei"], "own", now=rig.now)
    confirm(rig)
    rig.run_until(at("2026-03-03 12:00"))
    deferred = pushes(rig)

    rig.run_until(at("2026-03-04 10:30"))
    confirm(rig)
    rig.run_until(at("2026-03-04 12:00"))

    assert deferred == [("alice", "first", "waiting", "quota")]
    assert pushes(rig) == [("alice", "first", "sent", None)]
    assert texts(rig) == ["own", "care one"]


def test_a_pause_takes_open_tasks_back_and_resume_goes_on_behind_them(rig: Rig) -> None:
    rig.publish(care())
    rig.world.customer_adds("alice", "wmMei", now=rig.now)
    rig.run_until(at("2026-03-03 10:30"))

    sops.pause(rig.app, PauseSop("care", WHO))
    rig.run_until(at("2026-03-04 12:00"))
    paused = pushes(rig)
    sops.resume(rig.app, ResumeSop("care", WHO))
    rig.run_until(at("2026-03-05 10:30"))
    confirm(rig)
    rig.run_until(at("2026-03-05 12:00"))

    assert paused == [("alice", "first", "waiting", "sop paused")]
    assert pushes(rig) == [("alice", "first", "skipped", "paused"), ("alice", "second", "sent", None)]
    assert all(task.cancelled_at is not None for task in list(rig.world.tasks.values())[:1])
    assert texts(rig) == ["care two"]


def test_a_stop_takes_open_tasks_back_and_ends_everybody(rig: Rig) -> None:
    rig.publish(care())
    for customer in ("wmMei", "wmLea"):
        rig.world.customer_adds("alice", customer, now=rig.now)
    rig.run_until(at("2026-03-03 10:30"))

    sops.stop(rig.app, StopSop("care", WHO))
    rig.run_until(at("2026-03-03 12:00"))
    confirm(rig)
    rig.run_until(at("2026-03-06 12:00"))

    assert {row[2:] for row in pushes(rig)} == {("cancelled", "stopped")}
    assert texts(rig) == []
    with rig.store.reading() as tx:
        assert tx.rows("select distinct state from enrollment") == [("stopped",)]
        assert tx.rows("select count(*) from reservation") == [(0,)]
