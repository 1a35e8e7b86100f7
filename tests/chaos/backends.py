"""PostgreSQL and Redis of a round, with what can be done to them: broken off, restarted, wiped, cut.

PostgreSQL commits for certain here (`synchronous_commit`), unlike in other tests: a restart of it must lose nothing.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg
import redis

from sopd.store import Store
from sopd.store.migrate import migrate
from tests.support.servers import Postgres, Valkey, running_postgres, running_valkey

SETTINGS = {"synchronous_commit": "on", "max_connections": "150"}


class Backends:
    """Both servers; databases of one round are made by `fresh`."""

    def __init__(self, postgres: Postgres, valkey: Valkey) -> None:
        self._postgres, self._valkey = postgres, valkey
        self.store_url = self.broker_url = ""

    def fresh(self) -> None:
        """An empty database with its schema, and an empty Redis, for the next round."""
        self.store_url = self._postgres.url(self._postgres.create())
        self.broker_url = self._valkey.fresh_url()
        store = Store.open(self.store_url)
        migrate(store)
        store.close()

    def restart_postgres(self) -> None:
        """pg_ctl -m immediate restart: every connection breaks, what was not committed is gone."""
        self._postgres.program.end(signal.SIGQUIT)
        self._postgres.program.start(signal.SIGINT)

    def cut_connections(self, share: float) -> int:
        """pg_terminate_backend for this share of the engine's connections; returns how many."""
        with suppress(psycopg.OperationalError), psycopg.connect(self._postgres.url("postgres")) as connection:
            (count,) = connection.execute(
                "select count(pg_terminate_backend(pid)) from pg_stat_activity"
                " where application_name = 'sopd' and mod(pid, 100) < %s and pid <> pg_backend_pid()",
                (round(share * 100),),
            ).fetchone()
            return int(count)
        return 0

    def stop_redis(self) -> None:
        """Redis dies, with everything in it."""
        self._valkey.program.end(signal.SIGKILL)

    def start_redis(self) -> None:
        """Redis is back, empty."""
        self._valkey.socket.unlink(missing_ok=True)
        self._valkey.program.start()

    def flush_redis(self) -> None:
        """FLUSHALL."""
        with suppress(redis.RedisError), redis.Redis(unix_socket_path=str(self._valkey.socket)) as client:
            client.flushall()

    def cut_redis(self) -> None:
        """CLIENT KILL for every connection."""
        with suppress(redis.RedisError), redis.Redis(unix_socket_path=str(self._valkey.socket)) as client:
            client.client_kill_filter(_type="normal", skipme=True)


@contextmanager
def running_backends() -> Iterator[Backends]:
    """Both servers, until the block ends."""
    with running_postgres(SETTINGS) as postgres, running_valkey() as valkey:
        yield Backends(postgres, valkey)
