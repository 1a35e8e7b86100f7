"""A large company at rest: thousands of old and of waiting rows in every table that grows, and nothing that is due.

Made by a statement a table, then ANALYZEd, so that a planner knows what it would know of a company of years. Everybody
is inside one SOP, whose key is KEY; ids begin at FIRST. `SMALL` says which tables do not grow, and why.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from machines.sop import Sop
from sopd.store import Store, Transaction, tables
from sopd.store.tables import TABLES, Row
from sopd.store.transaction import columns_of, quoted

FIRST = 10_001
MANY = 3_000
TIMES = 250
"""By so much larger SQLite believes the company to be."""
PAST = 1_771_500_000_000
"""2026-02-19: over, but too young to be pruned."""
FUTURE = 1_800_000_000_000
"""2027-01-15: what waits, waits until then."""

KEY = "old"
DEFINITION = {
    "sop": KEY, "title": KEY, "kind": "new_customer", "entry": {"when": {"source": ["old"]}},
    "steps": [{"id": "s", "by": "mass_send", "day": 1, "at": "10:00", "text": "s"},
              {"id": "t", "by": "mass_send", "day": 300, "at": "10:00", "text": "t"}],
}  # fmt: skip

_N = f"(n - {FIRST})"
_MEMBER = f"({FIRST} + n % 20 * 149)"
_LATER = f"{FUTURE} + n"
_NOTHING = "cast(null as bigint)"


def _quarter(*values: str) -> str:
    """One of four values by n."""
    whens = " ".join(f"when {at} then {value}" for at, value in enumerate(values))
    return f"case n % 4 {whens} end"


_WHO = {"customer_id": "n", "relation_id": "n", "member_id": _MEMBER}
_OF_SOP = {"sop_id": f"{FIRST}", "version_id": f"{FIRST}"}

ROWS: Mapping[str, Mapping[str, str]] = {
    "member": {"id": "n", "userid": "'old-' || n", "seen_at": f"{PAST}"},
    "customer": {
        "id": "n", "external_userid": "'wmOLD' || n", "unionid": "'u' || n", "crm_id": "'crm' || n",
        "phone_hash": "'p' || n", "seen_at": f"{PAST}",
    },
    "forgotten": {"hash": "'h' || n", "at": f"{PAST}"},
    "relation": {
        "id": "n", "member_id": _MEMBER, "customer_id": "n", "began_at": f"{PAST}", "learned_at": f"{PAST}",
        "state": "case when n % 5 = 0 then 'lost' else 'active' end", "channel": "'old'",
    },
    "relation_tag": {"relation_id": "n", "tag_id": "'old-' || (n % 50)", "since": f"{PAST}"},
    "audience_member": {"audience_id": "1 + n % 3", "customer_id": "n"},
    "signal": {
        "id": "n", "ref": "'old/' || n", "kind": "'event'", "name": "'order_paid'", "customer_id": "n",
        "relation_id": "n", "at": f"{PAST}", "received_at": f"{PAST}", "handled_at": f"{PAST}",
    },
    "enrollment": {
        "id": "n", **_OF_SOP, "subject_id": "n", **_WHO, "anchor_at": f"{PAST}", "entered_at": f"{PAST}",
        "cause": "'added'", "state": _quarter("'normal_end'", *["'enrolled'"] * 3),
        "due_at": _quarter(_NOTHING, *[_LATER] * 3), "mass_at": _quarter(_NOTHING, *[_LATER] * 3),
        "closed_at": _quarter(f"{PAST}", *[_NOTHING] * 3),
    },
    "flip": {"purpose": "'end'", "sop_id": f"{FIRST}", "ref_id": "n", "customer_id": "n", "at": _LATER},
    "journal": {"id": "n", "enrollment_id": "n", "at": f"{PAST}", "kind": "'entered'"},
    "refusal": {
        "sop_id": f"{FIRST}", "subject_id": "n", "reason": "'muted'", "customer_id": "n", "relation_id": "n",
        "first_at": f"{PAST}", "last_at": f"{PAST}",
    },
    "slot": {
        "id": "n", "member_id": _MEMBER, "opens_at": f"{PAST} + {_N} * 60000", "closes_at": f"{PAST} + {_N} * 60000",
    },
    "dispatch": {
        "id": "n", "member_id": _MEMBER, **_OF_SOP, "step_id": "'s'", "channel": "'mass_send'",
        "content_hash": "'h' || n", "send_at": f"{PAST}", "slot_at": f"{PAST}", "expires_at": _LATER,
        "state": _quarter("'settled'", "'planned'", "'requested'", "'handed'"),
        "act_at": _quarter(_NOTHING, *[_LATER] * 3), "nag_at": _quarter(_NOTHING, _NOTHING, _LATER, _NOTHING),
        "msgid": "case when n % 4 = 2 then 'old' || n end", "to_userid": "case when n % 4 = 3 then 'old-' || n end",
        "attempted_at": f"{PAST}", "settled_at": _quarter(f"{PAST}", *[_NOTHING] * 3),
    },
    "nag": {"id": "n", "dispatch_id": "n", "member_id": _MEMBER, "at": f"{PAST}", "state": "'done'"},
    "push": {
        "id": "n", "enrollment_id": "n", "step_id": "'s'", **_OF_SOP, **_WHO, "channel": "'mass_send'",
        "takes_quota": "true", "state": _quarter("'sent'", "'waiting'", "'planned'", "'requested'"),
        "due_at": f"{PAST}", "fired_at": f"{PAST}", "plan_at": _quarter(_NOTHING, _LATER, _NOTHING, _NOTHING),
        "dispatch_id": _quarter("n", _NOTHING, "n - 1", "n - 1"),
        "settled_at": _quarter(f"{PAST}", *[_NOTHING] * 3), "sent_at": _quarter(f"{PAST}", *[_NOTHING] * 3),
    },
    "claim": {"sop_id": f"{FIRST}", "step_id": "'s'", "customer_id": "n", "push_id": "n"},
    "reservation": {
        "customer_id": "n", "window": "'D2027-01-15'", "place": "1", "push_id": "n", "at": f"{PAST}",
    },
    "outside_send": {
        "msgid": "'other' || n", "create_type": "1", "created_at": f"{PAST}",
        "act_at": _quarter(_NOTHING, _LATER, _NOTHING, _NOTHING),
    },
    "inbox": {
        "id": "n", "fingerprint": "'old' || n", "received_at": f"{PAST}", "last_at": f"{PAST}", "event": "'old'",
        "external_userid": "'wmOLD' || n", "happened_at": f"{PAST}", "body": "'{}'", "state": "'done'",
        "handled_at": f"{PAST}",
    },
    "dirty": {
        "userid": "'old-' || (n % 20)", "external_userid": "'wmOLD' || n", "marked_at": f"{PAST}", "cause": "'edited'",
        "act_at": _LATER,
    },
    "outbox": {
        "id": "n", "kind": "'mark_tag'", "key": "'old/' || n", "relation_id": "n", "payload": "'{}'",
        "created_at": f"{PAST}", "state": _quarter(*["'done'"] * 3, "'pending'"),
        "act_at": _quarter(*[_NOTHING] * 3, _LATER), "done_at": f"{PAST}",
    },
    "job": {
        "id": "n", "kind": _quarter("'stop'", "'resume'", "'prune'", "'forget'"), "key": "'old-' || (n % 20)",
        "state": "'done'", "started_at": f"{PAST}", "ended_at": f"{PAST}",
    },
    "audit": {"id": "n", "at": f"{PAST}", "who": "'old'", "verb": "'sop stop'", "target": "'old-' || n"},
}  # fmt: skip
"""Of each table that grows: its columns as SQL of the row's number n."""

SMALL: Mapping[str, str] = {
    "clock": "one row, in rehearsals",
    "tag": "WeCom keeps the library below some thousand tags",
    "audience": "one row an imported list",
    "sop": "one row a definition, written by people",
    "sop_version": "one row a published definition",
    "wecom_window": "one row a path of WeCom's",
    "set_aside": "what failed alone and waits for a person",
    "counter": "one row a SOP, step and reason",
    "counter_delta": "folded at every tick",
    "token": "one row a system that calls the API",
}
"""Tables that do not grow with customers and time, and why."""


def fill(store: Store) -> None:
    """Put the company into a migrated database, and let the database look at it."""
    with store.transaction() as tx:
        tx.insert(tables.Sop, [{"id": FIRST, "key": KEY, "title": KEY, "kind": "new_customer", "state": "running",
                         "version_id": FIRST, "started_at": PAST, "created_at": PAST}])  # fmt: skip
        tx.insert(tables.SopVersion, [{"id": FIRST, "sop_id": FIRST, "number": 1, "source_name": "", "source": "",
                                "program": _program(), "created_at": PAST}])  # fmt: skip
        tx.insert(tables.Tag, [{"tag_id": f"gone-{n}", "name": f"{n}", "group_id": "gone", "group_name": "gone",
                         "deleted_at": PAST if n % 50 == 0 else None} for n in range(200)])  # fmt: skip
        for table in TABLES:
            name = table._meta.table_name
            if name in ROWS:
                _fill(tx, table, ROWS[name])
            if name != "clock" and "id" in columns_of(table) and store.dialect.name == "postgres":
                tx.rows(f"select setval(pg_get_serial_sequence('{name}', 'id'), coalesce(max(id), 1)) from {name}")
        tx.run("analyze")
        tx.run("delete from tag")  # an engine without tags reads WeCom's library
        if store.dialect.name == "sqlite":
            _magnify(tx)


def _program() -> str:
    return json.dumps({"sop": Sop.model_validate(DEFINITION).model_dump(mode="json"), "tag_ids": {}})


def _magnify(tx: Transaction) -> None:
    """Make SQLite believe in TIMES as many rows of each kind: it guesses 25 rows for a list of ids, however short."""
    for table, index, stat in tx.rows("select tbl, idx, stat from sqlite_stat1"):
        if table in ROWS:
            words = [str(int(word) * TIMES) if word.isdigit() and word != "1" else word for word in stat.split()]
            tx.run("update sqlite_stat1 set stat = ? where tbl = ? and idx is ?", (" ".join(words), table, index))


def _fill(tx: Transaction, table: type[Row], columns: Mapping[str, str]) -> None:
    unsaid = {
        field.column_name: _literal(field.default)
        for field in table._meta.sorted_fields
        if field.default is not None and field.column_name not in columns
    }
    said = {**columns, **unsaid}
    tx.run(
        "with recursive g(n) as (select cast(? as bigint) union all select n + 1 from g where n < ?)"
        f" insert into {table._meta.table_name} ({', '.join(map(quoted, said))}) select {', '.join(said.values())}"
        " from g",
        (FIRST, FIRST + MANY - 1),
    )


def _literal(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"'{value}'" if isinstance(value, str) else str(value)
