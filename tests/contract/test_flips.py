"""Flips of time atoms as rows: armed over what was known, taken once, laid aside; what waits costs nothing."""

from __future__ import annotations

import threading

from sopd.commands import RetrySetAside
from sopd.handlers import aside
from sopd.store import Store
from sopd.store.batch import put_aside
from sopd.store.queries import due, flips
from sopd.store.queries.flips import Armed, FlipKey
from sopd.store.tables import Flip
from tests.support.company import TestCompany
from tests.support.factories import all_rows
from tests.support.plans import assert_uses_index

NOW = "2026-03-02 09:00"


def arm(store: Store, *rows: Armed) -> None:
    with store.transaction() as tx:
        flips.arm(tx, rows)


def taken(store: Store) -> list[int]:
    with store.transaction() as tx:
        return [one.ref_id for one in flips.take(tx, flips.due(tx, 100))]


def test_the_last_word_about_a_rule_counts(store: Store) -> None:
    arm(store, Armed("entry", 1, 5, 5, 100), Armed("entry", 1, 6, 6, 100), Armed("entry", 1, 7, 7, 100))
    arm(store, Armed("entry", 1, 5, 5, 200), Armed("entry", 1, 6, 6, None), Armed("entry", 1, 8, 8, None))
    arm(store)

    assert all_rows(store, Flip, "ref_id", "at") == [(5, 200), (7, 100)]


def test_of_two_words_at_once_the_later_one_counts(store: Store) -> None:
    arm(store, Armed("entry", 1, 5, 5, None), Armed("entry", 1, 5, 5, 100))
    arm(store, Armed("entry", 1, 6, 6, 100), Armed("entry", 1, 6, 6, None))

    assert all_rows(store, Flip, "ref_id", "at") == [(5, 100)]


def test_only_what_is_due_is_taken_and_only_once(store: Store) -> None:
    now = TestCompany(store, NOW).now
    arm(store, Armed("entry", 1, 5, 5, now), Armed("end", 1, 5, 5, now - 1), Armed("entry", 2, 5, 5, now + 1))

    assert len(taken(store)) == 2
    assert taken(store) == []
    assert all_rows(store, Flip, "sop_id") == [(2,)]


def test_what_another_sweep_holds_is_left_to_it(store: Store) -> None:
    now = TestCompany(store, NOW).now
    arm(store, *(Armed("entry", 1, n, n, now) for n in range(10)))
    keys = [FlipKey("entry", 1, n) for n in range(10)]
    found: list[int] = []

    def other() -> None:
        with store.transaction() as tx:
            found.extend(one.ref_id for one in flips.take(tx, keys))

    with store.transaction() as tx:
        first = [one.ref_id for one in flips.take(tx, keys[:4])]
        thread = threading.Thread(target=other)
        thread.start()
        if not tx.dialect.one_writer:  # SQLite lets the other one wait for this transaction
            thread.join()
    thread.join()

    assert sorted(first + found) == list(range(10))


def test_a_flip_that_was_laid_aside_comes_back_when_asked_for(store: Store) -> None:
    company = TestCompany(store, NOW)
    arm(store, Armed("entry", 1, 5, 5, company.now))
    with store.transaction() as tx:
        key = FlipKey("entry", 1, 5)
        put_aside(tx, "flip", str(key), "broken", flips.lay_aside(tx, key))
    assert taken(store) == []

    assert aside.retry(company.app, RetrySetAside("mei")) == {"flip": 1}
    assert taken(store) == [5]


def test_the_flips_of_a_sop_are_dropped_in_parts(store: Store) -> None:
    arm(store, *(Armed("entry", 1, n, n, 9) for n in range(5)), Armed("end", 1, 1, 1, 9), Armed("entry", 2, 1, 1, 9))

    def drop() -> int:
        with store.transaction() as tx:
            return flips.drop_of_sop(tx, 1, 3)

    assert [drop(), drop(), drop()] == [4, 2, 0]
    assert all_rows(store, Flip, "sop_id") == [(2,)]


def test_a_hundred_thousand_waiting_flips_cost_nothing(store: Store) -> None:
    now = TestCompany(store, NOW).now
    arm(store, *(Armed("entry", 1, n, n, now + 1 + n) for n in range(100_000)))

    assert_uses_index(store, "select min(at) from flip where at is not null", (), "flip_due")
    assert_uses_index(
        store, "select purpose from flip where at is not null and at <= ? order by at limit ?", (now, 500), "flip_due"
    )
    key = "purpose = 'entry' and sop_id = 1 and ref_id = 5"
    assert_uses_index(store, f"select at from flip where {key}", (), "flip_pkey")
    with store.reading() as tx:
        assert due.earliest(tx)["sweep"] == now + 1
        assert flips.due(tx, 500) == []
