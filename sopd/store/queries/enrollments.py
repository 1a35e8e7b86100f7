"""Statements about enrollments and their journal: whole batches in, whole batches out. Called by handlers only."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from sopd.store.dialect import Given
from sopd.store.errors import Conflict
from sopd.store.queries import locks
from sopd.store.tables import Refusal
from sopd.store.transaction import Transaction, types_of

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

    @property
    def literals(self) -> frozenset[str]:
        """The inherited literals (D4)."""
        return frozenset(json.loads(self.inherited)) if self.inherited else frozenset()


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


class Onward(NamedTuple):
    """Where runs in the state `state_from` go on to. `counts_from`: what the next stepwise step counts from."""

    state_from: str
    state: str
    due_at: int | None
    mass_at: int | None
    counts_from: int | None


class Closed(NamedTuple):
    """How runs in the state `state_from` end, with `reason` and `ended_by` for people."""

    state_from: str
    state: str
    reason: str
    ended_by: str | None


class NewPush(NamedTuple):
    """A step's push row; who it is for is taken from its enrollment."""

    step_id: str
    channel: str
    takes_quota: bool
    state: str
    reason: str | None
    due_at: int
    next_due_at: int | None
    plan_at: int | None
    settled_at: int | None


class Line(NamedTuple):
    """What a journal row says; `detail` is a JSON object."""

    kind: str
    state_from: str | None = None
    state_to: str | None = None
    reason: str | None = None
    detail: str | None = None


class Note(NamedTuple):
    """A journal row of one enrollment."""

    enrollment_id: int
    kind: str
    state_from: str | None = None
    state_to: str | None = None
    reason: str | None = None
    detail: str | None = None


Ids = Sequence[int]


def due_ids(tx: Transaction, limit: int) -> list[int]:
    """Enrollments whose next step is due, the longest waiting first."""
    rows = tx.rows("select id from enrollment where due_at <= ? order by due_at limit ?", (tx.now, limit))
    return [row[0] for row in rows]


def lock_due(tx: Transaction, ids: Iterable[int]) -> list[Run]:
    """Those of `ids` that are due still and that nobody else works on, locked with their customers."""
    given = tx.ids(locks.free_runs(tx, list(ids)))
    return runs(tx, f"id in (select id from {given.sql} g) and due_at <= ?", (*given.params, tx.now), tx.skip_locked)


def lock(tx: Transaction, ids: Iterable[int]) -> list[Run]:
    """Those of `ids` that are open, locked with their customers; waits for whoever holds one."""
    ids = list(ids)
    locks.of_runs(tx, ids)
    given = tx.ids(ids)
    where = f"id in (select id from {given.sql} g) and closed_at is null"
    return runs(tx, where, given.params, tx.for_update("enrollment"))


def open_ids_of_sop(tx: Transaction, sop_id: int, limit: int) -> list[int]:
    """Some open enrollments of a SOP, in the order of the index of open runs: by id, each page would read them all."""
    rows = tx.rows(
        "select id from enrollment where sop_id = ? and closed_at is null order by subject_id limit ?", (sop_id, limit)
    )
    return [row[0] for row in rows]


def existing(tx: Transaction, ids: Iterable[int]) -> set[int]:
    """Those of `ids` that exist, open or not."""
    given = tx.ids(ids)
    return {row[0] for row in tx.rows(f"select id from enrollment where id in (select id from {given.sql} g)",
                                      given.params)}  # fmt: skip


def open_runs_of(tx: Transaction, customer_ids: Collection[int]) -> list[Run]:
    """The open enrollments of these customers, by id.

    The caller holds the customers, and so do all who move a run or give it another owner: no row is locked for it.
    """
    given = tx.ids(customer_ids)
    found = runs(tx, f"closed_at is null and customer_id in (select id from {given.sql} g)", given.params)
    tx.met.update(customer_ids)
    tx.open_in.update([run.version_id for run in found])
    return found


def known_versions(tx: Transaction, customer_ids: Iterable[int]) -> Collection[int] | None:
    """Versions among which those of these customers' open enrollments are; None: that is still to be read.

    New customers have none but those begun just now.
    """
    known = tx.met | tx.new
    return tx.open_in if known.issuperset(customer_ids) else None


def runs(tx: Transaction, where: str, params: Sequence[object], locking: str = "") -> list[Run]:
    """The enrollments of whom this is true, by id; for the queries that lead to runs."""
    found = list(map(Run._make, tx.rows(f"select {_RUN} from enrollment where {where} order by id{locking}", params)))
    tx.customer_of.update([(run.relation_id, run.customer_id) for run in found])
    return found


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


def go_on(tx: Transaction, groups: Sequence[tuple[Ids, Onward]]) -> None:
    """Lead locked runs on, like ones with one row. Raises Conflict if one is not as its decision found it."""
    _move(
        tx,
        # Without `closed_at`, on which every index of open runs hangs.
        "state = n.state, due_at = n.due_at, mass_at = n.mass_at, parked_at = null, counts_from = n.counts_from,"
        " waits_reply = false",
        (),
        tx.alike(types_of(Onward), groups),
        sum(len(ids) for ids, _ in groups),
    )


def close(tx: Transaction, groups: Sequence[tuple[Ids, Closed]]) -> None:
    """End locked runs, like ones with one row. Raises Conflict if one is not as its decision found it."""
    _move(
        tx,
        "state = n.state, due_at = null, mass_at = null, parked_at = null, counts_from = null, waits_reply = false,"
        " closed_at = ?, reason = n.reason, ended_by = n.ended_by",
        (tx.now,),
        tx.alike(types_of(Closed), groups),
        sum(len(ids) for ids, _ in groups),
    )


def _move(tx: Transaction, becomes: str, params: Sequence[object], given: Given, count: int) -> None:
    # The state they come from is never an end. A condition on the row alone (`closed_at is null`) makes SQLite read the
    # whole table into a filter first, as soon as it knows that the table is large.
    written = tx.run(
        f"with n as materialized {given.sql} update enrollment set {becomes}, rev = enrollment.rev + 1 from n"
        " where enrollment.id = n.id and enrollment.state = n.state_from",
        (*given.params, *params),
    )
    if written != count:
        raise Conflict(f"{count - written} of {count} runs were moved by somebody who did not hold them")


def insert_pushes(tx: Transaction, groups: Sequence[tuple[Ids, NewPush]]) -> None:
    """Write the push rows of fired and passed-over steps, those of like runs with one row."""
    if groups:
        tx.run(*_new_pushes(tx, groups))


def insert_pushes_of_entry(tx: Transaction, groups: Sequence[tuple[Ids, NewPush]]) -> list[tuple[int, int, str]]:
    """As `insert_pushes`; returns (push id, enrollment id, step id) of each."""
    if not groups:
        return []
    sql, params = _new_pushes(tx, groups)
    return tx.rows(f"{sql} returning id, enrollment_id, step_id", params)


def _new_pushes(tx: Transaction, groups: Sequence[tuple[Ids, NewPush]]) -> tuple[str, Sequence[object]]:
    given = tx.alike(types_of(NewPush), groups)
    sql = (
        "insert into push (enrollment_id, step_id, sop_id, version_id, customer_id, relation_id, member_id, channel,"
        " takes_quota, state, reason, due_at, fired_at, next_due_at, plan_at, settled_at, deferred)"
        " select e.id, n.step_id, e.sop_id, e.version_id, e.customer_id, e.relation_id, e.member_id, n.channel,"
        " n.takes_quota, n.state, n.reason, n.due_at, cast(? as bigint), n.next_due_at, n.plan_at, n.settled_at, 0"
        f" from {given.sql} n join enrollment e on e.id = n.id where true order by e.id, n.due_at, n.step_id"
    )  # in order: of two who would say the same, the one with the lower id says it
    return sql, (tx.now, *given.params)


def tell(tx: Transaction, groups: Sequence[tuple[Ids, Line]]) -> None:
    """Append to the journals, all at this transaction's instant; like runs are told with one row."""
    if not groups:
        return
    given = tx.alike(types_of(Line), groups)
    tx.run(
        "insert into journal (enrollment_id, at, kind, state_from, state_to, reason, detail)"
        f" select n.id, cast(? as bigint), n.kind, n.state_from, n.state_to, n.reason, n.detail from {given.sql} n",
        (tx.now, *given.params),
    )


def journal(tx: Transaction, notes: Sequence[Note]) -> None:
    """As `tell`, a row for each."""
    tell(tx, [((note.enrollment_id,), Line(*note[1:])) for note in notes])


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
    """How like people enter, each through a relation: that is the subject itself (`by_relation`), or else its customer.

    anchor_at and entered_at: None is the beginning of the relation.
    """

    sop_id: int
    version_id: int
    by_relation: bool
    run_no: int
    state: str
    anchor_at: int | None
    entered_at: int | None
    cause: str
    due_at: int | None
    mass_at: int | None
    counts_from: int | None
    hop: int
    chain: str
    inherited: str | None
    after_signal: int


def enter(tx: Transaction, groups: Sequence[tuple[Ids, NewRun]]) -> dict[tuple[int, int], int]:
    """Insert new enrollments, given as the owners' relations of like people; returns their ids by (SOP, subject).

    One that another transaction has just let in is left as it is and not returned. Ids rise with the relations', in
    whatever order the database joins: who came first goes first wherever two are alike.
    """
    given = tx.alike(types_of(NewRun), groups)
    made = tx.rows(
        "insert into enrollment (sop_id, version_id, subject_id, run_no, customer_id, relation_id, member_id, state,"
        " anchor_at, entered_at, cause, due_at, mass_at, counts_from, hop, chain, inherited, after_signal,"
        " anchor_moves_ms, waits_reply, rev)"
        " select n.sop_id, n.version_id, case when n.by_relation then r.id else r.customer_id end, n.run_no,"
        " r.customer_id, r.id, r.member_id, n.state, coalesce(n.anchor_at, r.began_at),"
        " coalesce(n.entered_at, r.began_at), n.cause, n.due_at, n.mass_at, n.counts_from, n.hop, n.chain, n.inherited,"
        f" n.after_signal, 0, false, 0 from {given.sql} n join relation r on r.id = n.id where true"
        " order by r.id, n.sop_id on conflict do nothing returning sop_id, subject_id, id",
        given.params,
    )
    tx.open_in.update([row.version_id for _, row in groups])
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
