"""Clocks that change under a run: summer time begins, the clock is set back, the clock leaps ahead."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import pytest

from machines.calendar import HOUR_MS
from sopd import config
from sopd.sandbox.config import SandboxConfig
from sopd.sandbox.world import World
from sopd.store import Store
from tests.support.rig import Rig, settings_for

BERLIN = ZoneInfo("Europe/Berlin")
SOP = """
sop: care
title: care
kind: new_customer
steps:
  - {id: first, day: 1, at: "10:00", by: mass_send, text: one}
  - {id: second, day: 2, at: "10:00", by: mass_send, text: two}
  - {id: third, day: 3, at: "10:00", by: mass_send, text: three}
"""


def berlin(text: str) -> int:
    return round(dt.datetime.fromisoformat(text).replace(tzinfo=BERLIN).timestamp() * 1000)


@pytest.fixture
def rig(store: Store) -> Rig:
    """Friday morning before summer time begins, in a company that lives in Berlin; Mei has just added Alice."""
    began = berlin("2026-03-27 09:00")
    world = World("clocks", SandboxConfig(), began)
    world.hire("alice")
    rig = Rig(store, world, began, settings=settings_for(world.config, company=config.Company(zone="Europe/Berlin")))
    rig.publish(("care.yaml", SOP))
    world.customer_adds("alice", "wmMei", now=rig.now)
    rig.run_for(minutes=5)
    return rig


def confirm(rig: Rig) -> None:
    for task in rig.world.tasks.values():
        for member, assignment in task.assignments.items():
            if assignment.confirmed_at is None and task.cancelled_at is None and task.ready_at <= rig.now:
                rig.world.member_confirms(task.msgid, member, now=rig.now)


def fired(rig: Rig) -> list[tuple[str, str]]:
    """Each push with the local time at which it fired."""
    with rig.store.reading() as tx:
        rows = tx.rows("select step_id, fired_at from push order by id")
    return [(step, dt.datetime.fromtimestamp(at / 1000, BERLIN).strftime("%m-%d %H:%M")) for step, at in rows]


def arrived(rig: Rig) -> list[str]:
    return [message["text"] for message in rig.world.account()["alice", "wmMei"]["messages"]]


def test_a_step_keeps_its_local_hour_when_summer_time_begins(rig: Rig) -> None:
    for day in ("28", "29", "30"):
        rig.run_until(berlin(f"2026-03-{day} 11:00"))
        confirm(rig)
    rig.run_for(hours=3)

    assert fired(rig) == [("first", "03-28 10:00"), ("second", "03-29 10:00"), ("third", "03-30 10:00")]
    assert arrived(rig) == ["one", "two", "three"]


def test_a_clock_that_is_set_back_sends_nothing_twice(rig: Rig) -> None:
    rig.run_until(berlin("2026-03-28 10:40"))
    confirm(rig)
    rig.run_for(minutes=10)
    assert arrived(rig) == ["one"]

    rig._go_to(rig.now - HOUR_MS)
    rig.run_until(berlin("2026-03-29 11:00"))
    confirm(rig)
    rig.run_for(hours=1)

    assert fired(rig) == [("first", "03-28 10:00"), ("second", "03-29 10:00")]
    assert arrived(rig) == ["one", "two"]


def test_a_clock_that_leaps_ahead_is_a_downtime(rig: Rig) -> None:
    rig.run_until(berlin("2026-03-28 09:30"))
    rig._go_to(berlin("2026-03-28 16:00"))
    rig.run_for(minutes=30)
    confirm(rig)
    rig.run_for(hours=1)
    assert fired(rig) == [("first", "03-28 16:00")], "the same day, so within the grace"
    assert arrived(rig) == ["one"]

    rig._go_to(berlin("2026-03-30 12:00"))
    rig.run_for(minutes=30)

    with rig.store.reading() as tx:
        assert tx.rows("select step_id, state, reason from push order by due_at") == [
            ("first", "sent", None), ("second", "skipped", "late"), ("third", "requested", None),
        ]
