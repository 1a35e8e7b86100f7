"""PostgreSQL, for production: claims by SKIP LOCKED, any number of daemons (ARCHITECTURE 5).

Rows become a table through `unnest` of one array per column: a statement may have 65,535 parameters, an array any
number of values.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from operator import index
from typing import Any
from urllib.parse import urlsplit

import psycopg
from peewee import Database
from playhouse import db_url

from .dialect import Given, apart, typed
from .errors import BadAddress, BadStatement, BadValue, Conflict, NoSchema, StoreBusy, StoreError, Unreachable

SCHEMES = ("postgresql://", "postgres://")
WAIT_S = 10

_CAST = {"bigint": "bigint", "int": "integer", "text": "text", "bool": "boolean"}
_PARTS = re.compile(r"('(?:[^']|'')*'|\"[^\"]*\"|--[^\n]*)|(\?)|(%)")
_BUSY = {"40001", "40P01", "55P03", "57014"}  # serialization, deadlock, lock not available, statement timeout
_DOWN = ("08", "53", "57", "58", "XX")  # connection, resources, shutdown, system, internal


class Postgres:
    """The dialect of one PostgreSQL database."""

    name = "postgres"
    begin = "begin"
    begin_reading = "begin isolation level repeatable read read only"
    now = "cast(extract(epoch from clock_timestamp()) * 1000 as bigint)"
    skip_locked = " for update skip locked"
    unfolded = "lateral unnest(cast(s.ids as bigint[])) i(value)"
    worth_folding = 10  # so many it expects in each; with fewer it would rather read a table than look them up
    one_writer = False
    most_params = None
    driver_error: type[Exception] = psycopg.Error

    def __init__(self, url: str, statement_timeout_ms: int) -> None:
        parts = urlsplit(url)
        if len(parts.path) < 2:
            raise BadAddress(_shown(url))
        self._url = "postgresql+pool" + url[url.index("://") :]
        self._timeout_ms = statement_timeout_ms
        self.place = _shown(url)

    def database(self, pool: int) -> Database:
        return db_url.connect(
            self._url, unquote_password=True, unquote_user=True, prefer_psycopg3=True, autoconnect=False,
            max_connections=pool, timeout=WAIT_S, stale_timeout=300, connect_timeout=WAIT_S, application_name="sopd",
            client_encoding="utf8", options=f"-c statement_timeout={self._timeout_ms}",
        )  # fmt: skip

    def text(self, sql: str) -> str:
        return _percent(sql)

    def for_update(self, of: str) -> str:
        return f" for update of {of}"

    def given(self, columns: Mapping[str, str], rows: Sequence[Sequence[Any]]) -> Given:
        typed(columns)
        same, other = apart(columns, rows) if rows else ({}, dict.fromkeys(columns, ()))
        picked = "".join(f", cast(? as {_CAST[columns[name]]}) as {name}" for name in same)
        arrays = ", ".join(f"?::{_CAST[columns[name]]}[]" for name in other)
        params = [value if value is None or columns[name] != "text" else str(value) for name, value in same.items()]
        params += [_ARRAY[columns[name]](values) for name, values in other.items()]
        return Given(f"(select g.*{picked} from unnest({arrays}) as g({', '.join(other)}))", tuple(params))

    def keyed(self, table: str, key: Sequence[str], given: str) -> str:
        named = ", ".join(key)
        return f"({named}) in (select {named} from {given} g)"

    def unchanged(self, table: str, key: Sequence[str], still: Sequence[str], given: str) -> str:
        """The rows are locked before the first is written; one that changed while its lock was waited for has no place
        where it was, so it is left out whatever changed.
        """
        same = " and ".join(f"t.{name} = g.{name}" for name in key)
        is_still = " and ".join(f"t.{name} = g.{name}" for name in still)
        order = ", ".join(f"t.{name}" for name in key)
        return (
            f"ctid = any(array(select case when {is_still} then t.ctid end from {given} g join {table} t on {same}"
            f" order by {order} for update of t))"
        )

    def listed(self, ids: list[int]) -> Given:
        return Given("(select g.* from unnest(?::bigint[]) as g(id))", (self.folded(ids),))

    def folded(self, ids: Sequence[int]) -> str:
        return f"{{{repr(list(ids))[1:-1]}}}"

    def set_reading(self, connection: psycopg.Connection, on: bool) -> None:
        """BEGIN has said it."""

    def is_broken(self, connection: psycopg.Connection) -> bool:
        return connection.closed or connection.broken

    def explain(self, sql: str) -> str:
        return f"explain {sql}"

    def translate(self, error: Exception, sql: str) -> StoreError:
        state = getattr(error, "sqlstate", None) or ""
        diagnosis = getattr(error, "diag", None)
        # Its first line only: the detail quotes whole rows.
        said = (diagnosis and diagnosis.message_primary) or str(error).strip()
        if state in _BUSY:
            return StoreBusy(f"{self.place} is busy: {said}", "try again")
        if state == "42P01":
            return NoSchema(said)
        if state.startswith("23"):
            return Conflict(said, diagnosis.constraint_name if diagnosis else None)
        if state.startswith("22") or isinstance(error, psycopg.DataError):
            return BadValue(f"a value does not fit: {said}")
        if state.startswith(_DOWN) or (not state and isinstance(error, psycopg.OperationalError)):
            return Unreachable(f"cannot use {self.place}: {said}", "check that the server runs and has room")
        return BadStatement(f"{said} in: {sql}")


def _integers(values: Iterable[int | None]) -> str:
    """An array literal. With the driver's own way to write lists, inserts were half as fast (24 k and 51 k rows/s)."""
    return "{" + ",".join(["null" if value is None else str(index(value)) for value in values]) + "}"


def _booleans(values: Iterable[object]) -> str:
    return "{" + ",".join(["null" if value is None else "t" if value else "f" for value in values]) + "}"


def _texts(values: Iterable[object]) -> str:
    return "{" + ",".join(["null" if value is None else _escaped(str(value)) for value in values]) + "}"


def _escaped(text: str) -> str:
    if "\\" in text or '"' in text:
        text = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


_ARRAY = {"bigint": _integers, "int": _integers, "bool": _booleans, "text": _texts}


@lru_cache(maxsize=4096)
def _percent(sql: str) -> str:
    """`?` outside quotes and comments becomes `%s`; every `%` is doubled, as psycopg wants it."""
    return _PARTS.sub(_part, sql)


def _part(found: re.Match[str]) -> str:
    quoted, mark, _ = found.groups()
    return quoted.replace("%", "%%") if quoted else "%s" if mark else "%%"


def _shown(url: str) -> str:
    parts = urlsplit(url)
    return f"postgresql://{parts.hostname or 'local socket'}{parts.path}"
