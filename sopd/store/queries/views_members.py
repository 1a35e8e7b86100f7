"""Read-only questions about members: who can send, who cannot and why, and what is held for them."""

from __future__ import annotations

from typing import NamedTuple

from sopd.store.queries.views import Where
from sopd.store.transaction import Transaction


class MemberRow(NamedTuple):
    """One member. `relations`: active ones; `open`: runs it owns; `held`: contacts absent in a read, not believed."""

    userid: str
    name: str
    in_scope: bool
    can_send: bool
    reason: str | None
    relations: int
    open: int
    held: int
    read_at: int | None


_MEMBER = (
    "select m.userid, m.name, m.in_scope, m.can_send, m.reason, coalesce(r.active, 0), coalesce(e.inside, 0),"
    " coalesce(r.held, 0), m.read_at from member m"
    " left join (select member_id, sum(case when state = 'active' then 1 else 0 end) as active,"
    " sum(case when missing_at is null then 0 else 1 end) as held from relation group by member_id) r"
    " on r.member_id = m.id"
    " left join (select member_id, count(*) as inside from enrollment where closed_at is null group by member_id) e"
    " on e.member_id = m.id"
)


def members(tx: Transaction, *, only_unable: bool = False, only_held: bool = False) -> list[MemberRow]:
    """Every member by user id; only those who cannot send, or only those with held contacts."""
    where = Where()
    if only_unable:
        where.add("not (m.can_send and m.in_scope)")
    if only_held:
        where.add("coalesce(r.held, 0) > 0")
    rows = tx.rows(f"{_MEMBER}{where} order by m.userid", where.params)
    return [MemberRow(*row[:2], bool(row[2]), bool(row[3]), row[4], *map(int, row[5:8]), row[8]) for row in rows]
