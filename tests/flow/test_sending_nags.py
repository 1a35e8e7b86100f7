"""Members who let a task lie are reminded of it, and never too often (SPEC 7.6, D17, D19), on both databases."""

from __future__ import annotations

import pytest

from machines.calendar import DAY_MS, HOUR_MS, MINUTE_MS
from sopd import nagger
from sopd.commands import RemindDispatch
from sopd.errors import NotFound, Refused
from sopd.handlers import nags
from sopd.store import Store
from tests.support.rig import WHO, at
from tests.support.sending import CREATED, SOP, Desk


def desk_with_task(store: Store, *customers: str, **config: object) -> Desk:
    desk = Desk(store, **config)  # type: ignore[arg-type]
    desk.add(*customers)
    desk.run_until(CREATED + MINUTE_MS)
    return desk


def reminded(desk: Desk) -> list[list[int]]:
    """When the members were reminded of each task, oldest task first."""
    return [task.reminded_at for task in desk.tasks]


def told(desk: Desk) -> list[tuple[str, str | None]]:
    return desk.rows("select state, wanted_by from nag order by id")


def remind(desk: Desk, dispatch_id: int = 1) -> None:
    nags.want(desk.app, RemindDispatch(dispatch_id, WHO))


def test_a_silent_member_is_reminded_after_two_five_and_eight_hours_and_not_again(store: Store) -> None:
    desk = desk_with_task(store, "wmMei")
    desk.run_until(CREATED + 30 * HOUR_MS)

    assert reminded(desk) == [[CREATED + hours * HOUR_MS for hours in (2, 5, 8)]]
    assert told(desk) == [("done", None)] * 3


def test_who_has_confirmed_is_not_reminded(store: Store) -> None:
    desk = desk_with_task(store, "wmMei")
    desk.run_until(CREATED + 2 * HOUR_MS - MINUTE_MS)
    desk.confirms()
    desk.settle_without("collect")
    desk.now = CREATED + 2 * HOUR_MS
    store.set_clock(desk.now)
    nagger.run_once(desk.app)

    assert reminded(desk) == [[]]
    assert told(desk) == [("needless", None)]
    desk.run_for(minutes=1)
    assert desk.push("wmMei") == ("sent", None)
    desk.run_for(hours=12)
    assert reminded(desk) == [[]]


def test_nobody_is_reminded_at_night_nor_of_what_has_expired(store: Store) -> None:
    late = SOP.replace('at: "10:00"', 'at: "19:30"')
    desk = Desk(store, sop=late)
    desk.add("wmMei")
    desk.run_until(at("2026-03-06 09:00"))

    assert reminded(desk) == [[at("2026-03-04 08:00"), at("2026-03-04 11:00"), at("2026-03-04 14:00")]]


def test_a_member_hears_three_reminders_a_day_over_all_tasks_the_newest_first(store: Store) -> None:
    desk = Desk(store, sop=SOP.replace("steps:", "batch: {size: 1, every: 30m}\nsteps:"))
    desk.add("wmA", "wmB", "wmC", "wmD")
    desk.run_until(at("2026-03-04 23:00"))

    morning = at("2026-03-04 08:00")
    made = [at(f"2026-03-03 {clock}") for clock in ("10:01", "10:31", "11:01", "11:31")]
    assert [task.created_at for task in desk.tasks] == made
    assert reminded(desk) == [
        [made[0] + 2 * HOUR_MS],
        [made[1] + 2 * HOUR_MS, morning],
        [made[2] + 2 * HOUR_MS, morning],
        [morning],
    ]


def test_two_naggers_remind_once(store: Store) -> None:
    desk = desk_with_task(store, "wmMei")
    desk.run_until(CREATED + 2 * HOUR_MS - 1)
    desk.now = CREATED + 2 * HOUR_MS
    store.set_clock(desk.now)
    first, _ = nags.claim(desk.app)
    second, _ = nags.claim(desk.app)

    assert (len(first), second) == (1, [])


def test_a_lost_answer_counts_and_is_not_repeated(store: Store) -> None:
    desk = desk_with_task(store, "wmMei")
    desk.fails("remind_mass_send", "drop", after=True)
    desk.run_until(CREATED + 4 * HOUR_MS)

    assert reminded(desk) == [[CREATED + 2 * HOUR_MS]]
    assert told(desk) == [("doubtful", None)]


def test_a_closed_path_puts_a_reminder_off_without_counting_it(store: Store) -> None:
    desk = desk_with_task(store, "wmMei")
    desk.fails("remind_mass_send", errcode=45009)
    desk.run_until(CREATED + 30 * HOUR_MS)

    assert reminded(desk) == [[CREATED + 2 * HOUR_MS + 5 * MINUTE_MS, CREATED + 5 * HOUR_MS + 5 * MINUTE_MS,
                               CREATED + 8 * HOUR_MS + 5 * MINUTE_MS]]  # fmt: skip


def test_a_reissued_task_inherits_the_count(store: Store) -> None:
    desk = desk_with_task(store, "wmMei", "wmBo")
    desk.run_until(CREATED + 6 * HOUR_MS)
    desk.buys("wmBo")
    desk.run_for(days=1)

    assert [len(times) for times in reminded(desk)] == [2, 1]
    assert desk.rows("select nags from dispatch order by id") == [(2,), (3,)]


def test_a_task_that_is_being_stopped_is_not_reminded_of(store: Store) -> None:
    desk = desk_with_task(store, "wmMei")
    desk.run_until(CREATED + HOUR_MS)
    desk.pause()
    desk.run_for(days=1)

    assert reminded(desk) == [[]]


# -- an operator's wish ------------------------------------------------------------------------------------------------


def test_an_operator_reminds_at_once_and_within_the_same_limits(store: Store) -> None:
    desk = desk_with_task(store, "wmMei")
    remind(desk)
    desk.settle()
    assert reminded(desk) == [[desk.now]]
    assert told(desk) == [("done", WHO)]

    for _ in range(2):
        desk.run_for(minutes=1)
        remind(desk)
        desk.settle()
    with pytest.raises(Refused, match="three times"):
        remind(desk)
    desk.run_for(days=1)
    assert [len(times) for times in reminded(desk)] == [3]


def test_a_wish_that_waits_is_not_made_twice(store: Store) -> None:
    desk = desk_with_task(store, "wmMei")
    remind(desk)

    with pytest.raises(Refused, match="on its way"):
        remind(desk)


def test_an_operator_hears_why_nobody_is_reminded(store: Store) -> None:
    desk = Desk(store)
    desk.add("wmMei")
    desk.run_until(at("2026-03-03 10:00"))
    with pytest.raises(NotFound):
        remind(desk, 99)
    with pytest.raises(Refused, match="planned"):
        remind(desk)
    desk.run_until(at("2026-03-03 21:30"))
    with pytest.raises(Refused, match="quiet hours"):
        remind(desk)
    desk.run_until(at("2026-03-04 09:00"))
    desk.confirms()
    desk.run_for(hours=2)
    with pytest.raises(Refused, match="settled"):
        remind(desk)
    assert desk.now < CREATED + 2 * DAY_MS
