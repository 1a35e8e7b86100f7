"""What `resume` does about missed moments and unmet people, on both databases (SPEC 12, D23)."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from sopd.errors import Refused
from sopd.handlers import planning, resuming, sop_jobs, sops
from sopd.handlers.consequences import follow
from sopd.store import Store
from tests.support.company import TestCompany, at, local

CARE = """
sop: care
title: Care
kind: new_customer
{also}
steps:
  - {{id: one, day: 1, at: "10:00", by: mass_send, text: one}}
  - {{id: two, day: 2, at: "10:00", by: mass_send, text: two}}
  - {{id: three, day: 5, at: "10:00", by: mass_send, text: three}}
  - {{id: four, day: 9, at: "10:00", by: mass_send, text: four}}
"""
ANCHORED = CARE.format(also="")
STEPWISE = CARE.format(also="pace: stepwise")
TIMED = """
sop: care
title: Care
kind: new_customer
strategy: timed
steps:
  - {id: one, on: 2026-03-03, at: "10:00", by: mass_send, text: one}
  - {id: two, on: 2026-03-05, at: "10:00", by: mass_send, text: two}
"""


@pytest.fixture
def company(store: Store) -> TestCompany:
    return TestCompany(store)


def due(company: TestCompany, who: SimpleNamespace) -> str | None:
    return local(company.run(who).due_at)


def paused(company: TestCompany, text: str, since: str, until: str) -> SimpleNamespace:
    """Somebody who was added on Monday 2 March at 9, in a SOP that was paused for a while."""
    company.start(text)
    mei = company.add("alice", "mei")
    company.work_until(since)
    company.pause("care")
    company.work_until(until)
    return mei


# -- shift -------------------------------------------------------------------------------------------------------------


def test_shift_moves_everything_to_come_by_the_days_of_the_pause(company: TestCompany) -> None:
    mei = paused(company, ANCHORED, "2026-03-02 18:00", "2026-03-05 09:30")

    company.resume("care", "shift")
    assert company.run(mei).parked_at is not None  # nothing fires before it is shifted
    company.work()

    assert (company.run(mei).state, due(company, mei), company.run(mei).parked_at) == (
        "enrolled", "2026-03-06 10:00", None,
    )  # fmt: skip
    assert company.pushes(mei) == {}
    assert company.rows("select anchor_moves_ms from enrollment") == [(3 * 86_400_000,)]
    company.work_until("2026-03-06 10:00")
    assert (company.pushes(mei), due(company, mei)) == ({"one": "planned"}, "2026-03-07 10:00")
    assert local(company.push(mei, "one").next_due_at) == "2026-03-07 10:00"


def test_a_step_that_had_not_been_missed_moves_too(company: TestCompany) -> None:
    mei = paused(company, ANCHORED, "2026-03-04 18:00", "2026-03-06 12:00")
    company.run(mei)

    company.resume("care", "shift")
    company.work()

    assert due(company, mei) == "2026-03-09 10:00"


def test_a_pause_within_one_day_shifts_by_none_and_skips_what_passed(company: TestCompany) -> None:
    mei = paused(company, ANCHORED, "2026-03-03 09:00", "2026-03-03 11:00")

    company.resume("care", "shift")
    company.work()

    assert (company.pushes(mei), due(company, mei)) == ({"one": "skipped paused"}, "2026-03-04 10:00")


def test_what_is_past_even_after_the_shift_is_skipped(company: TestCompany) -> None:
    mei = paused(company, ANCHORED, "2026-03-03 09:00", "2026-03-05 11:00")

    company.resume("care", "shift")
    company.work()

    assert (company.pushes(mei), due(company, mei)) == ({"one": "skipped paused"}, "2026-03-06 10:00")


def test_whoever_entered_during_the_pause_moves_by_less(company: TestCompany) -> None:
    company.start(ANCHORED)
    mei = company.add("alice", "mei")
    company.pause("care")
    company.go_to("2026-03-04 09:00")
    lea = company.add("alice", "lea")
    with company.store.transaction() as tx:  # as a flow would have let in
        tx.run(
            "insert into enrollment (sop_id, version_id, subject_id, run_no, customer_id, relation_id, member_id,"
            " state, anchor_at, entered_at, cause, after_signal, anchor_moves_ms, waits_reply, due_at, hop, rev)"
            " select sop_id, version_id, ?, 1, ?, ?, member_id, state, ?, ?, 'flow:x', 0, 0, waits_reply, ?, 0, 0"
            " from enrollment",
            (lea.id, lea.customer_id, lea.id, tx.now, tx.now, at("2026-03-05 10:00")),
        )
    company.work_until("2026-03-06 08:00")

    company.resume("care", "shift")
    company.work()

    assert (due(company, mei), due(company, lea)) == ("2026-03-07 10:00", "2026-03-07 10:00")


def test_a_shift_plans_waiting_pushes_again_with_the_shifted_next_step_behind_them(company: TestCompany) -> None:
    mei = paused(company, ANCHORED, "2026-03-03 10:00", "2026-03-05 09:00")
    assert company.pushes(mei) == {"one": "waiting sop paused"}

    company.resume("care", "shift")
    company.work()

    push = company.push(mei, "one")
    assert push.state == "planned"
    assert local(push.next_due_at) == due(company, mei) == "2026-03-06 10:00"


def test_a_shift_over_off_days_lands_where_the_calendar_allows(company: TestCompany) -> None:
    mei = paused(company, CARE.format(also="calendar: weekdays"), "2026-03-02 18:00", "2026-03-06 09:00")

    company.resume("care", "shift")
    company.work()

    assert due(company, mei) == "2026-03-09 10:00"


def test_two_shifts_add_up(company: TestCompany) -> None:
    mei = paused(company, ANCHORED, "2026-03-02 18:00", "2026-03-03 09:00")
    company.resume("care", "shift")
    company.work()
    company.pause("care")
    company.work_until("2026-03-05 09:00")

    company.resume("care", "shift")
    company.work()

    assert due(company, mei) == "2026-03-06 10:00"


def test_a_second_pause_before_the_shift_was_done_counts_from_the_first(company: TestCompany) -> None:
    mei = paused(company, ANCHORED, "2026-03-02 18:00", "2026-03-04 09:00")
    company.resume("care", "shift")
    company.pause("care")
    company.work_until("2026-03-06 09:00")

    company.resume("care", "shift")
    company.work()

    assert due(company, mei) == "2026-03-07 10:00"


def test_steps_skipped_at_entry_stay_skipped_however_far_a_run_is_shifted(company: TestCompany) -> None:
    early = ANCHORED.replace('id: one, day: 1, at: "10:00"', 'id: one, day: 0, at: "08:00"')
    mei = paused(company, early, "2026-03-02 18:00", "2026-03-05 07:00")

    company.resume("care", "shift")
    company.work()

    assert (company.pushes(mei), due(company, mei)) == ({"one": "skipped before entry"}, "2026-03-07 10:00")


def test_a_stepwise_run_shifts_what_it_counts_from(company: TestCompany) -> None:
    company.start(STEPWISE)
    mei = company.add("alice", "mei")
    company.work_until("2026-03-03 10:00")
    company.requested(mei, "one")
    company.sent(mei, "one")
    company.pause("care")
    company.work_until("2026-03-06 12:00")
    assert company.run(mei).parked_at is not None

    company.resume("care", "shift")
    company.work()

    assert due(company, mei) == "2026-03-08 10:00"


def test_a_stepwise_run_whose_push_is_out_waits_for_it_after_a_shift_too(company: TestCompany) -> None:
    company.start(STEPWISE)
    mei = company.add("alice", "mei")
    company.work_until("2026-03-03 10:00")
    company.requested(mei, "one")
    company.pause("care")
    company.go_to("2026-03-04 10:00")
    company.resume("care", "shift")
    company.sent(mei, "one")
    company.work()
    counted = due(company, mei)

    assert counted == "2026-03-06 10:00"


def test_fixed_dates_cannot_be_shifted(company: TestCompany) -> None:
    company.start(TIMED)
    company.pause("care")

    with pytest.raises(Refused, match="fixed and cannot be shifted"):
        company.resume("care", "shift")

    assert company.rows("select state from sop") == [("paused",)]


def test_a_step_that_waits_for_a_push_since_before_the_pause_goes_on_waiting(company: TestCompany) -> None:
    company.start(ANCHORED)
    mei = company.add("alice", "mei")
    company.work_until("2026-03-03 10:00")
    task = company.requested(mei, "one")
    company.work_until("2026-03-04 10:00")
    company.pause("care")
    company.go_to("2026-03-04 12:00")
    company.resume("care", "shift")
    company.work()
    waiting = (company.run(mei).state, due(company, mei), company.run(mei).parked_at)

    come_back(company, task)
    company.work()

    assert waiting == ("one", None, None)
    assert company.pushes(mei) == {"one": "skipped overtaken", "two": "planned"}


# -- catch up ----------------------------------------------------------------------------------------------------------


def test_catch_up_sends_the_latest_of_what_was_missed(company: TestCompany) -> None:
    mei = paused(company, ANCHORED, "2026-03-02 18:00", "2026-03-05 09:30")

    company.resume("care", "catch_up")
    company.work()

    assert company.pushes(mei) == {"one": "skipped paused", "two": "planned"}
    assert due(company, mei) == "2026-03-07 10:00"


def test_catch_up_skips_a_waiting_push_if_a_later_step_was_missed(company: TestCompany) -> None:
    mei = paused(company, ANCHORED, "2026-03-03 10:00", "2026-03-05 09:30")

    company.resume("care", "catch_up")
    company.work()

    assert company.pushes(mei) == {"one": "skipped paused", "two": "planned"}


def test_catch_up_plans_a_waiting_push_again_if_it_was_the_latest(company: TestCompany) -> None:
    mei = paused(company, ANCHORED, "2026-03-03 10:00", "2026-03-03 15:00")

    company.resume("care", "catch_up")
    company.work()

    assert company.pushes(mei) == {"one": "planned"}


def test_catch_up_of_fixed_dates(company: TestCompany) -> None:
    mei = paused(company, TIMED, "2026-03-02 18:00", "2026-03-04 09:30")

    company.resume("care", "catch_up")
    company.work()

    assert (company.pushes(mei), due(company, mei)) == ({"one": "planned"}, "2026-03-05 10:00")


def test_a_stepwise_step_is_caught_up_or_skipped_and_the_next_counts_from_then(company: TestCompany) -> None:
    company.start(STEPWISE)
    mei, lea = company.add("alice", "mei"), company.add("bob", "lea")
    company.pause("care")
    company.work_until("2026-03-04 09:00")

    company.resume("care", "skip")
    company.work()
    skipped = due(company, mei)
    company.pause("care")
    company.work_until("2026-03-06 12:00")
    company.resume("care", "catch_up")
    company.work()

    assert skipped == "2026-03-06 10:00"
    assert company.pushes(lea) == {"one": "skipped paused", "two": "planned"}


# -- tasks that come back after the resume -----------------------------------------------------------------------------


def come_back(company: TestCompany, task: int) -> None:
    with company.store.transaction() as tx:
        tx.run("update dispatch set state = 'cancelled' where id = ?", (task,))
        ids = [row[0] for row in tx.rows("select id from push where dispatch_id = ? and settled_at is null", (task,))]
        follow(tx, company.app, planning.back(tx, company.app, ids, "sop paused"))


@pytest.mark.parametrize(("missed", "becomes"), [("shift", "planned"), ("catch_up", "planned"),
                                                 ("skip", "skipped paused")])  # fmt: skip
def test_a_task_cancelled_for_a_pause_that_is_over_does_as_the_resume_said(
    company: TestCompany, missed: str, becomes: str
) -> None:
    company.start(ANCHORED)
    mei = company.add("alice", "mei")
    company.work_until("2026-03-03 10:00")
    task = company.requested(mei, "one")
    company.pause("care")
    company.go_to("2026-03-03 10:05")
    company.resume("care", missed)
    company.work()

    come_back(company, task)
    company.work()

    assert company.pushes(mei) == {"one": becomes}


# -- those who would have entered --------------------------------------------------------------------------------------


def test_those_recorded_during_the_pause_are_let_in_if_wished(company: TestCompany) -> None:
    company.start(ANCHORED)
    company.pause("care")
    company.go_to("2026-03-03 12:00")
    mei = company.add("alice", "mei")
    company.go_to("2026-03-05 09:00")

    assert sops.waiting(company.app, "care")._asdict() == {"runs": 0, "missed": 0, "pushes": 0, "recorded": 1}
    company.resume("care", admit=True)
    company.work()

    assert (company.run(mei).cause, due(company, mei)) == ("resumed", "2026-03-05 10:00")
    assert company.pushes(mei) == {"one": "skipped before entry"}
    assert company.rows("select anchor_at, entered_at from enrollment") == [
        (at("2026-03-03 12:00"), at("2026-03-05 09:00"))
    ]


def test_without_the_wish_nobody_recorded_is_let_in(company: TestCompany) -> None:
    company.start(ANCHORED)
    company.pause("care")
    company.add("alice", "mei")

    company.resume("care")
    company.work()

    assert company.rows("select count(*) from enrollment") == [(0,)]


def test_only_this_pause_counts_for_those_recorded(company: TestCompany) -> None:
    company.start(ANCHORED)
    company.pause("care")
    company.add("alice", "mei")
    company.resume("care")
    company.work()
    company.go_to("2026-03-02 10:00")
    company.pause("care")

    assert sops.waiting(company.app, "care").recorded == 0
    company.resume("care", admit=True)
    company.work()

    assert company.rows("select count(*) from enrollment") == [(0,)]


def test_whoever_was_lost_meanwhile_is_not_let_in(company: TestCompany) -> None:
    company.start(ANCHORED)
    company.pause("care")
    mei = company.add("alice", "mei")
    with company.store.transaction() as tx:
        tx.run("update relation set state = 'lost' where id = ?", (mei.id,))

    company.resume("care", admit=True)
    company.work()

    assert company.rows("select count(*) from enrollment") == [(0,)]


# -- counts, pages, poison ---------------------------------------------------------------------------------------------


def test_counts_say_before_a_resume_what_it_concerns(company: TestCompany) -> None:
    company.start(ANCHORED)
    for name in ("mei", "lea"):
        company.add("alice", name)
    company.work_until("2026-03-03 10:00")
    company.pause("care")
    company.add("alice", "ava")
    company.work_until("2026-03-04 12:00")

    waiting = sops.waiting(company.app, "care")

    assert waiting._asdict() == {"runs": 2, "missed": 2, "pushes": 2, "recorded": 1}


@pytest.mark.parametrize("missed", ["skip", "shift", "catch_up"])
def test_many_people_are_led_on_in_pages(company: TestCompany, monkeypatch: pytest.MonkeyPatch, missed: str) -> None:
    monkeypatch.setattr(resuming, "PAGE", 2)
    company.start(ANCHORED)
    people = [company.add(f"m{number}", f"c{number}") for number in range(5)]
    company.work_until("2026-03-03 10:00")
    company.pause("care")
    company.work_until("2026-03-05 12:00")

    company.resume("care", missed, admit=True)
    company.work()

    assert {due(company, one) for one in people} == {"2026-03-06 10:00" if missed == "shift" else "2026-03-07 10:00"}
    wanted = {
        "skip": {"one": "skipped paused", "two": "skipped paused"}, "shift": {"one": "planned"},
        "catch_up": {"one": "skipped paused", "two": "planned"},
    }  # fmt: skip
    assert [company.pushes(one) for one in people] == [wanted[missed]] * 5
    assert company.rows("select state, done from job") == [("done", 5 if missed == "shift" else 10)]


def test_one_broken_run_does_not_keep_the_others(company: TestCompany) -> None:
    company.start(ANCHORED)
    mei, lea = company.add("alice", "mei"), company.add("bob", "lea")
    company.pause("care")
    company.work_until("2026-03-03 12:00")
    with company.store.transaction() as tx:
        tx.run("update enrollment set state = 'nowhere' where relation_id = ?", (mei.id,))

    company.resume("care", "shift")
    while sop_jobs.run_once(company.app):
        pass

    assert due(company, lea) == "2026-03-04 10:00"
    assert company.rows("select kind, row_key from set_aside") == [("enrollment", str(company.run(mei).id))]
    assert company.rows("select state from job") == [("done",)]
