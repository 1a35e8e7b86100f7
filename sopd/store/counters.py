"""Sums that survive pruning, without a hot row: transactions append deltas, the ticker folds them (ARCHITECTURE 5).

Appending is `Transaction.count`. A counter is what was folded plus what was not folded yet, so a reader never waits
for the ticker.
"""

from __future__ import annotations

from collections import Counter as Sums

from .tables import Counter
from .transaction import Transaction

FOLD_MOST = 10_000  # deltas a round: bounds the transaction


def fold_counters(tx: Transaction) -> int:
    """Add waiting deltas to their counters; returns how many were folded. Two folders at once take different ones."""
    deltas = tx.rows(
        "with picked as materialized (select id from counter_delta order by id limit ?" + tx.skip_locked + ")"
        " delete from counter_delta where id in (select id from picked) returning key, n",
        (FOLD_MOST,),
    )
    sums: Sums[str] = Sums()
    for key, n in deltas:
        sums[key] += n
    # In one order, so that two folders cannot lock each other's counters crosswise.
    rows = [{"key": key, "n": n} for key, n in sorted(sums.items())]
    tx.insert(Counter, rows, returning=(), on_conflict="(key) do update set n = counter.n + excluded.n")
    return len(deltas)


def read_counters(tx: Transaction, prefix: str = "") -> dict[str, int]:
    """Every counter whose key begins with `prefix`, e.g. 'sop/7/'."""
    return dict(
        tx.rows(
            "select key, cast(sum(n) as bigint) from (select key, n from counter union all"
            " select key, n from counter_delta) every"
            " where substr(key, 1, length(cast(? as text))) = ? group by key",
            (prefix, prefix),
        )
    )
