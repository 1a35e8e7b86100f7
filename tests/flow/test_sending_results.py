"""What becomes of a task in WeCom becomes of its pushes (SPEC 7.6, D7, D8, D11, D13, D15, D18), on both databases."""

from __future__ import annotations

import pytest

from machines.calendar import DAY_MS, HOUR_MS, MINUTE_MS
from sopd.store import Store
from tests.support.rig import at
from tests.support.sending import CREATED, SOP, Desk

EXPIRY = at("2026-03-05 00:00")
"""The end of the day after the one it was planned for."""


def desk_with_task(store: Store, *customers: str, **config: object) -> Desk:
    """A desk whose customers' first task has just been created."""
    desk = Desk(store, **config)  # type: ignore[arg-type]
    desk.add(*customers)
    desk.run_until(CREATED + MINUTE_MS)
    return desk


def test_a_confirmed_task_is_sent_to_everybody_at_wecoms_time(store: Store) -> None:
    desk = desk_with_task(store, "wmMei", "wmBo", page_cap=1)
    desk.run_for(minutes=1, seconds=30)
    confirmed_at = desk.now // 1000 * 1000
    desk.confirms()
    desk.run_for(minutes=5)

    for name in ("wmMei", "wmBo"):
        assert desk.push(name) == ("sent", None)
        assert desk.sent_at(name) == confirmed_at
        assert desk.reserved(name) == ["D2026-03-03"]
        assert desk.received(name) == ["第一天"]
    assert desk.dispatches() == ["settled"]


def test_an_unconfirmed_task_is_looked_at_with_growing_gaps(store: Store) -> None:
    desk = desk_with_task(store, "wmMei")
    desk.run_until(CREATED + 10 * HOUR_MS)

    assert desk.push("wmMei") == ("requested", None)
    before_nags = 3  # the member may have confirmed meanwhile
    assert 3 + 9 <= desk.calls("mass_send_tasks") - before_nags <= 3 + 11
    assert desk.calls("mass_send_results") == 0


def test_a_reading_that_fails_is_repeated(store: Store) -> None:
    desk = desk_with_task(store, "wmMei")
    desk.confirms()
    desk.fails("mass_send_tasks", "http_502", times=2)
    desk.fails("mass_send_results", errcode=-1, times=2)
    desk.run_for(minutes=10)

    assert desk.push("wmMei") == ("sent", None)


def test_a_closed_path_postpones_the_readings_of_all_tasks(store: Store) -> None:
    members = [f"m{number:02d}" for number in range(20)]
    desk = Desk(store, members=" ".join(members))
    for member in members:
        desk.world.customer_adds(member, f"wm-{member}", now=desk.now)
    desk.run_until(CREATED)
    desk.fails("mass_send_tasks", errcode=45009)
    desk.run_until(CREATED + MINUTE_MS)
    asked = desk.calls("mass_send_tasks")
    desk.run_until(CREATED + 2 * MINUTE_MS - 1)

    assert desk.calls("mass_send_tasks") == asked
    desk.run_until(CREATED + 3 * MINUTE_MS)
    assert desk.calls("mass_send_tasks") == 20 + 1


# -- recipients who did not get it (D8) --------------------------------------------------------------------------------


def test_who_is_no_friend_any_more_fails_and_is_read_again(store: Store) -> None:
    desk = desk_with_task(store, "wmMei", "wmBo")
    desk.leaves_silently("wmBo")
    desk.confirms()
    desk.run_for(minutes=10)

    assert desk.push("wmMei") == ("sent", None)
    assert desk.push("wmBo") == ("failed", "not a friend")
    assert desk.rows("select state from relation order by state") == [("active",), ("lost",)]


def test_a_full_window_puts_the_friend_off_to_the_next_day(store: Store) -> None:
    desk = desk_with_task(store, "wmMei", "wmBo")
    desk.world.member_sends_own("alice", ["wmBo"], "own", now=desk.now)
    desk.confirms()
    desk.run_for(minutes=10)

    assert desk.push("wmMei") == ("sent", None)
    assert desk.push("wmBo") == ("waiting", "quota")
    assert desk.reserved("wmBo") == []
    assert desk.dispatches() == ["settled"]
    desk.run_until(at("2026-03-04 10:05"))
    desk.confirms()
    desk.run_for(minutes=10)
    assert desk.push("wmBo") == ("sent", None)
    assert desk.received("wmBo") == ["own", "第一天"]


def test_a_full_window_is_no_full_window_for_who_has_left_meanwhile(store: Store) -> None:
    desk = desk_with_task(store, "wmMei")
    desk.world.member_sends_own("alice", ["wmMei"], "own", now=desk.now)
    desk.confirms()
    desk.leaves_silently("wmMei")
    desk.run_for(minutes=10)

    assert desk.push("wmMei") == ("failed", "not a friend")


def test_a_full_window_waits_for_the_relation_to_be_readable(store: Store) -> None:
    desk = desk_with_task(store, "wmMei")
    desk.world.member_sends_own("alice", ["wmMei"], "own", now=desk.now)
    desk.confirms()
    desk.fails("contact", "http_502", times=4)
    desk.run_until(CREATED + 5 * MINUTE_MS)
    assert desk.push("wmMei") == ("confirmed", None)

    desk.run_for(minutes=15)
    assert desk.push("wmMei") == ("waiting", "quota")


@pytest.mark.parametrize(("policy", "outcome"), [("skip", ("skipped", "quota")), ("{defer: 1d}", ("failed", "quota"))])
def test_no_days_left_ends_the_push(store: Store, policy: str, outcome: tuple[str, str]) -> None:
    desk = desk_with_task(store, "wmMei", sop=f"{SOP}quota_full: {policy}\n")
    for day in (3, 4):
        desk.run_until(max(desk.now, at(f"2026-03-0{day} 10:10")))
        desk.world.member_sends_own("alice", ["wmMei"], f"own {day}", now=desk.now)
        if desk.push("wmMei")[0] == "requested":
            desk.confirms()
        desk.run_for(minutes=10)

    assert desk.push("wmMei") == outcome


# -- results that are late (D18) ---------------------------------------------------------------------------------------


def test_rows_that_lag_are_polled_while_the_next_step_waits(store: Store) -> None:
    desk = desk_with_task(store, "wmMei", report_lag_ms=8 * HOUR_MS, sop=SOP.replace("day: 4", "day: 2"))
    desk.run_until(at("2026-03-04 09:00"))
    desk.confirms()
    desk.run_until(at("2026-03-04 16:00"))
    assert desk.push("wmMei") == ("confirmed", None)
    assert desk.rows("select count(*) from push where step_id = 'second'") == [(0,)]

    desk.run_until(at("2026-03-04 18:30"))
    assert desk.push("wmMei") == ("sent", None)
    assert desk.push("wmMei", "second") == ("waiting", "quota")  # this day's message was the first step


def test_rows_that_stay_empty_for_a_day_are_given_up_and_never_sent_again(store: Store) -> None:
    desk = desk_with_task(store, "wmMei", report_lag_ms=30 * HOUR_MS)
    desk.run_for(minutes=2)
    desk.confirms()
    confirmed_at = desk.now
    desk.run_until(confirmed_at + 23 * HOUR_MS)
    assert desk.push("wmMei") == ("confirmed", None)

    desk.run_until(confirmed_at + 25 * HOUR_MS)
    assert desk.push("wmMei") == ("failed", "not reported")
    desk.run_until(EXPIRY)
    assert len(desk.tasks) == 1


# -- expiry ------------------------------------------------------------------------------------------------------------


def test_a_silent_member_lets_the_task_expire_and_the_next_step_goes_on(store: Store) -> None:
    desk = desk_with_task(store, "wmMei", "wmBo")
    desk.run_until(EXPIRY - 1)
    assert desk.push("wmMei") == ("requested", None)

    desk.run_until(EXPIRY + 2 * MINUTE_MS)
    assert desk.push("wmMei") == desk.push("wmBo") == ("expired", "not confirmed")
    assert desk.dispatches() == ["cancelled"]
    assert desk.tasks[0].cancelled_at == EXPIRY
    assert desk.reserved("wmMei") == []
    desk.run_until(at("2026-03-06 10:05"))
    assert desk.push("wmMei", "second") == ("requested", None)


def test_a_task_expires_when_the_next_step_falls_due_which_then_goes_out_at_once(store: Store) -> None:
    desk = desk_with_task(store, "wmMei", sop=SOP.replace("day: 4", "day: 2"))
    desk.run_until(at("2026-03-04 09:59"))
    assert desk.push("wmMei") == ("requested", None)
    desk.run_until(at("2026-03-04 10:05"))

    assert desk.push("wmMei") == ("expired", "not confirmed")
    assert desk.push("wmMei", "second") == ("requested", None)


def test_who_confirmed_in_the_last_minute_has_sent_it(store: Store) -> None:
    desk = desk_with_task(store, "wmMei")
    desk.run_until(EXPIRY - MINUTE_MS)
    desk.confirms()
    desk.run_until(EXPIRY + 5 * MINUTE_MS)

    assert desk.push("wmMei") == ("sent", None)
    assert desk.sent_at("wmMei") == EXPIRY - MINUTE_MS


def test_who_confirmed_before_the_rows_show_it_has_sent_it_too(store: Store) -> None:
    desk = desk_with_task(store, "wmMei", report_lag_ms=10 * MINUTE_MS)
    desk.run_until(EXPIRY - MINUTE_MS)
    desk.confirms()
    desk.run_until(EXPIRY + 2 * HOUR_MS)

    assert desk.push("wmMei") == ("sent", None)
    assert len(desk.tasks) == 1


@pytest.mark.parametrize(
    ("kind", "code", "after"),
    [("http_502", 0, False), ("drop", 0, True), ("errcode", -1, True), ("errcode", 45009, False)],
)
def test_a_cancellation_whose_answer_is_lost_is_repeated(store: Store, kind: str, code: int, after: bool) -> None:
    desk = desk_with_task(store, "wmMei")
    desk.run_until(EXPIRY - MINUTE_MS)
    desk.fails("cancel_mass_send", kind, code, after=after)
    desk.run_for(minutes=6)

    assert desk.push("wmMei") == ("expired", "not confirmed")
    assert desk.tasks[0].cancelled_at is not None


def test_readings_after_the_cancellation_that_fail_are_repeated(store: Store) -> None:
    desk = desk_with_task(store, "wmMei")
    desk.run_until(EXPIRY - MINUTE_MS)
    desk.fails("mass_send_results", "http_502", times=4)
    desk.run_for(minutes=1)
    assert desk.dispatches() == ["rereading"]
    desk.run_for(minutes=5)

    assert desk.push("wmMei") == ("expired", "not confirmed")


def test_results_that_say_neither_yes_nor_no_need_an_operator(store: Store) -> None:
    desk = desk_with_task(store, "wmMei")
    desk.run_until(EXPIRY - MINUTE_MS)
    desk.leaves_silently("wmMei")
    desk.confirms()
    desk.run_for(minutes=5)

    assert desk.dispatches() == ["needs_operator"]
    assert desk.rows("select reason from dispatch") == [("results unclear",)]
    assert desk.is_settled("wmMei")
    assert desk.push("wmMei") == ("requested", None)


def test_a_cancellation_that_stays_busy_needs_an_operator_and_the_run_goes_on(store: Store) -> None:
    desk = desk_with_task(store, "wmMei", dispatch_ms=3 * DAY_MS)
    desk.run_until(EXPIRY + 9 * MINUTE_MS)
    assert desk.dispatches() == ["stopping"]
    desk.run_for(minutes=3)

    assert desk.dispatches() == ["needs_operator"]
    assert "cancellation stays busy" in desk.rows("select reason from dispatch")[0][0]
    assert desk.reserved("wmMei") == ["D2026-03-03", "D2026-03-04"]
    assert desk.rows("select reason from journal where kind = 'task' and reason is not null") != []
    desk.run_until(at("2026-03-06 10:05"))
    assert desk.push("wmMei", "second") == ("requested", None)


def test_a_cancellation_that_is_refused_needs_an_operator(store: Store) -> None:
    desk = desk_with_task(store, "wmMei")
    desk.run_until(EXPIRY - MINUTE_MS)
    desk.fails("cancel_mass_send", errcode=41047)
    desk.run_for(minutes=2)

    assert desk.rows("select state, reason from dispatch") == [
        ("needs_operator", "cancellation refused: WeCom answered 41047, the mass send's id is missing or unknown")
    ]


def test_a_task_that_somebody_cancels_in_wecom_has_failed(store: Store) -> None:
    desk = desk_with_task(store, "wmMei")
    desk.run_for(minutes=2)
    desk.world.cancel(desk.tasks[0], desk.now)
    desk.run_for(minutes=10)

    assert desk.push("wmMei") == ("failed", "task cancelled in WeCom")
    assert desk.dispatches() == ["cancelled"]
