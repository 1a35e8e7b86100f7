"""Read-only questions about the engine itself: the inbox, what was set aside, what waits for a person. For `doctor`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

from sopd.store.queries.figures import IN_DOUBT
from sopd.store.queries.views import Where
from sopd.store.transaction import Transaction


class InboxRow(NamedTuple):
    """One callback as it was accepted. Its body is not shown."""

    id: int
    received_at: int
    happened_at: int
    event: str
    change_type: str
    userid: str
    external_userid: str
    times: int
    last_at: int
    state: str
    reason: str | None
    handled_at: int | None
    fast: bool


def inbox(
    tx: Transaction,
    *,
    states: Sequence[str] | None = None,
    userid: str | None = None,
    external_userid: str | None = None,
    since: int | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[InboxRow]:
    """A page of callbacks, the newest first: those with an id below `before`."""
    where = Where().among("state", states).add("userid = ?", userid).add("external_userid = ?", external_userid)
    where.add("received_at >= ?", since).add("id < ?", before)
    rows = tx.rows(
        "select id, received_at, happened_at, event, change_type, userid, external_userid, times, last_at, state,"
        f" reason, handled_at, fast from inbox{where} order by id desc limit ?",
        (*where.params, limit),
    )
    return [InboxRow(*row[:12], bool(row[12])) for row in rows]


def inbox_ids(tx: Transaction, state: str, after: int, limit: int) -> list[int]:
    """Ids of callbacks in one state above `after`, ascending."""
    rows = tx.rows("select id from inbox where state = ? and id > ? order by id limit ?", (state, after, limit))
    return [row[0] for row in rows]


def known_inbox_ids(tx: Transaction, ids: Sequence[int]) -> set[int]:
    """Which of these callbacks there are."""
    given = tx.ids(ids)
    return {row[0] for row in tx.rows(f"select id from inbox where id in (select id from {given.sql} g)", given.params)}


class Waiting(NamedTuple):
    """How many rows wait, and since when."""

    count: int
    oldest_at: int | None


def unhandled(tx: Transaction) -> Waiting:
    """Accepted callbacks that nobody has handled."""
    return _waiting(tx, "select count(*), min(received_at) from inbox where state = 'new'")


def set_aside_callbacks(tx: Transaction) -> Waiting:
    """Callbacks that could not be handled and were set aside."""
    return _waiting(tx, "select count(*), min(received_at) from inbox where state = 'set_aside'")


def failing_rereads(tx: Transaction, attempts: int) -> Waiting:
    """Relations whose re-reading failed at least so often in a row."""
    sql = "select count(*), min(marked_at) from dirty where attempts >= ? and reason is not null"
    return _waiting(tx, sql, attempts)


def failed_tag_writes(tx: Transaction, since: int) -> list[tuple[str, int, int]]:
    """(reason, how many, last) of tag writes that failed for good."""
    return tx.rows(
        "select coalesce(reason, ''), count(*), max(done_at) from outbox where kind = 'mark_tag' and state = 'failed'"
        " and done_at >= ? group by reason order by count(*) desc",
        (since,),
    )


def _waiting(tx: Transaction, sql: str, *params: int) -> Waiting:
    row = tx.one(sql, params)
    return Waiting(*row) if row else Waiting(0, None)


class RestingPath(NamedTuple):
    """An API path that must not be called for a while."""

    path: str
    until_at: int
    hits: int
    reason: str


def resting_paths(tx: Transaction) -> list[RestingPath]:
    """Back-off windows that are open now."""
    rows = tx.rows(
        "select path, until_at, hits, reason from wecom_window where until_at > ? order by until_at", (tx.now,)
    )
    return [RestingPath(*row) for row in rows]


class PoisonRow(NamedTuple):
    """A row that failed alone and was set aside."""

    kind: str
    row_key: str
    at: int
    reason: str


def poison_rows(tx: Transaction, but: str, limit: int) -> list[PoisonRow]:
    """What was set aside, the latest first; rows of the table `but` are left out."""
    rows = tx.rows(
        "select kind, row_key, at, reason from set_aside where kind <> ? order by at desc, kind, row_key limit ?",
        (but, limit),
    )
    return [PoisonRow(*row) for row in rows]


class Doubtful(NamedTuple):
    """A task about which something is not known."""

    id: int
    sop: str
    step: str
    member: str
    size: int
    reason: str | None
    since: int


def doubtful_tasks(tx: Transaction, state: str, limit: int) -> list[Doubtful]:
    """Tasks in `needs_operator`, or in doubt (`uncertain`; of cards `unsure`), the oldest first."""
    rows = tx.rows(
        "select d.id, s.key, d.step_id, m.userid, d.size, d.reason, coalesce(d.attempted_at, d.send_at) from dispatch d"
        " join sop s on s.id = d.sop_id join member m on m.id = d.member_id"
        f" where d.state = '{IN_DOUBT[IN_DOUBT.index(state)]}' order by d.id limit ?",  # spelled out for its index
        (limit,),
    )
    return [Doubtful(*row) for row in rows]


def blocked_tasks(tx: Transaction) -> list[tuple[str, int, int]]:
    """(reason, how many, oldest) of planned tasks that were tried and could not be created yet."""
    return tx.rows(
        "select reason, count(*), min(send_at) from dispatch where state = 'planned' and reason is not null"
        " and attempts > 0 group by reason order by count(*) desc"
    )


class JobRow(NamedTuple):
    """A long piece of work that is not over, or that failed."""

    id: int
    kind: str
    key: str
    state: str
    done: int
    total: int | None
    started_at: int
    act_at: int | None
    attempts: int
    reason: str | None


def jobs(tx: Transaction) -> list[JobRow]:
    """Jobs that are not over."""
    rows = tx.rows(
        "select id, kind, key, state, done, total, started_at, act_at, attempts, reason from job"
        " where ended_at is null order by id"
    )
    return [JobRow(*row) for row in rows]


class HeldLosses(NamedTuple):
    """Relations of one member that a complete read did not find, held instead of applied (SPEC 15.1)."""

    member: str
    count: int
    relations: int
    since: int


def held_losses(tx: Transaction) -> list[HeldLosses]:
    """Held losses by member."""
    rows = tx.rows(
        "select m.userid, count(r.missing_at), count(*), min(r.missing_at) from relation r"
        " join member m on m.id = r.member_id where r.state = 'active' and r.member_id in"
        " (select member_id from relation where missing_at is not null)"
        " group by m.userid having count(r.missing_at) > 0 order by m.userid"
    )
    return [HeldLosses(*row) for row in rows]


def members(tx: Transaction) -> tuple[int, int]:
    """(members in scope, those of them that cannot send now)."""
    row = tx.one("select count(*), coalesce(sum(case when can_send then 0 else 1 end), 0) from member where in_scope")
    return (int(row[0]), int(row[1])) if row else (0, 0)


def rehearsal_clock(tx: Transaction) -> int | None:
    """The instant a rehearsal has put in place of the database's time, None in earnest."""
    found = tx.value("select now from clock")
    return None if found is None else int(found)


def database_time(tx: Transaction) -> int:
    """The database's own time, whatever clock a rehearsal has set."""
    return int(tx.value(f"select {tx.dialect.now}"))


def dropped_tags_in_use(tx: Transaction) -> list[tuple[str, str]]:
    """(SOP, tag name) of live SOPs whose present version is bound to a tag that was deleted in WeCom (D25)."""
    dropped = {row[0] for row in tx.rows("select tag_id from tag where deleted_at is not null")}
    if not dropped:
        return []
    programs = tx.rows(
        "select s.key, v.program from sop s join sop_version v on v.id = s.version_id where s.state <> 'ended'"
        " order by s.key"
    )
    return [
        (key, name)
        for key, program in programs
        for name, tag_id in sorted(json.loads(program)["tag_ids"].items())
        if tag_id in dropped
    ]
