"""How runs end, and what becomes of their pushes, on both databases (SPEC 8, D17, D22, D23)."""

from __future__ import annotations

import pytest

from machines.events import EarlyEnd, Lost, ResultNotFriend
from sopd.commands import EndEnrollments
from sopd.errors import NotFound, Refused
from sopd.handlers import endings, enrollments, tags
from sopd.handlers.consequences import follow
from sopd.handlers.happened import Consequences
from sopd.store import Store
from tests.support.company import WHO, TestCompany

CARE = """
sop: care
title: Care
kind: new_customer
steps:
  - {id: one, day: 1, at: "10:00", by: mass_send, text: one}
  - {id: two, day: 3, at: "10:00", by: mass_send, text: two}
early_end: {when: {tag: [result/bought]}, add_tags: [result/early]}
"""


@pytest.fixture
def company(store: Store) -> TestCompany:
    made = TestCompany(store)
    for tag in ("result/bought", "result/early", "result/other"):
        made.tag(tag)
    return made


def end(company: TestCompany, run_id: int, event) -> None:
    with company.store.transaction() as tx:
        follow(tx, company.app, enrollments.end(tx, company.app, [run_id], event))


def test_an_end_cancels_what_nobody_was_asked_to_send(company: TestCompany) -> None:
    company.start(CARE)
    mei, lea = company.add("alice", "mei"), company.add("alice", "lea")
    company.work_until("2026-03-03 10:00")

    end(company, company.run(mei).id, EarlyEnd("tag result/bought"))

    run = company.run(mei)
    assert (run.state, run.reason, run.due_at, run.mass_at) == ("early_end", "early end: tag result/bought", None, None)
    assert company.pushes(mei) == {"one": "cancelled early end"}
    assert company.tasks() == [("one", "planned", "2026-03-03 10:01", 1)]
    assert [place[0] for place in company.places()] == [lea.customer_id] * 2


def test_the_last_one_to_leave_a_planned_task_ends_it(company: TestCompany) -> None:
    company.start(CARE)
    mei = company.add("alice", "mei")
    company.work_until("2026-03-03 10:00")

    end(company, company.run(mei).id, EarlyEnd("x"))

    assert company.rows("select state, reason, size, act_at from dispatch") == [("cancelled", "no push left", 0, None)]


def test_an_end_asks_an_open_task_to_stop_and_leaves_its_push_to_the_result(company: TestCompany) -> None:
    company.start(CARE)
    mei = company.add("alice", "mei")
    company.work_until("2026-03-03 10:00")
    company.requested(mei, "one")

    end(company, company.run(mei).id, EarlyEnd("x"))

    push = company.push(mei, "one")
    assert (push.state, push.stopped_at) == ("requested", company.now)
    assert company.rows("select state from dispatch") == [("stopping",)]


def test_a_loss_does_not_stop_the_task(company: TestCompany) -> None:
    company.start(CARE)
    mei = company.add("alice", "mei")
    company.work_until("2026-03-03 10:00")
    company.requested(mei, "one")

    end(company, company.run(mei).id, Lost("customer"))
    company.told(mei, "one", ResultNotFriend())

    push = company.push(mei, "one")
    assert (company.run(mei).state, push.state, push.stopped_at) == ("lost", "failed", None)
    assert company.rows("select count(*) from outbox") == [(0,)]


def test_an_end_writes_its_tags_and_these_may_end_other_runs(company: TestCompany) -> None:
    company.start(CARE)
    company.start(
        CARE.replace("sop: care", "sop: other").replace("[result/bought]", "[result/early]")
        .replace("add_tags: [result/early]", "add_tags: [result/other]")
    )
    mei = company.add("alice", "mei")

    with company.store.transaction() as tx:
        changes = tags.write(tx, company.app, [(mei.id, ["et-bought"], [])], "test")
        follow(tx, company.app, Consequences(tag_changes=tuple(changes)))

    assert [company.run(mei, key).state for key in ("care", "other")] == ["early_end", "early_end"]
    assert sorted(company.rows("select tag_id from relation_tag")) == [("et-bought",), ("et-early",), ("et-other",)]
    assert company.rows("select count(*) from outbox where kind = 'mark_tag'") == [(3,)]


def test_an_operator_ends_runs_with_tags_and_a_reason(company: TestCompany) -> None:
    company.start(CARE)
    mei, lea = company.add("alice", "mei"), company.add("alice", "lea")
    end(company, company.run(lea).id, Lost("customer"))
    ids = (company.run(mei).id, company.run(lea).id)

    ended = endings.end_by_operator(
        company.app, EndEnrollments(ids, WHO, "she called", add_tags=("result/other",))
    )

    run = company.run(mei)
    assert (ended.ended, ended.before) == (ids[:1], ids[1:])
    assert (run.state, run.reason, run.ended_by) == ("manual_end", "manual end: she called", WHO)
    assert company.rows("select tag_id from relation_tag where wanted = 1") == [("et-other",)]
    assert company.rows("select who, verb, target from audit order by id desc limit 1") == [
        (WHO, "enrollment end", str(ids[0]))
    ]


def test_an_unknown_run_or_tag_changes_nothing(company: TestCompany) -> None:
    company.start(CARE)
    mei = company.add("alice", "mei")

    with pytest.raises(NotFound, match="no enrollment 4711"):
        endings.end_by_operator(company.app, EndEnrollments((company.run(mei).id, 4711), WHO, "x"))
    with pytest.raises(Refused, match="nobody/knows"):
        endings.end_by_operator(
            company.app, EndEnrollments((company.run(mei).id,), WHO, "x", add_tags=("nobody/knows",))
        )

    assert company.run(mei).state == "enrolled"


def test_the_journal_tells_the_whole_story(company: TestCompany) -> None:
    company.start(CARE)
    mei = company.add("alice", "mei")
    company.work_until("2026-03-03 10:00")
    end(company, company.run(mei).id, EarlyEnd("tag result/bought"))

    rows = company.rows("select kind, state_from, state_to, reason from journal order by id")

    assert rows == [
        ("entered", None, "enrolled", None),
        ("step", "enrolled", "one", "fired"),
        ("task", None, None, None),
        ("task", None, None, "early end"),
        ("end", "one", "early_end", "early end: tag result/bought"),
    ]


def test_of_two_runs_that_are_done_at_once_the_first_ones_tags_may_end_the_other(company: TestCompany) -> None:
    done = "steps:\n  - {id: one, day: 0, at: \"08:00\", by: mass_send, text: one}\n"
    company.start("sop: a\ntitle: A\nkind: new_customer\nnormal_end: {add_tags: [result/bought]}\n" + done)
    company.start("sop: b\ntitle: B\nkind: new_customer\nearly_end: {when: {tag: [result/bought]}}\n" + done)

    mei = company.add("alice", "mei")
    company.work()

    assert [company.run(mei, key).state for key in "ab"] == ["normal_end", "early_end"]
