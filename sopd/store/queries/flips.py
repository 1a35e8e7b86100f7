"""Statements about flips: when time alone next changes what a rule says of somebody. Called by handlers only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sopd.store.tables import Flip
from sopd.store.transaction import Transaction

ENTRY, END = "entry", "end"
_KEY = {"purpose": "text", "sop_id": "bigint", "ref_id": "bigint"}
_NAMED = ", ".join(_KEY)


class FlipKey(NamedTuple):
    """Whose flip it is: the subject for `entry`, the enrollment for `end`."""

    purpose: str
    sop_id: int
    ref_id: int

    def __str__(self) -> str:
        """As it stands among the rows that were set aside."""
        return "/".join(map(str, self))


class Armed(NamedTuple):
    """The next flip of one rule and subject; `at` None: time alone changes it no more."""

    purpose: str
    sop_id: int
    ref_id: int
    customer_id: int
    at: int | None

    @property
    def key(self) -> FlipKey:
        """Whose it is."""
        return FlipKey(self.purpose, self.sop_id, self.ref_id)


def arm(tx: Transaction, flips: Iterable[Armed]) -> None:
    """Write these flips over whatever was known of them; of one key the last counts. At most two statements."""
    latest = {one.key: one for one in flips}
    coming = sorted(one for one in latest.values() if one.at is not None)
    tx.insert(
        Flip,
        [one._asdict() for one in coming],
        returning=(),
        on_conflict=f"({_NAMED}) do update set at = excluded.at",
    )
    drop(tx, [key for key, one in latest.items() if one.at is None])


def drop(tx: Transaction, keys: Sequence[FlipKey]) -> None:
    """Nothing is to be expected of these any more."""
    if not keys:
        return
    those = tx.those("flip", _KEY, sorted(keys))
    tx.run(f"delete from flip where {those.sql}", those.params)


def drop_of_sop(tx: Transaction, sop_id: int, limit: int) -> int:
    """Some of the flips of a SOP that has ended; returns how many."""
    key = f"(select {_NAMED} from flip where purpose = ? and sop_id = ? order by ref_id limit ?)"
    return sum(
        tx.run(f"delete from flip where {_those(tx, key)}", (purpose, sop_id, limit)) for purpose in (ENTRY, END)
    )


def _those(tx: Transaction, given: str) -> str:
    return tx.dialect.keyed("flip", list(_KEY), given)


def due(tx: Transaction, limit: int) -> list[FlipKey]:
    """Whose flips are due, the longest due first."""
    rows = tx.rows(f"select {_NAMED} from flip where at is not null and at <= ? order by at limit ?", (tx.now, limit))
    return [FlipKey(*row) for row in rows]


def take(tx: Transaction, keys: Sequence[FlipKey]) -> list[Armed]:
    """Those that are due still and that nobody else works on; they are gone with this."""
    those = tx.those("flip", _KEY, keys)
    rows = tx.rows(
        f"with picked as materialized (select {_NAMED} from flip where {those.sql} and +at <= ?{tx.skip_locked})"
        f" delete from flip where {_those(tx, 'picked')} returning {_NAMED}, customer_id, at",
        (*those.params, tx.now),
    )
    return sorted(Armed(*row) for row in rows)


def lay_aside(tx: Transaction, key: FlipKey) -> int | None:
    """Take a flip out of the due work without forgetting it; returns when it was due."""
    those = tx.those("flip", _KEY, [key])
    held: int | None = tx.value(f"select at from flip where {those.sql}", those.params)
    tx.run(f"update flip set at = null where {those.sql}", those.params)
    return held
