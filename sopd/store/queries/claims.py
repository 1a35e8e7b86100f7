"""Statements about `once_per: customer`: who may send a step of a SOP to a customer (D5). Called by handlers only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sopd.store.tables import Claim as ClaimRow
from sopd.store.transaction import Transaction

Key = tuple[int, str, int]
"""SOP, step, customer."""


class Claim(NamedTuple):
    """The push that holds a claim and its member. A push that ended without having been sent holds nothing any more.

    One whose task needs an operator may have been sent: it holds the claim until somebody knows (D20).
    """

    push_id: int
    userid: str
    state: str
    member_id: int

    @property
    def is_free(self) -> bool:
        """True if somebody else may take it over."""
        return self.state in ("failed", "skipped", "expired", "cancelled")

    @property
    def is_open(self) -> bool:
        """True while its push may still be sent, or may have been."""
        return not self.is_free and self.state != "sent"

    def binds(self, member_id: int) -> bool:
        """True if it keeps this member's relation from sending: it is another's. An earlier run of one's own does not
        (SPEC 4: through another relation)."""
        return not self.is_free and self.member_id != member_id


def held(tx: Transaction, keys: Iterable[Key]) -> dict[Key, Claim]:
    """The claims that exist for these keys, taken over or not. One whose push was pruned was sent."""
    wanted = sorted(set(keys))
    if not wanted:
        return {}
    given = tx.table({"sop_id": "bigint", "step_id": "text", "customer_id": "bigint"}, wanted)
    rows = tx.rows(
        "select c.sop_id, c.step_id, c.customer_id, c.push_id, m.userid, coalesce(p.state, 'sent'), m.id"
        f" from {given.sql} g join claim c on c.sop_id = g.sop_id and c.step_id = g.step_id"
        " and c.customer_id = g.customer_id left join push p on p.id = c.push_id"
        " join member m on m.id = coalesce(p.member_id, c.sent_by)",
        given.params,
    )
    return {(row[0], row[1], row[2]): Claim(*row[3:]) for row in rows}


def take(tx: Transaction, rows: Sequence[tuple[int, str, int, int]]) -> None:
    """Let these pushes (SOP, step, customer, push) hold the claims, whoever held them before."""
    made = [
        {"sop_id": sop, "step_id": step, "customer_id": customer, "push_id": push}
        for sop, step, customer, push in sorted(rows)
    ]
    conflict = "(sop_id, step_id, customer_id) do update set push_id = excluded.push_id, sent_by = null"
    tx.insert(ClaimRow, made, returning=(), on_conflict=conflict)
