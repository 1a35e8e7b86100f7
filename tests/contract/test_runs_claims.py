"""`once_per: customer` on both databases: the same content reaches a customer through one relation only (D5)."""

from __future__ import annotations

import pytest

from machines.events import ResultNotFriend
from sopd.handlers import firing, planning
from sopd.store import Store
from tests.support.company import TestCompany

CARE = """
sop: care
title: Care
kind: new_customer
steps:
  - {id: hello, day: 1, at: "10:00", by: mass_send, text: hello}
"""


@pytest.fixture
def company(store: Store) -> TestCompany:
    return TestCompany(store)


def test_the_second_relation_waits_and_is_skipped_once_the_first_has_sent(company: TestCompany) -> None:
    company.start(CARE)
    alice, bob = company.add("alice", "mei"), company.add("bob", "mei")
    company.work_until("2026-03-03 10:00")
    held = company.pushes(bob)
    company.requested(alice, "hello")

    company.sent(alice, "hello")
    company.work()

    assert company.pushes(alice) == {"hello": "sent"}
    assert held == {"hello": "waiting same content via alice"}
    assert company.pushes(bob) == {"hello": "skipped same content via alice"}
    assert company.run(bob).state == "normal_end"


def test_the_other_takes_over_when_the_first_did_not_send(company: TestCompany) -> None:
    company.start(CARE)
    alice, bob = company.add("alice", "mei"), company.add("bob", "mei")
    company.work_until("2026-03-03 10:00")
    company.requested(alice, "hello")

    company.told(alice, "hello", ResultNotFriend())
    company.work()

    assert company.pushes(bob) == {"hello": "planned"}


def test_the_earlier_due_has_the_claim_even_if_another_is_planned_first(company: TestCompany) -> None:
    company.start(CARE)
    alice = company.add("alice", "mei")
    company.go_to("2026-03-02 09:30")
    bob = company.add("bob", "mei")
    company.go_to("2026-03-03 10:00")
    with company.store.transaction() as tx:  # the older relation's step lags behind: not fired yet
        tx.run("update enrollment set due_at = due_at + 60000 where relation_id = ?", (alice.id,))
    company.work()
    early = company.pushes(bob)

    company.go_to("2026-03-03 10:01")
    company.work()

    assert early == {"hello": "planned"}
    assert company.pushes(alice) == {"hello": "waiting same content via bob"}


def test_a_run_that_is_due_and_has_not_fired_is_not_robbed(company: TestCompany) -> None:
    company.start(CARE)
    alice = company.add("alice", "mei")
    company.go_to("2026-03-02 09:30")
    bob = company.add("bob", "mei")
    company.go_to("2026-03-03 10:00")
    firing.fire_due(company.app, limit=2)
    with company.store.transaction() as tx:  # as if a lagging batch had left her run behind
        tx.run("delete from push where relation_id = ?", (alice.id,))
        tx.run("update enrollment set state = 'enrolled', due_at = ? where relation_id = ?", (tx.now, alice.id))
    planning.plan(company.app)
    waiting = company.pushes(bob)

    company.work()

    assert waiting == {"hello": "waiting same content via alice"}
    assert company.pushes(alice) == {"hello": "planned"}


def test_what_may_have_been_sent_keeps_the_other_waiting_until_somebody_knows(company: TestCompany) -> None:
    company.start(CARE)
    alice, bob = company.add("alice", "mei"), company.add("bob", "mei")
    company.work_until("2026-03-03 10:00")
    task = company.requested(alice, "hello")
    with company.store.transaction() as tx:  # as a task is left that needs an operator (D20)
        tx.run("update dispatch set state = 'needs_operator' where id = ?", (task,))
        tx.run("update push set settled_at = ? where dispatch_id = ?", (tx.now, task))

    company.work_until("2026-03-03 20:00")

    assert company.pushes(bob) == {"hello": "waiting same content via alice"}
    assert company.rows("select count(*) from journal where kind = 'wait'") == [(1,)]


def test_once_per_relation_sends_through_both_as_far_as_the_quota_allows(company: TestCompany) -> None:
    company.start(CARE + "once_per: relation\n")
    alice, bob = company.add("alice", "mei"), company.add("bob", "mei")

    company.work_until("2026-03-03 10:00")

    assert company.pushes(alice) == {"hello": "planned"}
    assert company.pushes(bob) == {"hello": "waiting quota"}


def test_a_later_relation_does_not_get_what_was_sent_long_ago(company: TestCompany) -> None:
    company.start(CARE)
    alice = company.add("alice", "mei")
    company.work_until("2026-03-03 10:00")
    company.requested(alice, "hello")
    company.sent(alice, "hello")

    company.go_to("2026-04-10 12:00")
    bob = company.add("bob", "mei")
    company.work_until("2026-04-11 10:00")

    assert company.pushes(bob) == {"hello": "skipped same content via alice"}
