"""Batches of tasks: a fixed number of statements however many there are, workers that race, rows that fail alone, an
operator's word (ARCHITECTURE 1.3, SPEC 15.2 and 15.3, D20), on both databases."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from machines.calendar import MINUTE_MS
from sopd import collector, lookup, outbox, relay
from sopd.commands import EndEnrollments, ResolveDispatch
from sopd.errors import NotFound, Refused
from sopd.handlers import doubts, endings, requests, results, stopping
from sopd.handlers.stopping import Cancelled
from sopd.store import Store
from sopd.store.counters import read_counters
from sopd.store.tables import TABLES
from sopd.wecom.sends import SendResult
from tests.support.plans import assert_uses_index, hearing
from tests.support.rig import WHO
from tests.support.sending import CREATED, SOP, Desk


def desk_with(store: Store, tasks: int, customers: int, until: int = CREATED - 1, **config: Any) -> Desk:
    """A desk on which so many members each have a planned task for so many customers."""
    members = [f"m{number:02d}" for number in range(tasks)]
    desk = Desk(store, members=" ".join(members), **config)
    for member in members:
        for number in range(customers):
            desk.world.customer_adds(member, f"wm-{member}-{number}", now=desk.now)
    desk.settle()
    desk.run_until(until)
    return desk


def emptied(store: Store) -> Store:
    """The same store without rows."""
    with store.transaction() as tx:
        for table in TABLES:
            tx.run(f"delete from {table._meta.table_name}")
    return store


def statements(store: Store, act: Callable[[], Any]) -> int:
    """How many statements an act makes, on this thread and others."""
    with hearing(store) as seen:
        act()
    return len(seen)


# -- a page is a fixed number of statements ----------------------------------------------------------------------------


def test_claiming_and_recording_creates_costs_the_same_for_few_and_for_many(store: Store) -> None:
    def cost(tasks: int, customers: int) -> tuple[int, int]:
        desk = desk_with(emptied(store), tasks, customers)
        desk._go_to(CREATED)
        claims = requests.lease(desk.app)
        taken: list[requests.Request] = []
        take = statements(store, lambda: taken.extend(requests.take(desk.app, claims)))
        assert len(taken) == tasks
        answers: list[requests.Answer] = []
        for request in taken:
            relay._create(desk.app, request, answers)
        answered = statements(store, lambda: requests.answered(desk.app, answers))
        assert desk.dispatches() == ["requested"] * tasks
        return take, answered

    assert cost(2, 1) == cost(12, 8)


def test_recording_results_costs_the_same_for_few_and_for_many(store: Store) -> None:
    def cost(tasks: int, customers: int) -> int:
        desk = desk_with(emptied(store), tasks, customers, until=CREATED + 30_000)
        for task in desk.tasks:
            desk.confirms(task)
        desk._go_to(CREATED + MINUTE_MS)
        looks, _ = results.claim(desk.app)
        readings = [collector._ask(desk.app, look) for look in looks]
        used = statements(store, lambda: results.record(desk.app, readings, {}))  # type: ignore[arg-type]
        assert desk.rows("select distinct state from push") == [("sent",)]
        return used

    assert cost(2, 1) == cost(12, 8)


def test_stopping_and_issuing_again_costs_the_same_for_few_and_for_many(store: Store) -> None:
    def cost(tasks: int, customers: int) -> list[int]:
        desk = desk_with(emptied(store), tasks, customers, until=CREATED + 2 * MINUTE_MS)
        ended = [row[0] for row in desk.rows("select min(id) from enrollment group by member_id")]
        endings.end_by_operator(desk.app, EndEnrollments(tuple(ended), WHO, "test"))
        used = []
        for _ in range(3):
            looks, _ = results.claim(desk.app)
            answers = [collector._ask(desk.app, look) for look in looks]
            cancelled = [one for one in answers if isinstance(one, Cancelled)]
            reread = [one for one in answers if isinstance(one, stopping.Reading)]
            used.append(
                statements(store, lambda c=cancelled, r=reread: (c and stopping.cancelled(desk.app, c),
                                                                  r and stopping.reread(desk.app, r)))
            )  # fmt: skip
            desk._go_to(desk.now + MINUTE_MS)
        assert sorted(desk.dispatches()) == ["cancelled"] * tasks + ["planned"] * tasks
        return used

    assert cost(2, 2) == cost(12, 6)


def test_an_unconfirmed_task_costs_no_look_at_its_pushes(store: Store) -> None:
    desk = desk_with(store, 2, 2, until=CREATED + MINUTE_MS)
    desk._go_to(CREATED + 5 * MINUTE_MS)
    with hearing(store) as seen:
        assert collector.run_once(desk.app) == 2

    assert [sql for sql in seen if "join enrollment" in sql or "update push" in sql] == []


# -- indexes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sql", "params", "index"),
    [
        ("select id from dispatch where state in ('planned') and act_at <= ? order by act_at", (1,), "dispatch_act"),
        ("select id from push where dispatch_id in (1, 2)", (), "push_dispatch"),
        ("select msgid from dispatch where msgid in ('a', 'b')", (), "dispatch_msgid"),
        ("select id from dispatch where state in ('sending','uncertain') and member_id in (1, 2)", (),
         "dispatch_one_create"),
        ("select id from outbox where fast = false and act_at <= ? order by act_at", (1,), "outbox_act"),
        ("select min(id) from outbox where relation_id in (1, 2) and state in ('pending','sending')"
         " and kind = 'mark_tag' group by relation_id", (), "outbox_relation"),
    ],
)  # fmt: skip
def test_hot_statements_use_their_index(store: Store, sql: str, params: tuple[int, ...], index: str) -> None:
    assert_uses_index(store, sql, params, index)


# -- workers that race -------------------------------------------------------------------------------------------------


def test_relays_that_race_create_every_task_once(store: Store) -> None:
    desk = desk_with(store, 24, 1)
    desk._go_to(CREATED)
    with ThreadPoolExecutor(4) as pool:
        for future in [pool.submit(_until_idle, desk, relay.run_once) for _ in range(4)]:
            future.result()

    assert len(desk.tasks) == 24
    assert desk.dispatches() == ["requested"] * 24


def test_two_relays_never_have_the_same_content_outstanding_for_one_owner(store: Store) -> None:
    desk = Desk(store, sop=f"{SOP}batch: {{size: 1, every: 5m}}\n")
    desk.add("wmMei", "wmBo")
    desk.run_until(CREATED - 1)
    desk._go_to(CREATED + 5 * MINUTE_MS)
    claims = requests.lease(desk.app)
    meet = threading.Barrier(2, timeout=2)

    def wait(sql: str) -> None:
        if sql.startswith("update dispatch set state") and store.dialect.name == "postgres":
            try:
                meet.wait()
            except threading.BrokenBarrierError:
                return

    store.on_statement(wait)
    with ThreadPoolExecutor(2) as pool:
        taken = list(pool.map(lambda key: requests.take(desk.app, {key: claims[key]}), claims))
    store.on_statement(None)

    assert len(claims) == 2
    assert sorted(len(some) for some in taken) == [0, 1]
    assert sorted(desk.dispatches()) == ["planned", "sending"]


def test_all_loops_at_once_on_many_workers_end_as_one_would(store: Store) -> None:
    desk = desk_with(store, 8, 3)
    runs = [row[0] for row in desk.rows("select min(id) from enrollment group by member_id order by 1")]
    loops = (relay.run_once, lookup.run_once, collector.run_once, outbox.run_once)
    for minute in range(14):
        desk._go_to(CREATED + minute * MINUTE_MS)
        with ThreadPoolExecutor(6) as pool:
            ended = pool.submit(_end, desk, runs[minute - 2 : minute - 1] if minute > 1 else [])
            for future in [ended, *[pool.submit(_until_idle, desk, loop) for loop in loops for _ in range(2)]]:
                future.result()
    desk.run_for(minutes=20)

    assert len(desk.tasks) == 16
    assert sorted({row[0] for row in desk.rows("select state from push")}) == ["cancelled", "requested"]
    assert desk.rows("select count(*) from push where state = 'cancelled'") == [(8,)]
    assert desk.rows("select kind from set_aside") == []


def _until_idle(desk: Desk, loop: Callable[[Any], int]) -> None:
    while loop(desk.app):
        pass


def _end(desk: Desk, run_ids: list[int]) -> None:
    if run_ids:
        endings.end_by_operator(desk.app, EndEnrollments(tuple(run_ids), WHO, "test"))


# -- rows that fail alone ----------------------------------------------------------------------------------------------


def test_a_poison_task_is_set_aside_and_the_others_go_out(store: Store) -> None:
    desk = desk_with(store, 4, 1)
    with store.transaction() as tx:
        tx.run("update dispatch set memory = 'no json' where id = 2")
    desk.run_until(CREATED + MINUTE_MS)

    assert desk.dispatches() == ["requested", "planned", "requested", "requested"]
    [(kind, row_key, reason)] = desk.rows("select kind, row_key, reason from set_aside")
    assert (kind, row_key) == ("dispatch", "2")
    assert "JSON" in reason


# -- an operator's word (D20) ------------------------------------------------------------------------------------------


def doubted_desk(store: Store) -> Desk:
    """A desk whose first task nobody can know of."""
    desk = Desk(store, dispatch_ms=60 * MINUTE_MS)
    desk.add("wmMei")
    desk.run_until(CREATED - 1)
    desk.fails("create_mass_send", "drop", after=True)
    desk.run_until(CREATED + 15 * MINUTE_MS)
    assert desk.dispatches() == ["needs_operator"]
    return desk


@pytest.mark.parametrize(
    ("sent", "push", "reserved"),
    [(True, ("sent", None), ["D2026-03-03", "D2026-03-04"]), (False, ("failed", "not sent"), [])],
)
def test_an_operators_word_corrects_the_pushes_alone(
    store: Store, sent: bool, push: tuple[str, str | None], reserved: list[str]
) -> None:
    desk = doubted_desk(store)
    runs = desk.rows("select state, due_at, rev from enrollment")

    assert doubts.resolve(desk.app, ResolveDispatch(1, sent, WHO)) == 1
    assert desk.push("wmMei") == push
    assert desk.reserved("wmMei") == reserved
    assert desk.dispatches() == ["settled"]
    assert desk.rows("select state, due_at, rev from enrollment") == runs
    assert desk.rows("select who, verb, target from audit")[-1] == (WHO, "dispatch resolve", "1")


def test_only_a_task_that_needs_an_operator_can_be_resolved(store: Store) -> None:
    desk = desk_with(store, 1, 1, until=CREATED + MINUTE_MS)

    with pytest.raises(Refused, match="task 1 is requested"):
        doubts.resolve(desk.app, ResolveDispatch(1, True, WHO))
    with pytest.raises(NotFound, match="there is no task 99"):
        doubts.resolve(desk.app, ResolveDispatch(99, True, WHO))
    assert desk.push("wm-m00-0") == ("requested", None)


# -- late words --------------------------------------------------------------------------------------------------------


def test_a_reading_of_an_old_claim_changes_nothing(store: Store) -> None:
    desk = desk_with(store, 1, 1, until=CREATED + 30_000)
    desk._go_to(CREATED + MINUTE_MS)
    [old], _ = results.claim(desk.app)
    desk._go_to(desk.now + results.LEASE_MS)
    [new], _ = results.claim(desk.app)
    row = SendResult("m00", "wm-m00-0", 1, desk.now)
    results.record(desk.app, [results.Reading(old, 2, (row,), desk.now)], {})

    assert desk.push("wm-m00-0") == ("requested", None)
    results.record(desk.app, [results.Reading(new, 2, (row,), desk.now)], {})
    assert desk.push("wm-m00-0") == ("sent", None)


def test_results_told_twice_count_once(store: Store) -> None:
    desk = desk_with(store, 1, 2, until=CREATED + 30_000)
    desk.confirms()
    desk.run_until(CREATED + 10 * MINUTE_MS)
    with store.transaction() as tx:
        tx.run("update dispatch set state = 'confirmed', act_at = ?", (tx.now,))
    desk.run_for(minutes=1)

    assert desk.dispatches() == ["settled"]
    with store.reading() as tx:
        assert read_counters(tx, "sop/1/push/first/sent") == {"sop/1/push/first/sent": 2}
