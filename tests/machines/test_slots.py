"""Slots of a member: who fits where, and at which minute the task is made."""

from __future__ import annotations

from datetime import date, time, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from machines.calendar import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, QuietHours, instant_of, local_date, local_datetime
from machines.errors import DefinitionError
from machines.slots import (
    Load,
    Placed,
    Placement,
    Slot,
    creation_minute,
    place,
)
from machines.timetable import Timetable, earliest_send

SHANGHAI = "Asia/Shanghai"
NIGHT = QuietHours(((time(21), time(8)),))
OPEN = Timetable(zone=SHANGHAI, steps=(), quiet=NIGHT)
WEEKDAYS = Timetable(zone=SHANGHAI, steps=(), quiet=NIGHT, calendar="weekdays")
WEEK = [date(2026, 3, 2) + timedelta(days=n) for n in range(7)]
MONDAY, TUESDAY, WEDNESDAY, THURSDAY, FRIDAY, SATURDAY, SUNDAY = WEEK


def at(clock: str, on: date = MONDAY) -> int:
    return instant_of(on, time.fromisoformat(clock), SHANGHAI)


def load(key: str, count: int, **options: object) -> Load:
    """A load ready Monday 10:05 with the default batch, of use until Tuesday's end."""
    return Load(**{
        "key": key, "count": count, "ready_at": at("10:05"), "expires_at": at("00:00", WEDNESDAY),
        "size": 200, "every_ms": 30 * MINUTE_MS, "timetable": OPEN,
    } | options)


def shown(placed: Placed) -> list[str]:
    """`key count slot->creation`, the creation's date only if it is not Monday."""
    return [f"{task.key} {task.count} {clock(task.opens_at)}->{clock(task.create_at)}" for task in placed.placements]


def clock(instant: int) -> str:
    local = local_datetime(instant, SHANGHAI)
    return f"{local:%H:%M}" if local.date() == MONDAY else f"{local:%a %H:%M}"


# -- filling slots ----------------------------------------------------------------------------------------------------


def test_a_slot_opens_with_its_first_push_and_lasts_the_every_of_its_sop() -> None:
    placed = place([], [load("a", 50)], at("10:05"))

    assert shown(placed) == ["a 50 10:05->10:05"]
    assert placed.slots == (Slot(at("10:05"), at("10:35"), 50),)
    assert placed.unplaced == ()


def test_more_than_a_batch_goes_on_in_the_next_slots() -> None:
    assert shown(place([], [load("a", 450)], at("10:05"))) == [
        "a 200 10:05->10:05", "a 200 10:35->10:35", "a 50 11:05->11:05",
    ]


def test_a_sop_fills_a_slot_up_to_its_own_size_counting_everybody_in_it() -> None:
    slots = [Slot(at("10:00"), at("10:30"), 150)]

    placed = place(slots, [load("big", 100), load("small", 30, size=80)], at("10:05"))

    # 150 are inside: the one takes 50 more, the other's 80 are long reached, and in the next slot it counts the 50.
    assert shown(placed) == ["big 50 10:00->10:05", "big 50 10:30->10:31", "small 30 10:30->10:31"]
    assert [slot.used for slot in placed.slots] == [200, 80]


def test_all_sops_of_an_owner_share_the_slots_and_priority_goes_first() -> None:
    loads = [load("low", 150, priority=10), load("high", 150, priority=90), load("late", 10, ready_at=at("10:20"))]

    placed = place([], loads, at("10:05"))

    assert shown(placed) == ["high 150 10:05->10:05", "late 10 10:05->10:20", "low 40 10:05->10:05",
                             "low 110 10:35->10:35"]


def test_among_equals_the_earlier_due_and_then_the_given_order_goes_first() -> None:
    loads = [load("b", 200), load("c", 200), load("a", 200, ready_at=at("09:00"))]

    assert [task.key for task in place([], loads, at("10:05")).placements] == ["a", "b", "c"]


def test_a_closed_slot_is_left_alone_and_nothing_is_sent_before_now_or_before_it_is_ready() -> None:
    closed = Slot(at("09:00"), at("09:30"), 3)

    placed = place([closed], [load("a", 5), load("b", 5, ready_at=at("12:07"))], at("11:11"))

    assert shown(placed) == ["a 5 11:11->11:11", "b 5 12:07->12:07"]
    assert placed.slots[0] == closed


def test_free_time_too_short_for_an_own_slot_waits_for_the_later_one() -> None:
    later = Slot(at("10:20"), at("10:50"), 10)

    assert shown(place([later], [load("a", 20)], at("10:05"))) == ["a 20 10:20->10:20"]
    assert shown(place([later], [load("a", 20, every_ms=15 * MINUTE_MS)], at("10:05"))) == ["a 20 10:05->10:05"]


# -- quiet hours, off days, expiry ------------------------------------------------------------------------------------


def test_slots_skip_quiet_hours() -> None:
    placed = place([], [load("a", 500, ready_at=at("20:20"))], at("20:20"))

    assert shown(placed) == ["a 200 20:20->20:20", "a 200 20:50->20:50", "a 100 Tue 08:00->Tue 08:01"]


def test_an_open_slot_that_reaches_into_quiet_hours_is_not_used_in_them() -> None:
    slot = Slot(at("20:50"), at("21:20"), 1)

    assert shown(place([slot], [load("a", 5)], at("21:05"))) == ["a 5 Tue 08:00->Tue 08:01"]


def test_a_day_long_slot_is_used_again_on_the_next_morning() -> None:
    slot = Slot(at("20:00"), at("20:00", TUESDAY), 150)

    placed = place([slot], [load("a", 60, every_ms=DAY_MS)], at("22:00"))

    assert shown(placed) == ["a 50 20:00->Tue 08:01", "a 10 Tue 20:00->Tue 20:01"]


def test_waiting_for_a_slot_does_not_lead_onto_an_off_day() -> None:
    friday = {"ready_at": at("20:40", FRIDAY), "expires_at": at("00:00", date(2026, 3, 10))}

    placed = place([], [load("a", 201, timetable=WEEKDAYS, **friday)], at("20:40", FRIDAY))

    assert [local_date(task.create_at, SHANGHAI) for task in placed.placements] == [FRIDAY, date(2026, 3, 9)]


def test_what_finds_no_room_before_its_expiry_is_handed_back() -> None:
    placed = place([], [load("a", 900, expires_at=at("11:05"))], at("10:05"))

    assert shown(placed) == ["a 200 10:05->10:05", "a 200 10:35->10:35"]
    assert placed.unplaced == (("a", 500),)


def test_an_expired_load_opens_no_slot() -> None:
    assert place([], [load("a", 9, expires_at=at("10:05"))], at("10:05")) == Placed((), (), (("a", 9),))


def test_one_call_takes_ten_thousand_customers_at_most() -> None:
    placed = place([], [load("a", 25_000, size=30_000)], at("10:05"))

    assert shown(placed) == ["a 10000 10:05->10:05", "a 10000 10:05->10:05", "a 5000 10:05->10:05"]


@pytest.mark.parametrize("options", [{"size": 0}, {"every_ms": 0}, {"every_ms": 59 * SECOND_MS}])
def test_a_batch_that_cannot_be_is_a_fault(options: dict[str, int]) -> None:
    with pytest.raises(DefinitionError):
        load("a", 1, **options)


# -- tasks per member and day -----------------------------------------------------------------------------------------


def test_a_full_day_sends_the_rest_to_the_next_day_at_the_time_it_was_due() -> None:
    loads = [load("a", 10), load("b", 20), load("c", 30, ready_at=at("11:15"))]

    placed = place([], loads, at("10:05"), tasks_per_day=3, tasks_on={MONDAY: 1})

    # By customers in the task: c and b get Monday's last two, a goes to Tuesday.
    assert sorted(shown(placed)) == ["a 10 Tue 10:05->Tue 10:05", "b 20 10:05->10:05", "c 30 11:15->11:15"]


def test_with_a_limit_priority_still_goes_before_the_number_of_customers() -> None:
    placed = place([], [load("big", 150), load("vip", 1, priority=51)], at("10:05"), tasks_per_day=1)

    assert shown(placed) == ["vip 1 10:05->10:05", "big 150 Tue 10:05->Tue 10:05"]


def test_a_limit_that_is_never_free_ends_with_the_expiry() -> None:
    assert place([], [load("a", 5)], at("10:05"), tasks_per_day=0).unplaced == (("a", 5),)


# -- the minute of creation -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("opens", "closes", "expected"),
    [
        ("10:00:00", "10:30", "10:01:00"), ("10:00:45", "10:30", "10:01:00"), ("10:30:00", "11:00", "10:31:00"),
        ("10:01:00", "10:30", "10:01:00"), ("10:29:59", "10:59", "10:29:59"), ("10:00:00", "10:01", "10:00:00"),
        ("20:30:20", "20:31", "20:30:20"),
    ],
)
def test_tasks_avoid_the_full_and_the_half_hour_where_the_slot_allows(opens: str, closes: str, expected: str) -> None:
    assert creation_minute(at(opens), at(closes), OPEN) == at(expected)


def test_the_next_minute_is_not_taken_if_it_is_quiet() -> None:
    quiet_from_one_past = Timetable(zone=SHANGHAI, steps=(), quiet=QuietHours(((time(20, 1), time(8)),)))

    assert creation_minute(at("20:00"), at("20:30"), quiet_from_one_past) == at("20:00")


def test_slow_minutes_are_those_of_the_local_clock() -> None:
    kathmandu = Timetable(zone="Asia/Kathmandu", steps=())
    full_hour = instant_of(MONDAY, time(10), "Asia/Kathmandu")

    assert creation_minute(full_hour, full_hour + HOUR_MS, kathmandu) == full_hour + MINUTE_MS


# -- what always holds ------------------------------------------------------------------------------------------------

drawn_loads = st.lists(
    st.builds(
        lambda count, ready, life, size, every, priority, timetable: load(
            "", count, ready_at=at("06:00") + ready * MINUTE_MS, expires_at=at("06:00") + (ready + life) * MINUTE_MS,
            size=size, every_ms=every * MINUTE_MS, priority=priority, timetable=timetable,
        ),
        st.integers(0, 40), st.integers(0, 18 * 60), st.integers(0, 40 * 60), st.integers(1, 15), st.integers(10, 90),
        st.integers(0, 2), st.sampled_from([OPEN, WEEKDAYS, Timetable(zone=SHANGHAI, steps=())]),
    ),
    max_size=5,
)
drawn_slots = st.lists(st.tuples(st.integers(1, 200), st.integers(1, 90), st.integers(0, 12)), max_size=3)


def slots_from(gaps: list[tuple[int, int, int]]) -> list[Slot]:
    """Disjoint slots from (minutes before it, minutes long, customers inside)."""
    slots, begin = [], at("06:00")
    for gap, length, used in gaps:
        begin += gap * MINUTE_MS
        slots.append(Slot(begin, begin + length * MINUTE_MS, used))
        begin += length * MINUTE_MS
    return slots


def one_by_one(slots: list[Slot], loads: list[Load], now: int) -> tuple[list[Slot], list[int]]:
    """The rule restated per customer, without any index: slots afterwards, and customers left over per load."""
    books = [[slot.opens_at, slot.closes_at, slot.used] for slot in slots]
    left = [0] * len(loads)
    for number in sorted(range(len(loads)), key=lambda n: (-loads[n].priority, loads[n].ready_at, n)):
        for _ in range(loads[number].count):
            left[number] += not _join(books, loads[number], now)
    return [Slot(*book) for book in sorted(books)], left


def _join(books: list[list[int]], mine: Load, now: int) -> bool:
    when, planned_on = max(now, mine.ready_at), local_date(mine.ready_at, SHANGHAI)
    while True:
        when = earliest_send(when, mine.timetable, planned_on)
        if when >= mine.expires_at:
            return False
        inside = [book for book in books if book[0] <= when < book[1]]
        ahead = [book for book in books if when < book[0] < when + mine.every_ms]
        if inside and inside[0][2] < mine.size:
            inside[0][2] += 1
            return True
        if inside:
            when = inside[0][1]
        elif ahead:
            when = min(ahead)[0]
        else:
            books.append([when, when + mine.every_ms, 1])
            return True


@given(drawn_slots, drawn_loads, st.integers(0, 20 * 60))
def test_placing_groups_is_placing_their_customers_one_by_one(
    gaps: list[tuple[int, int, int]], loads: list[Load], minutes: int
) -> None:
    slots, now = slots_from(gaps), at("06:00") + minutes * MINUTE_MS
    numbered = [Load(**{**vars(one), "key": number}) for number, one in enumerate(loads)]

    placed = place(slots, numbered, now)

    expected_slots, expected_left = one_by_one(slots, numbered, now)
    left = dict(placed.unplaced)
    assert list(placed.slots) == expected_slots
    assert [left.get(number, 0) for number in range(len(loads))] == expected_left


@given(drawn_slots, drawn_loads, st.integers(0, 20 * 60), st.none() | st.integers(0, 3))
def test_every_task_is_in_time_in_its_slot_and_outside_quiet_hours(
    gaps: list[tuple[int, int, int]], loads: list[Load], minutes: int, limit: int | None
) -> None:
    slots, now = slots_from(gaps), at("06:00") + minutes * MINUTE_MS
    numbered = [Load(**{**vars(one), "key": number}) for number, one in enumerate(loads)]

    placed = place(slots, numbered, now, tasks_per_day=limit)

    spans = {slot.opens_at: slot for slot in placed.slots}
    assert all(one.closes_at <= other.opens_at for one, other in pairwise(placed.slots)), "no two slots overlap"
    for task in placed.placements:
        check_task(task, numbered[task.key], spans[task.opens_at], now)
    for number, one in enumerate(numbered):
        done = sum(task.count for task in placed.placements if task.key == number)
        assert done + dict(placed.unplaced).get(number, 0) == one.count
    days = [local_date(task.create_at, SHANGHAI) for task in placed.placements]
    assert limit is None or all(days.count(on) <= limit for on in days)


def check_task(task: Placement, mine: Load, slot: Slot, now: int) -> None:
    assert max(now, mine.ready_at) <= task.create_at < min(slot.closes_at, mine.expires_at)
    assert slot.opens_at <= task.create_at
    assert not mine.timetable.quiet.contains(task.create_at, SHANGHAI)
    assert 1 <= task.count <= mine.size
