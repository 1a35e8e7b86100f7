"""`pace: stepwise` on both databases: each step counts from the settlement of the one before (SPEC 5, D13)."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from machines.events import ResultUnreported
from machines.workdays import Workdays
from sopd.handlers import stepwise
from sopd.store import Store
from sopd.store.tables import Signal
from tests.support.company import TestCompany, at, local
from tests.support.factories import add

CARE = """
sop: care
title: Care
kind: new_customer
pace: stepwise
{also}
steps:
  - {{id: one, day: 1, at: "10:00", by: mass_send, text: one{wait}}}
  - {{id: two, {second}, by: mass_send, text: two}}
  - {{id: three, next: monday, at: "10:00", by: mass_send, text: three}}
"""


def care(*, also: str = "", wait: str = "", second: str = 'day: 2, at: "10:00"') -> str:
    return CARE.format(also=also, wait=wait, second=second)


WAITING = ", wait: reply, at_most: 7d"


@pytest.fixture
def company(store: Store) -> TestCompany:
    return TestCompany(store)


def sent_at(company: TestCompany, who: SimpleNamespace, step: str, when: str) -> None:
    """The task of the step goes out and is confirmed at this instant, and we learn it at once."""
    company.go_to(when)
    company.requested(who, step)
    company.sent(who, step)


def due(company: TestCompany, who: SimpleNamespace) -> str | None:
    return local(company.run(who).due_at)


def replies(company: TestCompany, who: SimpleNamespace, when: str) -> None:
    """The customer wrote; the run hears of it now."""
    add(company.store, Signal, ref=f"r{at(when)}", kind="reply", customer_id=who.customer_id, relation_id=who.id,
        at=at(when), received_at=company.now, text="?")  # fmt: skip
    run_id = company.run(who).id
    with company.store.transaction() as tx:
        stepwise.answered(tx, company.app, [(run_id, at(when))])


def test_the_first_step_counts_from_the_entry_and_the_next_from_the_sending_of_the_first(company: TestCompany) -> None:
    company.start(care())
    mei = company.add("alice", "mei")
    assert due(company, mei) == "2026-03-03 10:00"

    company.work_until("2026-03-03 10:00")
    assert (company.run(mei).state, due(company, mei), company.run(mei).mass_at) == ("one", None, None)

    sent_at(company, mei, "one", "2026-03-04 18:20")
    assert due(company, mei) == "2026-03-06 10:00"
    assert local(company.run(mei).mass_at) == "2026-03-06 10:00"

    company.work_until("2026-03-06 10:00")
    sent_at(company, mei, "two", "2026-03-06 11:00")
    assert due(company, mei) == "2026-03-09 10:00"

    company.work_until("2026-03-09 10:00")
    assert company.run(mei).state == "settling"
    sent_at(company, mei, "three", "2026-03-09 11:00")
    assert company.run(mei).state == "normal_end"


def test_the_clock_counts_from_what_wecom_says_and_not_from_when_we_learned_it(company: TestCompany) -> None:
    company.start(care())
    mei = company.add("alice", "mei")
    company.work_until("2026-03-03 10:00")
    company.requested(mei, "one")

    company.go_to("2026-03-04 00:30")
    company.sent(mei, "one", at("2026-03-03 23:50"))

    assert due(company, mei) == "2026-03-05 10:00"


def test_a_step_that_was_due_before_its_predecessor_was_known_to_be_sent_goes_out_now(company: TestCompany) -> None:
    company.start(care(also="outage_grace: none", second="after: 1h"))
    mei = company.add("alice", "mei")
    company.work_until("2026-03-03 10:00")
    company.requested(mei, "one")
    company.go_to("2026-03-04 15:00")
    company.sent(mei, "one", at("2026-03-03 12:00"))

    company.work()

    assert company.pushes(mei) == {"one": "sent", "two": "planned"}
    assert local(company.push(mei, "two").due_at) == "2026-03-04 15:00"


def test_what_was_not_sent_counts_from_when_that_was_known(company: TestCompany) -> None:
    company.start(care())
    mei = company.add("alice", "mei")
    company.work_until("2026-03-03 10:00")
    company.requested(mei, "one")

    company.go_to("2026-03-05 09:00")
    company.told(mei, "one", ResultUnreported())

    assert company.pushes(mei) == {"one": "failed not reported"}
    assert due(company, mei) == "2026-03-07 10:00"


def test_two_mass_sends_never_meet_on_one_day(company: TestCompany) -> None:
    company.start(care(second="after: 2h"))
    mei = company.add("alice", "mei")
    company.work_until("2026-03-03 10:00")

    sent_at(company, mei, "one", "2026-03-03 11:00")

    assert due(company, mei) == "2026-03-04 13:00"


def test_a_condition_that_is_false_skips_the_step_and_the_clock_goes_on(company: TestCompany) -> None:
    company.tag("level/vip")
    company.start(care(second='day: 2, at: "10:00", only_if: {tag: [level/vip]}'))
    mei = company.add("alice", "mei")
    company.work_until("2026-03-03 10:00")
    sent_at(company, mei, "one", "2026-03-03 10:05")

    company.work_until("2026-03-05 10:00")

    assert company.pushes(mei) == {"one": "sent", "two": "skipped condition"}
    assert due(company, mei) == "2026-03-09 10:00"


def test_a_step_that_is_past_at_entry_is_skipped_and_the_next_counts_from_then(company: TestCompany) -> None:
    company.start(care().replace('id: one, day: 1, at: "10:00"', 'id: one, day: 0, at: "08:30"'))
    mei = company.add("alice", "mei")

    assert company.pushes(mei) == {"one": "skipped before entry"}
    assert due(company, mei) == "2026-03-04 10:00"
    assert local(company.run(mei).mass_at) == "2026-03-04 10:00"


def test_a_welcome_is_the_first_settlement(company: TestCompany) -> None:
    company.start(care().replace('id: one, day: 1, at: "10:00", by: mass_send', "id: one, by: welcome"))
    greeted = company.add("alice", "mei", code="CODE")
    late = company.add("alice", "lea")

    assert due(company, greeted) is None
    assert company.pushes(late) == {"one": "skipped no welcome code"}
    assert due(company, late) == "2026-03-04 10:00"


def test_a_step_missed_through_downtime_is_skipped_and_the_next_counts_from_then(company: TestCompany) -> None:
    company.start(care())
    mei = company.add("alice", "mei")

    company.go_to("2026-03-05 09:00")
    company.work()

    assert company.pushes(mei) == {"one": "skipped late"}
    assert due(company, mei) == "2026-03-07 10:00"


def test_off_days_move_what_a_settlement_leads_to(store: Store) -> None:
    company = TestCompany(store, workdays=Workdays())
    company.start(care(also="calendar: weekdays"))
    mei = company.add("alice", "mei")
    company.work_until("2026-03-03 10:00")

    sent_at(company, mei, "one", "2026-03-05 18:00")

    assert due(company, mei) == "2026-03-09 10:00"


def test_what_settles_during_a_pause_starts_the_clock_and_falls_due_into_it(company: TestCompany) -> None:
    company.start(care())
    mei = company.add("alice", "mei")
    company.work_until("2026-03-03 10:00")
    company.requested(mei, "one")
    company.pause("care")
    company.go_to("2026-03-03 10:10")
    company.sent(mei, "one")
    assert due(company, mei) == "2026-03-05 10:00"

    company.work_until("2026-03-05 10:00")

    assert company.pushes(mei) == {"one": "sent"}
    assert company.run(mei).parked_at is not None


# -- waiting for an answer ---------------------------------------------------------------------------------------------


def test_the_next_step_counts_from_the_first_answer(company: TestCompany) -> None:
    company.start(care(wait=WAITING))
    mei = company.add("alice", "mei")
    company.work_until("2026-03-03 10:00")
    sent_at(company, mei, "one", "2026-03-03 10:05")
    assert due(company, mei) == "2026-03-12 10:00"

    company.go_to("2026-03-05 16:00")
    replies(company, mei, "2026-03-05 15:59")
    assert due(company, mei) == "2026-03-07 10:00"

    replies(company, mei, "2026-03-05 16:00")
    assert due(company, mei) == "2026-03-07 10:00"
    told = [row[0] for row in company.rows("select reason from journal where kind in ('wait', 'note') order by id")]
    assert told == ["waits for an answer", "answered"]


def test_without_an_answer_the_next_step_counts_from_the_end_of_the_wait(company: TestCompany) -> None:
    company.start(care(wait=WAITING))
    mei = company.add("alice", "mei")
    company.work_until("2026-03-03 10:00")
    sent_at(company, mei, "one", "2026-03-03 10:05")

    company.work_until("2026-03-12 10:00")

    assert company.pushes(mei) == {"one": "sent", "two": "planned"}


def test_an_answer_before_the_sending_or_after_the_wait_changes_nothing(company: TestCompany) -> None:
    company.start(care(wait=", wait: reply, at_most: 1d"))
    mei = company.add("alice", "mei")
    company.work_until("2026-03-03 10:00")
    sent_at(company, mei, "one", "2026-03-03 10:05")
    latest = due(company, mei)

    replies(company, mei, "2026-03-03 10:04")
    replies(company, mei, "2026-03-04 10:06")

    assert due(company, mei) == latest == "2026-03-06 10:00"


def test_an_answer_between_the_sending_and_its_report_counts(company: TestCompany) -> None:
    company.start(care(wait=WAITING))
    mei = company.add("alice", "mei")
    company.work_until("2026-03-03 10:00")
    company.requested(mei, "one")
    replies(company, mei, "2026-03-03 12:30")
    replies(company, mei, "2026-03-03 13:30")

    company.go_to("2026-03-04 09:00")
    company.sent(mei, "one", at("2026-03-03 12:00"))

    assert due(company, mei) == "2026-03-05 10:00"


def test_a_shift_prolongs_the_wait_and_an_answer_right_after_it_counts(company: TestCompany) -> None:
    company.start(care(wait=WAITING))
    mei = company.add("alice", "mei")
    company.work_until("2026-03-03 10:00")
    sent_at(company, mei, "one", "2026-03-03 18:00")
    company.pause("care")
    company.go_to("2026-03-06 09:00")
    company.resume("care", "shift")
    company.work()
    latest = due(company, mei)

    replies(company, mei, "2026-03-06 09:00")

    assert (latest, due(company, mei)) == ("2026-03-15 10:00", "2026-03-08 10:00")


def test_nobody_waits_for_an_answer_to_what_was_not_sent(company: TestCompany) -> None:
    company.start(care(wait=WAITING))
    mei = company.add("alice", "mei")
    company.work_until("2026-03-03 10:00")
    company.requested(mei, "one")
    company.go_to("2026-03-05 09:00")
    company.told(mei, "one", ResultUnreported())

    assert due(company, mei) == "2026-03-07 10:00"


def test_an_answer_of_another_relation_is_none_in_a_run_per_relation(company: TestCompany) -> None:
    company.start(care(wait=WAITING))
    mei = company.add("alice", "mei")
    with_bob = company.befriend("bob", "mei")
    company.work_until("2026-03-03 10:00")
    company.requested(mei, "one")
    add(company.store, Signal, ref="elsewhere", kind="reply", customer_id=mei.customer_id, relation_id=with_bob.id,
        at=at("2026-03-03 11:00"), received_at=company.now, text="?")  # fmt: skip

    sent_at(company, mei, "one", "2026-03-03 10:05")

    assert due(company, mei) == "2026-03-12 10:00"


# -- rivals ------------------------------------------------------------------------------------------------------------


def test_a_stepwise_run_is_a_rival_only_for_a_step_whose_due_is_known(company: TestCompany) -> None:
    company.start(care(also="priority: 90"))
    company.start(
        "sop: news\ntitle: News\nkind: new_customer\nsteps:\n"
        '  - {id: a, day: 4, at: "09:30", by: mass_send, text: a}'
    )
    mei = company.add("alice", "mei")
    company.work_until("2026-03-03 10:00")
    sent_at(company, mei, "one", "2026-03-04 18:00")

    company.work_until("2026-03-06 09:30")
    assert company.pushes(mei, "news") == {"a": "waiting quota"}

    company.work_until("2026-03-06 10:00")
    assert company.pushes(mei, "care") == {"one": "sent", "two": "planned"}
