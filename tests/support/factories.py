"""Rows for tests, one line each: name what the test is about, the rest is filled in.

`add` fills every column that must have a value: instants with `T0`, ids with numbers of their own, texts with
`<column>-<number>`. It knows no table, so it is never behind the schema.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from sopd.store import Store
from sopd.store.tables import Customer, Enrollment, Member, Relation, Row, Sop, SopVersion, UtcField
from sopd.store.transaction import quoted

T0 = 1_795_000_000_000  # 2026-11-18T11:06:40Z, a Wednesday

_numbers = itertools.count(1000)


def add(store: Store, table: type[Row], **columns: Any) -> SimpleNamespace:
    """Insert one row and return all of it."""
    return add_many(store, table, [columns])[0]


def add_many(store: Store, table: type[Row], rows: Sequence[Mapping[str, Any]]) -> list[SimpleNamespace]:
    """Insert rows and return all of them, in the order given."""
    filled = [{**_needed(table, row), **row} for row in rows]
    names = [field.column_name for field in table._meta.sorted_fields]
    with store.transaction() as tx:
        written = [tx.insert(table, [row], returning=names)[0] for row in filled]
    return [SimpleNamespace(**dict(zip(names, row, strict=True))) for row in written]


def all_rows(store: Store, table: type[Row], *columns: str, where: str = "1 = 1", order: str = "1") -> list[tuple]:
    """The named columns (or all) of a table's rows."""
    listed = ", ".join(map(quoted, columns)) or "*"
    with store.reading() as tx:
        return tx.rows(f"select {listed} from {table._meta.table_name} where {where} order by {order}")


def befriend(store: Store, userid: str = "alice", external_userid: str = "", **relation: Any) -> SimpleNamespace:
    """A member (found or made), a new customer and their relation; returns the relation's row."""
    with store.reading() as tx:
        member_id = tx.value("select id from member where userid = ?", (userid,))
    member_id = member_id or add(store, Member, userid=userid).id
    customer = add(store, Customer, **({"external_userid": external_userid} if external_userid else {}))
    return add(store, Relation, **{"member_id": member_id, "customer_id": customer.id, **relation})


def publish(store: Store, program: str = "{}", **sop: Any) -> SimpleNamespace:
    """A running SOP with a first version; returns the SOP's row."""
    made = add(store, Sop, **{"kind": "new_customer", "state": "running", "started_at": T0, **sop})
    version = add(store, SopVersion, sop_id=made.id, number=1, program=program)
    with store.transaction() as tx:
        tx.run("update sop set version_id = ? where id = ?", (version.id, made.id))
    made.version_id = version.id
    return made


def enrol(store: Store, sop: SimpleNamespace, relation: SimpleNamespace, **columns: Any) -> SimpleNamespace:
    """An open enrollment of a relation in a SOP."""
    known = {
        "sop_id": sop.id, "version_id": sop.version_id, "subject_id": relation.id, "relation_id": relation.id,
        "customer_id": relation.customer_id, "member_id": relation.member_id, "cause": "added",
    }  # fmt: skip
    return add(store, Enrollment, **{**known, **columns})


def _needed(table: type[Row], row: Mapping[str, Any]) -> dict[str, Any]:
    fields = [field for field in table._meta.sorted_fields if not field.null and field.default is None]
    return {
        field.column_name: _filling(field)
        for field in fields
        if field.column_name not in row and field.field_type != "BIGAUTO"
    }


def _filling(field: Any) -> Any:
    if isinstance(field, UtcField):
        return T0
    number = next(_numbers)
    return f"{field.column_name}-{number}" if field.field_type == "TEXT" else number
