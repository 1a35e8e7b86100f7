"""The door to the database: opens it, hands out transactions, keeps connections. One `Store` a process.

A transaction is the unit of work (ARCHITECTURE 1): one thread, one connection, one `now`. Connections come from a pool
and are never opened by accident. Nothing here knows a table, except the clock row of a rehearsal.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import peewee
import structlog
from playhouse.pool import MaxConnectionsExceeded

from machines.calendar import Instant

from . import postgres, sqlite
from .dialect import Dialect
from .errors import BadAddress, Nested, StoreBusy, Unreachable
from .transaction import Transaction
from .turns import Turns

Hook = Callable[[str], object]

REST = 2.0
MOST_REST_SECONDS = 0.1
"""While callbacks wait for their turn, others rest after one for so many times its length, at most so long: who takes
callbacks in needs Python's one interpreter as well as the database's one writer."""
HURRIED = 8
"""What part of its rows a loop writes at once while callbacks wait for their turn: for 10 ms instead of 80."""

log = structlog.get_logger("sopd.store")


class Store:
    """One database. `dialect.name` is 'sqlite' or 'postgres'."""

    def __init__(self, dialect: Dialect, pool: int) -> None:
        self.dialect = dialect
        self.database = dialect.database(pool)
        self._hook: Hook | None = None
        self._open = threading.local()
        self._turns, self._not_urgent = Turns(), Turns()

    @classmethod
    def open(cls, url: str, pool: int = 8, *, statement_timeout_ms: int = 60_000) -> Store:
        """Open `sqlite:////path` or `postgresql://..`; connects at the first use and does not create the schema.

        `pool` is the most connections at once: at least one per thread that works.
        """
        if url.startswith(sqlite.SCHEME):
            return cls(sqlite.Sqlite(url), pool)
        if url.startswith(postgres.SCHEMES):
            return cls(postgres.Postgres(url, statement_timeout_ms), pool)
        raise BadAddress(url.partition(":")[0])

    @contextmanager
    def transaction(self, *, urgent: bool = False) -> Iterator[Transaction]:
        """Read and write; committed at the end of the block, rolled back on any exception.

        On SQLite the writers of this process take turns here rather than poll for the file's lock; an `urgent` one,
        for whom WeCom waits, goes first, and while such come the others leave room between their turns.
        """
        with self._my_turn(urgent), self._unit(self.dialect.begin, reading=False) as tx:
            yield tx
        for act in tx.afterwards:
            try:
                act()
            except Exception:  # the work is committed: a lost wake-up must not look like a failed transaction
                log.exception("after_commit failed")

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        """A snapshot to read from; writes are refused. For queries that hold up nobody."""
        with self._unit(self.dialect.begin_reading, reading=True) as tx:
            yield tx

    def portion(self, rows: int) -> int:
        """How many of so many rows a loop is to write in one transaction: few while urgent ones wait for its end."""
        return max(1, rows // HURRIED) if self._turns.are_pressed() else rows

    def now(self) -> Instant:
        """The time that counts: the database's, or the rehearsal's clock (SPEC 14)."""
        with self.reading() as tx:
            return tx.now

    def set_clock(self, now: Instant | None) -> None:
        """Put this instant in place of the database's time for every process; None puts it back."""
        with self.transaction() as tx:
            if now is None:
                tx.run("delete from clock")
            else:
                tx.run("insert into clock (id, now) values (1, ?) on conflict (id) do update set now = excluded.now",
                       (now,))  # fmt: skip

    def advance_clock(self, now: Instant) -> None:
        """As `set_clock`, but never back: what a process that was held up brings may be long past."""
        with self.transaction() as tx:
            tx.run("insert into clock (id, now) values (1, ?) on conflict (id) do update set now = excluded.now"
                   " where clock.now < excluded.now", (now,))  # fmt: skip

    def on_statement(self, hook: Hook | None) -> None:
        """Call `hook(sql)` before every statement, BEGIN and COMMIT included, ROLLBACK not; None ends that."""
        self._hook = hook

    def explain(self, sql: str, params: tuple[Any, ...] = ()) -> str:
        """The plan of one statement, one line a node."""
        with self.reading() as tx:
            return tx.explain(sql, params)

    def close(self) -> None:
        """Close every connection. Only when no thread works any more."""
        self.database.close_all()

    def dispose(self) -> None:
        """In a forked child: forget the parent's connections without touching them."""
        self.database.dispose()
        self._open = threading.local()
        self._turns, self._not_urgent = Turns(), Turns()

    # -- inside --------------------------------------------------------------------------------------------------

    @contextmanager
    def _unit(self, begin: str, *, reading: bool) -> Iterator[Transaction]:
        if getattr(self._open, "tx", False):
            raise Nested
        connection = self._begin(begin, reading)
        tx = Transaction(self.dialect, connection, self._hook)
        self._open.tx = True
        try:
            yield tx
            tx.flush()
            tx.run("commit")
        except BaseException:  # even a thread's end by force must not leave a transaction open behind it
            self._roll_back(connection)
            raise
        finally:
            self._open.tx = False
            if reading:
                self.dialect.set_reading(connection, False)
            self.database.close()

    @contextmanager
    def _my_turn(self, urgent: bool) -> Iterator[None]:
        if not self.dialect.one_writer:
            yield
            return
        if getattr(self._open, "tx", False):
            raise Nested
        if urgent:
            with self._in_line(self._turns, urgent=True):
                yield
            return
        with self._in_line(self._not_urgent):
            with self._in_line(self._turns):
                begun_s = time.monotonic()
                yield
            if self._turns.are_pressed():
                time.sleep(min(REST * (time.monotonic() - begun_s), MOST_REST_SECONDS))

    @contextmanager
    def _in_line(self, turns: Turns, *, urgent: bool = False) -> Iterator[None]:
        if not turns.take(sqlite.BUSY_MS / 1000, urgent=urgent):
            raise StoreBusy(f"another thread has been writing to {self.dialect.place} for more than 5 s", "try again")
        try:
            yield
        finally:
            turns.give()

    def _begin(self, begin: str, reading: bool) -> Any:
        """A connection with an open transaction. The pool has tried it: one the server dropped is replaced."""
        try:
            self.database.connect()
            connection = self.database.connection()
        except MaxConnectionsExceeded as error:
            raise StoreBusy(f"all connections to {self.dialect.place} are in use", "raise the pool's size") from error
        except peewee.PeeweeException as error:
            raise Unreachable(f"cannot open {self.dialect.place}: {str(error).strip()}") from error
        try:
            if reading:
                self.dialect.set_reading(connection, True)
            Transaction(self.dialect, connection, self._hook).run(begin)
        except BaseException:  # whatever it was, the connection goes back to the pool, or the pool runs dry
            if reading and not self.dialect.is_broken(connection):
                self.dialect.set_reading(connection, False)
            self.database.close()
            raise
        return connection

    def _roll_back(self, connection: Any) -> None:
        """Undo, whatever state the connection is in; the pool throws a broken one away by itself."""
        with suppress(self.dialect.driver_error):
            if not self.dialect.is_broken(connection):
                connection.execute("rollback")
