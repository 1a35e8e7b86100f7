"""The two databases of a bench, as durable as in production, and fresh ones of them for every measure."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sopd.store import Store
from sopd.store.migrate import migrate
from tests.support.servers import Postgres, running_postgres

DURABLE = {
    "fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "autovacuum": "on",
    "shared_buffers": "512MB",
}  # fmt: skip
"""Against the settings of the tests, whose databases may be lost."""


class Place:
    """Where databases of one kind are made. `kind` is sqlite or postgres."""

    def __init__(self, kind: str, folder: Path, server: Postgres | None) -> None:
        self.kind = kind
        self._folder = folder
        self._server = server
        self._numbers = itertools.count(1)

    @contextmanager
    def fresh(self) -> Iterator[tuple[Store, str]]:
        """A migrated database without rows, open, and its address; gone afterwards."""
        name = self._server.create() if self._server else f"bench-{next(self._numbers)}.db"
        url = self._server.url(name) if self._server else f"sqlite:///{self._folder / name}"
        store = Store.open(url, pool=12, statement_timeout_ms=3_600_000)
        try:
            migrate(store)
            yield store, url
        finally:
            store.close()
            if self._server:
                self._server.drop(name)
            for file in self._folder.glob(f"{name}*"):
                file.unlink()


@contextmanager
def places(kinds: tuple[str, ...], folder: Path) -> Iterator[tuple[Place, ...]]:
    """A place for each kind asked for; the server runs only if one of them is postgres."""
    if "postgres" not in kinds:
        yield tuple(Place(kind, folder, None) for kind in kinds)
        return
    with running_postgres(DURABLE) as server:
        yield tuple(Place(kind, folder, server if kind == "postgres" else None) for kind in kinds)
