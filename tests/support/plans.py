"""How a database goes about a statement, asked of itself: for the tests of hot queries."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from sopd.store import Store, Transaction, transaction

TRANSACTION = transaction.__file__


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


@contextmanager
def hearing(store: Store) -> Iterator[list[str]]:
    """Every statement made in this store inside the block, BEGIN and COMMIT too, on whatever thread."""
    heard: list[str] = []
    store.on_statement(heard.append)
    try:
        yield heard
    finally:
        store.on_statement(None)


def overheard(tx: Transaction) -> list[tuple[str, Any]]:
    """Every statement that is made from now on in this transaction, with its parameters."""
    asked: list[tuple[str, Any]] = []
    execute = tx._execute

    def noting(sql: str, params: Any, read: Any) -> Any:
        asked.append((sql, params))
        return execute(sql, params, read)

    tx._execute = noting  # type: ignore[method-assign]
    return asked


class Heard(NamedTuple):
    """The first parameters of a statement, and who made it: `<module>.<function>` of the engine."""

    params: tuple[Any, ...]
    by: str


@contextmanager
def overhearing(heard: dict[str, Heard]) -> Iterator[None]:
    """Note every statement that the engine makes in this process inside the block, but not a test's own."""

    def note(by: str, sql: str, params: Sequence[Any]) -> None:
        if sql not in heard:
            heard[sql] = Heard(tuple(params), by)

    with listening(note):
        yield


@contextmanager
def listening(hear: Callable[[str, str, Sequence[Any]], object]) -> Iterator[None]:
    """Call `hear(by, sql, params)` before every such statement; on whatever thread makes it."""
    execute = Transaction._execute

    def noting(tx: Transaction, sql: str, params: Any, read: Any) -> Any:
        by = _asker()
        if by is not None:
            hear(by, sql, params)
        return execute(tx, sql, params, read)

    Transaction._execute = noting  # type: ignore[method-assign]
    try:
        yield
    finally:
        Transaction._execute = execute  # type: ignore[method-assign]


def _asker() -> str | None:
    """Who speaks: the first function outside the transaction itself, which asks for nothing but the time."""
    frame = sys._getframe(2)
    while frame.f_back is not None and frame.f_code.co_filename == TRANSACTION and frame.f_code.co_name != "now":
        frame = frame.f_back
    path = Path(frame.f_code.co_filename)
    return None if "tests" in path.parts else f"{path.stem}.{frame.f_code.co_name}"


def walks(store: Store, sql: str, params: Sequence[Any] = ()) -> set[tuple[str, str]]:
    """What a statement reads from one end to the other, as (table, index): the index is its table's name for its rows.

    That is a scan of a table, or of an index without a condition on it, however soon a LIMIT may end it.
    """
    with store.reading() as tx:
        if tx.dialect.name == "sqlite":
            return _walks_of_sqlite(tx, sql, params)
        [(plan,)] = tx.rows(f"explain (format json) {sql}", params)
    found: set[tuple[str, str]] = set()
    _walks_of_postgres((json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"], None, found, False)
    return found


def _walks_of_sqlite(tx: Transaction, sql: str, params: Sequence[Any]) -> set[tuple[str, str]]:
    """A cursor that is set to an end of its tree and then moved on; `EXPLAIN QUERY PLAN` tells only aliases.

    Where that speaks of no scan, a cursor at an end asks for the least or the greatest value alone.
    """
    if not any(line.startswith("SCAN ") for line in tx.explain(sql, params).splitlines()):
        return set()
    trees = {root: (table, name) for root, table, name in tx.rows(
        "select rootpage, tbl_name, name from sqlite_schema where rootpage > 0")}  # fmt: skip
    cursors: dict[int, tuple[str, str]] = {}
    began, moved, bounded = set(), set(), set()
    for _, opcode, p1, p2, *_ in tx.rows(f"explain {sql}", params):
        if opcode in ("OpenRead", "OpenWrite", "ReopenIdx") and p2 in trees:
            cursors[p1] = trees[p2]
        elif opcode in ("Rewind", "Last", "Count"):
            began.add(p1)
        elif opcode in ("IdxGE", "IdxGT", "IdxLE", "IdxLT"):
            bounded.add(p1)
        if opcode in ("Next", "Prev", "Count"):
            moved.add(p1)
        if opcode == "Clear" and p1 in trees:
            cursors[-p1] = trees[p1]
            began.add(-p1)
            moved.add(-p1)
    return {cursors[cursor] for cursor in (began & moved) - bounded if cursor in cursors}


def _walks_of_postgres(node: Mapping[str, Any], table: str | None, found: set[tuple[str, str]], first: bool) -> None:
    """`first`: only the first row is asked for, or the first few, and none is left out."""
    table = node.get("Relation Name", table)
    if node["Node Type"] == "Seq Scan":
        found.add((node["Relation Name"], node["Relation Name"]))
    elif "Index Name" in node and "Index Cond" not in node and not (first and "Filter" not in node):
        found.add((table or "", node["Index Name"]))
    passes_on = node["Node Type"] == "Limit" or (first and node["Node Type"] == "LockRows")
    for below in node.get("Plans", ()):
        _walks_of_postgres(below, table, found, passes_on)
