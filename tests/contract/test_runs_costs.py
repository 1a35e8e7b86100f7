"""What a batch costs, on both databases: a fixed number of statements, through indexes, whatever its size.

The numbers are written down so that a change of them is seen. ARCHITECTURE 1.3 and 5, SPEC 15.4.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sopd import config
from sopd.bootstrap import build_app
from sopd.handlers import firing, planning, sop_jobs
from sopd.store import Store
from sopd.store.migrate import migrate
from sopd.store.tables import Push
from tests.bench import filling
from tests.support.company import TestCompany
from tests.support.plans import assert_uses_index, hearing

CARE = """
sop: care
title: Care
kind: new_customer
batch: {size: 100, every: 30m}
steps:
  - {id: hi, by: welcome, text: hi}
  - {id: one, day: 1, at: "10:00", by: mass_send, text: one, only_if: {not: {tag: [level/vip]}}}
  - {id: two, day: 2, at: "10:00", by: mass_send, text: two}
early_end: {when: {tag: [level/vip]}, add_tags: [level/done]}
normal_end: {add_tags: [level/done]}
"""
SMALL, LARGE = 1, 500
ORDERED = "order by c.id for update"


@pytest.fixture
def company(store: Store) -> TestCompany:
    made = TestCompany(store)
    made.tag("level/vip")
    made.tag("level/done")
    made.start(CARE)
    return made


def statements(company: TestCompany, work: Callable[[], object]) -> int:
    """Statements of the working transaction: BEGIN, COMMIT and the look at the clock are not counted.

    Nor are locks of customers that come first: only PostgreSQL needs them.
    """
    with hearing(company.store) as seen:
        work()
    counted = [sql for sql in seen if not sql.startswith(("begin", "commit")) and ORDERED not in sql]
    return sum(1 for sql in counted if "from clock" not in sql)


def enrol(company: TestCompany, count: int, tag: str) -> list:
    relations = [company.befriend(f"m{number % 4}", f"{tag}{number}") for number in range(count)]
    company.admit(relations, code="CODE")
    return relations


@pytest.mark.parametrize("count", [SMALL, LARGE])
def test_statements_of_a_batch_do_not_depend_on_its_size(company: TestCompany, count: int) -> None:
    relations = [company.befriend(f"m{number % 4}", f"c{number}") for number in range(count)]
    found = {"admit": statements(company, lambda: company.admit(relations, code="CODE"))}
    company.go_to("2026-03-03 10:00")
    found["fire"] = statements(company, lambda: firing.fire_due(company.app))
    found["plan"] = statements(company, lambda: planning.plan(company.app))
    company.go_to("2026-03-04 10:00")
    found["overtake"] = statements(company, lambda: firing.fire_due(company.app))
    company.stop("care")
    found["stop"] = statements(company, lambda: sop_jobs.run_once(company.app))

    assert found == {"admit": 14, "fire": 8, "plan": 25, "overtake": 15, "stop": 16}
    assert company.rows("select count(*) from push where state = 'planned' or settled_at is not null")[0][0] > 0


@pytest.mark.parametrize(
    ("sql", "params", "index"),
    [
        ("select id from enrollment where due_at <= ? order by due_at limit ?", (0, 10), "enrollment_due"),
        ("select id from push where plan_at <= ? order by plan_at limit ?", (0, 10), "push_plan"),
        ("select id from push where customer_id = 1 and settled_at is null and takes_quota", (), "push_unsettled"),
        (
            "select id from enrollment where customer_id = 1 and closed_at is null and mass_at < ?",
            (0,),
            "enrollment_open_customer",
        ),
        ("select id from enrollment where sop_id = 1 and parked_at is not null", (), "enrollment_parked"),
        (
            "select id from push where sop_id = 1 and plan_at is null and state in ('due','waiting')",
            (),
            "push_parked",
        ),
        ("select push_id from claim where sop_id = 1 and step_id = 'a' and customer_id = 2", (), "claim_pkey"),
        ('select place from reservation where customer_id = 1 and "window" = ?', ("D",), "reservation_pkey"),
    ],
)
def test_hot_queries_go_through_their_index(store: Store, sql: str, params: tuple, index: str) -> None:
    assert_uses_index(store, sql, params, index)


def test_the_open_pushes_of_a_few_runs_are_found_by_run_among_many(bare_url: str) -> None:
    """In a database of its own: what ANALYZE learned here would change the plans that other tests look at."""
    store = Store.open(bare_url)
    migrate(store)
    pushes = [
        {
            "enrollment_id": number, "step_id": "a", "sop_id": 1, "version_id": 1, "customer_id": number,
            "relation_id": number, "member_id": 1, "channel": "mass_send", "due_at": 0, "fired_at": 0,
        }
        for number in range(3000)
    ]  # fmt: skip
    with store.transaction() as tx:
        tx.insert(Push, pushes, returning=())
        tx.run("analyze push")

    sql = "select id from push where enrollment_id in (1, 2) and settled_at is null"
    assert_uses_index(store, sql, (), "push_step")
    store.close()


def test_a_due_step_costs_the_same_however_many_wait(tmp_path: Path) -> None:
    """Counted in steps of SQLite's machine, after ANALYZE: with figures at hand it may choose to read whole tables."""
    few, many = (_work_of_firing(tmp_path / f"{waiting}.db", waiting) for waiting in (300, 9000))

    assert many < 1.1 * few


def _work_of_firing(path: Path, waiting: int, due: int = 100) -> int:
    store = Store.open(f"sqlite:///{path}")
    migrate(store)
    today = filling.send_time(1_795_000_000_000)
    store.set_clock(today + 5_000)
    filling.found(store, started_at=0)
    filling.add_waiting(store, 1, waiting, today)
    filling.add_due(store, waiting + 1, due, today)
    filling.settle_down(store)
    app, seen = build_app(config.Settings(), store), []
    with store.reading() as tx:  # one thread keeps to one connection
        tx.connection.set_progress_handler(lambda: seen.append(1), 10)

    assert firing.fire_due(app) == due

    store.close()
    return len(seen)
