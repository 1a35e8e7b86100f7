"""Statements about entering and about open runs that news may end. Called by the handlers of entries and reactions."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sopd.store.queries.enrollments import Run, runs
from sopd.store.transaction import Transaction


def runs_by_id(tx: Transaction, ids: Iterable[int]) -> list[Run]:
    """These enrollments, open or not."""
    given = tx.ids(ids)
    return runs(tx, f"id in (select id from {given.sql} g)", given.params)


def literals_text(literals: Iterable[str]) -> str | None:
    """Inherited literals as they stand in a row."""
    held = sorted(literals)
    return json.dumps(held, ensure_ascii=False) if held else None


def set_inherited(tx: Transaction, rows: Sequence[tuple[int, frozenset[str]]]) -> None:
    """Write what these runs still inherit."""
    if not rows:
        return
    given = tx.table({"id": "bigint", "inherited": "text"}, [(key, literals_text(some)) for key, some in rows])
    tx.run(f"update enrollment set inherited = n.inherited from {given.sql} n where enrollment.id = n.id",
           given.params)  # fmt: skip


# -- outside -----------------------------------------------------------------------------------------------------------


class LastRun(NamedTuple):
    """What a subject has behind it in one SOP: its last run. `ended_at` None: it is inside."""

    sop_id: int
    subject_id: int
    id: int
    run_no: int
    ended_at: int | None
    rule_false_at: int | None


def last_runs(tx: Transaction, sop_ids: Iterable[int], subjects: Iterable[int]) -> dict[tuple[int, int], LastRun]:
    """By (SOP, subject), for those that were ever inside."""
    sops, given = tx.ids(sorted(set(sop_ids))), tx.ids(sorted(set(subjects)))
    rows = tx.rows(
        "select sop_id, subject_id, id, run_no, closed_at, rule_false_at from enrollment e"
        f" where sop_id in (select id from {sops.sql} s) and subject_id in (select id from {given.sql} g)"
        " and run_no = (select max(run_no) from enrollment m where m.sop_id = e.sop_id"
        " and m.subject_id = e.subject_id)",
        (*sops.params, *given.params),
    )
    return {(row[0], row[1]): LastRun(*row) for row in rows}


def set_rule_false(tx: Transaction, run_ids: Iterable[int]) -> None:
    """The entry rule has been seen false after the end of these runs; the first time counts."""
    ids = sorted(run_ids)
    if not ids:
        return
    given = tx.ids(ids)
    tx.run(
        f"update enrollment set rule_false_at = ? where id in (select id from {given.sql} g)"
        " and closed_at is not null and rule_false_at is null",
        (tx.now, *given.params),
    )


# -- by hand -----------------------------------------------------------------------------------------------------------


class OpenRun(NamedTuple):
    """An open enrollment that an operator moves."""

    id: int
    sop_id: int
    customer_id: int
    relation_id: int
    member_id: int
    external_userid: str


_OPEN = (
    "select e.id, e.sop_id, e.customer_id, e.relation_id, e.member_id, c.external_userid from enrollment e"
    " join customer c on c.id = e.customer_id"
)


def open_runs(tx: Transaction, ids: Iterable[int]) -> list[OpenRun]:
    """Those of these enrollments that are open, by id."""
    given = tx.ids(ids)
    rows = tx.rows(
        f"{_OPEN} where e.id in (select id from {given.sql} g) and e.closed_at is null order by e.id", given.params
    )
    return [OpenRun(*row) for row in rows]


def open_beside(tx: Transaction, ids: Iterable[int]) -> list[OpenRun]:
    """These open enrollments, and all others that the same customers have open in the same SOPs, by id."""
    given = tx.ids(ids)
    rows = tx.rows(
        f"{_OPEN} where e.closed_at is null and (e.sop_id, e.customer_id) in (select sop_id, customer_id"
        f" from enrollment where id in (select id from {given.sql} g)) order by e.id",
        given.params,
    )
    return [OpenRun(*row) for row in rows]


def open_runs_in(tx: Transaction, sop_id: int, customer_ids: Iterable[int]) -> dict[int, int]:
    """The open run of each of these customers in one SOP, by customer."""
    given = tx.ids(sorted(customer_ids))
    return dict(tx.rows(
        "select customer_id, id from enrollment where closed_at is null and sop_id = ?"
        f" and customer_id in (select id from {given.sql} g)",
        (sop_id, *given.params),
    ))  # fmt: skip


def customer_ids(tx: Transaction, external_userids: Iterable[str]) -> dict[str, int]:
    """Ids of the known ones among these customers."""
    given = tx.table({"external_userid": "text"}, [(one,) for one in external_userids])
    return dict(tx.rows(
        "select external_userid, id from customer"
        f" where external_userid in (select external_userid from {given.sql} g)",
        given.params,
    ))  # fmt: skip


def is_member(tx: Transaction, userid: str) -> bool:
    """Whether there is a member of this id."""
    return tx.one("select 1 from member where userid = ?", (userid,)) is not None
