"""sopd on the same work: the real daemon on PostgreSQL and Redis; entries and tags through the engine's own pages.

It does more than the others on the way: rules, quota, journal, counters and the planning of sends.
"""

from __future__ import annotations

import sys
from typing import ClassVar

from sopd.rehearsal.process import free_port
from sopd.store import Store
from sopd.store.migrate import migrate
from tests.bench import filling, throughput
from tests.bench.daemons import settings_of
from tests.bench.rivals.shop import Ground
from tests.bench.standing import started

PAGE = 100


class Rival:
    """The engine."""

    setup: ClassVar[str] = (
        "`sopd run` on PostgreSQL and Redis as shipped; entries and tags as pages of 100 re-read contacts, one step a"
        " push, planned to be sent"
    )

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._store = Store.open(ground.url, pool=4)
        migrate(self._store)
        started(self._store)
        self._made = throughput.open_ground(self._store, ground.url)

    def prepare(self, first: int, count: int) -> None:
        """Nobody is known before."""

    def schedule(self, first: int, count: int) -> None:
        throughput.enter_engine(self._made, first, count, PAGE)()

    def schedule_due(self, first: int, count: int) -> None:
        filling.settle_down(self._store)
        filling.add_due(self._store, first, count, throughput.TODAY)

    def tag(self, first: int, count: int) -> None:
        throughput.tag_engine(self._made, self._known(first, count), PAGE)()

    def fired(self) -> int:
        with self._store.reading() as tx:
            return int(tx.value("select count(*) from push"))

    def command(self) -> list[str]:
        settings = self._ground.folder / "sopd.toml"
        settings.write_text(settings_of(self._ground.url, free_port(), broker=self._ground.redis_url), encoding="utf-8")
        return [sys.executable, "-m", "sopd", "--config", str(settings), "run"]

    def close(self) -> None:
        self._made.hand.close()
        self._store.close()

    def _known(self, first: int, count: int) -> list[tuple[int, int]]:
        """(number, since when) of customers."""
        with self._store.reading() as tx:
            return [
                (int(external.removeprefix("wmBENCH")), began_at)
                for external, began_at in tx.rows(
                    "select c.external_userid, r.began_at from relation r join customer c on c.id = r.customer_id"
                    " where c.external_userid in (select 'wmBENCH' || generate_series(cast(? as bigint), ?))",
                    (first, first + count - 1),
                )
            ]
