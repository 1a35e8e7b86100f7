"""Statements about SOPs and their versions. Called by handlers only."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from sopd.store.tables import Sop, SopVersion
from sopd.store.transaction import Transaction


class SopRow(NamedTuple):
    """A SOP as a command needs it."""

    id: int
    key: str
    title: str
    kind: str
    state: str
    version_id: int | None
    started_at: int | None


_ROW = "id, key, title, kind, state, version_id, started_at"


def states(tx: Transaction) -> dict[int, str]:
    """The state of every SOP; there are few. Nobody starts, pauses, resumes or stops one until this is committed.

    Without that, a row could be parked for a pause that is over, and nobody would come for it.
    """
    sharing = "" if tx.dialect.one_writer else " for share"
    return dict(tx.rows(f"select id, state from sop order by id{sharing}"))


def lock(tx: Transaction, key: str) -> SopRow | None:
    """The SOP of this key, locked; None if there is none."""
    row = tx.one(f"select {_ROW} from sop where key = ?{tx.for_update('sop')}", (key,))
    return None if row is None else SopRow(*row)


def by_key(tx: Transaction, key: str) -> SopRow | None:
    """The SOP of this key, not locked."""
    row = tx.one(f"select {_ROW} from sop where key = ?", (key,))
    return None if row is None else SopRow(*row)


def add(tx: Transaction, key: str, title: str, kind: str) -> SopRow:
    """A new draft."""
    row = {"key": key, "title": title, "kind": kind, "state": "draft", "created_at": tx.now}
    names = tuple(name.strip() for name in _ROW.split(","))
    return SopRow(*tx.insert(Sop, [row], returning=names)[0])


class VersionRow(NamedTuple):
    """A published version; `program` is the JSON of the definition with its tag ids."""

    id: int
    number: int
    source_name: str
    source: str
    program: str


_VERSION = "id, number, source_name, source, program"


def version(tx: Transaction, version_id: int) -> VersionRow:
    """A version that exists."""
    row = tx.one(f"select {_VERSION} from sop_version where id = ?", (version_id,))
    assert row is not None  # versions are never deleted
    return VersionRow(*row)


def add_version(tx: Transaction, sop: SopRow, name: str, source: str, program: str, who: str) -> VersionRow:
    """The next version of a locked SOP."""
    number = 1 + (tx.value("select max(number) from sop_version where sop_id = ?", (sop.id,)) or 0)
    row = {
        "sop_id": sop.id, "number": number, "source_name": name, "source": source, "program": program,
        "created_at": tx.now, "created_by": who,
    }  # fmt: skip
    return VersionRow(*tx.insert(SopVersion, [row], returning=tuple(_VERSION.split(", ")))[0])


def use_version(tx: Transaction, sop_id: int, version_id: int, title: str) -> None:
    """New entries get this version from now on."""
    tx.run("update sop set version_id = ?, title = ? where id = ?", (version_id, title, sop_id))


def set_state(tx: Transaction, sop_id: int, state: str, column: str | None = None) -> None:
    """Write a SOP's state; `column` (started_at, paused_at, ended_at) gets this instant. Running is never paused."""
    columns = {"started_at", "paused_at", "ended_at"}
    if column is not None and column not in columns:
        raise ValueError(f"{column} is none of {sorted(columns)}")
    also = "" if column is None else f", {column} = {tx.now}"
    also += ", paused_at = null" if state == "running" else ""
    tx.run(f"update sop set state = ?{also} where id = ?", (state, sop_id))


# -- pause, resume, stop -----------------------------------------------------------------------------------------------

UNCONFIRMED = (
    "sending", "uncertain", "requested", "stopping", "cancelling", "rereading", "handing", "unsure", "handed"
)  # fmt: skip
"""Tasks and cards that may be out in WeCom and that nobody is known to have confirmed."""


class Inside(NamedTuple):
    """What is going on in a SOP."""

    runs: int
    tasks: int
    pushes_in_tasks: int
    pushes_waiting: int


def inside(tx: Transaction, sop_id: int) -> Inside:
    """Counts for people, before they pause, resume or stop."""
    states = ", ".join(f"'{state}'" for state in ("planned", *UNCONFIRMED))
    row = tx.one(
        "select (select count(*) from enrollment where sop_id = ? and closed_at is null),"
        f" (select count(*) from dispatch where sop_id = ? and state in ({states})),"
        " (select count(*) from push p join dispatch d on d.id = p.dispatch_id where d.sop_id = ?"
        f" and d.state in ({states}) and p.settled_at is null),"
        " (select count(*) from push where sop_id = ? and settled_at is null and state in ('due', 'waiting'))",
        (sop_id, sop_id, sop_id, sop_id),
    )
    return Inside(*(row or (0, 0, 0, 0)))


def pushes_in_tasks(tx: Transaction, sop_id: int, states: Iterable[str]) -> list[int]:
    """The unsettled pushes in the SOP's tasks of these states."""
    named = ", ".join(f"'{state}'" for state in states)
    rows = tx.rows(
        # CROSS: SQLite keeps this order, and would else read every push to have them in the order of their ids.
        f"select p.id from dispatch d cross join push p where d.sop_id = ? and d.state in ({named})"
        " and p.dispatch_id = d.id and p.settled_at is null",
        (sop_id,),
    )
    return sorted(row[0] for row in rows)


def park_pushes(tx: Transaction, sop_id: int) -> None:
    """At `resume`: whatever still waits to be planned joins those that were parked."""
    tx.run(
        "update push set plan_at = null where sop_id = ? and plan_at is not null and settled_at is null"
        " and state in ('due', 'waiting')",
        (sop_id,),
    )


def parked_pushes(tx: Transaction, sop_id: int, until: int, limit: int) -> list[int]:
    """Pushes of the SOP that fired until then and wait to be planned, without an instant for it."""
    rows = tx.rows(
        "select id from push where sop_id = ? and plan_at is null and state in ('due','waiting') and fired_at <= ?"
        " and settled_at is null order by id limit ?",
        (sop_id, until, limit),
    )
    return [row[0] for row in rows]
