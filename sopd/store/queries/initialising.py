"""Statements about the initialisation of a SOP: everybody, page by page. Called by `handlers.initialising` only."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from sopd.store.transaction import Transaction

_KNOWS_SOMEBODY = "exists (select 1 from relation r where r.customer_id = c.id{ahead} and r.state = 'active')"


class Candidate(NamedTuple):
    """A customer who knows a member now; `has_run`: one that entered the SOP already, by what happened meanwhile."""

    customer_id: int
    has_run: bool


class Standing(NamedTuple):
    """The last job of a kind and key, as people ask for it."""

    done: int
    total: int | None
    cursor: str | None
    ended_at: int | None
    reason: str | None


def count(tx: Transaction) -> int:
    """How many customers there are to look at."""
    return int(tx.value(f"select count(*) from customer c where {_KNOWS_SOMEBODY.format(ahead='')}"))


def page(tx: Transaction, sop_id: int, after: int, limit: int) -> list[Candidate]:
    """The next customers with an id above `after`."""
    # Said of both sides: else a merge of the two indexes would begin with the first relation at every page.
    known = _KNOWS_SOMEBODY.format(ahead=" and r.customer_id > ?")
    rows = tx.rows(
        "select c.id, case when exists (select 1 from enrollment e where e.sop_id = ? and e.subject_id = c.id)"
        f" then 1 else 0 end from customer c where c.id > ? and {known} order by c.id limit ?",
        (sop_id, after, after, limit),
    )
    return [Candidate(customer_id, bool(has_run)) for customer_id, has_run in rows]


def hold(tx: Transaction, ids: Iterable[int]) -> None:
    """Lay aside what falls due while its SOP is being initialised; `parked_at` keeps when that was."""
    given = tx.ids(ids)
    tx.run(
        "update enrollment set parked_at = due_at, due_at = null, rev = rev + 1"
        f" where id in (select id from {given.sql} g) and due_at is not null and closed_at is null",
        given.params,
    )


def give_back(tx: Transaction, sop_id: int, limit: int) -> int:
    """Make some of those due again, at the instant they were; returns how many."""
    return tx.run(
        "update enrollment set due_at = parked_at, parked_at = null, rev = rev + 1 where id in"
        " (select id from enrollment where sop_id = ? and parked_at is not null order by id limit ?)"
        " and +parked_at is not null and +closed_at is null",  # plus: by id, not through an index of all who are parked
        (sop_id, limit),
    )


def standing(tx: Transaction, kind: str, key: str) -> Standing | None:
    """How far the last job of this kind and key has come."""
    row = tx.one(
        "select done, total, cursor, ended_at, reason from job where kind = ? and key = ? order by id desc limit 1",
        (kind, key),
    )
    return None if row is None else Standing(*row)
