"""Read-only questions about enrollments: lists by filter, and all rows of one run's story."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sopd.store.queries.views import RUNS_OF_CUSTOMER, Where
from sopd.store.transaction import Transaction


@dataclass(frozen=True)
class RunFilter:
    """Which runs. `states`: in one of these; `or_open`: open ones too, whatever their state. None: any."""

    sop_ids: Sequence[int] | None = None
    states: Sequence[str] | None = None
    or_open: bool = False
    member_id: int | None = None
    customer_id: int | None = None
    since: int | None = None

    def where(self) -> Where:
        """The conditions, on `e`."""
        where = Where().among("e.sop_id", self.sop_ids)
        if not self.or_open:
            where.among("e.state", self.states)
        elif self.states:
            where.add(f"e.closed_at is null or e.state in ({', '.join('?' * len(self.states))})", *self.states)
        else:
            where.add("e.closed_at is null")
        where.add("e.member_id = ?", self.member_id).add(f"e.id in ({RUNS_OF_CUSTOMER})", *[self.customer_id] * 3)
        return where.add("e.entered_at >= ?", self.since)


class RunRow(NamedTuple):
    """One run with the names of all that belongs to it. `inherited` and `chain` are JSON lists, as they are stored."""

    id: int
    sop: str
    sop_state: str
    version: int
    customer: str
    name: str
    member: str
    run_no: int
    state: str
    cause: str
    entered_at: int
    anchor_at: int
    due_at: int | None
    parked_at: int | None
    closed_at: int | None
    reason: str | None
    ended_by: str | None
    sop_id: int
    version_id: int
    customer_id: int
    relation_id: int
    member_id: int
    inherited: str | None
    chain: str | None
    hop: int
    anchor_moves_ms: int
    counts_from: int | None
    waits_reply: bool
    pruned_at: int | None


_RUN = (
    "select e.id, s.key, s.state, v.number, c.external_userid, c.name, m.userid, e.run_no, e.state, e.cause,"
    " e.entered_at, e.anchor_at, e.due_at, e.parked_at, e.closed_at, e.reason, e.ended_by, e.sop_id, e.version_id,"
    " e.customer_id, e.relation_id, e.member_id, e.inherited, e.chain, e.hop, e.anchor_moves_ms, e.counts_from,"
    " e.waits_reply, e.pruned_at from enrollment e join sop s on s.id = e.sop_id"
    " join sop_version v on v.id = e.version_id"
    " join customer c on c.id = e.customer_id join member m on m.id = e.member_id"
)


def runs(tx: Transaction, wanted: RunFilter, before: int | None, limit: int) -> list[RunRow]:
    """A page of runs, the newest first: those with an id below `before`."""
    where = wanted.where().add("e.id < ?", before)
    rows = tx.rows(f"{_RUN}{where} order by e.id desc limit ?", (*where.params, limit))
    return [RunRow(*row) for row in rows]


def run(tx: Transaction, enrollment_id: int) -> RunRow | None:
    """One run by its id."""
    row = tx.one(f"{_RUN} where e.id = ?", (enrollment_id,))
    return None if row is None else RunRow(*row)


def open_ids(tx: Transaction, wanted: RunFilter, after: int, limit: int) -> list[int]:
    """Ids of open runs above `after`, ascending."""
    where = wanted.where().add("e.closed_at is null").add("e.id > ?", after)
    rows = tx.rows(f"select e.id from enrollment e{where} order by e.id limit ?", (*where.params, limit))
    return [row[0] for row in rows]


def customers_of(tx: Transaction, ids: Sequence[int]) -> dict[int, int]:
    """The customers of these runs, by run."""
    given = tx.ids(ids)
    sql = f"select id, customer_id from enrollment where id in (select id from {given.sql} g)"
    return dict(tx.rows(sql, given.params))


def count_open(tx: Transaction, wanted: RunFilter) -> dict[str, int]:
    """How many open runs the filter meets, by SOP."""
    where = wanted.where().add("e.closed_at is null")
    rows = tx.rows(
        f"select s.key, count(*) from enrollment e join sop s on s.id = e.sop_id{where} group by s.key order by s.key",
        where.params,
    )
    return dict(rows)


class Entry(NamedTuple):
    """One line of a run's journal; `detail` is a JSON object, empty if none."""

    id: int
    at: int
    kind: str
    state_from: str | None
    state_to: str | None
    reason: str | None
    detail: dict[str, Any]


def journal(tx: Transaction, enrollment_id: int) -> list[Entry]:
    """The whole journal of one run, in the order in which it was written."""
    rows = tx.rows(
        "select id, at, kind, state_from, state_to, reason, detail from journal where enrollment_id = ? order by id",
        (enrollment_id,),
    )
    return [Entry(*row[:6], json.loads(row[6]) if row[6] else {}) for row in rows]


class TagWrite(NamedTuple):
    """Tags that the engine writes to WeCom on a relation."""

    created_at: int
    add: tuple[str, ...]
    remove: tuple[str, ...]
    state: str
    reason: str | None
    done_at: int | None
    act_at: int | None


def tag_writes(tx: Transaction, relation_id: int, created_at: int | None = None) -> list[TagWrite]:
    """What was written on a relation, in order; with `created_at` only what one transaction ordered."""
    where = Where().add("kind = 'mark_tag'").add("relation_id = ?", relation_id).add("created_at = ?", created_at)
    rows = tx.rows(
        f"select created_at, payload, state, reason, done_at, act_at from outbox{where} order by id", where.params
    )
    return [_tag_write(*row) for row in rows]


def _tag_write(created_at: int, payload: str, *rest: Any) -> TagWrite:
    tags = json.loads(payload)
    return TagWrite(created_at, tuple(tags.get("add", ())), tuple(tags.get("remove", ())), *rest)
