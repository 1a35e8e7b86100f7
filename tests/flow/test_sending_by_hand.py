"""Operators withdraw tasks and have pushes tried again (SPEC 7, 12, D15, D18, D20, D22), on both databases."""

from __future__ import annotations

from typing import Any

import pytest

from machines.calendar import HOUR_MS, MINUTE_MS
from sopd.commands import CancelDispatch, RetryPushes
from sopd.errors import NotFound, Refused
from sopd.handlers import retries, withdrawals
from sopd.handlers.withdrawals import Withdrawn
from sopd.store import Store
from tests.support.plans import hearing
from tests.support.rig import WHO, at
from tests.support.sending import CREATED, SOP, Desk

STEPWISE = SOP.replace('day: 4, at: "10:00"', "after: 3d").replace('day: 1, at: "10:00"', "after: 25h")
STEPWISE = STEPWISE.replace("steps:", "pace: stepwise\nsteps:")
OPERATOR = ("cancelled", "by operator")


def desk_with_task(store: Store, *customers: str, **config: Any) -> Desk:
    desk = Desk(store, **config)
    desk.add(*customers)
    desk.run_until(CREATED + MINUTE_MS)
    return desk


def cancel(desk: Desk, dispatch_id: int = 1) -> Withdrawn:
    return withdrawals.cancel(desk.app, CancelDispatch(dispatch_id, WHO))


def retry(desk: Desk, *names: str, step: str = "first") -> list[str]:
    """Retry the customers' pushes; returns why not, in their order."""
    ids = [desk.push_id(name, step) for name in names]
    return [one.reason for one in retries.retry(desk.app, RetryPushes(tuple(ids), WHO))]


# -- dispatch cancel ---------------------------------------------------------------------------------------------------


def test_a_task_with_its_member_is_cancelled_read_twice_and_its_pushes_end(store: Store) -> None:
    desk = desk_with_task(store, "wmMei", "wmBo")

    assert cancel(desk) == Withdrawn("stopping", 2)
    desk.run_for(seconds=30)
    assert desk.push("wmMei") == ("requested", None), "nothing is told before the second reading"
    desk.run_for(minutes=2)

    assert (desk.push("wmMei"), desk.push("wmBo")) == (OPERATOR, OPERATOR)
    assert desk.tasks[0].cancelled_at is not None
    assert desk.reserved("wmMei") == []
    desk.run_until(at("2026-03-06 10:30"))
    assert desk.push("wmMei", "second") == ("requested", None), "the run goes on"


def test_a_planned_task_is_withdrawn_at_once_and_nobody_is_asked(store: Store) -> None:
    desk = Desk(store)
    desk.add("wmMei")
    desk.run_until(at("2026-03-03 10:00"))

    assert cancel(desk) == Withdrawn("cancelled", 1)
    assert desk.push("wmMei") == OPERATOR
    desk.run_for(days=1)
    assert desk.tasks == []
    assert desk.rows("select state, reason, act_at from dispatch") == [("cancelled", "by operator", None)]
    assert desk.rows("select dispatch_id from push") == [(1,)]


def test_who_had_confirmed_before_has_sent(store: Store) -> None:
    desk = desk_with_task(store, "wmMei")
    desk.confirms()

    cancel(desk)
    desk.run_for(minutes=5)

    assert desk.push("wmMei") == ("sent", None)


def test_a_doubtful_task_is_cancelled_once_it_is_found(store: Store) -> None:
    desk = Desk(store)
    desk.add("wmMei")
    desk.fails("create_mass_send", "drop", after=True)
    desk.run_until(CREATED)

    assert cancel(desk) == Withdrawn("uncertain", 1)
    desk.run_for(minutes=30)

    assert desk.push("wmMei") == OPERATOR
    assert [task.cancelled_at is not None for task in desk.tasks] == [True]


def test_an_operators_word_outranks_an_end_and_a_pause(store: Store) -> None:
    desk = desk_with_task(store, "wmMei", "wmBo")
    desk.buys("wmBo")
    assert desk.dispatches() == ["cancelling"] or desk.dispatches() == ["rereading"]

    cancel(desk)
    desk.run_for(hours=1)

    assert desk.push("wmMei") == OPERATOR
    assert desk.push("wmBo")[0] == "cancelled"
    assert len(desk.tasks) == 1, "nothing is issued anew"


@pytest.mark.parametrize("outcome", ["confirmed", "cancelled", "twice", "unknown"])
def test_what_cannot_be_withdrawn_is_refused(store: Store, outcome: str) -> None:
    desk = desk_with_task(store, "wmMei")
    if outcome == "confirmed":
        desk.confirms()
        desk.run_for(hours=1)
    elif outcome == "cancelled":
        cancel(desk)
        desk.run_for(minutes=5)
    elif outcome == "twice":
        cancel(desk)
    expected = {"confirmed": "settled", "cancelled": "cancelled", "twice": "already", "unknown": "no task"}

    with pytest.raises(NotFound if outcome == "unknown" else Refused, match=expected[outcome]):
        cancel(desk, 77 if outcome == "unknown" else 1)


# -- push retry --------------------------------------------------------------------------------------------------------


def test_a_withdrawn_push_is_tried_again_with_a_new_expiry(store: Store) -> None:
    desk = desk_with_task(store, "wmMei", "wmBo")
    cancel(desk)
    desk.run_until(at("2026-03-04 11:00"))

    assert retry(desk, "wmMei") == [""]
    desk.run_for(minutes=2)

    assert desk.push("wmMei") == ("requested", None)
    assert desk.push("wmBo") == OPERATOR
    assert desk.rows("select expires_at from dispatch where id = 2") == [(at("2026-03-06 00:00"),)]
    desk.confirms()
    desk.run_for(hours=1)
    assert desk.received("wmMei") == ["第一天"]
    assert desk.is_settled("wmMei")


def test_an_expired_push_is_tried_again_while_its_step_is_the_last(store: Store) -> None:
    desk = desk_with_task(store, "wmMei")
    desk.run_until(at("2026-03-05 09:00"))
    assert desk.push("wmMei") == ("expired", "not confirmed")

    assert retry(desk, "wmMei") == [""]
    desk.run_until(at("2026-03-06 10:30"))

    assert desk.push("wmMei") == ("expired", "not confirmed"), "the next step fell due"
    assert retry(desk, "wmMei") == ["a later step has fired"]
    assert desk.push("wmMei", "second") == ("requested", None)


def test_nothing_is_sent_twice_and_nothing_open_is_doubled(store: Store) -> None:
    desk = desk_with_task(store, "wmMei")
    assert retry(desk, "wmMei") == ["not over yet"]
    desk.confirms()
    desk.run_for(hours=1)
    assert retry(desk, "wmMei") == ["already sent"]
    desk.run_for(days=1)
    assert desk.received("wmMei") == ["第一天"]


def test_a_push_in_doubt_or_of_a_run_that_has_ended_is_not_tried_again(store: Store) -> None:
    desk = desk_with_task(store, "wmMei", "wmBo")
    with store.transaction() as tx:
        tx.run("update dispatch set state = 'needs_operator', act_at = null")
        tx.run("update push set settled_at = ?", (tx.now,))
    desk.buys("wmBo")

    assert retry(desk, "wmMei") == ["its task needs an operator"]


def test_a_paused_sop_tries_nothing_again(store: Store) -> None:
    desk = desk_with_task(store, "wmMei")
    cancel(desk)
    desk.run_for(minutes=5)
    desk.pause()
    assert retry(desk, "wmMei") == ["sop paused"]
    desk.resume()
    assert retry(desk, "wmMei") == [""]


def test_who_has_bought_meanwhile_gets_nothing(store: Store) -> None:
    desk = desk_with_task(store, "wmMei")
    cancel(desk)
    desk.run_for(minutes=5)
    desk.buys("wmMei")

    assert retry(desk, "wmMei") == ["enrollment ended"]


def test_of_several_the_possible_ones_are_tried_and_unknown_ones_refuse_all(store: Store) -> None:
    desk = desk_with_task(store, "wmMei", "wmBo")
    cancel(desk)
    desk.run_for(minutes=5)
    desk.buys("wmBo")
    with pytest.raises(NotFound, match="99"):
        retries.retry(desk.app, RetryPushes((1, 99), WHO))

    assert retry(desk, "wmMei", "wmBo") == ["", "enrollment ended"]
    assert desk.rows("select target from audit where verb = 'push retry'") == [(str(desk.push_id("wmMei", "first")),)]


@pytest.mark.parametrize("count", [1, 5])
def test_the_statements_of_a_retry_do_not_depend_on_how_many(store: Store, count: int) -> None:
    names = [f"wm{number}" for number in range(count)]
    desk = desk_with_task(store, *names)
    cancel(desk)
    desk.run_for(minutes=5)
    command = RetryPushes(tuple(desk.push_id(name, "first") for name in names), WHO)

    with hearing(store) as statements:
        retries.retry(desk.app, command)

    assert len([sql for sql in statements if "order by c.id for update" not in sql]) == 11  # only PostgreSQL locks them
    assert desk.rows("select count(*) from audit where verb = 'push retry'") == [(count,)]


def test_a_stepwise_run_counts_from_the_settlement_of_the_retry(store: Store) -> None:
    desk = Desk(store, sop=STEPWISE)
    desk.add("wmMei")
    desk.run_until(at("2026-03-03 10:05"))
    cancel(desk)
    desk.run_until(at("2026-03-04 15:00"))
    assert retry(desk, "wmMei") == [""]
    assert desk.rows("select due_at from enrollment") == [(None,)]
    desk.run_for(minutes=5)
    desk.confirms()
    confirmed_at = desk.now // 1000 * 1000
    desk.run_for(hours=1)

    assert desk.push("wmMei") == ("sent", None)
    assert desk.rows("select due_at from enrollment") == [(confirmed_at + 72 * HOUR_MS,)]
