"""Stores for tests: the fixtures behind every test that runs over both databases.

A conftest takes what it needs: `from tests.support.stores import *`. A SQLite file is copied from a migrated one for
each test. A PostgreSQL database takes half a second to make, so a test process has one and empties it for each test:
a test that changes the schema begins with `bare_url`, and tests that ANALYZE share the `own_store` of their module.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from sopd.store import Store
from sopd.store.migrate import migrate
from sopd.store.tables import TABLES
from tests.support.servers import Postgres

__all__ = ["bare_url", "emptied_postgres", "migrated_file", "own_store", "store", "store_url"]

BOTH = ("sqlite", "postgres")


@pytest.fixture(params=BOTH)
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Address of a migrated database without rows, on either kind."""
    if request.param == "postgres":
        return request.getfixturevalue("emptied_postgres")()
    return f"sqlite:///{shutil.copy(request.getfixturevalue('migrated_file'), tmp_path / 'store.db')}"


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    """A migrated store without rows, on either kind of database."""
    opened = Store.open(store_url, pool=12)
    yield opened
    opened.close()


@pytest.fixture(params=BOTH)
def bare_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Address of a database of one's own without a schema, on either kind."""
    with _database(request, tmp_path) as url:
        yield url


@pytest.fixture(scope="module", params=BOTH)
def own_store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A migrated store that one test module has to itself, on either kind: it may fill and ANALYZE it."""
    with _database(request, tmp_path_factory.mktemp("own")) as url:
        opened = Store.open(url, pool=12)
        migrate(opened)
        yield opened
        opened.close()


@contextmanager
def _database(request: pytest.FixtureRequest, folder: Path) -> Iterator[str]:
    """Address of an empty database of the kind the fixture asks for, gone at the end."""
    if request.param == "sqlite":
        yield f"sqlite:///{folder}/own.db"
        return
    server: Postgres = request.getfixturevalue("postgres")
    name = server.create()
    yield server.url(name)
    server.drop(name)


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file without rows, to be copied."""
    path = tmp_path_factory.mktemp("store") / "template.db"
    _migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def emptied_postgres(postgres: Postgres) -> Iterator[Callable[[], str]]:
    """Empties this process's migrated database, starts its ids at 1 again, and returns its address."""
    name = postgres.create()
    _migrate(postgres.url(name))
    deletions = ";".join(f"delete from {table._meta.table_name}" for table in TABLES)
    with psycopg.connect(postgres.url(name), autocommit=True) as connection:

        def emptied() -> str:
            connection.execute(deletions)
            connection.execute(
                "select setval(format('%I.%I', schemaname, sequencename), 1, false) from pg_sequences"
                " where last_value is not null"
            )
            analyzed = connection.execute("select distinct tablename from pg_stats where schemaname = 'public'")
            if tables := [name for (name,) in analyzed]:
                raise RuntimeError(
                    f"a test before this one has analyzed {', '.join(tables)} in the database that tests share: other"
                    " tests would see other plans; such a test takes the `own_store` of its module or a `bare_url`"
                )
            return postgres.url(name)

        yield emptied
    postgres.drop(name)


def _migrate(url: str) -> None:
    made = Store.open(url)
    migrate(made)
    made.close()
