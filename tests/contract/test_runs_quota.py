"""Who gets a customer's day, on both databases: places, rivals, deferral (SPEC 7.3, D6-D8, D10)."""

from __future__ import annotations

import pytest

from machines.events import ResultNotFriend
from sopd.handlers import planning
from sopd.handlers.consequences import follow
from sopd.store import Store
from tests.support.company import TestCompany, at, local


def sop(key: str, *steps: str, **also: str) -> str:
    lines = [f"sop: {key}", f"title: {key}", "kind: new_customer"]
    lines += [f"{name}: {value}" for name, value in also.items()]
    return "\n".join([*lines, "steps:", *(f"  - {{{step}, by: mass_send, text: hello {key}}}" for step in steps)])


ONE = 'id: one, day: 1, at: "10:00"'


@pytest.fixture
def company(store: Store) -> TestCompany:
    return TestCompany(store)


def test_the_higher_priority_gets_the_day_even_if_it_falls_due_later(company: TestCompany) -> None:
    company.start(sop("low", 'id: one, day: 1, at: "10:00"'))
    company.start(sop("high", 'id: one, day: 1, at: "18:00"', priority="80"))
    mei = company.add("alice", "mei")

    company.work_until("2026-03-03 10:00")
    low = company.push(mei, "one", "low")
    company.work_until("2026-03-03 18:00")

    assert (low.state, low.reason, local(low.plan_at), low.deferred) == ("waiting", "quota", "2026-03-04 10:00", 1)
    assert company.push(mei, "one", "high").state == "planned"


def test_of_equals_the_earlier_due_wins_then_the_older_run(company: TestCompany) -> None:
    company.start(sop("late", 'id: one, day: 1, at: "10:30"'))
    company.start(sop("early", 'id: one, day: 1, at: "10:00"'))
    company.start(sop("same", 'id: one, day: 1, at: "10:00"'))
    mei = company.add("alice", "mei")

    company.work_until("2026-03-03 10:30")

    assert {key: company.push(mei, "one", key).state for key in ("late", "early", "same")} == {
        "late": "waiting", "early": "planned", "same": "waiting",
    }  # fmt: skip


def test_a_deferred_push_tries_each_following_day_and_then_fails(company: TestCompany) -> None:
    company.start(sop("strong", *(f'id: d{day}, day: {day}, at: "09:00"' for day in range(1, 7)), priority="90"))
    company.start(sop("weak", ONE))
    mei = company.add("alice", "mei")

    company.work_until("2026-03-06 09:00")
    waiting = company.push(mei, "one", "weak")
    company.work_until("2026-03-06 10:00")

    assert (waiting.state, waiting.deferred, local(waiting.plan_at)) == ("waiting", 3, "2026-03-06 10:00")
    assert company.pushes(mei, "weak") == {"one": "failed quota"}
    assert company.run(mei, "weak").state == "normal_end"


def test_a_sop_that_skips_does_not_wait_for_another_day(company: TestCompany) -> None:
    company.start(sop("strong", ONE, priority="90"))
    company.start(sop("weak", ONE, quota_full="skip"))
    mei = company.add("alice", "mei")

    company.work_until("2026-03-03 10:00")

    assert company.pushes(mei, "weak") == {"one": "skipped quota"}


def test_an_open_task_also_holds_the_next_day_until_it_is_settled(company: TestCompany) -> None:
    company.start(sop("first", ONE))
    company.start(sop("second", 'id: one, day: 2, at: "09:30"', priority="90"))
    mei = company.add("alice", "mei")
    company.work_until("2026-03-03 10:00")
    company.requested(mei, "one", "first")

    company.work_until("2026-03-04 09:30")
    blocked = company.push(mei, "one", "second")

    assert (blocked.state, blocked.reason, local(blocked.plan_at)) == ("waiting", "quota", "2026-03-05 09:30")


def test_once_settled_only_the_day_of_the_sending_stays_booked(company: TestCompany) -> None:
    company.start(sop("first", ONE))
    mei = company.add("alice", "mei")
    company.work_until("2026-03-03 10:00")
    company.requested(mei, "one")

    company.go_to("2026-03-04 08:00")
    company.sent(mei, "one", at("2026-03-03 20:00"))

    assert [place[1:] for place in company.places()] == [("D2026-03-03", 1)]


def test_a_failed_push_gives_its_days_back(company: TestCompany) -> None:
    company.start(sop("first", ONE))
    mei = company.add("alice", "mei")
    company.work_until("2026-03-03 10:00")
    company.requested(mei, "one")

    company.told(mei, "one", ResultNotFriend())

    assert company.places() == []
    assert company.pushes(mei) == {"one": "failed not a friend"}


def test_a_send_after_midnight_of_the_last_booked_day_is_booked_afterwards(company: TestCompany) -> None:
    company.start(sop("first", ONE))
    mei = company.add("alice", "mei")
    company.work_until("2026-03-03 10:00")
    company.requested(mei, "one")

    company.go_to("2026-03-05 00:30")
    company.sent(mei, "one", at("2026-03-05 00:10"))

    assert [place[1:] for place in company.places()] == [("D2026-03-05", 1)]


def test_a_rival_that_could_not_be_sent_anyway_does_not_count(company: TestCompany) -> None:
    vip = company.tag("level/vip")
    company.start(sop("weak", ONE))
    company.start(
        sop("strong", 'id: one, day: 1, at: "18:00", only_if: {tag: [level/vip]}', priority="90")
    )
    mei, lea = company.add("alice", "mei"), company.add("alice", "lea")
    company.put_tag(lea, vip)

    company.work_until("2026-03-03 10:00")

    assert company.pushes(mei, "weak") == {"one": "planned"}
    assert company.pushes(lea, "weak") == {"one": "waiting quota"}


def test_a_rival_of_a_paused_sop_does_not_count(company: TestCompany) -> None:
    company.start(sop("weak", ONE))
    company.start(sop("strong", 'id: one, day: 1, at: "18:00"', priority="90"))
    mei = company.add("alice", "mei")
    company.pause("strong")

    company.work_until("2026-03-03 10:00")

    assert company.pushes(mei, "weak") == {"one": "planned"}


def test_a_rival_whose_member_cannot_send_does_not_count(company: TestCompany) -> None:
    company.start(sop("weak", ONE, members="[alice]"))
    company.start(sop("strong", ONE, priority="90", members="[bob]"))
    mei = company.add("alice", "mei")
    company.add("bob", "mei")
    with company.store.transaction() as tx:
        tx.run("update member set can_send = false where userid = 'bob'")

    company.work_until("2026-03-03 10:00")

    assert company.pushes(mei, "weak") == {"one": "planned"}


def test_a_mass_send_that_would_go_out_tomorrow_is_no_rival_today(company: TestCompany) -> None:
    company.start(sop("weak", ONE))
    company.start(sop("strong", 'id: one, day: 1, at: "22:00"', priority="90"))
    mei = company.add("alice", "mei")

    company.work_until("2026-03-03 10:00")

    assert company.pushes(mei, "weak") == {"one": "planned"}


def test_week_mode_takes_several_a_week_but_only_one_open_at_a_time(store: Store) -> None:
    company = TestCompany(store, quota="week:7")
    company.start(sop("one", ONE))
    company.start(sop("two", 'id: one, day: 1, at: "12:00"'))
    mei = company.add("alice", "mei")
    company.work_until("2026-03-03 12:00")

    assert company.pushes(mei, "one") == {"one": "planned"}
    assert company.pushes(mei, "two") == {"one": "waiting quota"}
    assert [place[1:] for place in company.places()] == [("W2026-03-02", 1)]


def test_a_full_week_defers_even_without_an_open_task(store: Store) -> None:
    company = TestCompany(store, quota="week:7")
    company.start(sop("one", ONE))
    mei = company.add("alice", "mei")
    with company.store.transaction() as tx:
        for place in range(1, 8):
            tx.run(
                'insert into reservation (customer_id, "window", place, at) values (?, ?, ?, ?)',
                (mei.customer_id, "W2026-03-02", place, tx.now),
            )

    company.work_until("2026-03-03 10:00")

    assert company.pushes(mei) == {"one": "waiting quota"}


def test_wecoms_full_window_defers_a_push_that_was_confirmed(company: TestCompany) -> None:
    company.start(sop("first", ONE))
    mei = company.add("alice", "mei")
    company.work_until("2026-03-03 10:00")
    company.requested(mei, "one")

    push_id = company.push(mei, "one").id
    with company.store.transaction() as tx:
        follow(tx, company.app, planning.quota_full(tx, company.app, [push_id]))
    deferred = company.push(mei, "one")
    company.work_until("2026-03-04 10:00")

    assert (deferred.state, local(deferred.plan_at), deferred.dispatch_id) == ("waiting", "2026-03-04 10:00", None)
    assert company.push(mei, "one").state == "planned"
    assert [place[1:] for place in company.places()] == [("D2026-03-04", 1), ("D2026-03-05", 1)]
