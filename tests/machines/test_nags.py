"""When a silent member is reminded of a task, and when he has peace (D19)."""

from __future__ import annotations

from datetime import date, time

import pytest

from machines.calendar import DAY_MS, HOUR_MS, QuietHours, instant_of
from machines.nags import NAGS_AFTER_MS, Unconfirmed, look_again_at, newest_first, next_nag_at, why_not
from machines.reasons import MEMBER_NAGGED, NOT_CONFIRMED, QUIET_HOURS, TASK_NAGGED

SHANGHAI = "Asia/Shanghai"
NIGHT = QuietHours(((time(21), time(8)),))
MONDAY, TUESDAY = date(2026, 3, 2), date(2026, 3, 3)


def at(clock: str, on: date = MONDAY) -> int:
    return instant_of(on, time.fromisoformat(clock), SHANGHAI)


TASK = Unconfirmed(nags=0, expires_at=at("23:00", TUESDAY))


def test_a_task_is_nagged_for_two_five_and_eight_hours_after_it_was_made() -> None:
    assert [next_nag_at(at("10:00"), nags) for nags in range(4)] == [at("12:00"), at("15:00"), at("18:00"), None]


def test_nags_put_off_by_the_night_do_not_come_all_at_once() -> None:
    made_at = at("20:00")

    assert next_nag_at(made_at, 1, at("08:00", TUESDAY)) == at("11:00", TUESDAY)
    assert next_nag_at(made_at, 2, at("11:00", TUESDAY)) == at("14:00", TUESDAY)
    assert next_nag_at(made_at, 1, made_at + 2 * HOUR_MS) == made_at + NAGS_AFTER_MS[1]


def test_a_task_that_stands_for_another_goes_on_where_that_was() -> None:
    assert next_nag_at(at("10:00"), nags=2) == at("18:00")


@pytest.mark.parametrize(
    ("task", "nags_today", "now", "reason"),
    [
        (TASK, 2, at("12:00"), None),
        (TASK, 3, at("12:00"), MEMBER_NAGGED),
        (TASK._replace(nags=3), 0, at("12:00"), TASK_NAGGED),
        (TASK, 0, at("21:00"), QUIET_HOURS),
        (TASK, 0, at("23:00", TUESDAY), NOT_CONFIRMED),
    ],
)
def test_a_member_hears_three_nags_a_day_three_a_task_and_none_at_night(
    task: Unconfirmed, nags_today: int, now: int, reason: str | None
) -> None:
    assert why_not(task, nags_today, now, NIGHT, SHANGHAI) == reason


def test_what_is_held_back_is_looked_at_when_it_may_come_again() -> None:
    late = TASK._replace(expires_at=at("23:00", TUESDAY) + DAY_MS)

    assert look_again_at(TASK, QUIET_HOURS, at("22:00"), NIGHT, SHANGHAI) == at("08:00", TUESDAY)
    assert look_again_at(TASK, MEMBER_NAGGED, at("12:00"), NIGHT, SHANGHAI) == at("08:00", TUESDAY)
    assert look_again_at(TASK, MEMBER_NAGGED, at("12:00"), QuietHours(), SHANGHAI) == at("00:00", TUESDAY)
    assert look_again_at(late, MEMBER_NAGGED, at("12:00", TUESDAY), NIGHT, SHANGHAI) == at("08:00", TUESDAY) + DAY_MS
    assert look_again_at(TASK, MEMBER_NAGGED, at("12:00", TUESDAY), NIGHT, SHANGHAI) is None, "it expires before"
    assert look_again_at(TASK, TASK_NAGGED, at("12:00"), NIGHT, SHANGHAI) is None


def test_the_newest_tasks_come_first() -> None:
    assert newest_first([(10, 1), (30, 3), (20, 4), (20, 2)]) == (3, 4, 2, 1)
    assert newest_first([]) == ()
