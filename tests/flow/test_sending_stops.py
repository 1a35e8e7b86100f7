"""Ends, mutes and pauses while a member has the task (SPEC 7.7, D15, D17, D22, D23), on both databases."""

from __future__ import annotations

import pytest

from machines.calendar import DAY_MS, MINUTE_MS
from sopd.store import Store
from tests.support.rig import at
from tests.support.sending import BOUGHT, CREATED, SOP, Desk

EARLY_END = f"early end: tag {BOUGHT}"
NOON = at("2026-03-03 12:00")


def desk_at_noon(store: Store, *customers: str, **config: object) -> Desk:
    """Tuesday noon: the member has had the task of these customers for two hours and has not confirmed it."""
    desk = Desk(store, **config)  # type: ignore[arg-type]
    desk.add(*customers)
    desk.run_until(NOON)
    return desk


def test_who_bought_gets_no_message_and_the_others_get_theirs_in_one_new_task(store: Store) -> None:
    desk = desk_at_noon(store, "wmMei", "wmBo", "wmLi")
    desk.buys("wmMei")
    desk.run_for(minutes=2)

    assert desk.tasks[0].cancelled_at == NOON
    assert desk.push("wmMei") == ("cancelled", EARLY_END)
    assert desk.push("wmBo") == ("planned", None)
    assert desk.reserved("wmMei") == []
    assert desk.reserved("wmBo") == ["D2026-03-03", "D2026-03-04"]

    desk.run_until(NOON + 10 * MINUTE_MS)
    assert len(desk.tasks) == 2
    assert set(desk.tasks[1].assignments["alice"].recipients) == {"wmBo", "wmLi"}
    desk.run_for(minutes=1)
    desk.confirms()
    desk.run_for(hours=1)
    assert desk.push("wmBo") == desk.push("wmLi") == ("sent", None)
    assert desk.dispatches() == ["cancelled", "settled"]
    assert [desk.received(name) for name in ("wmMei", "wmBo", "wmLi")] == [[], ["第一天"], ["第一天"]]


def test_ends_are_gathered_for_ten_minutes(store: Store) -> None:
    desk = desk_at_noon(store, "wmMei", "wmBo", "wmLi")
    desk.buys("wmMei")
    desk.run_for(minutes=7)
    desk.buys("wmBo")
    desk.run_for(minutes=5)

    assert len(desk.tasks) == 2
    assert set(desk.tasks[1].assignments["alice"].recipients) == {"wmLi"}
    assert desk.push("wmBo") == ("cancelled", "early end")


def test_two_ends_at_once_cancel_one_task(store: Store) -> None:
    desk = desk_at_noon(store, "wmMei", "wmBo", "wmLi")
    desk.world.member_tags("alice", "wmMei", BOUGHT, now=desk.now)
    desk.buys("wmBo")
    desk.run_for(minutes=11)

    assert desk.calls("cancel_mass_send") == 1
    assert set(desk.tasks[1].assignments["alice"].recipients) == {"wmLi"}


def test_when_everybody_has_ended_nothing_is_issued_again(store: Store) -> None:
    desk = desk_at_noon(store, "wmMei")
    desk.buys("wmMei")
    desk.run_for(days=2)

    assert len(desk.tasks) == 1
    assert desk.dispatches() == ["cancelled"]


def test_a_second_end_leaves_the_new_task_alone(store: Store) -> None:
    desk = desk_at_noon(store, "wmMei", "wmBo", "wmLi")
    desk.buys("wmMei")
    desk.run_for(minutes=20)
    desk.buys("wmBo")
    desk.run_for(minutes=5)
    assert desk.tasks[1].cancelled_at is None

    desk.confirms()
    desk.run_for(hours=1)
    assert desk.push("wmBo") == ("sent", None)
    assert desk.mark("wmBo") == "could not stop"
    assert desk.mark("wmLi") is None
    assert len(desk.tasks) == 2


def test_a_second_end_that_is_never_confirmed_is_cancelled_at_the_expiry(store: Store) -> None:
    desk = desk_at_noon(store, "wmMei", "wmBo", "wmLi")
    desk.buys("wmMei")
    desk.run_for(minutes=20)
    desk.buys("wmBo")
    desk.run_until(at("2026-03-05 00:05"))

    assert desk.push("wmBo") == ("cancelled", EARLY_END)
    assert desk.push("wmLi") == ("expired", "not confirmed")


def test_a_confirmation_before_the_cancellation_cannot_be_stopped(store: Store) -> None:
    desk = desk_at_noon(store, "wmMei", "wmBo")
    desk.fails("cancel_mass_send", "http_502")
    desk.buys("wmMei")
    desk.now += 2_000
    desk.confirms()
    desk.run_for(minutes=15)

    assert desk.push("wmMei") == desk.push("wmBo") == ("sent", None)
    assert (desk.mark("wmMei"), desk.mark("wmBo")) == ("could not stop", None)
    assert len(desk.tasks) == 1


def test_what_was_sent_before_the_end_is_plainly_sent(store: Store) -> None:
    desk = desk_at_noon(store, "wmMei")
    desk.confirms()
    desk.run_for(seconds=30)
    desk.buys("wmMei")
    desk.run_for(minutes=15)

    assert desk.push("wmMei") == ("sent", None)
    assert desk.mark("wmMei") is None


def test_a_confirmation_that_the_rows_do_not_show_yet_is_never_sent_twice(store: Store) -> None:
    desk = desk_at_noon(store, "wmMei", "wmBo", report_lag_ms=30 * MINUTE_MS)
    desk.confirms()
    desk.run_for(seconds=30)
    desk.buys("wmMei")
    desk.run_for(hours=3)

    assert len(desk.tasks) == 1
    assert desk.received("wmBo") == ["第一天"]
    assert desk.push("wmBo") == ("sent", None)


def test_the_new_task_keeps_out_of_quiet_hours_and_keeps_its_expiry(store: Store) -> None:
    desk = desk_at_noon(store, "wmMei", "wmBo")
    desk.run_until(at("2026-03-03 20:55"))
    desk.buys("wmMei")
    desk.run_until(at("2026-03-04 07:59"))
    assert len(desk.tasks) == 1

    desk.run_until(at("2026-03-04 08:05"))
    assert len(desk.tasks) == 2
    desk.run_until(at("2026-03-05 00:05"))
    assert desk.push("wmBo") == ("expired", "not confirmed")


def test_no_time_left_outside_quiet_hours_ends_those_still_inside(store: Store) -> None:
    desk = desk_at_noon(store, "wmMei", "wmBo")
    desk.run_until(at("2026-03-04 20:55"))
    desk.buys("wmMei")
    desk.run_until(at("2026-03-04 21:10"))

    assert desk.push("wmBo") == ("expired", "not confirmed")
    assert len(desk.tasks) == 1


def test_a_mute_stops_the_task_like_an_end_and_the_run_stays_open(store: Store) -> None:
    desk = desk_at_noon(store, "wmMei", "wmBo")
    desk.mute("wmMei")
    desk.run_for(minutes=11)

    assert desk.push("wmMei") == ("skipped", "muted")
    assert set(desk.tasks[1].assignments["alice"].recipients) == {"wmBo"}
    assert desk.rows("select count(*) from enrollment where closed_at is null") == [(2,)]


def test_a_lost_customer_leaves_the_task_to_wecoms_word(store: Store) -> None:
    desk = desk_at_noon(store, "wmMei", "wmBo")
    desk.world.customer_deletes("alice", "wmMei", now=desk.now)
    desk.run_for(minutes=15)
    assert desk.tasks[0].cancelled_at is None
    desk.confirms()
    desk.run_for(hours=2)

    assert desk.push("wmMei") == ("failed", "not a friend")
    assert desk.push("wmBo") == ("sent", None)


# -- while the task is not known yet -----------------------------------------------------------------------------------


def test_an_end_while_the_create_is_in_doubt_acts_when_the_task_is_found(store: Store) -> None:
    desk = Desk(store)
    desk.add("wmMei", "wmBo")
    desk.run_until(CREATED - 1)
    desk.fails("create_mass_send", "drop", after=True)
    desk.run_until(CREATED)
    desk.buys("wmMei")
    assert desk.dispatches() == ["uncertain"]
    desk.run_for(minutes=15)

    assert desk.tasks[0].cancelled_at is not None
    assert desk.push("wmMei") == ("cancelled", EARLY_END)
    assert set(desk.tasks[1].assignments["alice"].recipients) == {"wmBo"}


def test_an_end_while_the_create_is_in_doubt_is_forgotten_when_there_is_no_task(store: Store) -> None:
    desk = Desk(store)
    desk.add("wmMei", "wmBo")
    desk.run_until(CREATED - 1)
    desk.fails("create_mass_send", "http_502")
    desk.run_until(CREATED)
    desk.buys("wmMei")
    desk.run_for(minutes=15)

    [task] = desk.tasks
    assert set(task.assignments["alice"].recipients) == {"wmBo"}
    assert task.cancelled_at is None
    assert desk.push("wmMei") == ("cancelled", EARLY_END)


def test_a_task_still_being_handed_out_is_cancelled_as_soon_as_that_is_possible(store: Store) -> None:
    desk = Desk(store, dispatch_ms=5 * MINUTE_MS)
    desk.add("wmMei", "wmBo")
    desk.run_until(CREATED)
    desk.buys("wmMei")
    desk.run_for(minutes=4)
    assert desk.dispatches() == ["stopping"]
    desk.run_for(minutes=10)

    assert desk.push("wmMei") == ("cancelled", EARLY_END)
    assert len(desk.tasks) == 2


def test_a_task_handed_out_for_too_long_needs_an_operator(store: Store) -> None:
    desk = Desk(store, dispatch_ms=DAY_MS)
    desk.add("wmMei", "wmBo")
    desk.run_until(CREATED)
    desk.buys("wmMei")
    desk.run_for(minutes=12)

    assert desk.dispatches() == ["needs_operator"]
    assert desk.is_settled("wmBo")


# -- pause -------------------------------------------------------------------------------------------------------------


def test_a_pause_cancels_the_task_and_its_pushes_wait(store: Store) -> None:
    desk = desk_at_noon(store, "wmMei", "wmBo")
    desk.pause()
    desk.run_for(minutes=5)

    assert desk.tasks[0].cancelled_at == NOON
    assert desk.push("wmMei") == desk.push("wmBo") == ("waiting", "sop paused")
    assert desk.reserved("wmMei") == []
    desk.run_for(days=1)
    assert len(desk.tasks) == 1
    desk.resume()
    desk.run_for(minutes=5)
    assert desk.push("wmMei") == ("skipped", "paused")


def test_a_pause_takes_pushes_out_of_a_task_nobody_was_asked_for(store: Store) -> None:
    desk = Desk(store)
    desk.add("wmMei")
    desk.run_until(CREATED - 1)
    desk.pause()
    desk.run_for(minutes=10)

    assert desk.push("wmMei") == ("waiting", "sop paused")
    assert desk.tasks == []


def test_a_pause_while_those_inside_wait_for_their_new_task_keeps_them_waiting(store: Store) -> None:
    desk = desk_at_noon(store, "wmMei", "wmBo")
    desk.buys("wmMei")
    desk.run_for(seconds=30)
    desk.pause()
    desk.run_for(hours=1)

    assert desk.push("wmBo") == ("waiting", "sop paused")
    assert len(desk.tasks) == 1


def test_a_confirmation_before_a_pause_counts(store: Store) -> None:
    desk = desk_at_noon(store, "wmMei")
    desk.confirms()
    desk.pause()
    desk.run_for(minutes=10)

    assert desk.push("wmMei") == ("sent", None)
    assert desk.mark("wmMei") is None


# -- between planning and claim ----------------------------------------------------------------------------------------


def test_a_mute_after_planning_is_seen_when_the_task_is_claimed(store: Store) -> None:
    desk = Desk(store)
    desk.add("wmMei", "wmBo")
    desk.run_until(CREATED - 1)
    desk.mute("wmMei")
    desk.run_for(minutes=1)

    assert desk.push("wmMei") == ("skipped", "muted")
    assert set(desk.tasks[0].assignments["alice"].recipients) == {"wmBo"}
    assert desk.reserved("wmMei") == []


def test_an_early_end_that_nobody_told_of_is_found_when_the_task_is_claimed(store: Store) -> None:
    desk = Desk(store)
    desk.add("wmMei", "wmBo")
    desk.run_until(CREATED - 1)
    desk.put_tag_unseen("wmMei")
    desk.run_for(minutes=1)

    assert desk.push("wmMei") == ("cancelled", "early end")
    assert set(desk.tasks[0].assignments["alice"].recipients) == {"wmBo"}
    assert desk.rows("select state, reason from enrollment where closed_at is not null") == [
        ("early_end", "early end: found when its task was to be sent")
    ]


def test_a_condition_that_became_false_is_seen_when_the_task_is_claimed(store: Store) -> None:
    sop = SOP.replace("text: 第一天", "text: 第一天, only_if: {not: {tag: [结果/已下单]}}").split("early_end")[0]
    desk = Desk(store, sop=sop)
    desk.add("wmMei", "wmBo")
    desk.run_until(CREATED - 1)
    desk.put_tag_unseen("wmMei")
    desk.run_for(minutes=1)

    assert desk.push("wmMei") == ("skipped", "condition")
    assert set(desk.tasks[0].assignments["alice"].recipients) == {"wmBo"}


def test_a_task_held_up_until_the_evening_waits_for_the_end_of_the_quiet_hours(store: Store) -> None:
    desk = Desk(store, sop=SOP.replace('day: 1, at: "10:00"', 'day: 1, at: "20:58"'))
    desk.add("wmMei")
    desk.run_until(at("2026-03-03 20:57"))
    desk.fails("create_mass_send", errcode=45009, times=1)
    desk.fails("create_mass_send", errcode=45033, times=4)
    desk.run_until(at("2026-03-04 07:59"))
    assert desk.tasks == []

    desk.run_until(at("2026-03-04 08:10"))
    assert len(desk.tasks) == 1


@pytest.mark.parametrize("everybody", [False, True])
def test_a_task_that_loses_all_its_pushes_is_not_created(store: Store, everybody: bool) -> None:
    desk = Desk(store)
    desk.add("wmMei", "wmBo")
    desk.run_until(CREATED - 1)
    for name in ("wmMei", "wmBo")[: 2 if everybody else 1]:
        desk.mute(name)
    desk.run_for(minutes=5)

    assert len(desk.tasks) == (0 if everybody else 1)
    assert desk.dispatches() == (["cancelled"] if everybody else ["requested"])
