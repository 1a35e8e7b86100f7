"""Read-only questions of the faces (CLI, later API and console) about SOPs, and what all views share.

Set-based and paged by id, so that a page stays what it is while rows come in. Handlers never ask here, and nothing here
locks or writes. The other views: `views_runs`, `views_sending`, `views_people`, `views_health`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sopd.store.counters import read_counters
from sopd.store.queries.pushes import FINAL
from sopd.store.transaction import Transaction


class Where:
    """Conditions of a SELECT, collected one by one; a None among the parameters leaves its condition out."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self.params: list[Any] = []

    def add(self, sql: str, *params: Any) -> Where:
        """One more condition, with `?` for each parameter."""
        if all(param is not None for param in params):
            self._parts.append(f"({sql})")
            self.params += params
        return self

    def among(self, column: str, values: Iterable[Any] | None) -> Where:
        """`column` is one of these texts or numbers; None for any."""
        if values is not None:
            listed = list(values)
            self._parts.append(f"({column} in ({', '.join('?' * len(listed))}))" if listed else "(1 = 0)")
            self.params += listed
        return self

    def __str__(self) -> str:
        return f" where {' and '.join(self._parts)}" if self._parts else ""


RUNS_OF_CUSTOMER = (
    "select x.id from enrollment x where x.sop_id in (select id from sop) and x.subject_id in"
    " (select r.id from relation r where r.customer_id = ? union all select cast(? as bigint)) and x.customer_id = ?"
)
"""Every run of one customer, open or ended, through the index on (SOP, subject): a subject is one of the customer's
relations, or the customer. Takes the customer's id three times."""


class SopSummary(NamedTuple):
    """One line of `sop list`. `open`, `ended`: runs inside, and those that are over."""

    id: int
    key: str
    title: str
    kind: str
    state: str
    version: int | None
    started_at: int | None
    open: int
    ended: int
    version_id: int | None
    paused_at: int | None
    ended_at: int | None


_SUMMARY = (
    "select s.id, s.key, s.title, s.kind, s.state, v.number, s.started_at,"
    " coalesce(r.inside, 0), coalesce(r.over_now, 0), s.version_id, s.paused_at, s.ended_at"
    " from sop s left join sop_version v on v.id = s.version_id"
    " left join (select sop_id, count(*) - count(closed_at) as inside, count(closed_at) as over_now"
    " from enrollment group by sop_id) r on r.sop_id = s.id"
)


def sops(tx: Transaction, states: Sequence[str] | None = None) -> list[SopSummary]:
    """Every SOP, by key."""
    where = Where().among("s.state", states)
    return [SopSummary(*row) for row in tx.rows(f"{_SUMMARY}{where} order by s.key", where.params)]


def sop(tx: Transaction, key: str) -> SopSummary | None:
    """One SOP by its key."""
    row = tx.one(f"{_SUMMARY} where s.key = ?", (key,))
    return None if row is None else SopSummary(*row)


def sop_keys(tx: Transaction) -> list[str]:
    """The keys of all SOPs."""
    return [row[0] for row in tx.rows("select key from sop order by key")]


class Version(NamedTuple):
    """One published version of a SOP. `open`: the runs inside it."""

    id: int
    number: int
    source_name: str
    created_at: int
    created_by: str
    open: int


def versions(tx: Transaction, sop_id: int) -> list[Version]:
    """Every version, the newest first."""
    rows = tx.rows(
        "select v.id, v.number, v.source_name, v.created_at, v.created_by,"
        " (select count(*) from enrollment e where e.sop_id = v.sop_id and e.version_id = v.id and e.closed_at is null)"
        " from sop_version v where v.sop_id = ? order by v.number desc",
        (sop_id,),
    )
    return [Version(*row) for row in rows]


class Published(NamedTuple):
    """A version as its file was written, and as it was compiled from (`stored` is its JSON object)."""

    id: int
    number: int
    source_name: str
    source: str
    stored: dict[str, Any]


def published(tx: Transaction, sop_id: int, number: int | None = None) -> Published | None:
    """A version of a SOP by its number; the one new entries get if None."""
    wanted = "v.number = ?" if number is not None else "v.id = (select version_id from sop where id = ?)"
    row = tx.one(
        "select v.id, v.number, v.source_name, v.source, v.program from sop_version v"
        f" where v.sop_id = ? and {wanted}",
        (sop_id, sop_id if number is None else number),
    )
    return None if row is None else Published(*row[:4], json.loads(row[4]))


def step_ids(tx: Transaction, version_ids: Iterable[int]) -> dict[int, tuple[str, ...]]:
    """The steps of versions, in firing order, by version."""
    given = tx.ids(sorted(set(version_ids)))
    rows = tx.rows(f"select id, program from sop_version where id in (select id from {given.sql} g)", given.params)
    return {row[0]: tuple(step["id"] for step in json.loads(row[1])["sop"]["steps"]) for row in rows}


def states_of_runs(tx: Transaction, sop_id: int, version_id: int | None = None) -> dict[str, int]:
    """How many runs are in each state, ended ones included; of one version or of all."""
    where = Where().add("sop_id = ?", sop_id).add("version_id = ?", version_id)
    return dict(tx.rows(f"select state, count(*) from enrollment{where} group by state", where.params))


def states_of_pushes(tx: Transaction, sop_id: int) -> dict[str, dict[str, int]]:
    """How many pushes are in each state, by step: the settled ones from counters, which outlive the rows."""
    counted: dict[str, dict[str, int]] = {}
    for key, n in read_counters(tx, f"sop/{sop_id}/push/").items():
        step_id, state = key.split("/")[3:5]
        if state in FINAL:
            states = counted.setdefault(step_id, {})
            states[state] = states.get(state, 0) + n
    for step_id, state, n in _open_pushes(tx, sop_id):
        states = counted.setdefault(step_id, {})
        states[state] = states.get(state, 0) + n
    return counted


OPEN_OF_SOP = (
    "select step_id, state, count(*) from push where sop_id = ? and settled_at is null group by step_id, state"
)


def _open_pushes(tx: Transaction, sop_id: int) -> list[tuple[str, str, int]]:
    """Unsettled pushes, and those of tasks that need an operator, which are settled for order alone (D20)."""
    doubted = tx.rows(
        "select p.step_id, p.state, count(*) from dispatch d join push p on p.dispatch_id = d.id"
        " where d.sop_id = ? and d.state = 'needs_operator' and p.settled_at is not null"
        f" and p.state not in {FINAL} group by p.step_id, p.state",
        (sop_id,),
    )
    return [*tx.rows(OPEN_OF_SOP, (sop_id,)), *doubted]


class Refused(NamedTuple):
    """How many were refused entry for one reason; who is counted in pruned rows alone has left no instants."""

    reason: str
    count: int
    first_at: int | None
    last_at: int | None


def refusals_of(tx: Transaction, sop_id: int) -> list[Refused]:
    """Why people were not let into a SOP, the most frequent reason first; those whose rows were pruned count too."""
    rows = tx.rows(
        "select reason, count(*), min(first_at), max(last_at) from refusal where sop_id = ? group by reason",
        (sop_id,),
    )
    found = {row[0]: Refused(*row) for row in rows}
    prefix = f"sop/{sop_id}/pruned/"
    for key, n in read_counters(tx, prefix).items():
        known = found.get(reason := key.removeprefix(prefix), Refused(reason, 0, None, None))
        found[reason] = known._replace(count=known.count + n)
    return sorted(found.values(), key=lambda one: (-one.count, one.reason))
