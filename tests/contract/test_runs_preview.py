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
