"""Statements about enrollments and their journal: whole batches in, whole batches out. Called by handlers only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple, get_args, get_type_hints

from sopd.store.queries import locks
from sopd.store.tables import Enrollment, Refusal
from sopd.store.transaction import Transaction

_RUN = (
    "id, sop_id, version_id, subject_id, customer_id, relation_id, member_id, state, anchor_at, entered_at, due_at,"
    " parked_at, rev, hop, chain, inherited, after_signal, anchor_moves_ms, counts_from, waits_reply"
)


class Run(NamedTuple):
    """An open enrollment as a decision needs it. `chain` and `inherited` are JSON lists."""

    id: int
    sop_id: int
    version_id: int
    subject_id: int
    customer_id: int
    relation_id: int
    member_id: int
    state: str
    anchor_at: int
    entered_at: int
    due_at: int | None
    parked_at: int | None
    rev: int
    hop: int = 0
    chain: str | None = None
    inherited: str | None = None
    after_signal: int = 0
    anchor_moves_ms: int = 0
    counts_from: int | None = None
    waits_reply: bool = False


class OpenPush(NamedTuple):
    """An unsettled push with the state of the task it is in (None: in none)."""

    id: int
    enrollment_id: int
    sop_id: int
    step_id: str
    state: str
    reason: str | None
    takes_quota: bool
    dispatch_id: int | None
    task_state: str | None
    channel: str


class Written(NamedTuple):
    """What an enrollment becomes; `closed_at` ends it, with `reason` and `ended_by` for people."""

    id: int
    rev: int
    state: str
    due_at: int | None = None
    mass_at: int | None = None
    parked_at: int | None = None
    closed_at: int | None = None
    reason: str | None = None
    ended_by: str | None = None


class NewPush(NamedTuple):
    """A step's push row; who it is for is taken from its enrollment."""

    enrollment_id: int
    step_id: str
    channel: str
    takes_quota: bool
    state: str
    reason: str | None
    due_at: int
    next_due_at: int | None
    plan_at: int | None
    settled_at: int | None


class Note(NamedTuple):
    """A journal row; `detail` is a JSON object."""

    enrollment_id: int
    kind: str
    state_from: str | None = None
    state_to: str | None = None
    reason: str | None = None
    detail: str | None = None


_TYPES = {int: "bigint", str: "text", bool: "bool"}


@lru_cache(maxsize=64)
def columns_of(row: type[NamedTuple]) -> Mapping[str, str]:
    """The columns of a NamedTuple of ints, texts and truths as `Transaction.table` takes them."""
    kinds = get_type_hints(row)
    return MappingProxyType({name: _TYPES[(get_args(kind) or (kind,))[0]] for name, kind in kinds.items()})


def due_ids(tx: Transaction, limit: int) -> list[int]:
    """Enrollments whose next step is due, the longest waiting first."""
    rows = tx.rows("select id from enrollment where due_at <= ? order by due_at limit ?", (tx.now, limit))
    return [row[0] for row in rows]


def lock_due(tx: Transaction, ids: Iterable[int]) -> list[Run]:
    """Those of `ids` that are due still and that nobody else works on, locked with their customers."""
    given = tx.ids(locks.free_runs(tx, list(ids)))
    return _runs(tx, f"id in (select id from {given.sql} g) and due_at <= ?", (*given.params, tx.now), tx.skip_locked)


def lock(tx: Transaction, ids: Iterable[int]) -> list[Run]:
    """Those of `ids` that are open, locked with their customers; waits for whoever holds one."""
    ids = list(ids)
    locks.of_runs(tx, ids)
    given = tx.ids(ids)
    where = f"id in (select id from {given.sql} g) and closed_at is null"
    return _runs(tx, where, given.params, tx.for_update("enrollment"))


def lock_parked(tx: Transaction, sop_id: int, limit: int) -> list[Run]:
    """Some of the SOP's enrollments that fell due while it was paused, locked."""
    where = "id in (select id from enrollment where sop_id = ? and parked_at is not null order by id limit ?)"
    return _runs(tx, f"{where} and parked_at is not null", (sop_id, limit), tx.for_update("enrollment"))


def open_ids_of_sop(tx: Transaction, sop_id: int, limit: int) -> list[int]:
    """Some open enrollments of a SOP."""
    rows = tx.rows(
        "select id from enrollment where sop_id = ? and closed_at is null order by id limit ?", (sop_id, limit)
    )
    return [row[0] for row in rows]


def existing(tx: Transaction, ids: Iterable[int]) -> set[int]:
    """Those of `ids` that exist, open or not."""
    given = tx.ids(ids)
    return {row[0] for row in tx.rows(f"select id from enrollment where id in (select id from {given.sql} g)",
                                      given.params)}  # fmt: skip


def _runs(tx: Transaction, where: str, params: Sequence[object], locking: str) -> list[Run]:
    return [Run(*row) for row in tx.rows(f"select {_RUN} from enrollment where {where} order by id{locking}", params)]


def open_pushes(tx: Transaction, ids: Iterable[int]) -> list[OpenPush]:
    """The unsettled pushes of these enrollments, in firing order. The enrollments are locked by the caller."""
    given = tx.ids(ids)
    rows = tx.rows(
        "select p.id, p.enrollment_id, p.sop_id, p.step_id, p.state, p.reason, p.takes_quota, p.dispatch_id, d.state,"
        " p.channel from push p left join dispatch d on d.id = p.dispatch_id"
        f" where p.enrollment_id in (select id from {given.sql} g) and p.settled_at is null order by p.id",
        given.params,
    )
    return [OpenPush(*row) for row in rows]


def write(tx: Transaction, rows: Sequence[Written]) -> set[int]:
    """Write decisions, each guarded by the revision it was made on; returns the ids that took them.

    Whatever a stepwise run counted from is behind it then; what it counts from now is written by `stepwise`.
    """
    if not rows:
        return set()
    given = tx.table(columns_of(Written), rows)
    written = tx.rows(
        "update enrollment set state = n.state, due_at = n.due_at, mass_at = n.mass_at, parked_at = n.parked_at,"
        " closed_at = n.closed_at, reason = n.reason, ended_by = n.ended_by, counts_from = null, waits_reply = false,"
        " rev = enrollment.rev + 1"
        f" from {given.sql} n"
        " where enrollment.id = n.id and enrollment.rev = n.rev and enrollment.closed_at is null"
        " returning enrollment.id",
        given.params,
    )
    return {row[0] for row in written}


def insert_pushes(tx: Transaction, rows: Sequence[NewPush]) -> list[tuple[int, int, str]]:
    """Write the push rows of fired and passed-over steps; returns (push id, enrollment id, step id) of each."""
    if not rows:
        return []
    given = tx.table(columns_of(NewPush), rows)
    return tx.rows(
        "insert into push (enrollment_id, step_id, sop_id, version_id, customer_id, relation_id, member_id, channel,"
        " takes_quota, state, reason, due_at, fired_at, next_due_at, plan_at, settled_at, deferred)"
        " select e.id, n.step_id, e.sop_id, e.version_id, e.customer_id, e.relation_id, e.member_id, n.channel,"
        " n.takes_quota, n.state, n.reason, n.due_at, cast(? as bigint), n.next_due_at, n.plan_at, n.settled_at, 0"
        f" from {given.sql} n join enrollment e on e.id = n.enrollment_id where true"
        " returning id, enrollment_id, step_id",
        (tx.now, *given.params),
    )


def journal(tx: Transaction, notes: Sequence[Note]) -> None:
    """Append to the journals, all at this transaction's instant."""
    if not notes:
        return
    given = tx.table(columns_of(Note), notes)
    tx.run(
        "insert into journal (enrollment_id, at, kind, state_from, state_to, reason, detail)"
        " select n.enrollment_id, cast(? as bigint), n.kind, n.state_from, n.state_to, n.reason, n.detail"
        f" from {given.sql} n",
        (tx.now, *given.params),
    )


def release_waiting(tx: Transaction, ids: Iterable[int]) -> None:
    """Let go on the steps that waited for a push: due at this very instant, so that they are never late."""
    given = tx.ids(ids)
    tx.run(
        f"update enrollment set due_at = ?, rev = rev + 1 where id in (select id from {given.sql} g)"
        " and due_at is null and parked_at is null and closed_at is null",
        (tx.now, *given.params),
    )


def park(tx: Transaction, ids: Iterable[int]) -> None:
    """Lay aside until `resume` what fell due, or came to its normal end, while its SOP was paused (D23)."""
    given = tx.ids(ids)
    tx.run(
        "update enrollment set parked_at = ?, due_at = null, rev = rev + 1"
        f" where id in (select id from {given.sql} g) and closed_at is null and parked_at is null",
        (tx.now, *given.params),
    )


def park_missed(tx: Transaction, sop_id: int) -> None:
    """At `resume`: what fell due until now and was not looked at yet is parked like the rest."""
    tx.run(
        "update enrollment set parked_at = ?, due_at = null, rev = rev + 1"
        " where sop_id = ? and due_at <= ? and closed_at is null and parked_at is null",
        (tx.now, sop_id, tx.now),
    )


def clear_dues(tx: Transaction, ids: Iterable[int]) -> None:
    """These runs wait for nothing but the settlement of their pushes."""
    given = tx.ids(ids)
    tx.run(
        "update enrollment set due_at = null, parked_at = null, rev = rev + 1"
        f" where id in (select id from {given.sql} g) and closed_at is null",
        given.params,
    )


def clear_due(tx: Transaction, enrollment_id: int) -> int | None:
    """Take a row out of the due work before it is set aside; returns what its due column held."""
    held = tx.value("select due_at from enrollment where id = ?", (enrollment_id,))
    tx.run("update enrollment set due_at = null, rev = rev + 1 where id = ?", (enrollment_id,))
    return held


# -- entry -----------------------------------------------------------------------------------------------------------


class EarlierRuns(NamedTuple):
    """What a subject has behind it in one SOP."""

    runs: int
    inside: bool
    ended_at: int | None


def earlier_runs(
    tx: Transaction, sop_ids: Iterable[int], subjects: Iterable[int]
) -> dict[tuple[int, int], EarlierRuns]:
    """By (SOP, subject), for those that were ever inside."""
    sops, given = tx.ids(sop_ids), tx.ids(subjects)
    rows = tx.rows(
        "select sop_id, subject_id, max(run_no), max(case when closed_at is null then 1 else 0 end), max(closed_at)"
        f" from enrollment where sop_id in (select id from {sops.sql} s)"
        f" and subject_id in (select id from {given.sql} g) group by sop_id, subject_id",
        (*sops.params, *given.params),
    )
    return {(row[0], row[1]): EarlierRuns(row[2], bool(row[3]), row[4]) for row in rows}


class NewRun(NamedTuple):
    """Somebody who enters; what counts from the entry on is the table's default."""

    sop_id: int
    version_id: int
    subject_id: int
    run_no: int
    customer_id: int
    relation_id: int
    member_id: int
    state: str
    anchor_at: int
    entered_at: int
    cause: str
    due_at: int | None
    mass_at: int | None
    counts_from: int | None
    hop: int
    chain: str
    inherited: str | None
    after_signal: int


def enter(tx: Transaction, rows: Sequence[NewRun]) -> dict[tuple[int, int], int]:
    """Insert new enrollments; returns their ids by (SOP, subject).

    One that another transaction has just let in is left as it is and not returned.
    """
    names = ("sop_id", "subject_id", "id")
    made = tx.insert(Enrollment, rows, columns=NewRun._fields, returning=names, on_conflict="ignore")
    return {(sop_id, subject_id): run_id for sop_id, subject_id, run_id in made}


def refuse(tx: Transaction, rows: Sequence[dict[str, object]]) -> None:
    """Record who was not let in and why; no two rows may have the same SOP, subject and reason."""
    tx.insert(
        Refusal,
        rows,
        returning=(),
        on_conflict="(sop_id, subject_id, reason) do update set last_at = excluded.last_at, times = refusal.times + 1,"
        " detail = excluded.detail",
    )
