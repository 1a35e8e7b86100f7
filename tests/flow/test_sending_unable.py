"""Members who cannot send: refused by WeCom, out of sight, and able again (WeCom 9, SPEC 7.2), on both databases."""

from __future__ import annotations

import pytest

from machines.calendar import MINUTE_MS
from sopd.handlers import members
from sopd.store import Store
from tests.support.rig import at
from tests.support.sending import CREATED, Desk

UNABLE = "member cannot send"


def member(desk: Desk, userid: str = "alice") -> tuple[bool, str | None]:
    (row,) = desk.rows(f"select can_send, reason from member where userid = '{userid}'")
    return bool(row[0]), row[1]


@pytest.mark.parametrize("code", [40003, 60111])
def test_whom_wecom_does_not_know_cannot_send_until_a_list_names_him_again(store: Store, code: int) -> None:
    desk = Desk(store)
    desk.add("wmMei")
    desk.fails("create_mass_send", errcode=code)
    desk.run_until(CREATED + MINUTE_MS)

    assert desk.push("wmMei") == ("failed", UNABLE)
    assert member(desk) == (False, members.UNKNOWN)
    desk.add("wmBo")
    assert desk.rows("select reason from refusal") == [(UNABLE,)]

    desk.run_until(at("2026-03-04 04:00"))  # the daily full read names her

    assert member(desk) == (True, None)
    desk.run_until(at("2026-03-06 10:02"))
    assert desk.push("wmMei", "second") == ("requested", None)


def test_one_members_fault_is_not_anothers(store: Store) -> None:
    desk = Desk(store, members="alice bob")
    desk.add("wmMei")
    desk.fails("create_mass_send", errcode=40003)
    desk.run_until(CREATED)
    desk.add("wmBo", member="bob")
    desk.run_until(at("2026-03-04 10:02"))

    assert member(desk, "bob") == (True, None)
    assert desk.push("wmBo") == ("requested", None)


def test_who_went_out_of_sight_after_planning_is_asked_nothing(store: Store) -> None:
    desk = Desk(store)
    desk.add("wmMei")
    desk.run_until(at("2026-03-03 10:00"))
    assert desk.push("wmMei") == ("planned", None)
    members.take_list(desk.app, ["bob"])
    desk.run_until(CREATED + MINUTE_MS)

    assert desk.push("wmMei") == ("skipped", UNABLE)
    assert desk.tasks == []
    assert member(desk) == (False, members.OUT_OF_SIGHT)
