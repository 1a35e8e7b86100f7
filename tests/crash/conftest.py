"""Databases that can be put back, for the crash walks; a store's fixtures besides."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sopd.store import Store
from sopd.store.migrate import migrate
from tests.support.crash import Copies, PostgresCopies, SqliteCopies
from tests.support.servers import Postgres

_IN_MEMORY = Path("/dev/shm")


@contextmanager
def sqlite_copies() -> Iterator[Copies]:
    """A migrated SQLite file; in memory where that is possible, because only processes die here, never the power."""
    with tempfile.TemporaryDirectory(prefix="sopd-", dir=_IN_MEMORY if _IN_MEMORY.is_dir() else None) as folder:
        path = Path(folder) / "crash.db"
        _migrate(f"sqlite:///{path}")
        yield SqliteCopies(path)


@contextmanager
def postgres_copies(server: Postgres) -> Iterator[Copies]:
    """A migrated PostgreSQL database."""
    name = server.create()
    _migrate(server.url(name))
    copies = PostgresCopies(server.url(name))
    try:
        yield copies
    finally:
        copies.close()
        server.drop(name)


@pytest.fixture(scope="module")
def copies(request: pytest.FixtureRequest) -> Iterator[Copies]:
    """The database of a module's walk; the module names its kind in DATABASE."""
    if request.module.DATABASE == "sqlite":
        made = sqlite_copies()
    else:
        made = postgres_copies(request.getfixturevalue("postgres"))
    with made as found:
        yield found


def _migrate(url: str) -> None:
    store = Store.open(url)
    migrate(store)
    store.close()
