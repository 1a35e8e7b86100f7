"""The preview: what would Mei get, when, by whom, and why not; and that it comes true (SPEC 11, D12)."""

from __future__ import annotations

import pytest

from sopd.errors import NotFound
from sopd.handlers.preview import Preview, preview
from sopd.store import Store
from tests.support.company import TestCompany, at, local

CARE = """
sop: care
title: Care
kind: new_customer
entry: {when: {source: expo}}
batch: {size: 1, every: 30m}
steps:
  - {id: hi, by: welcome, text: hi}
  - {id: one, day: 1, at: "10:00", by: mass_send, text: one}
  - {id: two, day: 2, at: "22:00", by: mass_send, text: two, only_if: {tag: [level/vip]}}
  - {id: three, day: 5, at: "10:00", by: mass_send, text: three}
"""


@pytest.fixture
def company(store: Store) -> TestCompany:
    made = TestCompany(store)
    made.vip = made.tag("level/vip")
    return made


def told(answer: Preview) -> list[tuple[str, str, str, str | None]]:
    return [(one.step_id, one.check, one.reason, local(one.send_at)) for one in answer.steps]


def test_somebody_outside_is_told_why_and_what_would_come(company: TestCompany) -> None:
    company.apply(CARE)
    mei = company.befriend("alice", "mei", channel="shop")

    answer = preview(company.app, "care", mei.id)

    assert (answer.enters, answer.why_not, answer.sop_state, answer.userid) == (
        False, "entry rule false", "draft", "alice",
    )  # fmt: skip
    assert told(answer) == [
        ("hi", "ready", "", "2026-03-02 09:00"),
        ("one", "ready", "", "2026-03-03 10:01"),
        ("two", "only_if", "condition", None),
        ("three", "ready", "", "2026-03-07 10:01"),
    ]


def test_as_if_added_at_another_moment(company: TestCompany) -> None:
    company.start(CARE)
    mei = company.befriend("alice", "mei", channel="expo", began_at=at("2026-01-01 10:00"))

    old = preview(company.app, "care", mei.id)
    new = preview(company.app, "care", mei.id, added_at=at("2026-03-02 08:30"))

    assert (old.enters, old.why_not) == (False, "not new")
    assert {step.reason for step in old.steps[1:]} == {"late"}
    assert (new.enters, [local(step.due_at) for step in new.steps][1]) == (True, "2026-03-03 10:00")


def test_of_somebody_inside_the_steps_still_to_come(company: TestCompany) -> None:
    company.start(CARE)
    mei = company.add("alice", "mei", channel="expo")
    company.put_tag(mei, company.vip)
    company.work_until("2026-03-03 10:00")

    answer = preview(company.app, "care", mei.id)

    assert answer.inside == "one"
    assert told(answer) == [("two", "ready", "", "2026-03-05 08:01"), ("three", "ready", "", "2026-03-07 10:01")]


def test_a_better_rival_and_the_same_content_are_foreseen(company: TestCompany) -> None:
    company.start(CARE)
    company.start(
        "sop: vip\ntitle: VIP\nkind: new_customer\npriority: 90\nmembers: [alice]\n"
        'steps:\n  - {id: one, day: 1, at: "18:00", by: mass_send, text: vip}\n'
    )
    alice = company.add("alice", "mei", channel="expo")
    bob = company.add("bob", "mei", channel="expo")

    mine, other = preview(company.app, "care", alice.id), preview(company.app, "care", bob.id)

    one = mine.steps[0]
    assert (one.check, one.reason, local(one.until)) == ("quota", "quota", "2026-03-04 10:00")
    assert other.steps[0].reason == "same content via alice"


def test_too_many_customers_for_the_slots_are_foreseen_and_expire_indeed(company: TestCompany) -> None:
    company.start(CARE.replace("every: 30m", "every: 1d"))
    people = [company.add("alice", f"c{number}", channel="expo") for number in range(4)]

    answers = [preview(company.app, "care", one.id).steps[0] for one in people]
    company.work_until("2026-03-04 21:00")

    assert [(one.check, local(one.send_at)) for one in answers] == [
        ("ready", "2026-03-03 10:01"), ("ready", "2026-03-04 10:01"), ("capacity", None), ("capacity", None),
    ]  # fmt: skip
    assert [company.push(one, "one").reason for one in people[2:]] == ["capacity", "capacity"]


def test_a_preview_writes_nothing_and_knows_what_it_does_not_know(company: TestCompany) -> None:
    company.start(CARE)
    mei = company.befriend("alice", "mei", channel="expo")

    preview(company.app, "care", mei.id)

    assert company.rows("select count(*) from enrollment") == [(0,)]
    with pytest.raises(NotFound, match="no SOP 'other'"):
        preview(company.app, "other", mei.id)
    with pytest.raises(NotFound, match="no relation 4711"):
        preview(company.app, "care", 4711)


# -- one step at a time, fixed dates, ended runs -----------------------------------------------------------------------

STEPWISE = """
sop: care
title: Care
kind: new_customer
pace: stepwise
steps:
  - {id: hi, by: welcome, text: hi}
  - {id: one, day: 1, at: "10:00", by: mass_send, text: one, wait: reply, at_most: 2d}
  - {id: two, after: 1h, by: mass_send, text: two}
  - {id: three, next: monday, at: "10:00", by: mass_send, text: three}
"""


def dues(answer: Preview) -> list[tuple[str, str | None, str]]:
    return [(one.step_id, local(one.due_at), one.check) for one in answer.steps]


def test_steps_that_count_from_each_other_are_told_as_if_each_settled_when_it_goes_out(company: TestCompany) -> None:
    company.start(STEPWISE)
    mei = company.befriend("alice", "mei")

    assert dues(preview(company.app, "care", mei.id)) == [
        ("hi", "2026-03-02 09:00", "ready"), ("one", "2026-03-03 10:00", "ready"), ("two", "2026-03-05 11:01", "ready"),
        ("three", "2026-03-09 10:00", "ready"),
    ]  # fmt: skip


def test_what_counts_from_an_open_push_has_no_date_until_that_settles(company: TestCompany) -> None:
    company.start(STEPWISE)
    mei = company.add("alice", "mei")
    company.work_until("2026-03-03 10:00")

    open_ = dues(preview(company.app, "care", mei.id))
    company.requested(mei, "one")
    company.go_to("2026-03-03 16:30")
    company.sent(mei, "one")
    settled = dues(preview(company.app, "care", mei.id))

    assert open_ == [("two", None, "time"), ("three", None, "time")]
    assert settled == [("two", "2026-03-05 17:30", "ready"), ("three", "2026-03-09 10:00", "ready")]


def test_fixed_dates_are_told_with_those_that_passed(company: TestCompany) -> None:
    company.start(
        "sop: care\ntitle: Care\nkind: new_customer\nstrategy: timed\ncalendar: weekdays\nsteps:\n"
        '  - {id: one, on: 2026-03-01, at: "10:00", by: mass_send, text: one}\n'
        '  - {id: two, on: 2026-03-14, at: "10:00", by: mass_send, text: two}\n'
    )
    mei = company.befriend("alice", "mei", began_at=at("2026-03-02 11:00"))
    company.go_to("2026-03-02 12:00")

    answer = preview(company.app, "care", mei.id)

    assert dues(answer) == [("one", "2026-03-02 10:00", "time"), ("two", "2026-03-16 10:00", "ready")]
    assert answer.steps[0].reason == "before entry"


@pytest.mark.parametrize(("again", "why"), [("never", "re-entry never"), ("after_end", "run has ended")])
def test_of_an_ended_run_nothing_is_to_come(company: TestCompany, again: str, why: str) -> None:
    company.start(CARE.replace("{when: {source: expo}}", f"{{when: {{source: expo}}, reenter: {again}}}"))
    mei = company.add("alice", "mei", channel="expo")
    with company.store.transaction() as tx:
        tx.run("update enrollment set state = 'normal_end', closed_at = ?, due_at = null", (tx.now,))
    company.go_to("2026-04-02 09:00")

    answer = preview(company.app, "care", mei.id)
    anew = preview(company.app, "care", mei.id, added_at=at("2026-04-02 09:00"))

    assert (answer.enters, answer.why_not, answer.steps) == (False, why, ())
    assert (anew.enters, len(anew.steps)) == (True, 4)
