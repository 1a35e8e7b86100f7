"""Statements about members: who there is, who is in sight, who was read. Called by handlers only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sopd.store.tables import Member
from sopd.store.transaction import Transaction


class Colleague(NamedTuple):
    """A member as relations need him; `able`: he may send to customers."""

    id: int
    able: bool


def members(tx: Transaction, userids: Iterable[str]) -> dict[str, Colleague]:
    """These members, by userid; those we never heard of are written."""
    wanted = sorted(set(userids))
    found = _members(tx, wanted)
    if new := [{"userid": userid, "seen_at": tx.now} for userid in wanted if userid not in found]:
        found |= _colleagues(tx.insert(Member, new, returning=_COLLEAGUE, on_conflict="(userid) do nothing"))
    if len(found) < len(wanted):  # another transaction has written some meanwhile
        found = _members(tx, wanted)
    return found


_COLLEAGUE = ("userid", "id", "can_send", "in_scope")


def _members(tx: Transaction, userids: Sequence[str]) -> dict[str, Colleague]:
    given = tx.table({"userid": "text"}, [(one,) for one in userids])
    return _colleagues(
        tx.rows(
            f"select {', '.join(_COLLEAGUE)} from member where userid in (select userid from {given.sql} g)",
            given.params,
        )
    )


def _colleagues(rows: Iterable[tuple[Any, ...]]) -> dict[str, Colleague]:
    return {userid: Colleague(member_id, bool(can_send and in_scope)) for userid, member_id, can_send, in_scope in rows}


def member_ids(tx: Transaction, userids: Iterable[str]) -> dict[str, int]:
    """Ids of these members, by userid; those we never heard of are written."""
    return {userid: one.id for userid, one in members(tx, userids).items()}


def set_sight(tx: Transaction, userids: Sequence[str], reason: str, cured: Sequence[str]) -> None:
    """These known members are in sight and all others are not; whoever could not send for a cured reason can again."""
    reasons = ", ".join("?" for _ in cured)
    given = tx.table({"userid": "text"}, [(userid,) for userid in sorted(set(userids))])
    listed = f"userid in (select userid from {given.sql} g)"
    tx.run(
        f"update member set in_scope = ?, can_send = ?, reason = ? where in_scope and not {listed}",
        (False, False, reason, *given.params),
    )
    tx.run(
        f"update member set in_scope = ?, seen_at = ?, can_send = (can_send or coalesce(reason in ({reasons}), false)),"
        f" reason = case when reason in ({reasons}) then null else reason end where {listed}",
        (True, tx.now, *cured, *cured, *given.params),
    )


def set_unable(tx: Transaction, userids: Iterable[str], reason: str) -> None:
    """These members cannot send; who could not before keeps his reason."""
    given = tx.table({"userid": "text"}, [(userid,) for userid in sorted(set(userids))])
    tx.run(
        "update member set can_send = ?, reason = ? where can_send and userid in"
        f" (select userid from {given.sql} g)",
        (False, reason, *given.params),
    )


def unread_members(tx: Transaction, since: int, left_out: Sequence[str], limit: int) -> list[str]:
    """Members in sight whose customers have not been read since then, some of them, by userid."""
    given = tx.table({"userid": "text"}, [(userid,) for userid in left_out])
    rows = tx.rows(
        "select userid from member where in_scope and (read_at is null or read_at < ?)"
        f" and userid not in (select userid from {given.sql} g) order by userid limit ?",
        (since, *given.params, limit),
    )
    return [row[0] for row in rows]


def set_read(tx: Transaction, userids: Sequence[str]) -> None:
    """All customers of these members have been read."""
    given = tx.table({"userid": "text"}, [(userid,) for userid in userids])
    tx.run(
        f"update member set read_at = ? where userid in (select userid from {given.sql} g)", (tx.now, *given.params)
    )


def is_member(tx: Transaction, userid: str) -> bool:
    """Whether we know this member."""
    return tx.one("select 1 from member where userid = ?", (userid,)) is not None
