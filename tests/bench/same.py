"""Did both write the same? What a measure left of the engine's subjects is held against what the SQL by hand left.

Rows are compared without the numbers that name them, as a multiset per table. A difference makes the ratio worthless,
so the bench stops at it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from sopd.store import Store
from sopd.store.tables import TABLES

Written = Mapping[str, Counter[tuple[object, ...]]]
OF_SUBJECTS = {
    "relation": "id", "enrollment": "relation_id", "push": "relation_id", "outbox": "relation_id",
    "relation_tag": "relation_id", "journal": "(select relation_id from enrollment e where e.id = enrollment_id)",
}  # fmt: skip
"""Tables of subjects, and whose a row is: subject n is the relation n."""
NAMES_A_ROW = {
    "id", "enrollment_id", "customer_id", "relation_id", "member_id", "subject_id", "push_id", "key",
    "generation",
}  # fmt: skip
"""Columns that differ from subject to subject, and the generation, which may rise by more than one."""


class Different(Exception):
    """The two did not do the same work."""


def rows_of(store: Store, first: int, last: int) -> dict[str, Counter[tuple[object, ...]]]:
    """What stands in the tables about subjects `first`..`last`, per table."""
    columns = {table._meta.table_name: [f.column_name for f in table._meta.sorted_fields] for table in TABLES}
    found = {}
    with store.reading() as tx:
        for table, whose in OF_SUBJECTS.items():
            kept = ", ".join(f'"{name}"' for name in columns[table] if name not in NAMES_A_ROW)
            found[table] = Counter(tx.rows(f"select {kept} from {table} where {whose} between ? and ?", (first, last)))
        found["dirty"] = Counter(tx.rows("select count(*) from dirty"))
    return found


def counters(store: Store) -> Counter[tuple[object, ...]]:
    """Every counter as often as it was counted."""
    with store.reading() as tx:
        return Counter(
            {(key,): n for key, n in tx.rows("select key, cast(sum(n) as bigint) from counter_delta group by key")}
        )


def hold(name: str, engine: Written, hand: Written) -> None:
    """Raise Different, with an example of each side, unless both wrote the same."""
    for table, rows in engine.items():
        if rows != hand[table]:
            only_engine, only_hand = rows - hand[table], hand[table] - rows
            raise Different(
                f"{name}: the rows of {table} differ.\n"
                f"  {only_engine.total()} only by the engine, e.g. {next(iter(only_engine), None)}\n"
                f"  {only_hand.total()} only by hand, e.g. {next(iter(only_hand), None)}"
            )
