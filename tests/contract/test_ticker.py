"""The ticker rings, and works off itself what a ring did not move: with every message lost a step is one tick late."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import psycopg
import pytest

from sopd.config import Engine
from sopd.pace import RealPace
from sopd.sandbox.config import SandboxConfig
from sopd.sandbox.world import World
from sopd.store import Store
from sopd.store.tables import Push
from sopd.ticker import Look
from tests.support.factories import all_rows
from tests.support.rig import Rig, at, settings_for

SOP = """
sop: care
kind: new_customer
title: 新客户
steps:
  - {id: first, day: 1, at: "10:00", by: mass_send, text: 第一天}
  - {id: second, day: 2, at: "10:00", by: mass_send, text: 第二天}
"""
TICK_S = 1.0


@dataclass
class House:
    """A company whose wake-ups reach nobody, one ticker, and a watch for real seconds."""

    rig: Rig
    seconds: float = 100.0
    rung: list[str] = field(default_factory=list)

    def tick(self) -> Look:
        return self.rig.engine.ticker.run_once()

    def steps(self) -> list[str]:
        return [row[0] for row in all_rows(self.rig.store, Push, "step_id", order="id")]

    def wait(self, ticks: float) -> None:
        """Time passes, for the host and the database alike."""
        self.seconds += ticks * TICK_S
        self.rig.now += round(ticks * TICK_S * 1000)
        self.rig.store.set_clock(self.rig.now)

    def go_to(self, text: str) -> None:
        """The instant at which something is due."""
        self.rig.now = at(text)
        self.rig.store.set_clock(self.rig.now)


@pytest.fixture
def house(store: Store) -> House:
    began = at("2026-03-02 09:00")
    world = World("ticker", SandboxConfig(), began)
    world.hire("alice")
    rig = Rig(store, world, began, settings=settings_for(world.config, engine=Engine(tick_ms=int(TICK_S * 1000))))
    rig.publish(("care.yaml", SOP))
    rig.settle()
    world.customer_adds("alice", "wmMei", now=rig.now)
    rig.run_until(at("2026-03-03 09:59"))
    made = House(rig)
    ticker = rig.engine.ticker
    ticker.app = replace(rig.app, ring=made.rung.append)
    ticker.monotonic = lambda: made.seconds
    made.go_to("2026-03-03 10:00")
    return made


def test_a_step_whose_ring_is_lost_fires_one_tick_later(house: House) -> None:
    house.tick()
    assert house.rung == ["fire"]
    house.wait(0.9)
    house.tick()
    assert house.steps() == []

    house.wait(0.1)
    house.tick()

    assert house.steps() == ["first"]


def test_what_a_lost_ring_leads_to_is_one_tick_late_as_well(house: House) -> None:
    house.tick()
    house.wait(1)
    house.tick()  # fires, and finds that planning has work now
    assert house.rung[-1] == "plan"
    house.wait(1)
    house.tick()
    assert [row[0] for row in all_rows(house.rig.store, Push, "state")] == ["planned"]

    house.go_to("2026-03-03 10:01")  # the slot
    house.tick()
    assert house.rig.world.tasks == {}
    house.wait(1)
    house.tick()

    assert len(house.rig.world.tasks) == 1


def test_a_stream_that_others_keep_up_with_is_left_to_them(house: House) -> None:
    house.tick()
    for _ in range(5):
        house.wait(1)
        with house.rig.store.transaction() as tx:  # what was due then is done, something else fell due since
            tx.run("update enrollment set due_at = ? where due_at is not null", (house.rig.now - 500,))
        house.tick()

    assert house.steps() == []
    assert house.rung == ["fire"] * 6


@pytest.mark.parametrize("store_url", ["postgres"], indirect=True)
def test_work_that_somebody_else_holds_is_looked_at_once_a_tick(house: House, store_url: str) -> None:
    with psycopg.connect(store_url) as other:
        other.execute("select id from enrollment for update")
        house.tick()
        house.wait(1)

        assert house.tick().again_ms == TICK_S * 1000
        assert house.steps() == []
    house.wait(1)
    house.tick()

    assert house.steps() == ["first"]


def test_the_pace_comes_back_when_a_ring_has_had_its_tick() -> None:
    waited: list[float] = []

    class Stop:
        def wait(self, seconds: float) -> None:
            waited.append(seconds)

    pace = RealPace(1000)
    for look in (Look(0, (), None), Look(0, (), 300), Look(0, (), 5000, 700), Look(0, (), 900, 0), None):
        pace.wait(look, Stop())  # type: ignore[arg-type]

    assert waited == [1.0, 0.3, 0.7, 0.01, 1.0]
