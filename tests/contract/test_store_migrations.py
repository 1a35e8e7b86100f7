"""The schema: frozen steps and tables agree, steps are applied once and under a lock, newer ones are refused."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator

import pytest

from sopd.store import NewerSchema, NoSchema, OlderSchema, Store
from sopd.store.migrate import Step, migrate, require, status, steps, tables_here
from sopd.store.tables import TABLES, Member
from tests.support.factories import add
from tests.support.schema import ddl, described, index_names

FROZEN = steps()


def later_step(*statements: str) -> Step:
    return Step(99, "0099_later", {"sqlite": statements, "postgres": statements})


@pytest.fixture
def bare(bare_url: str) -> Iterator[Store]:
    opened = Store.open(bare_url)
    yield opened
    opened.close()


def test_the_migrated_schema_is_the_one_of_the_tables(bare: Store) -> None:
    migrate(bare)
    migrated = described(bare)
    with bare.transaction() as tx:
        for table in tables_here(tx):
            tx.run(f"drop table {table}")
        for statement in ddl(bare):
            tx.run(statement)
    del migrated["schema_migration"]
    assert migrated == described(bare)


def test_every_index_of_the_tables_is_there_under_its_own_name(store: Store) -> None:
    wanted = Counter(name for table in TABLES for name in index_names(table))
    assert [name for name, times in wanted.items() if times > 1] == []
    there = {fact[1] for facts in described(store).values() for fact in facts if fact[0] == "index"}
    assert set(wanted) <= there


def test_a_bare_database_says_that_it_wants_migrating(bare: Store) -> None:
    assert status(bare).found == 0
    assert status(bare).missing == tuple(step.name for step in steps())
    with pytest.raises(NoSchema, match="sopd db migrate"):
        require(bare)


def test_migrating_twice_does_nothing_the_second_time(bare: Store) -> None:
    assert migrate(bare) == [step.name for step in steps()]
    assert migrate(bare) == []
    assert status(bare).missing == ()
    require(bare)


def test_two_runners_at_once_apply_each_step_once(bare: Store) -> None:
    done: list[str] = []
    start = threading.Barrier(2)

    def run() -> None:
        start.wait()
        done.extend(migrate(bare))

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert done == [step.name for step in steps()]


def test_a_newer_schema_is_refused(bare: Store) -> None:
    migrate(bare)
    newest = steps()[-1].number
    with bare.transaction() as tx:
        tx.run("insert into schema_migration (number, name, applied_at) values (?, 'later', 1)", (newest + 1,))
    for refused in (require, migrate):
        with pytest.raises(NewerSchema, match="run the newer sopd") as caught:
            refused(bare)
        assert (caught.value.found, caught.value.known) == (newest + 1, newest)


def test_an_older_schema_is_refused_until_it_is_migrated(bare: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    migrate(bare)
    known = [*FROZEN, later_step("create table later (id integer not null primary key)")]
    monkeypatch.setattr("sopd.store.migrate.steps", lambda: known)
    with pytest.raises(OlderSchema, match="run `sopd db migrate`"):
        require(bare)
    assert migrate(bare) == ["0099_later"]
    require(bare)


def test_a_failing_step_leaves_nothing_behind(bare: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    migrate(bare)
    broken = later_step("create table later (id integer not null primary key)", "insert into nowhere (id) values (1)")
    before = described(bare)
    monkeypatch.setattr("sopd.store.migrate.steps", lambda: [*FROZEN, broken])
    with pytest.raises(NoSchema):
        migrate(bare)
    assert described(bare) == before


def test_rows_outlive_a_later_step(bare: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    migrate(bare)
    member = add(bare, Member, userid="alice")
    known = [*FROZEN, later_step("alter table member add column x text")]
    monkeypatch.setattr("sopd.store.migrate.steps", lambda: known)
    migrate(bare)
    with bare.reading() as tx:
        assert tx.rows("select id, userid, x from member") == [(member.id, "alice", None)]
