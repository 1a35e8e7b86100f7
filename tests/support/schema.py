"""The schema as the models say it, and the schema as a database has it: for the tests that compare the two.

`python -m tests.support.schema sqlite` (or postgres) prints the models' whole schema in the spelling of the frozen
steps: the place to copy from when a new step is written.
"""

from __future__ import annotations

import re
import sys

from sopd.store import Store, Transaction
from sopd.store.tables import TABLES, Row, bound


def ddl(store: Store) -> list[str]:
    """What peewee would create for the models on this database."""
    made: list[str] = []
    with bound(store.database, TABLES):
        for table in TABLES:
            schema = table._schema
            for context in (schema._create_table(safe=False), *schema._create_indexes(safe=False)):
                sql, params = context.query()
                assert not params, f"DDL cannot carry parameters: {sql}"
                made.append(sql if store.dialect.name == "sqlite" else sql.removesuffix(" STRICT"))
    return made


def described(store: Store) -> dict[str, set[tuple]]:
    """Each table of the database as a set of facts: columns with type, nullability and default; indexes; strictness."""
    with store.reading() as tx:
        return _sqlite(tx) if tx.dialect.name == "sqlite" else _postgres(tx)


def index_names(table: type[Row]) -> set[str]:
    """The names of the indexes that the model asks for."""
    return {index._name for index in table._meta.fields_to_index()}


def _sqlite(tx: Transaction) -> dict[str, set[tuple]]:
    tables = tx.rows("select name, strict from pragma_table_list where type = 'table' and name not like 'sqlite_%'")
    facts: dict[str, set[tuple]] = {name: {("strict", strict)} for name, strict in tables}
    for name, found in facts.items():
        found |= {("column", *row) for row in tx.rows(
            "select name, type, \"notnull\", dflt_value, pk from pragma_table_xinfo(?)", (name,))}  # fmt: skip
        for index, unique, origin, partial in tx.rows(
            "select name, \"unique\", origin, partial from pragma_index_list(?)", (name,)
        ):
            columns = tuple(tx.rows("select seqno, name, \"desc\", coll from pragma_index_xinfo(?)", (index,)))
            sql = tx.value("select sql from sqlite_master where name = ?", (index,))
            found.add(("index", index, unique, origin, partial, columns, _predicate(sql)))
    return facts


def _postgres(tx: Transaction) -> dict[str, set[tuple]]:
    columns = tx.rows(
        "select table_name, column_name, data_type, is_nullable, column_default, ordinal_position"
        " from information_schema.columns where table_schema = 'public'"
    )
    facts: dict[str, set[tuple]] = {}
    for name, *rest in columns:
        facts.setdefault(name, set()).add(("column", *rest))
    for name, index, definition in tx.rows(
        "select tablename, indexname, indexdef from pg_indexes where schemaname = 'public'"
    ):
        facts[name].add(("index", index, definition))
    for name, constraint, definition in tx.rows(
        "select conrelid::regclass::text, conname, pg_get_constraintdef(oid) from pg_constraint"
        " where connamespace = 'public'::regnamespace"
    ):
        facts[name].add(("constraint", constraint, definition))
    return facts


def _predicate(sql: str | None) -> str:
    """What follows WHERE, in one spelling."""
    _, _, after = re.sub(r"\s+", " ", sql or "").lower().partition(" where ")
    return after


_WORDS_OF_SQL = {"window"}
_TABLE = re.compile(r"create table (\S+) \((.*)\)( strict)?$")


def frozen(statement: str) -> str:
    """peewee's statement as a person would write it into a step."""
    parts = re.split(r'("[^"]*")', statement)
    text = "".join(
        part.lower() if not part.startswith('"') else part if part[1:-1] in _WORDS_OF_SQL else part[1:-1]
        for part in parts
    )
    if found := _TABLE.match(text):
        columns = ",\n    ".join(re.split(r", (?![^(]*\))", found[2]))
        return f"\ncreate table {found[1]} (\n    {columns}\n){found[3] or ''};"
    return (text.replace(" where ", "\n    where ") if len(text) > 110 else text) + ";"


if __name__ == "__main__":
    address = {"sqlite": "sqlite:////unused.db", "postgres": "postgresql://nobody@nowhere/unused"}[sys.argv[1]]
    print("\n".join(map(frozen, ddl(Store.open(address)))))
