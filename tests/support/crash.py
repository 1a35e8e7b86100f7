"""Processes that die in the middle of a unit of work: forked children, the databases they die on, what is left behind.

A child does one piece of work and ends with `os._exit` at the n-th point it passes. A point is the moment before a
statement (BEGIN and COMMIT are statements) and before and after each WeCom call. The database is then what it is;
WeCom survives our crash, so the child hands its world back before it dies. Used by tests/crash.
"""

from __future__ import annotations

import gc
import hashlib
import os
import pickle
import shutil
import sqlite3
import threading
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import psycopg

from sopd.sandbox.api import Answer, Request
from sopd.sandbox.gateway import Gateway
from sopd.store import Store
from sopd.store.tables import TABLES

Handle = Callable[[Request, int], Answer]
NAMES = tuple(table._meta.table_name for table in TABLES)


@dataclass(frozen=True)
class Wreck:
    """What a child left: the points it passed, the one it died at (None: its work was complete), and what it said."""

    points: tuple[str, ...]
    died_at: str | None
    remains: bytes = field(repr=False)


class ChildFailed(AssertionError):
    """The work raised in the child; the message is the child's traceback."""


class Fuse:
    """Counts points from 1 and burns down at the `length`-th; None never does. Threads may share it."""

    def __init__(self, length: int | None = None, end: Callable[[str], NoReturn] | None = None) -> None:
        self.points: list[str] = []
        self._length = length
        self._end = end
        self._lock = threading.Lock()

    def pass_point(self, label: str) -> None:
        """One more; where it burns down, `end(label)` is called and no other thread passes a point any more."""
        with self._lock:
            if self._end is not None and len(self.points) + 1 == self._length:
                self._end(label)
            self.points.append(label)

    def around(self, handle: Handle) -> Handle:
        """WeCom's door, with a point before and one after each call."""

        def handled(request: Request, now: int) -> Answer:
            call = request.path.rpartition("/")[2]
            self.pass_point(f"before {call}")
            answer = handle(request, now)
            self.pass_point(f"after {call}")
            return answer

        return handled


def die_in_child(
    work: Callable[[], object],
    at: int | None,
    store: Store,
    gateway: Gateway | None = None,
    remains: Callable[[], bytes] = bytes,
) -> Wreck:
    """Fork; the child does the work and dies at its `at`-th point, or when the work is complete.

    Points are the store's statements and the gateway's calls. `remains` is asked in the child just before it dies. The
    parent's own connections must be closed.
    """
    reading, writing = os.pipe()
    gc.freeze()  # or the child's collector touches, and so copies, every page of the parent
    pid = os.fork()
    if pid == 0:
        gc.disable()
        os.close(reading)
        _live_and_die(work, at, store, gateway, remains, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read()
    os.waitpid(pid, 0)
    kind, *rest = pickle.loads(said)
    if kind == "raised":
        raise ChildFailed(rest[0])
    return Wreck(*rest)


def _live_and_die(
    work: Callable[[], object],
    at: int | None,
    store: Store,
    gateway: Gateway | None,
    remains: Callable[[], bytes],
    writing: int,
) -> NoReturn:
    def last_words(*words: object) -> NoReturn:
        message, sent = pickle.dumps(words), 0
        while sent < len(message):
            sent += os.write(writing, message[sent:])
        os._exit(0)

    def die(label: str | None) -> NoReturn:
        with gateway.lock if gateway is not None else nullcontext():  # a call under way in another thread ends first
            last_words("died", tuple(fuse.points), label, remains())

    try:
        fuse = Fuse(at, die)
        store.dispose()
        store.on_statement(lambda sql: fuse.pass_point(" ".join(sql.split())))
        if gateway is not None:
            gateway.handle = fuse.around(gateway.handle)  # type: ignore[method-assign]
        work()
        die(None)
    except BaseException:  # the child must never come back into the parent's code
        last_words("raised", traceback.format_exc())


# -- copies of a database ------------------------------------------------------------------------------------------

Prints = dict[str, str]
"""A digest of the rows of each table."""


@dataclass(frozen=True)
class Saved:
    """A database as it was: its rows' digests, and where the rows are kept."""

    prints: Prints
    kept: Any


class Copies(ABC):
    """One database that can be put back to where it was; nobody may be connected meanwhile, except who is dying."""

    kind: str

    def __init__(self, url: str) -> None:
        self.url = url
        self._known: Prints | None = None

    def open(self) -> Store:
        """The database for somebody who lives on; to be closed before anything else here is asked."""
        self._known = None
        return Store.open(self.url)

    def look(self) -> Prints:
        """What is in it after whatever a child has done. Believed until somebody lives on it again."""
        self._known = self._digests()
        return self._known

    def save(self) -> Saved:
        """Remember everything."""
        return Saved(self.look(), self._keep())

    def forget(self, saved: Saved) -> None:
        """It will not be put back any more."""
        self._drop(saved.kept)

    def put_back(self, saved: Saved) -> None:
        """Make every row what it was."""
        now = self.look() if self._known is None else self._known
        self._restore(saved.kept, [name for name in NAMES if now[name] != saved.prints[name]])
        self._known = None

    @abstractmethod
    def _digests(self) -> Prints: ...

    @abstractmethod
    def _keep(self) -> Any: ...

    @abstractmethod
    def _drop(self, kept: Any) -> None: ...

    @abstractmethod
    def _restore(self, kept: Any, changed: list[str]) -> None: ...


class SqliteCopies(Copies):
    """A file, copied. Closing the last connection moves the log into it; who dies leaves his log beside it."""

    kind = "sqlite"

    def __init__(self, path: Path) -> None:
        super().__init__(f"sqlite:///{path}")
        self._path = path
        self._saved = 0

    def _keep(self) -> Path:
        self._saved += 1
        return Path(shutil.copyfile(self._path, f"{self._path}.saved-{self._saved}"))

    def _drop(self, kept: Path) -> None:
        kept.unlink()

    def _restore(self, kept: Path, changed: list[str]) -> None:
        if changed:
            for end in ("-wal", "-shm"):
                Path(f"{self._path}{end}").unlink(missing_ok=True)
            shutil.copyfile(kept, self._path)

    def _digests(self) -> Prints:
        """Looking is the first thing a next process would do: it finds the log and plays it back."""
        connection = sqlite3.connect(self._path)
        found = {name: repr(connection.execute(f"select * from {name} order by 1, 2").fetchall()) for name in NAMES}
        connection.close()
        return {name: hashlib.sha256(rows.encode()).hexdigest() for name, rows in found.items()}


class PostgresCopies(Copies):
    """A database; what is saved lies in a schema of its own, and only tables that changed are written back."""

    kind = "postgres"

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._saved = 0
        self._own = psycopg.connect(url, autocommit=True)
        self._pause = threading.Event()

    def close(self) -> None:
        """Let go of the connection that copies."""
        self._own.close()

    def _keep(self) -> tuple[str, str]:
        self._saved += 1
        schema = f"saved_{self._saved}"
        copies = [f"create table {schema}.{name} as table public.{name}" for name in NAMES]
        self._own.execute(";".join([f"create schema {schema}", *copies]))
        return schema, self._sequences()

    def _drop(self, kept: tuple[str, str]) -> None:
        self._own.execute(f"drop schema {kept[0]} cascade")

    def _restore(self, kept: tuple[str, str], changed: list[str]) -> None:
        schema, sequences = kept
        emptied = [f"truncate {', '.join(changed)}"] if changed else []
        filled = [f"insert into {name} select * from {schema}.{name}" for name in changed]
        self._own.execute(";".join(["begin", *emptied, *filled, sequences, "commit"]))

    def _digests(self) -> Prints:
        self._wait_until_alone()
        row = self._own.execute(_DIGESTS).fetchone()
        assert row is not None
        return dict(zip(NAMES, row, strict=True))

    def _sequences(self) -> str:
        """What sets every sequence to where it is now."""
        rows = self._own.execute(
            "select format('%I.%I', schemaname, sequencename), last_value from pg_sequences where schemaname = 'public'"
        )
        calls = [f"setval('{name}', {last or 1}, {'true' if last else 'false'})" for name, last in rows.fetchall()]
        return f"select {', '.join(calls)}"

    def _wait_until_alone(self) -> None:
        """The server notices a dead client in its own time, and rolls back and unlocks only then."""
        others = "select 1 from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
        while self._own.execute(others).fetchone() is not None:
            self._pause.wait(0.001)


_DIGESTS = "select " + ", ".join(
    f"(select md5(coalesce(string_agg(t::text, '|' order by t::text), '')) from {name} t)" for name in NAMES
)
