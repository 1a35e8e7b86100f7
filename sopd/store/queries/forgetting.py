"""Statements that erase one customer: counted, waited for, walked through, and made nobody at last (docs/retention.md).

Rows that others refer to stay, without anything that tells of a person; ids of ours alone are no person. Called by
`handlers.forgetting` only, and `marks` by whoever takes over what WeCom shows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sopd.store.queries.views import RUNS_OF_CUSTOMER
from sopd.store.tables import Forgotten
from sopd.store.transaction import Transaction

EMPTY_BODY = '{"fields": {}, "raw": {}}'
"""What is left of a callback that named somebody who is forgotten."""


class Counts(NamedTuple):
    """What there is of a customer: for people, before it is erased."""

    relations: int
    open_runs: int
    runs: int
    open_pushes: int
    signals: int
    audiences: int


def counts(tx: Transaction, customer_id: int) -> Counts:
    """Each by an index."""
    row = tx.one(
        "select (select count(*) from relation where customer_id = ?),"
        " (select count(*) from enrollment where customer_id = ? and closed_at is null),"
        f" (select count(*) from enrollment where id in ({RUNS_OF_CUSTOMER})),"
        " (select count(*) from push where customer_id = ? and settled_at is null),"
        " (select count(*) from signal where customer_id = ?),"
        " (select count(*) from audience_member where customer_id = ?)",
        [customer_id] * 8,
    )
    return Counts(*(row or (0,) * 6))


def name_of(tx: Transaction, customer_id: int) -> str | None:
    """The external_userid of a customer, who is locked for what follows."""
    name: str | None = tx.value(
        f"select external_userid from customer where id = ?{tx.for_update('customer')}", (customer_id,)
    )
    return name


def relations_of(tx: Transaction, customer_id: int) -> list[int]:
    """The relations of a customer."""
    return [row[0] for row in tx.rows("select id from relation where customer_id = ?", (customer_id,))]


def is_under_way(tx: Transaction, customer_id: int) -> bool:
    """Whether WeCom may still answer something that was begun for a customer: a push, a welcome, a tag write."""
    return (
        tx.one("select 1 from push where customer_id = ? and settled_at is null limit 1", (customer_id,)) is not None
        or tx.one(
            "select 1 from outbox where state in ('pending','sending') and relation_id in"
            " (select id from relation where customer_id = ?) limit 1",
            (customer_id,),
        )
        is not None
    )


def give_up_tags(tx: Transaction, customer_id: int, reason: str) -> None:
    """Tag writes that wait for their turn are not made any more."""
    tx.run(
        "update outbox set state = 'failed', reason = ?, act_at = null, done_at = ? where state in"
        " ('pending','sending') and state = 'pending' and lease_until is null and kind = 'mark_tag' and relation_id in"
        " (select id from relation where customer_id = ?)",
        (reason, tx.now, customer_id),
    )


# -- pages that no index leads through ---------------------------------------------------------------------------------


def blank_callbacks(tx: Transaction, external_userid: str, after: int, limit: int) -> int | None:
    """Empty the callbacks that name a customer, of a page along the key; returns where to go on, None at the end.

    The fingerprint stays, a hash: the same bytes again are known.
    """
    rows = tx.rows("select id, external_userid from inbox where id > ? order by id limit ?", (after, limit))
    given = tx.ids(row[0] for row in rows if row[1] == external_userid)
    tx.run(
        "update inbox set external_userid = '', body = ?, state = 'done', reason = 'forgotten',"
        f" handled_at = coalesce(handled_at, ?) where id in (select id from {given.sql} g)",
        (EMPTY_BODY, tx.now, *given.params),
    )
    return rows[-1][0] if len(rows) == limit else None


def blank_acts(tx: Transaction, relation_ids: Iterable[int], after: int, limit: int) -> int | None:
    """Empty what was written to WeCom on these relations, page by page as above."""
    ours = set(relation_ids)
    rows = tx.rows("select id, relation_id from outbox where id > ? order by id limit ?", (after, limit))
    given = tx.ids(row[0] for row in rows if row[1] in ours)
    tx.run(
        f"update outbox set payload = '{{}}' where id in (select id from {given.sql} g) and act_at is null",
        given.params,
    )
    return rows[-1][0] if len(rows) == limit else None


def blank_audit(tx: Transaction, external_userid: str, token: str, after: int, limit: int) -> int | None:
    """Put the token where the audit names a customer, page by page as above."""
    rows = tx.rows("select id, target, detail from audit where id > ? order by id limit ?", (after, limit))
    named = [
        (row[0], row[1].replace(external_userid, token), row[2] and row[2].replace(external_userid, token))
        for row in rows
        if external_userid in row[1] or external_userid in (row[2] or "")
    ]
    if named:
        given = tx.table({"id": "bigint", "target": "text", "detail": "text"}, named)
        tx.run(
            f"update audit set target = n.target, detail = n.detail from {given.sql} n where audit.id = n.id",
            given.params,
        )
    return rows[-1][0] if len(rows) == limit else None


# -- at last -----------------------------------------------------------------------------------------------------------


def runs(tx: Transaction, customer_id: int) -> list[tuple[int, str | None]]:
    """(run, reason) of all runs of a customer."""
    return tx.rows(f"select id, reason from enrollment where id in ({RUNS_OF_CUSTOMER})", [customer_id] * 3)


def blank_runs(tx: Transaction, rows: Sequence[tuple[int, str | None]]) -> None:
    """Leave of these ended runs how they went and ended (run, reason without what somebody wrote), nothing else."""
    if not rows:
        return
    given = tx.table({"id": "bigint", "reason": "text"}, rows)
    tx.run(
        f"update enrollment set reason = n.reason, inherited = null from {given.sql} n where enrollment.id = n.id",
        given.params,
    )
    tx.run(
        "update journal set detail = null, reason = null where enrollment_id in"
        f" (select id from {given.sql} n)",
        given.params,
    )


def refusals(tx: Transaction, customer_id: int) -> list[tuple[int, str, int]]:
    """(SOP, reason, how many subjects) of a customer's refusals."""
    return tx.rows(
        "select sop_id, reason, count(*) from refusal where customer_id = ? group by sop_id, reason", (customer_id,)
    )


def erase(tx: Transaction, customer_id: int, external_userid: str, token: str) -> None:
    """Make a customer nobody: only the row is left, under a token, muted, without relations that are active."""
    by_relation = "relation_id in (select id from relation where customer_id = ?)"
    tx.run(f"delete from relation_tag where {by_relation}", (customer_id,))
    for table in ("audience_member", "flip", "refusal", "reservation"):
        tx.run(f"delete from {table} where customer_id = ?", (customer_id,))
    tx.run(
        "update signal set ref = 'forgotten/' || id, name = '', properties = '{}', text = null,"
        " handled_at = coalesce(handled_at, ?) where customer_id = ?",
        (tx.now, customer_id),
    )
    pairs = "select userid || '/' || ? from member"
    tx.run(f"delete from set_aside where kind = 'dirty' and row_key in ({pairs})", (external_userid,))
    tx.run(
        "delete from dirty where (userid, external_userid) in (select userid, cast(? as text) from member)",
        (external_userid,),
    )
    tx.run(
        "update relation set state = 'lost', lost_at = coalesce(lost_at, ?), lost_by = coalesce(lost_by, 'forgotten'),"
        " channel = '', add_way = 0, last_talk_at = null, missing_at = null, handover_until = null,"
        " generation = generation + 1 where customer_id = ?",
        (tx.now, customer_id),
    )
    tx.run(
        "update customer set external_userid = ?, name = '', unionid = null, kind = 1, gender = 0, attributes = '{}',"
        " crm_id = null, phone_hash = null, muted_at = coalesce(muted_at, ?) where id = ?",
        (token, tx.now, customer_id),
    )


def remember(tx: Transaction, hash: str) -> None:
    """Whoever has this hash was forgotten now."""
    tx.insert(Forgotten, [{"hash": hash, "at": tx.now}], returning=(),
              on_conflict="(hash) do update set at = excluded.at")  # fmt: skip


def any_marks(tx: Transaction) -> bool:
    """Whether anybody was ever forgotten; where nobody was, nobody has to be hashed."""
    return tx.one("select 1 from forgotten limit 1") is not None


def marks(tx: Transaction, hashes: Iterable[str]) -> dict[str, int]:
    """When those of these were forgotten who ever were."""
    given = tx.table({"hash": "text"}, [(hash,) for hash in sorted(set(hashes))])
    found: list[tuple[Any, ...]] = tx.rows(
        f"select hash, at from forgotten where hash in (select hash from {given.sql} g)", given.params
    )
    return dict(found)
