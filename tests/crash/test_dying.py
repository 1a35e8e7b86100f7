"""The walk's own tools: a child dies where it is told to, and a database is put back to the last row."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sopd.store import Store
from sopd.store.tables import Counter
from tests.crash.conftest import postgres_copies, sqlite_copies
from tests.support.crash import ChildFailed, Copies, die_in_child

BEGIN, INSERT, COMMIT, DONE = 1, 2, 3, 4


@pytest.fixture(params=["sqlite", "postgres"])
def copies(request: pytest.FixtureRequest) -> Iterator[Copies]:
    """A database of either kind."""
    both = request.param == "sqlite"
    with sqlite_copies() if both else postgres_copies(request.getfixturevalue("postgres")) as found:
        yield found


def count(store: Store, key: str) -> None:
    with store.transaction() as tx:
        tx.insert(Counter, [{"key": key, "n": 1}], returning=())


@pytest.mark.parametrize(("at", "left"), [(BEGIN, 0), (INSERT, 0), (COMMIT, 0), (DONE, 1)])
def test_only_what_was_committed_outlives_a_death(copies: Copies, at: int, left: int) -> None:
    store = copies.open()

    wreck = die_in_child(lambda: count(store, "a"), at, store)

    assert len(wreck.points) == at - 1
    assert (wreck.died_at is None) == (at == DONE)
    with store.reading() as tx:
        assert tx.value("select count(*) from counter") == left
    store.close()


def test_a_database_is_put_back_after_whatever_was_done_to_it(copies: Copies) -> None:
    store = copies.open()
    count(store, "kept")
    store.close()
    saved = copies.save()
    die_in_child(lambda: count(store, "by the dead"), None, store)
    copies.look()
    copies.put_back(saved)
    store = copies.open()
    count(store, "by the living")
    store.close()

    copies.put_back(saved)

    with store.reading() as tx:
        assert tx.rows("select key from counter") == [("kept",)]
    store.close()
    assert copies.look() == saved.prints


def test_what_a_child_raises_is_raised_here(copies: Copies) -> None:
    store = copies.open()
    store.close()

    with pytest.raises(ChildFailed, match="ZeroDivisionError"):
        die_in_child(lambda: 1 / 0, None, store)
