"""A migration that is killed at whatever statement leaves the schema before it or the one after it, nothing between."""

from __future__ import annotations

from collections.abc import Callable

from sopd.store import Store
from sopd.store.migrate import Status, migrate, status, steps
from sopd.store.tables import TABLES
from tests.support.crash import die_in_child
from tests.support.schema import described
from tests.support.stores import bare_url  # noqa: F401 - a fixture


def test_a_migration_completes_wherever_the_one_before_it_died(
    bare_url: str,  # noqa: F811
    record_property: Callable[[str, object], None],
) -> None:
    store = Store.open(bare_url)
    at = 0
    while not _left_by_a_death(store, at := at + 1).found:
        pass

    finished = migrate(store)

    record_property("note", f"crash walk, migrate on {store.dialect.name}: {at} crash points")
    assert at > sum(len(step.sql[store.dialect.name]) for step in steps())
    assert finished == []
    assert described(store).keys() >= {table._meta.table_name for table in TABLES}
    store.close()


def _left_by_a_death(store: Store, at: int) -> Status:
    """Where the database stands after a migration that died at its `at`-th point, on what the earlier ones left."""
    die_in_child(lambda: migrate(store), at, store)
    left = status(store)
    store.close()
    assert left.found in (0, left.known)
    return left
