"""The unit of work on both databases: all or nothing, one instant, no surprises, errors for people."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

import pytest

from sopd.store import (
    BadAddress,
    BadStatement,
    BadValue,
    Conflict,
    Nested,
    NoSchema,
    Store,
    StoreBusy,
    StoreError,
    Unavailable,
    Unreachable,
)
from sopd.store.tables import Counter, Customer, Member
from tests.support.factories import T0, add, all_rows
from tests.support.plans import hearing


def test_a_block_that_ends_well_is_committed(store: Store) -> None:
    with store.transaction() as tx:
        tx.run("insert into counter (key, n) values ('a', 1)")
    assert all_rows(store, Counter) == [("a", 1)]


def test_a_block_that_raises_is_rolled_back(store: Store) -> None:
    with pytest.raises(KeyError), store.transaction() as tx:
        tx.run("insert into counter (key, n) values ('a', 1)")
        raise KeyError
    assert all_rows(store, Counter) == []


def test_reading_gives_rows_one_row_or_one_value(store: Store) -> None:
    with store.transaction() as tx:
        tx.run("insert into counter (key, n) values (?, ?), (?, ?)", ("a", 1, "b", 2))
        assert tx.rows("select key, n from counter order by key") == [("a", 1), ("b", 2)]
        assert tx.one("select key, n from counter where n = ?", (2,)) == ("b", 2)
        assert tx.value("select key from counter where n = 1") == "a"
        assert tx.one("select key from counter where n = 3") is None
        assert tx.value("select key from counter where n = 3") is None


def test_a_write_tells_how_many_rows_it_changed(store: Store) -> None:
    with store.transaction() as tx:
        assert tx.run("insert into counter (key, n) values ('a', 1), ('b', 2)") == 2
        assert tx.run("update counter set n = n + 1") == 2
        assert tx.run("with x as (select 'b' as key) delete from counter where key in (select key from x)") == 1
        assert tx.run("update counter set n = 0 where key = 'none'") == 0


def test_marks_and_percents_inside_quotes_and_comments_are_text(store: Store) -> None:
    with store.reading() as tx:
        assert tx.one("select '?', '%', 'it''s %s?', ? -- what?\n", ("?%s",)) == ("?", "%", "it's %s?", "?%s")
        assert tx.value("select 'abc' like ?", ("a%",)) in (1, True)


def test_wakeups_come_after_the_commit_in_their_order(store: Store) -> None:
    seen: list[object] = []
    with store.transaction() as tx:
        tx.run("insert into counter (key, n) values ('a', 1)")
        tx.after_commit(lambda: seen.append(all_rows(store, Counter)))
        tx.after_commit(lambda: seen.append("second"))
        assert seen == []
    assert seen == [[("a", 1)], "second"]


def test_a_rollback_wakes_nobody(store: Store) -> None:
    seen: list[int] = []
    with pytest.raises(KeyError), store.transaction() as tx:
        tx.after_commit(lambda: seen.append(1))
        raise KeyError
    assert seen == []


def test_a_commit_that_fails_wakes_nobody_and_leaves_nothing(store: Store) -> None:
    seen: list[int] = []

    def refuse_commit(sql: str) -> None:
        if sql == "commit":
            raise ConnectionError("pulled the plug")

    store.on_statement(refuse_commit)
    with pytest.raises(ConnectionError), store.transaction() as tx:
        tx.run("insert into counter (key, n) values ('a', 1)")
        tx.after_commit(lambda: seen.append(1))
    store.on_statement(None)
    assert (seen, all_rows(store, Counter)) == ([], [])


def test_a_failing_wakeup_does_not_undo_the_work_nor_stop_the_others(store: Store) -> None:
    seen: list[int] = []
    with store.transaction() as tx:
        tx.run("insert into counter (key, n) values ('a', 1)")
        tx.after_commit(lambda: 1 // 0)
        tx.after_commit(lambda: seen.append(1))
    assert (seen, all_rows(store, Counter)) == ([1], [("a", 1)])


def test_a_transaction_inside_another_is_an_error_and_harmless(store: Store) -> None:
    with store.transaction() as tx:
        for opened in (store.transaction, store.reading):
            with pytest.raises(Nested, match="pass its `tx` on"), opened():
                pass
        tx.run("insert into counter (key, n) values ('a', 1)")
    with store.reading(), pytest.raises(Nested), store.transaction():
        pass
    assert all_rows(store, Counter) == [("a", 1)]


def test_reading_refuses_to_write_and_the_next_transaction_may_again(store: Store) -> None:
    with pytest.raises(StoreError), store.reading() as tx:
        tx.run("insert into counter (key, n) values ('a', 1)")
    with store.transaction() as tx:
        tx.run("insert into counter (key, n) values ('b', 1)")
    assert all_rows(store, Counter) == [("b", 1)]


def test_reading_sees_one_snapshot_while_others_write(store: Store) -> None:
    with store.reading() as tx:
        assert tx.rows("select key from counter") == []
        elsewhere(lambda: add(store, Counter, key="a", n=1))
        assert tx.rows("select key from counter") == []
    assert all_rows(store, Counter, "key") == [("a",)]


def test_the_time_is_the_databases_and_read_once(store: Store) -> None:
    with hearing(store) as asked, store.transaction() as tx:
        now = tx.now
        assert tx.now == now
    assert len([sql for sql in asked if "clock" in sql]) == 1
    # Not compared with this host's clock: it decides nothing. Later than this was written, earlier than year 2200.
    assert 1_790_000_000_000 < now < 7_258_118_400_000
    assert now <= store.now() <= now + 3_600_000


def test_a_rehearsals_clock_replaces_the_time_for_everybody(store: Store, store_url: str) -> None:
    store.set_clock(T0)
    store.set_clock(T0 + 5)
    other = Store.open(store_url)
    assert (store.now(), other.now()) == (T0 + 5, T0 + 5)
    other.set_clock(None)
    other.close()
    assert store.now() > T0 + 5


def test_a_process_that_was_held_up_does_not_put_a_rehearsals_clock_back(store: Store) -> None:
    store.advance_clock(T0 + 5)
    store.advance_clock(T0)
    assert store.now() == T0 + 5
    store.advance_clock(T0 + 6)
    assert store.now() == T0 + 6
    store.set_clock(None)


def test_every_statement_is_told_before_it_runs(store: Store) -> None:
    with hearing(store) as told, store.transaction() as tx:
        tx.run("insert into counter (key, n) values ('a', 1)")
        tx.count("b")
    with store.transaction() as tx:
        tx.run("delete from counter")
    assert told[0].startswith("begin")
    rest = [sql.partition(" (")[0] for sql in told[1:]]
    assert rest == ["insert into counter", "insert into counter_delta", "commit"]


def test_reading_then_writing_in_many_threads_loses_nothing_and_never_fails(store: Store) -> None:
    add(store, Counter, key="a", n=0)
    threads, times = 8, 25

    def work() -> None:
        for _ in range(times):
            with store.transaction() as tx:
                n = tx.value("select n from counter where key = 'a'" + tx.for_update("counter"))
                tx.run("update counter set n = ? where key = 'a'", (n + 1,))

    elsewhere(*[work] * threads)
    assert all_rows(store, Counter) == [("a", threads * times)]


def test_two_processes_of_writers_wait_for_each_other(store_url: str, store: Store) -> None:
    add(store, Counter, key="a", n=0)
    others = [Store.open(store_url, pool=2) for _ in range(4)]  # a store each: as processes, they share no lock

    def work(mine: Store) -> None:
        for _ in range(20):
            with mine.transaction() as tx:
                n = tx.value("select n from counter where key = 'a'" + tx.for_update("counter"))
                tx.run("update counter set n = ? where key = 'a'", (n + 1,))

    elsewhere(*[lambda mine=mine: work(mine) for mine in others])
    for other in others:
        other.close()
    assert all_rows(store, Counter) == [("a", 80)]


def test_a_forked_child_disposes_of_its_parents_connections(store: Store) -> None:
    add(store, Counter, key="parent", n=1)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            store.dispose()
            with store.transaction() as tx:
                tx.insert(Counter, [{"key": "child", "n": 2}], returning=())
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert all_rows(store, Counter, "key") == [("child",), ("parent",)]


def test_a_pool_that_is_empty_says_so(store_url: str) -> None:
    small = Store.open(store_url, pool=1)
    small.database._wait_timeout = 0.05
    with small.reading(), pytest.raises(StoreBusy, match="raise the pool's size"):
        elsewhere(small.now)
    assert small.now() > 0
    small.close()


def test_a_unique_index_refuses_with_a_conflict(store: Store) -> None:
    add(store, Member, userid="alice")
    with pytest.raises(Conflict), store.transaction() as tx:
        tx.insert(Member, [{"userid": "alice", "seen_at": T0}])


def test_text_does_not_become_a_number(store: Store) -> None:
    with pytest.raises(BadValue), store.transaction() as tx:
        tx.run("insert into counter (key, n) values ('a', ?)", ("many",))


def test_a_faulty_statement_is_named(store: Store) -> None:
    with pytest.raises(BadStatement, match="selct 1"), store.reading() as tx:
        tx.run("selct 1")
    with pytest.raises(BadStatement, match="no column nmae"), store.transaction() as tx:
        tx.insert(Customer, [{"nmae": "x"}])


def test_a_database_without_tables_asks_for_migration(bare_url: str) -> None:
    bare = Store.open(bare_url)
    with pytest.raises(NoSchema, match="sopd db migrate"):
        bare.now()
    bare.close()


@pytest.mark.parametrize(
    "url", ["mysql://x/y", "sqlite:///:memory:", "sqlite:///", "postgresql://host", "/var/lib/sopd.db", ""]
)
def test_an_address_that_is_none_is_explained(url: str) -> None:
    with pytest.raises(BadAddress, match=r"sqlite:////absolute/path\.db or postgresql://user@host/database"):
        Store.open(url)


@pytest.mark.parametrize("url", ["sqlite:////nowhere/at/all.db", "postgresql://bob:s3cret@127.0.0.1:1/sopd"])
def test_a_database_that_is_away_is_named_without_its_password(url: str) -> None:
    with pytest.raises(Unreachable) as caught:
        Store.open(url).now()
    assert isinstance(caught.value, Unavailable)
    assert "s3cret" not in str(caught.value)
    assert "/nowhere/at/all.db" in str(caught.value) or "127.0.0.1/sopd" in str(caught.value)


def test_a_connection_that_the_server_dropped_is_replaced(emptied_postgres: Callable[[], str]) -> None:
    dropped = Store.open(emptied_postgres())
    with pytest.raises(Unreachable), dropped.transaction() as tx:
        tx.value("select pg_terminate_backend(pg_backend_pid())")
    assert dropped.now() > 0
    dropped.close()


def test_a_statement_that_takes_too_long_is_busy_not_poison(emptied_postgres: Callable[[], str]) -> None:
    impatient = Store.open(emptied_postgres(), statement_timeout_ms=50)
    with pytest.raises(StoreBusy), impatient.reading() as tx:
        tx.run("select pg_sleep(30)")
    impatient.close()


def test_loops_write_less_at_once_while_somebody_urgent_waits_for_the_one_writer(store: Store) -> None:
    def urgently() -> None:
        with store.transaction(urgent=True):
            pass

    waits = threading.Thread(target=urgently)
    with store.transaction():
        waits.start()
        while waits.is_alive() and store.portion(1000) == 1000:
            waits.join(0.001)
        assert waits.is_alive() == store.dialect.one_writer
        assert store.portion(1000) == (125 if store.dialect.one_writer else 1000)
        assert store.portion(3) == (1 if store.dialect.one_writer else 3)
    waits.join()


def test_while_urgent_ones_come_they_write_between_two_turns_of_others(store: Store) -> None:
    wrote: list[str] = []
    pressed = threading.Event()

    def ordinary() -> None:
        for _ in range(3):
            with store.transaction():
                wrote.append("other")
                pressed.wait(20)

    def urgently() -> None:
        with store.transaction(urgent=True):
            wrote.append("urgent")

    others = [threading.Thread(target=ordinary) for _ in range(2)]
    waits = threading.Thread(target=urgently)
    for thread in others:
        thread.start()
    while not wrote:
        others[0].join(0.001)
    waits.start()
    while waits.is_alive() and store.portion(1000) == 1000:
        waits.join(0.001)
    pressed.set()
    for thread in (*others, waits):
        thread.join()

    assert sorted(wrote) == ["other"] * 6 + ["urgent"]
    if store.dialect.one_writer:
        assert wrote[:2] == ["other", "urgent"]


def elsewhere(*works: Callable[[], object]) -> None:
    """Run each in a thread of its own to its end; raise what one of them raised."""
    failed: list[BaseException] = []

    def run(work: Callable[[], object]) -> None:
        try:
            work()
        except BaseException as error:  # handed to the test's own thread
            failed.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]
