"""The preview of SOPs that are entered per customer, and of steps whose due is not known yet (SPEC 11)."""

from __future__ import annotations

import pytest

from sopd.handlers.preview import Preview, preview
from sopd.store import Store
from tests.support.company import TestCompany, at, local

CARE = """
sop: care
title: Care
kind: nurture
members: [alice, bob]
owner: last_added
entry: {when: {tag: [level/vip]}, reenter: never}
steps:
  - {id: one, day: 1, at: "10:00", by: mass_send, text: one}
  - {id: two, day: 3, at: "10:00", by: mass_send, text: two, only_if: {attribute: {city: 上海}}}
early_end: {when: {tag: [level/won]}}
"""


@pytest.fixture
def company(store: Store) -> TestCompany:
    made = TestCompany(store)
    made.vip, made.won = made.tag("level/vip"), made.tag("level/won")
    return made


def told(answer: Preview) -> list[tuple[str, str, str | None]]:
    return [(one.step_id, one.reason or one.check, local(one.due_at)) for one in answer.steps]


def test_the_owner_rule_says_who_would_act_unless_one_is_wished_for(company: TestCompany) -> None:
    company.apply(CARE)
    first = company.befriend("alice", "mei", began_at=at("2026-01-01 10:00"))
    company.befriend("bob", "mei", began_at=at("2026-02-01 10:00"))
    company.put_tag(first, company.vip)

    by_rule = preview(company.app, "care", first.id, by_rule=True)
    wished = preview(company.app, "care", first.id)

    assert (by_rule.userid, wished.userid) == ("bob", "alice")
    assert (by_rule.enters, by_rule.why_not, by_rule.sop_state, by_rule.entered_at) == (True, "", "draft", company.now)
    assert told(by_rule) == [("one", "ready", "2026-03-03 10:00"), ("two", "condition", "2026-03-05 10:00")]


def test_it_is_told_why_somebody_would_not_enter(company: TestCompany) -> None:
    company.apply(CARE)
    mei = company.befriend("alice", "mei")
    strange = company.befriend("carol", "long")

    assert preview(company.app, "care", mei.id).why_not == "entry rule false"
    company.put_tag(mei, company.vip)
    company.put_tag(mei, company.won)
    assert preview(company.app, "care", mei.id).why_not == "already at its end"
    nobody = preview(company.app, "care", strange.id, by_rule=True)
    assert (nobody.why_not, nobody.steps) == ("member not in scope", ())


def test_of_a_run_the_steps_still_to_come_and_its_own_conditions(company: TestCompany) -> None:
    company.start(CARE)
    mei = company.befriend("alice", "mei")
    company.put_tag(mei, company.vip)
    company.work()
    company.work_until("2026-03-03 10:00")

    answer = preview(company.app, "care", mei.id, by_rule=True)

    assert (answer.inside, answer.userid, answer.entered_at) == ("one", "alice", at("2026-03-02 09:00"))
    assert told(answer) == [("two", "condition", "2026-03-05 10:00")]


def test_stepwise_steps_are_told_as_if_the_first_settled_when_it_goes_out(company: TestCompany) -> None:
    company.apply(CARE.replace("owner:", "pace: stepwise\nowner:").replace("day: 3", "day: 2"))
    mei = company.befriend("alice", "mei")

    answer = preview(company.app, "care", mei.id)

    assert told(answer) == [("one", "ready", "2026-03-03 10:00"), ("two", "condition", "2026-03-05 10:00")]


def test_without_the_date_to_count_from_no_step_is_known(company: TestCompany) -> None:
    company.apply(CARE.replace("owner:", "anchor: {attribute: paid_on}\nowner:"))
    mei = company.befriend("alice", "mei")
    company.put_tag(mei, company.vip)

    answer = preview(company.app, "care", mei.id)
    assert (answer.why_not, answer.steps) == ("no date to count from", ())

    with company.store.transaction() as tx:
        tx.run("update customer set attributes = ?", ('{"paid_on": "2026-03-10"}',))
    assert told(preview(company.app, "care", mei.id))[0] == ("one", "ready", "2026-03-11 10:00")


def test_another_run_of_the_customer_that_goes_step_by_step_is_looked_at_too(company: TestCompany) -> None:
    company.start(CARE.replace("sop: care", "sop: slow").replace("owner:", "pace: stepwise\npriority: 90\nowner:")
                  .replace("day: 3", "day: 2"))  # fmt: skip
    mei = company.befriend("alice", "mei")
    company.put_tag(mei, company.vip)
    company.work()
    company.apply(CARE)

    answer = preview(company.app, "care", mei.id)

    assert told(answer)[0] == ("one", "quota", "2026-03-03 10:00")
