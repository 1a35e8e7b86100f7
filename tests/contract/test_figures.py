"""What /metrics says of the whole company is so, and costs nothing that grows with who waits (SPEC 15.4)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from sopd import holidays, metrics
from sopd.activity import Activity
from sopd.actors import Loop, work
from sopd.handlers import figures
from sopd.store import Store, Transaction
from sopd.store.errors import Unavailable
from sopd.store.queries import figures as queries
from sopd.store.tables import Dirty, Dispatch, Enrollment, Inbox, Job, Outbox, Relation, SetAside, Signal, WecomWindow
from sopd.ticker import Ticker
from tests.support.company import TestCompany
from tests.support.factories import T0, add
from tests.support.plans import assert_uses_index, overheard

MINUTE = 60_000


@pytest.fixture
def company(store: Store) -> TestCompany:
    return TestCompany(store, workdays=holidays.workdays())


def shown(company: TestCompany, name: str, **labels: str) -> float | None:
    figures.show(company.app)
    return metrics.REGISTRY.get_sample_value(name, labels)


def test_backlogs_are_counted_and_their_oldest_row_has_an_age(company: TestCompany) -> None:
    company.store.set_clock(T0 + 5 * MINUTE)
    add(company.store, Inbox, fingerprint="a", received_at=T0 + 3 * MINUTE, fast=True)
    add(company.store, Inbox, fingerprint="b", received_at=T0 + 2 * MINUTE)
    add(company.store, Inbox, fingerprint="c", received_at=T0, state="done")
    add(company.store, Signal, ref="a", received_at=T0 + MINUTE)
    add(company.store, Signal, ref="b", received_at=T0, handled_at=T0)
    add(company.store, Dirty, act_at=T0 + 9 * MINUTE)
    add(company.store, Outbox, act_at=T0)

    assert shown(company, "sopd_backlog_rows", queue="callbacks") == 2
    assert shown(company, "sopd_backlog_oldest_seconds", queue="callbacks") == 180
    assert shown(company, "sopd_backlog_rows", queue="signals") == 1
    assert shown(company, "sopd_backlog_oldest_seconds", queue="signals") == 240
    assert shown(company, "sopd_backlog_rows", queue="rereads") == 1
    assert shown(company, "sopd_backlog_rows", queue="acts") == 1


def test_an_empty_company_has_zeros_and_no_trouble(company: TestCompany) -> None:
    assert shown(company, "sopd_backlog_rows", queue="callbacks") == 0
    assert shown(company, "sopd_backlog_oldest_seconds", queue="callbacks") == 0
    assert shown(company, "sopd_tasks_in_doubt", state="needs_operator") == 0
    assert shown(company, "sopd_held_relations") == 0
    assert shown(company, "sopd_jobs", state="failed") == 0
    assert shown(company, "sopd_set_aside", kind="push") is None
    assert shown(company, "sopd_database_up") == 1


def test_what_waits_for_a_person_is_counted(company: TestCompany) -> None:
    company.store.set_clock(T0)
    for number, state in enumerate(("uncertain", "needs_operator", "needs_operator", "requested")):
        add(company.store, Dispatch, state=state, content_hash=str(number), msgid=str(number))
    add(company.store, SetAside, kind="push", row_key="1")
    add(company.store, SetAside, kind="push", row_key="2")
    add(company.store, Job, kind="reconcile", state="failed", ended_at=None)
    add(company.store, WecomWindow, path="/cgi-bin/user/get", until_at=T0 + MINUTE)
    add(company.store, WecomWindow, path="/cgi-bin/gettoken", until_at=T0)
    company.befriend("alice", "Mei", missing_at=T0)
    company.befriend("alice", "Lin", missing_at=T0)
    company.befriend("bob", "Mei", missing_at=T0, state="lost")

    assert shown(company, "sopd_tasks_in_doubt", state="uncertain") == 1
    assert shown(company, "sopd_tasks_in_doubt", state="needs_operator") == 2
    assert shown(company, "sopd_set_aside", kind="push") == 2
    assert shown(company, "sopd_jobs", state="failed") == 1
    assert shown(company, "sopd_wecom_backoff_seconds", path="/cgi-bin/user/get") == 60
    assert shown(company, "sopd_wecom_backoff_seconds", path="/cgi-bin/gettoken") is None
    assert shown(company, "sopd_held_relations") == 2
    assert shown(company, "sopd_held_members") == 1


def test_reasons_fall_into_known_classes(company: TestCompany) -> None:
    with company.store.transaction() as tx:
        tx.count("sop/1/push/hello/skipped/late", 2)
        tx.count("sop/2/push/bye/skipped/late", 3)
        tx.count("sop/1/push/hello/failed/somebody/wrote this")
        tx.count("sop/1/push/hello/sent", 7)
        tx.count("sop/1/entered/event:bought")
        tx.count("sop/1/refused/muted", 4)

    assert shown(company, "sopd_pushes", state="skipped", reason="late") == 5
    assert shown(company, "sopd_pushes", state="failed", reason="other") == 1
    assert shown(company, "sopd_pushes", state="sent", reason="") == 7
    assert shown(company, "sopd_enrollments", state="entered") == 1
    assert shown(company, "sopd_refusals", reason="muted") == 4


def test_every_batch_of_a_loop_is_counted_and_timed(company: TestCompany) -> None:
    left = [200, 7, 0]
    loop = Loop("signals", "work", lambda app: left.pop(0), ())

    def counted() -> list[float]:
        asked = ("sopd_batch_rows_count", "sopd_batch_rows_sum", "sopd_batch_seconds_count", "sopd_rows_handled_total")
        return [metrics.REGISTRY.get_sample_value(name, {"loop": "signals"}) or 0 for name in asked]

    before = counted()
    work(company.app, loop, Activity())

    assert [now - then for now, then in zip(counted(), before, strict=True)] == [2, 207, 2, 207]


def test_a_tick_tells_how_late_each_loop_is(company: TestCompany) -> None:
    company.store.set_clock(T0 + 2 * MINUTE)
    add(company.store, Signal, ref="a", received_at=T0)

    Ticker(company.app, Activity()).look()

    assert metrics.REGISTRY.get_sample_value("sopd_due_lag_seconds", {"loop": "signals"}) == 120
    assert metrics.REGISTRY.get_sample_value("sopd_due_lag_seconds", {"loop": "fire"}) == 0


def test_a_year_without_days_off_is_told(company: TestCompany) -> None:
    assert shown(company, "sopd_calendar_years_missing") == 0
    company.go_to("2039-06-01 09:00")
    assert shown(company, "sopd_calendar_years_missing") == 1


def test_the_machines_clock_is_held_against_the_databases_own_even_in_a_rehearsal(company: TestCompany) -> None:
    company.go_to("2039-06-01 09:00")
    skew = shown(company, "sopd_clock_skew_seconds")

    assert skew is not None and abs(skew) < 60


def test_a_database_that_is_away_is_told(company: TestCompany) -> None:
    nowhere = Store.open("postgresql://nobody@127.0.0.1:1/nothing")

    with pytest.raises(Unavailable):
        figures.show(replace(company.app, store=nowhere))

    assert metrics.REGISTRY.get_sample_value("sopd_database_up") == 0


QUESTIONS: list[tuple[Callable[[Transaction], object], tuple[str, ...]]] = [
    (queries.callbacks, ("inbox_new",)),
    (queries.signals, ("signal_new",)),
    (queries.rereads, ("dirty_act",)),
    (queries.acts, ("outbox_act",)),
    (queries.in_doubt, ("dispatch_doubtful",)),
    (queries.held, ("relation_missing",)),
    (queries.jobs, ("job_one_running",)),
]


@pytest.fixture(scope="module")
def filled(own_store: Store) -> Store:
    """What was, but for nothing that waits."""
    every = range(1500)
    with own_store.transaction() as tx:
        tx.insert(Inbox, [{"fingerprint": str(n), "received_at": 0, "last_at": 0, "event": "", "happened_at": 0,
                           "body": "", "state": "done"} for n in every])  # fmt: skip
        tx.insert(Signal, [{"ref": str(n), "kind": "event", "customer_id": 1, "at": 0, "received_at": 0,
                            "handled_at": 0} for n in every])  # fmt: skip
        tx.insert(Relation, [{"member_id": 1, "customer_id": n, "began_at": 0, "learned_at": 0} for n in every])
        tx.run("analyze")
    return own_store


@pytest.mark.parametrize(("ask", "indexes"), QUESTIONS, ids=[ask.__name__ for ask, _ in QUESTIONS])
def test_a_figure_is_read_through_its_index(
    filled: Store, ask: Callable[[Transaction], object], indexes: tuple[str, ...]
) -> None:
    with filled.transaction() as tx:
        asked = overheard(tx)
        ask(tx)
        sql, params = asked[-1]

    for index in indexes:
        assert_uses_index(filled, sql, params, index)


def test_who_waits_costs_a_scrape_nothing(company: TestCompany) -> None:
    """The tables that grow with waiting customers are not so much as opened, but for their indexes of trouble."""
    with company.store.transaction() as tx:
        asked = overheard(tx)
        for ask in (queries.callbacks, queries.signals, queries.rereads, queries.acts, queries.in_doubt, queries.held,
                    queries.set_aside, queries.jobs, queries.resting):
            ask(tx)
        said = [sql for sql, _ in asked]

    assert len(said) == 10, "one each, and the time"
    waiting = {Enrollment._meta.table_name, "push", "flip", "journal", "claim", "reservation"}
    assert [sql for sql in said for table in waiting if f" {table} " in f"{sql} "] == []
