"""Which index a query uses, asked of the database itself: for the tests of hot queries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sopd.store import Store, Transaction


def plan_of(store: Store, sql: str, params: Sequence[Any] = ()) -> str:
    """The plan with whole-table scans made unattractive, as they are in a large database; test tables are tiny."""
    with store.reading() as tx:
        if tx.dialect.name == "postgres":
            tx.run("set local enable_seqscan = off")
        return tx.explain(sql, params)


def assert_uses_index(store: Store, sql: str, params: Sequence[Any], index: str) -> None:
    """Fail with the plan unless the statement goes through `index`; the index of a key is named `<table>_pkey`."""
    plan = plan_of(store, sql, params)
    names = [index]
    if index.endswith("_pkey") and store.dialect.name == "sqlite":
        table = index.removesuffix("_pkey")
        names = [f"sqlite_autoindex_{table}_1", f"{table} USING INTEGER PRIMARY KEY"]
    words = plan.replace("(", " ( ").split()
    assert any(name in words or (" " in name and name in plan) for name in names), f"{index} is not in\n{plan}"


def overheard(tx: Transaction) -> list[tuple[str, Any]]:
    """Every statement that is made from now on in this transaction, with its parameters."""
    asked: list[tuple[str, Any]] = []
    execute = tx._execute

    def noting(sql: str, params: Any, read: Any) -> Any:
        asked.append((sql, params))
        return execute(sql, params, read)

    tx._execute = noting  # type: ignore[method-assign]
    return asked
