"""Runs on both databases: steps fall due, are overtaken, wait, are late, and come to their end (SPEC 5, D11)."""

from __future__ import annotations

import pytest

from sopd.store import Store
from tests.support.company import TestCompany, at, local

THREE_STEPS = """
sop: care
title: Care
kind: new_customer
steps:
  - {id: first, day: 1, at: "10:00", by: mass_send, text: one}
  - {id: second, day: 2, at: "10:00", by: mass_send, text: two}
  - {id: third, day: 5, at: "10:00", by: mass_send, text: three}
normal_end: {add_tags: [result/done]}
"""


@pytest.fixture
def company(store: Store) -> TestCompany:
    made = TestCompany(store)
    made.done = made.tag("result/done")
    return made


def test_a_new_customer_waits_for_the_first_step(company: TestCompany) -> None:
    company.start(THREE_STEPS)

    mei = company.add("alice", "mei")

    run = company.run(mei)
    assert (run.state, local(run.due_at), local(run.mass_at)) == ("enrolled", "2026-03-03 10:00", "2026-03-03 10:00")


def test_a_due_step_is_planned_into_a_task(company: TestCompany) -> None:
    company.start(THREE_STEPS)
    mei = company.add("alice", "mei")

    company.work_until("2026-03-03 10:00")

    run, push = company.run(mei), company.push(mei, "first")
    assert (run.state, local(run.due_at)) == ("first", "2026-03-04 10:00")
    assert (push.state, local(push.expires_at)) == ("planned", "2026-03-04 10:00")
    assert company.tasks() == [("first", "planned", "2026-03-03 10:01", 1)]
    assert [window for _, window, _ in company.places()] == ["D2026-03-03", "D2026-03-04"]


def test_a_step_nobody_was_asked_for_is_overtaken_by_the_next(company: TestCompany) -> None:
    company.start(THREE_STEPS)
    mei = company.add("alice", "mei")

    company.work_until("2026-03-04 10:00")

    assert company.pushes(mei) == {"first": "skipped overtaken", "second": "planned"}
    assert [task[:2] for task in company.tasks()] == [("first", "cancelled"), ("second", "planned")]


def test_a_step_waits_for_an_open_task_and_is_not_late_for_it(company: TestCompany) -> None:
    company.start(THREE_STEPS)
    mei = company.add("alice", "mei")
    company.work_until("2026-03-03 10:00")
    company.requested(mei, "first")

    company.work_until("2026-03-06 09:30")
    waiting = company.run(mei)
    company.sent(mei, "first", at("2026-03-03 20:00"))
    company.work()

    assert (waiting.state, waiting.due_at) == ("first", None)
    assert company.pushes(mei) == {"first": "sent", "second": "planned"}
    assert local(company.push(mei, "second").due_at) == "2026-03-06 09:30"


def test_steps_missed_in_downtime_are_late_and_the_last_one_in_its_grace_is_sent(company: TestCompany) -> None:
    company.start(THREE_STEPS)
    mei = company.add("alice", "mei")

    company.go_to("2026-03-07 15:00")
    company.work()

    assert company.pushes(mei) == {"first": "skipped late", "second": "skipped late", "third": "planned"}
    assert company.run(mei).state == "settling"


def test_when_every_push_has_settled_the_run_ends_and_writes_its_tags(company: TestCompany) -> None:
    company.start(THREE_STEPS)
    mei = company.add("alice", "mei")
    for day, step in (("03", "first"), ("04", "second"), ("07", "third")):
        company.work_until(f"2026-03-{day} 10:00")
        company.requested(mei, step)
        company.sent(mei, step)

    run = company.run(mei)
    assert (run.state, run.reason, run.closed_at, run.due_at) == ("normal_end", "normal end", company.now, None)
    assert company.rows("select tag_id, wanted from relation_tag") == [(company.done, 1)]
    assert company.rows("select kind, state from outbox") == [("mark_tag", "pending")]


def test_moments_past_at_entry_are_skipped(company: TestCompany) -> None:
    company.start(THREE_STEPS.replace("day: 1,", "day: 0,"))

    company.go_to("2026-03-02 11:00")
    mei = company.add("alice", "mei")

    assert company.pushes(mei) == {"first": "skipped before entry"}
    assert (company.run(mei).state, local(company.run(mei).due_at)) == ("first", "2026-03-04 10:00")


def test_a_relation_discovered_after_all_its_moments_enters_and_ends(company: TestCompany) -> None:
    company.start(THREE_STEPS)
    mei = company.befriend("alice", "mei")

    company.go_to("2026-03-20 11:00")
    company.admit([mei], cause="reconciliation")
    company.work()

    assert company.pushes(mei) == dict.fromkeys(("first", "second", "third"), "skipped late")
    assert company.run(mei).state == "normal_end"


def test_a_moment_missed_before_the_entry_overtakes_nobody(company: TestCompany) -> None:
    company.start(
        """
sop: mixed
title: Mixed
kind: new_customer
steps:
  - {id: soon, after: 10m, by: mass_send, text: soon}
  - {id: morning, day: 0, at: "08:00", by: mass_send, text: morning}
  - {id: later, day: 2, at: "10:00", by: mass_send, text: later}
"""
    )

    mei = company.add("alice", "mei")
    company.work_until("2026-03-02 09:10")

    assert company.pushes(mei) == {"soon": "planned", "morning": "skipped before entry"}
    assert local(company.push(mei, "soon").expires_at) == "2026-03-04 00:00"
