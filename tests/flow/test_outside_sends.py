"""What others send uses up the customers' windows; read in time, it saves a refusal (D6-D10, D16). Both databases."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from machines.calendar import HOUR_MS, MINUTE_MS
from sopd.config import Quota
from sopd.sandbox.config import SandboxConfig
from sopd.sandbox.records import Content
from sopd.store import Store
from tests.support.plans import hearing
from tests.support.rig import at, settings_for
from tests.support.sending import CREATED, SOP, Desk

NOON = SOP.replace('"10:00"', '"13:00"')
DAY = "D2026-03-03"


def desk_of(store: Store, *customers: str, sop: str = NOON, every_minutes: int = 240, **config: Any) -> Desk:
    """A desk whose customers' first step falls due on Tuesday at 13:00; others' sends are read at 12:00."""
    desk = Desk(store, sop=sop, reads_others=True, **config)
    reads_every(desk, every_minutes)
    desk.add(*customers)
    return desk


def reads_every(desk: Desk, minutes: int) -> None:
    """From the next round on."""
    quota = Quota(mode=desk.world.config.quota, own_sends_every_minutes=minutes)
    desk.app = replace(desk.app, settings=replace(desk.settings, quota=quota))


def own_send(desk: Desk, when: str, *customers: str, member: str = "alice") -> None:
    desk.run_until(at(when))
    desk.world.member_sends_own(member, customers, "早上好", now=desk.now)


def outside(desk: Desk) -> list[tuple[str, int]]:
    """Windows and places without a push."""
    return desk.rows('select "window", place from reservation where push_id is null order by customer_id, 1, 2')


def test_a_members_own_send_is_read_and_the_push_defers_before_wecom_refuses(store: Store) -> None:
    desk = desk_of(store, "wmMei", "wmBo")
    own_send(desk, "2026-03-03 09:30", "wmMei")
    desk.run_until(at("2026-03-03 13:05"))

    assert outside(desk) == [(DAY, 1)]
    assert desk.push("wmMei") == ("waiting", "quota")
    assert desk.push("wmBo") == ("requested", None)
    assert len(desk.tasks) == 1
    desk.run_until(at("2026-03-04 13:05"))
    assert desk.push("wmMei") == ("requested", None)


def test_what_was_read_is_booked_once_however_often_the_list_shows_it(store: Store) -> None:
    desk = desk_of(store, "wmMei", quota="week:7", page_cap=1)
    own_send(desk, "2026-03-03 11:58", "wmMei")
    own_send(desk, "2026-03-03 11:59", "wmMei")
    reads_every(desk, 1)
    desk.run_until(at("2026-03-03 12:20"))

    assert outside(desk) == [("W2026-03-02", 1), ("W2026-03-02", 2)]


def test_a_window_that_is_over_is_not_booked_any_more(store: Store) -> None:
    desk = desk_of(store, "wmMei")
    own_send(desk, "2026-03-02 22:30", "wmMei")
    desk.run_until(at("2026-03-03 00:10"))

    assert outside(desk) == []


def test_a_reservation_once_made_is_never_taken_away(store: Store) -> None:
    desk = desk_of(store, "wmMei", sop=SOP)
    desk.run_until(CREATED + MINUTE_MS)
    before = desk.reserved("wmMei")
    own_send(desk, "2026-03-03 10:30", "wmMei")
    desk.run_until(at("2026-03-03 12:05"))

    assert desk.push("wmMei") == ("requested", None)
    assert desk.reserved("wmMei") == [DAY, *before], "ours stays; the other send's place lies beyond what fits"
    assert outside(desk) == [(DAY, 2)]
    desk.confirms()
    desk.run_for(hours=2)
    assert desk.push("wmMei") == ("waiting", "quota"), "WeCom has refused it, and the day stays full"


def test_a_task_made_elsewhere_counts_once_its_member_has_confirmed_it(store: Store) -> None:
    desk = desk_of(store, "wmMei")
    desk.run_until(at("2026-03-03 09:30"))
    relation = desk.world.friends("alice", "wmMei")
    assert relation is not None
    task = desk.world.create_mass_send([relation], Content("活动"), now=desk.now)
    desk.run_until(at("2026-03-03 11:00"))
    assert outside(desk) == []

    desk.confirms(task)
    desk.run_until(at("2026-03-03 13:05"))

    assert outside(desk) == [(DAY, 1)]
    assert desk.push("wmMei") == ("waiting", "quota")


def test_a_task_of_ours_whose_answer_was_lost_is_not_taken_for_anothers(store: Store) -> None:
    desk = desk_of(store, "wmMei", sop=SOP.replace("10:00", "12:00"), quota="week:7")
    desk.fails("create_mass_send", "drop", after=True)
    desk.run_until(at("2026-03-03 11:59"))
    reads_every(desk, 1)
    desk.run_until(at("2026-03-03 12:01"))
    assert desk.dispatches() == ["uncertain"]
    desk.run_for(seconds=40)
    desk.confirms()
    desk.run_for(minutes=30)

    assert desk.push("wmMei") == ("sent", None)
    assert outside(desk) == []
    assert desk.reserved("wmMei") == ["W2026-03-02"]


def test_members_without_open_runs_cost_no_call(store: Store) -> None:
    desk = Desk(store, reads_others=True)
    desk.run_for(days=1)
    assert desk.calls("mass_sends") == 0

    desk.add("wmMei")
    desk.run_for(hours=4)
    assert desk.calls("mass_sends") == 1


def test_a_failing_list_is_asked_for_again_and_a_failing_result_does_not_stop_the_rest(store: Store) -> None:
    desk = desk_of(store, "wmMei", "wmBo")
    own_send(desk, "2026-03-03 09:30", "wmMei")
    desk.world.member_sends_own("alice", ["wmBo"], "你好", now=desk.now)
    desk.fails("mass_sends", "http_502", times=2)
    desk.fails("mass_send_results", errcode=-1, times=2)
    desk.run_until(at("2026-03-03 12:30"))

    assert outside(desk) == [(DAY, 1), (DAY, 1)]


def test_whoever_does_not_want_it_is_not_bothered(store: Store) -> None:
    settings = settings_for(SandboxConfig())
    assert settings.quota.own_sends_every_minutes == 240
    desk = desk_of(store, "wmMei", every_minutes=0)
    own_send(desk, "2026-03-03 09:30", "wmMei")
    desk.run_until(at("2026-03-03 13:05"))

    assert (desk.calls("mass_sends"), outside(desk)) == (0, [])
    assert desk.push("wmMei") == ("requested", None)


@pytest.mark.parametrize("sends", [1, 40])
def test_reading_costs_statements_per_page_not_per_customer(store: Store, sends: int) -> None:
    desk = desk_of(store, *(f"wm{number:02d}" for number in range(40)))
    own_send(desk, "2026-03-03 09:30", *(f"wm{number:02d}" for number in range(sends)))
    desk.run_until(at("2026-03-03 12:00") - 1)
    with hearing(store) as asked:
        desk.run_for(minutes=1)

    assert len(outside(desk)) == sends
    assert sum("reservation" in sql for sql in asked) <= 4
    assert desk.now < CREATED + 3 * HOUR_MS
