"""Slots, tasks and expiry, on both databases (SPEC 7.4, 7.5, D11, D12, D14)."""

from __future__ import annotations

import pytest

from sopd.store import Store
from tests.support.company import TestCompany, local


def sop(key: str = "care", batch: str = "{size: 2, every: 30m}", at: str = "10:00", also: str = "") -> str:
    return f"""
sop: {key}
title: {key}
kind: new_customer
batch: {batch}
{also}
steps:
  - {{id: one, day: 1, at: "{at}", by: mass_send, text: hello {key}}}
"""


@pytest.fixture
def company(store: Store) -> TestCompany:
    return TestCompany(store)


def test_customers_beyond_the_batch_wait_for_the_next_slot(company: TestCompany) -> None:
    company.start(sop())
    for number in range(5):
        company.add("alice", f"c{number}")

    company.work_until("2026-03-03 10:00")

    assert company.tasks() == [
        ("one", "planned", "2026-03-03 10:01", 2),
        ("one", "planned", "2026-03-03 10:31", 2),
        ("one", "planned", "2026-03-03 11:01", 1),
    ]


def test_another_sop_joins_the_slot_that_is_open_and_fills_it_up_to_its_own_size(company: TestCompany) -> None:
    company.start(sop("small", "{size: 2, every: 30m}"))
    company.start(sop("large", "{size: 5, every: 30m}", at="10:10"))
    for number in range(3):
        company.add("alice", f"s{number}", channel="x")
    with company.store.transaction() as tx:  # the first three are not for `large`
        tx.run("update enrollment set due_at = null where sop_id = (select id from sop where key = 'large')")
    company.work_until("2026-03-03 10:00")
    company.go_to("2026-03-02 12:00")
    for number in range(5):
        company.add("alice", f"l{number}")
    with company.store.transaction() as tx:
        tx.run("update enrollment set due_at = null where state = 'enrolled' and sop_id ="
               " (select id from sop where key = 'small')")  # fmt: skip

    company.work_until("2026-03-03 10:10")

    slots = company.rows("select opens_at, used from slot order by opens_at")
    assert [(local(opens_at), used) for opens_at, used in slots] == [("2026-03-03 10:00", 5), ("2026-03-03 10:30", 3)]


def test_members_have_slots_of_their_own(company: TestCompany) -> None:
    company.start(sop())
    for number in range(2):
        company.add("alice", f"a{number}")
        company.add("bob", f"b{number}")

    company.work_until("2026-03-03 10:00")

    assert [size for _, _, _, size in company.tasks()] == [2, 2]


def test_a_slot_reaching_into_quiet_hours_goes_on_in_the_morning(company: TestCompany) -> None:
    company.start(sop(batch="{size: 1, every: 30m}", at="20:30"))
    for number in range(3):
        company.add("alice", f"c{number}")

    company.work_until("2026-03-03 20:30")

    assert [send_at for _, _, send_at, _ in company.tasks()] == [
        "2026-03-03 20:31", "2026-03-04 08:01", "2026-03-04 08:31",
    ]  # fmt: skip


def test_who_finds_no_slot_before_the_expiry_expires_when_it_comes(company: TestCompany) -> None:
    company.start(sop(batch="{size: 1, every: 1d}", at="10:00"))
    people = [company.add("alice", f"c{number}") for number in range(3)]

    company.work_until("2026-03-03 10:00")
    waiting = company.push(people[2], "one")
    company.work_until("2026-03-05 00:00")

    assert (waiting.state, waiting.reason, local(waiting.plan_at)) == ("waiting", "capacity", "2026-03-05 00:00")
    assert company.push(people[2], "one").state == "expired"
    assert company.run(people[2]).state == "normal_end"


def test_a_push_due_in_quiet_hours_waits_for_their_end_and_is_not_late(company: TestCompany) -> None:
    company.start(sop(at="22:00"))
    mei = company.add("alice", "mei")

    company.work_until("2026-03-03 22:00")
    waiting = company.push(mei, "one")
    company.work_until("2026-03-04 08:00")

    assert (waiting.state, waiting.reason, local(waiting.plan_at)) == ("waiting", "quiet hours", "2026-03-04 08:00")
    assert (company.push(mei, "one").state, local(company.push(mei, "one").expires_at)) == (
        "planned", "2026-03-06 00:00",
    )  # fmt: skip


def test_later_pushes_of_the_same_step_slot_and_expiry_join_the_planned_task(company: TestCompany) -> None:
    company.start(sop(batch="{size: 200, every: 30m}"))
    company.add("alice", "first")
    company.go_to("2026-03-02 09:30")
    company.add("alice", "second")
    company.work_until("2026-03-03 10:00")
    with company.store.transaction() as tx:
        tx.run("update push set plan_at = ?, state = 'due', dispatch_id = null where id = 2", (tx.now,))
        tx.run("delete from reservation where push_id = 2")
        tx.run("update dispatch set size = 1")

    company.work()

    assert company.tasks() == [("one", "planned", "2026-03-03 10:01", 2)]


def test_the_companys_limit_of_tasks_a_day_moves_a_task_to_the_next_day(store: Store) -> None:
    company = TestCompany(store, tasks_per_member_day=1)
    company.start(sop(batch="{size: 1, every: 30m}"))
    company.add("alice", "mei")
    company.add("alice", "lea")

    company.work_until("2026-03-03 10:00")

    assert [send_at for _, _, send_at, _ in company.tasks()] == ["2026-03-03 10:01", "2026-03-04 10:01"]


def test_the_expiry_of_a_weekday_sop_ends_with_its_next_allowed_day(store: Store) -> None:
    company = TestCompany(store, "2026-03-05 09:00")
    company.start(sop(also="calendar: weekdays"))
    mei = company.add("alice", "mei")

    company.work_until("2026-03-06 10:00")

    assert local(company.push(mei, "one").expires_at) == "2026-03-10 00:00"
