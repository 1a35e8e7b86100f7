"""Many workers and broken rows, on both databases: nothing is done twice, nobody holds up others (SPEC 15.2, 15.3)."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from sopd.commands import RetrySetAside
from sopd.handlers import aside, firing, planning
from sopd.store import Store, StoreBusy
from tests.support.company import TestCompany

CARE = """
sop: {key}
title: Care
kind: new_customer
batch: {{size: 10, every: 30m}}
steps:
  - {{id: one, day: 1, at: "10:00", by: mass_send, text: one {key}}}
  - {{id: two, day: 2, at: "10:00", by: mass_send, text: two}}
"""
WORKERS = 4


@pytest.fixture
def company(store: Store) -> TestCompany:
    made = TestCompany(store)
    for key in ("care", "other"):
        made.start(CARE.format(key=key))
    return made


def all_at_once(*works: Callable[[], object]) -> None:
    """Run these in threads that begin together; an error of one is the test's. A busy database is tried again."""
    barrier, errors = threading.Barrier(len(works)), []

    def run(work: Callable[[], object]) -> None:
        barrier.wait()
        try:
            for _ in range(5):
                try:
                    work()
                    return
                except StoreBusy:
                    continue
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors, errors


def test_workers_at_the_same_batch_do_its_work_once(company: TestCompany) -> None:
    relations = [company.befriend(f"m{number % 3}", f"c{number}") for number in range(60)]
    company.admit(relations)
    company.go_to("2026-03-03 10:00")

    all_at_once(*[lambda: firing.fire_due(company.app)] * WORKERS)
    company.work()

    assert company.rows("select count(*), count(distinct enrollment_id) from push") == [(120, 120)]
    assert company.rows("select count(*) from journal where kind = 'step'") == [(120,)]


def test_planners_at_the_same_customers_give_each_day_away_once(company: TestCompany) -> None:
    for userid in ("alice", "bob", "carl"):
        company.admit([company.befriend(userid, f"c{number}") for number in range(20)])
    company.go_to("2026-03-03 10:00")
    while firing.fire_due(company.app):
        pass

    all_at_once(*[lambda: planning.plan(company.app, limit=40)] * WORKERS)
    company.work()

    today = company.rows("select count(*), count(distinct customer_id) from push where state = 'planned'")
    assert today == [(20, 20)]
    assert company.rows("select count(*) from reservation where \"window\" = 'D2026-03-03'") == [(20,)]
    assert company.rows("select sum(size) from dispatch") == [(20,)]


def test_a_broken_run_is_set_aside_with_its_reason_and_the_others_go_on(company: TestCompany) -> None:
    people = [company.add("alice", f"c{number}") for number in range(8)]
    with company.store.transaction() as tx:
        tx.run("update enrollment set state = 'nonsense' where relation_id = ? and sop_id = 1", (people[3].id,))

    company.work_until("2026-03-03 10:00")

    listed = company.rows("select kind, row_key, reason, due_at from set_aside")
    broken = company.rows("select id from enrollment where state = 'nonsense'")[0][0]
    assert [(kind, key) for kind, key, _, _ in listed] == [("enrollment", str(broken))]
    assert "nonsense" in listed[0][2]
    assert company.rows("select count(*) from push") == [(15,)]


def test_what_was_set_aside_is_tried_again_once_its_cause_is_mended(company: TestCompany) -> None:
    mei = company.add("alice", "mei")
    with company.store.transaction() as tx:
        tx.run("update enrollment set state = 'nonsense' where sop_id = 1")
    company.work_until("2026-03-03 10:00")
    with company.store.transaction() as tx:
        tx.run("update enrollment set state = 'enrolled' where sop_id = 1")

    assert aside.retry(company.app, RetrySetAside("mei")) == {"enrollment": 1}
    company.work()

    assert company.push(mei, "one", "care").state in ("planned", "waiting")
    assert company.rows("select * from set_aside") == []
    assert company.rows("select verb from audit order by id desc limit 1") == [("db retry",)]
    assert aside.retry(company.app, RetrySetAside("mei")) == {}


def test_a_broken_push_is_set_aside_alone(company: TestCompany) -> None:
    people = [company.add("alice", f"c{number}") for number in range(4)]
    company.go_to("2026-03-03 10:00")
    firing.fire_due(company.app)
    with company.store.transaction() as tx:
        tx.run("update push set step_id = 'nonsense' where relation_id = ? and sop_id = 1", (people[1].id,))

    company.work()

    assert company.rows("select kind, reason from set_aside") == [("push", "KeyError: 'nonsense'")]
    assert company.rows("select count(*) from push where state = 'planned'") == [(4,)]
