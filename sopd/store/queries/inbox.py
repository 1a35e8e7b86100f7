"""Statements about callbacks and about the relations they make us re-read. Called by handlers only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sopd.store.queries.people import Pair
from sopd.store.tables import Dirty, Inbox
from sopd.store.transaction import Transaction

PENDING = "our own write is under way"
"""Why a re-read waits although nothing went wrong; `wake` ends it."""

_PAIR = {"userid": "text", "external_userid": "text"}


# -- callbacks -------------------------------------------------------------------------------------------------------


class Arrived(NamedTuple):
    """A callback that waits to be handled."""

    id: int
    event: str
    change_type: str
    userid: str
    external_userid: str
    happened_at: int
    body: str


def insert(tx: Transaction, rows: Sequence[dict[str, object]]) -> None:
    """Write callbacks, each fingerprint once among `rows`. Known bytes are counted, and handled again if an edit.

    An edit says only "something changed": the same bytes a second time may mean a second change (SPEC 15.1).
    """
    tx.insert(
        Inbox,
        rows,
        returning=(),
        on_conflict="(fingerprint) do update set times = inbox.times + excluded.times, last_at = excluded.last_at,"
        " state = case when excluded.change_type = 'edit_external_contact' then 'new' else inbox.state end",
    )


def new_ids(tx: Transaction, fast: bool, limit: int) -> list[int]:
    """Callbacks of one lane that nobody has handled, in the order of their arrival."""
    rows = tx.rows("select id from inbox where state = 'new' and fast = ? order by id limit ?", (fast, limit))
    return [row[0] for row in rows]


def lock_new(tx: Transaction, ids: Iterable[int]) -> list[Arrived]:
    """Those of `ids` that are still new and that nobody else works on, locked."""
    given = tx.ids(ids)
    rows = tx.rows(
        "select id, event, change_type, userid, external_userid, happened_at, body from inbox"
        f" where state = 'new' and id in (select id from {given.sql} g) order by id{tx.skip_locked}",
        given.params,
    )
    return [Arrived(*row) for row in rows]


def close(tx: Transaction, outcomes: Sequence[tuple[int, str, str | None]]) -> None:
    """Finish callbacks, given as (id, state, reason)."""
    given = tx.table({"id": "bigint", "state": "text", "reason": "text"}, outcomes)
    tx.run(
        f"update inbox set state = n.state, reason = n.reason, handled_at = ? from {given.sql} n where inbox.id = n.id",
        (tx.now, *given.params),
    )


def reopen(tx: Transaction, ids: Sequence[int]) -> set[int]:
    """Let these callbacks be handled once more; returns the ids that exist."""
    given = tx.ids(ids)
    rows = tx.rows(
        "update inbox set state = 'new', reason = null, handled_at = null"
        f" where id in (select id from {given.sql} g) returning id",
        given.params,
    )
    return {row[0] for row in rows}


# -- relations to re-read --------------------------------------------------------------------------------------------


class Mark(NamedTuple):
    """Why a relation is to be read again. `added_at`, `channel` and the code come from an add event (else None)."""

    userid: str
    external_userid: str
    cause: str
    added_at: int | None = None
    channel: str | None = None
    welcome_code: str | None = None
    welcome_until: int | None = None
    times: int = 1

    @property
    def pair(self) -> Pair:
        """Which relation."""
        return self.userid, self.external_userid


class Claimed(NamedTuple):
    """A re-read that we hold under a lease."""

    userid: str
    external_userid: str
    mark: int
    cause: str
    added_at: int | None
    channel: str | None
    welcome_code: str | None
    welcome_until: int | None
    attempts: int

    @property
    def pair(self) -> Pair:
        """Which relation."""
        return self.userid, self.external_userid


# What an add event told is kept until the re-read is done; a later add event replaces it as a whole.
_YOUNGER = "excluded.added_at is not null and (dirty.added_at is null or excluded.added_at >= dirty.added_at)"
_MERGED = ", ".join(
    [f"{column} = case when {_YOUNGER} then excluded.{column} else dirty.{column} end"
     for column in ("added_at", "channel", "welcome_code", "welcome_until")]
)  # fmt: skip


def mark(tx: Transaction, marks: Sequence[Mark]) -> None:
    """Let relations be read again, each pair once among `marks`. One that is being read now is read once more after.

    The strongest cause stays: added, half_added, then any other.
    """
    rows = [
        {
            "userid": one.userid, "external_userid": one.external_userid, "mark": one.times, "marked_at": tx.now,
            "cause": one.cause, "added_at": one.added_at, "channel": one.channel, "welcome_code": one.welcome_code,
            "welcome_until": one.welcome_until, "fast": one.welcome_code is not None, "act_at": tx.now,
        }
        for one in sorted(marks, key=lambda one: one.pair)
    ]  # fmt: skip
    tx.insert(
        Dirty,
        rows,
        returning=(),
        on_conflict="(userid, external_userid) do update set mark = dirty.mark + excluded.mark,"
        " marked_at = excluded.marked_at, fast = (dirty.fast or excluded.fast),"
        " cause = case when dirty.cause = 'added' or (dirty.cause = 'half_added' and excluded.cause <> 'added')"
        f" then dirty.cause else excluded.cause end, {_MERGED},"
        " act_at = case when dirty.lease_until > excluded.act_at then dirty.act_at else excluded.act_at end",
    )


def any_due(tx: Transaction, fast: bool) -> bool:
    """Whether a re-read of this lane is due."""
    return tx.one("select 1 from dirty where fast = ? and act_at <= ? limit 1", (fast, tx.now)) is not None


def claim(tx: Transaction, fast: bool, limit: int, lease_ms: int) -> list[Claimed]:
    """Take due re-reads of one lane, the longest waiting first."""
    rows = tx.claim(
        Dirty,
        "fast = ? and act_at <= ?",
        (fast, tx.now),
        order="act_at",
        limit=limit,
        lease_ms=lease_ms,
        key=("userid", "external_userid"),
        returning=Claimed._fields,
    )
    return [Claimed(*row) for row in rows]


def finish(tx: Transaction, done: Sequence[tuple[str, str, int]]) -> None:
    """Take out re-reads that are done, given as (userid, external_userid, mark); one marked since then is due again."""
    if not done:
        return
    over = tx.unchanged("dirty", _PAIR, {"mark": "bigint"}, done)
    if tx.run(f"delete from dirty where {over.sql}", over.params) == len(done):
        return
    given = tx.table(_PAIR, [(userid, external_userid) for userid, external_userid, _ in done])
    tx.run(
        "update dirty set act_at = ?, lease_until = null, attempts = 0, reason = null where (userid, external_userid)"
        f" in (select userid, external_userid from {given.sql} g)",
        (tx.now, *given.params),
    )


def postpone(tx: Transaction, rows: Sequence[tuple[str, str, int | None, str]]) -> None:
    """Give leases back, as (userid, external_userid, when to try again or None, why)."""
    if not rows:
        return
    _lock(tx, [(userid, external_userid) for userid, external_userid, _, _ in rows])
    given = tx.table({**_PAIR, "act_at": "bigint", "reason": "text"}, rows)
    tx.run(
        f"update dirty set act_at = n.act_at, lease_until = null, reason = n.reason from {given.sql} n"
        " where dirty.userid = n.userid and dirty.external_userid = n.external_userid",
        given.params,
    )


def wake(tx: Transaction, relation_ids: Iterable[int]) -> int:
    """Let the re-reads of these relations go on that waited for our own writes; returns how many did."""
    given = tx.ids(relation_ids)
    return tx.run(
        "update dirty set act_at = ?, reason = null where act_at is null and reason = ?"
        " and (userid, external_userid) in (select m.userid, c.external_userid from relation r"
        " join member m on m.id = r.member_id join customer c on c.id = r.customer_id"
        f" where r.id in (select id from {given.sql} g))",
        (tx.now, PENDING, *given.params),
    )


def _lock(tx: Transaction, pairs: Iterable[Pair]) -> None:
    """Lock these rows in the order in which `mark` writes them, so that neither waits for the other crosswise."""
    locking = tx.for_update("dirty")
    if locking:
        given = tx.table(_PAIR, sorted(set(pairs)))
        tx.rows(
            "select 1 from dirty where (userid, external_userid) in"
            f" (select userid, external_userid from {given.sql} g) order by userid, external_userid{locking}",
            given.params,
        )
