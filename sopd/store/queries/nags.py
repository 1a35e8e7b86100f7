"""Statements about nags: the reminders that members of unconfirmed tasks get (D19). Called by handlers only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sopd.store.tables import Nag
from sopd.store.transaction import Transaction

COUNTS = "('asking','done','doubtful')"
"""States of nags that were made, as far as anybody knows."""


class Wanted(NamedTuple):
    """A nag that an operator asked for and that nobody has begun."""

    id: int
    dispatch_id: int


def due(tx: Transaction, limit: int) -> list[tuple[int, int]]:
    """(task, member) of nags that have fallen due, the longest waiting first."""
    return tx.rows("select id, member_id from dispatch where nag_at <= ? order by nag_at limit ?", (tx.now, limit))


def lock_member_of(tx: Transaction, dispatch_id: int) -> bool:
    """Wait for the lock of a task's member, whose nags one transaction counts at a time; False: no such task."""
    owner = "(select member_id from dispatch where id = ?)"
    return tx.one(f"select id from member where id = {owner}{tx.for_update('member')}", (dispatch_id,)) is not None


def made_since(tx: Transaction, member_ids: Iterable[int], since: int) -> dict[int, int]:
    """How many nags each of these members has had since then."""
    given = tx.ids(sorted(set(member_ids)))
    return dict(
        tx.rows(
            f"select member_id, count(*) from nag where member_id in (select id from {given.sql} g)"
            f" and at >= ? and state in {COUNTS} group by member_id",
            (*given.params, since),
        )
    )


def wanted(tx: Transaction, dispatch_ids: Iterable[int]) -> list[Wanted]:
    """The nags that operators wait for, of these tasks."""
    given = tx.ids(dispatch_ids)
    rows = tx.rows(
        f"select id, dispatch_id from nag where dispatch_id in (select id from {given.sql} g) and state = 'wanted'"
        " order by id",
        given.params,
    )
    return [Wanted(*row) for row in rows]


def want(tx: Transaction, dispatch_id: int, member_id: int, who: str) -> None:
    """An operator asks for a nag."""
    row = {"dispatch_id": dispatch_id, "member_id": member_id, "at": tx.now, "state": "wanted", "wanted_by": who}
    tx.insert(Nag, [row], returning=())


def begin(tx: Transaction, rows: Sequence[tuple[int, int]]) -> dict[int, int]:
    """Note that (task, member) are about to be nagged; returns the nag by task."""
    made = [{"dispatch_id": task, "member_id": member, "at": tx.now} for task, member in rows]
    return dict(tx.insert(Nag, made, returning=("dispatch_id", "id")))


def begin_wanted(tx: Transaction, nag_ids: Iterable[int]) -> None:
    """The nags that operators asked for are about to be made."""
    given = tx.ids(nag_ids)
    tx.run(f"update nag set state = 'asking', at = ? where id in (select id from {given.sql} g)",
           (tx.now, *given.params))  # fmt: skip


def refuse_wanted(tx: Transaction, rows: Sequence[tuple[int, str]]) -> None:
    """The nags (nag, why) that operators asked for cannot be made any more."""
    _close(tx, [(nag_id, "refused", reason) for nag_id, reason in rows])


def close(tx: Transaction, rows: Sequence[tuple[int, str, str | None]]) -> None:
    """Write what came of nags: (nag, state, reason)."""
    _close(tx, rows)


def forget(tx: Transaction, nag_ids: Iterable[int]) -> None:
    """These nags were not made and are tried again."""
    given = tx.ids(nag_ids)
    tx.run(f"delete from nag where id in (select id from {given.sql} g) and state = 'asking' and wanted_by is null",
           given.params)  # fmt: skip
    tx.run(f"update nag set state = 'wanted' where id in (select id from {given.sql} g) and state = 'asking'",
           given.params)  # fmt: skip


def _close(tx: Transaction, rows: Sequence[tuple[int, str, str | None]]) -> None:
    given = tx.table({"id": "bigint", "state": "text", "reason": "text"}, rows)
    tx.run(f"update nag set state = n.state, reason = n.reason from {given.sql} n where nag.id = n.id", given.params)
