"""The field of instants and the row all tables share. A table is bound to a database only while it is used."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from peewee import BigIntegerField, Database, DatabaseProxy, Model

PROXY = DatabaseProxy()


class UtcField(BigIntegerField):
    """An instant: integer milliseconds since 1970-01-01T00:00Z.

    Takes an int (already milliseconds) or an aware datetime. A naive datetime is refused: its zone would be a guess.
    """

    def db_value(self, value: Any) -> int | None:
        if isinstance(value, dt.datetime):
            if value.tzinfo is None:
                raise ValueError(f"naive datetime {value!r}: an instant needs its zone")
            return round(value.timestamp() * 1000)
        return None if value is None else int(value)


class Row(Model):
    """Base of all tables. Class names are unique per schema: peewee names indexes after the class."""

    class Meta:
        database = PROXY
        legacy_table_names = False
        strict_tables = True  # SQLite then refuses text in an integer column, as PostgreSQL does


@contextmanager
def bound(database: Database, tables: tuple[type[Row], ...]) -> Iterator[None]:
    """Use the tables on `database` inside the block (for building queries and for the schema tests)."""
    with database.bind_ctx(tables, bind_refs=False, bind_backrefs=False):
        yield
