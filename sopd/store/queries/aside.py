"""Rows that fail alone: taken out of the due work and listed, and put back among the due ones (SPEC 15.3)."""

from __future__ import annotations

from sopd.store.batch import put_aside
from sopd.store.transaction import Transaction

_OUT = {
    "enrollment": ("due_at", "due_at = null, rev = rev + 1", "id"),
    "push": ("plan_at", "plan_at = null", "id"),
    "dispatch": ("act_at", "act_at = null, lease_until = null", "id"),
    "outbox": ("act_at", "act_at = null, lease_until = null", "id"),
    "outside_send": ("act_at", "act_at = null", "msgid"),
}
"""By kind, which is the table: the due column, what makes the row not due any more, and the key."""

_BACK = {
    "enrollment": "update enrollment set due_at = ?, rev = rev + 1 where due_at is null and closed_at is null"
    " and cast(id as text) in ({keys})",
    "push": "update push set plan_at = ? where plan_at is null and settled_at is null and cast(id as text) in ({keys})",
    "dispatch": "update dispatch set act_at = ? where act_at is null and settled_at is null"
    " and cast(id as text) in ({keys})",
    "relation": "update relation set handover_until = ? where handover_until is null and state = 'lost'"
    " and cast(id as text) in ({keys})",
    "outbox": "update outbox set act_at = ? where act_at is null and done_at is null and cast(id as text) in ({keys})",
    "flip": "update flip set at = ? where at is null and purpose || '/' || sop_id || '/' || ref_id in ({keys})",
    "signal": "update signal set handled_at = null where cast(? as bigint) > 0 and cast(id as text) in ({keys})",
    "outside_send": "update outside_send set act_at = ? where act_at is null and msgid in ({keys})",
    # Of an initialisation that is long over: the sweep judges the customer anew, as of the day it does so.
    "initialise": "insert into flip (purpose, sop_id, ref_id, customer_id, at)"
    " select 'entry', s.id, c.id, c.id, cast(? as bigint) from set_aside a join sop s on a.row_key like s.key || '/%'"
    " join customer c on c.id = cast(substr(a.row_key, length(s.key) + 2) as bigint) where a.kind = 'initialise'"
    " and a.row_key in ({keys}) and s.state in ('initialising', 'running', 'paused')"
    " on conflict (purpose, sop_id, ref_id) do update set at = excluded.at",
    "dirty": "update dirty set act_at = ? where act_at is null and userid || '/' || external_userid in ({keys})",
}
"""By kind: the row is due now again, unless its story has ended meanwhile. Callbacks have a replay of their own."""


def take_out(tx: Transaction, kind: str, key: int | str, reason: str) -> None:
    """Let a row be due no more, and list it as set aside with what its due column held."""
    due, not_due, column = _OUT[kind]
    held = tx.value(f"select {due} from {kind} where {column} = ?", (key,))
    tx.run(f"update {kind} set {not_due} where {column} = ?", (key,))
    put_aside(tx, kind, str(key), reason, held)


def put_back(tx: Transaction) -> dict[str, int]:
    """Make every row that was set aside due now, and take it off the list; how many of each kind are due again."""
    due: dict[str, int] = {}
    for kind, sql in _BACK.items():
        listed = "select row_key from set_aside where kind = ?"
        count = tx.run(sql.format(keys=listed), (tx.now, kind))
        tx.run("delete from set_aside where kind = ?", (kind,))
        if count:
            due[kind] = count
    return due


def count(tx: Transaction) -> int:
    """How many rows are set aside now."""
    return int(tx.value("select count(*) from set_aside"))
