"""The schema as the models say it, and the schema as a database has it: for the tests that compare the two."""

from __future__ import annotations

from sopd.store import Store
from sopd.store.tables import TABLES, bound


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
