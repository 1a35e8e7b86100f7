"""Poison rows, counters and the list of rows set aside, on both databases."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from sopd.store import BadStatement, Conflict, Store, StoreBusy
from sopd.store.batch import in_halves, put_aside, take_back
from sopd.store.counters import fold_counters, read_counters
from sopd.store.tables import Counter, CounterDelta, Member, SetAside
from tests.support.factories import T0, add, all_rows


@given(size=st.integers(0, 40), poison=st.sets(st.integers(0, 39)))
def test_only_the_poison_rows_are_set_aside(size: int, poison: set[int]) -> None:
    done: list[int] = []
    aside: list[tuple[int, str]] = []

    def work(rows: Sequence[int]) -> int:
        if bad := [row for row in rows if row in poison]:
            raise ValueError(f"row {bad[0]} is bad")
        done.extend(rows)
        return len(rows)

    with capture_logs() as logged:
        outcome = in_halves(range(size), work, lambda row, reason: aside.append((row, reason)))
    assert [line["event"] for line in logged] == ["row set aside"] * len(aside)
    assert done == [row for row in range(size) if row not in poison]
    assert aside == [(row, f"ValueError: row {row} is bad") for row in range(size) if row in poison]
    assert (sum(outcome.results), outcome.aside) == (len(done), [row for row, _ in aside])


def test_one_poison_row_among_a_thousand_costs_few_attempts() -> None:
    attempts: list[int] = []

    def work(rows: Sequence[int]) -> None:
        attempts.append(len(rows))
        assert 617 not in rows

    in_halves(range(1000), work, lambda row, reason: None)
    assert len(attempts) <= 2 * 10 + 1


@pytest.mark.parametrize("error", [StoreBusy("locked"), BadStatement("no such column")])
def test_what_no_row_can_help_is_not_blamed_on_one(error: Exception) -> None:
    def work(rows: Sequence[int]) -> None:
        raise error

    with pytest.raises(type(error)):
        in_halves([1, 2, 3], work, lambda row, reason: pytest.fail("a row was blamed"))


def test_a_row_the_database_refuses_is_poison_and_the_others_go_in(store: Store) -> None:
    add(store, Member, userid="b")

    def work(userids: Sequence[str]) -> int:
        with store.transaction() as tx:
            return len(tx.insert(Member, [{"userid": userid, "seen_at": T0} for userid in userids]))

    def aside(userid: str, reason: str) -> None:
        with store.transaction() as tx:
            put_aside(tx, "member", userid, reason)

    outcome = in_halves(["a", "b", "c", "d"], work, aside)
    assert outcome.aside == ["b"]
    assert all_rows(store, Member, "userid", order="userid") == [("a",), ("b",), ("c",), ("d",)]
    ((kind, key, reason),) = all_rows(store, SetAside, "kind", "row_key", "reason")
    assert (kind, key) == ("member", "b")
    assert reason.startswith("the database refused a row")


def test_a_lone_row_that_met_another_writer_is_tried_once_more() -> None:
    attempts: list[int] = []

    def work(rows: Sequence[int]) -> str:
        attempts.append(1)
        if len(attempts) == 1:
            raise Conflict("somebody was faster")
        return "found it"

    assert in_halves([1], work, lambda row, reason: pytest.fail("a row was blamed")).results == ["found it"]


def test_a_row_set_aside_is_taken_back_once_with_what_its_due_column_held(store: Store) -> None:
    store.set_clock(T0)
    with store.transaction() as tx:
        put_aside(tx, "enrollment", "7", "first", due_at=T0 - 5)
        put_aside(tx, "enrollment", "7", "second")
        put_aside(tx, "push", "7", "another")
    assert all_rows(store, SetAside, order="kind") == [
        ("enrollment", "7", T0, "second", T0 - 5),
        ("push", "7", T0, "another", None),
    ]
    with store.transaction() as tx:
        assert take_back(tx, "enrollment", ["7", "8"]) == [("7", T0 - 5)]
        assert take_back(tx, "enrollment", ["7", "8"]) == []
    assert all_rows(store, SetAside, "kind") == [("push",)]


def test_counts_are_appended_once_per_transaction_and_folded_later(store: Store) -> None:
    for n in (2, 3):
        with store.transaction() as tx:
            tx.count("sop/7/entered", n)
            tx.count("sop/7/entered")
            tx.count("sop/7/sent", 0)
    with store.transaction() as tx:
        tx.count("sop/70/entered")
    assert len(all_rows(store, CounterDelta)) == 3
    with store.reading() as tx:
        before = read_counters(tx, "sop/7/")
    assert before == {"sop/7/entered": 7}
    for folded in (3, 0):
        with store.transaction() as tx:
            assert fold_counters(tx) == folded
            assert read_counters(tx) == {"sop/7/entered": 7, "sop/70/entered": 1}
    assert all_rows(store, Counter, order="key") == [("sop/7/entered", 7), ("sop/70/entered", 1)]
    assert all_rows(store, CounterDelta) == []


def test_what_a_rolled_back_transaction_counted_never_was(store: Store) -> None:
    with pytest.raises(KeyError), store.transaction() as tx:
        tx.count("a")
        raise KeyError
    with store.reading() as tx:
        assert read_counters(tx) == {}
