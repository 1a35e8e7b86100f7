"""Statements about signals: what customers did and said, appended, handled in order, and asked for by rules.

Handlers write through here; the loaders of facts ask `events_since`, `replies_since` and `sent_steps`. A signal counts
as a fact only once it is handled: a customer's are judged one after another, in the order of their ids (SPEC 10).
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

from machines.facts import EventFact, attributes
from sopd.store.tables import Signal
from sopd.store.transaction import Transaction

EVENT, REPLY, MESSAGE = "event", "reply", "message"
"""Kinds of signals: something a customer did; something they wrote; something the member wrote to them."""

AHEAD = 4
"""A page looks at so many rows per signal that it takes, because it takes only one of each customer."""


class Fresh(NamedTuple):
    """A signal that rules have not seen yet. `properties` is a JSON object."""

    id: int
    kind: str
    name: str
    customer_id: int
    relation_id: int | None
    at: int
    properties: str
    text: str | None

    @property
    def fact(self) -> EventFact:
        """The event as rules see it."""
        return EventFact(self.name, self.at, attributes(json.loads(self.properties)))


# -- in --------------------------------------------------------------------------------------------------------------


def insert(tx: Transaction, rows: Sequence[dict[str, Any]]) -> set[str]:
    """Append signals, each ref once among `rows`; returns the refs that were not known yet."""
    return {row[0] for row in tx.insert(Signal, rows, returning=("ref",), on_conflict="(ref) do nothing")}


def next_of(tx: Transaction, refs: Iterable[str]) -> list[Fresh]:
    """Those of these signals that wait and are their customers' next: no earlier one waits before them."""
    given = tx.table({"ref": "text"}, [(ref,) for ref in sorted(set(refs))])
    rows = tx.rows(
        "select s.id, s.kind, s.name, s.customer_id, s.relation_id, s.at, s.properties, s.text from signal s"
        f" where s.ref in (select ref from {given.sql} g) and s.handled_at is null and not exists (select 1 from signal"
        " o where o.customer_id = s.customer_id and o.id < s.id and o.handled_at is null) order by s.id",
        given.params,
    )
    return [Fresh(*row) for row in rows]


def next_ids(tx: Transaction, limit: int) -> list[int]:
    """The oldest signal that waits of some customers, at most one of each, in order."""
    rows = tx.rows(
        "select id, customer_id from signal where handled_at is null order by id limit ?", (limit * AHEAD,)
    )
    first: dict[int, int] = {}
    for signal_id, customer_id in rows:
        first.setdefault(customer_id, signal_id)
    return list(first.values())[:limit]


def lock_fresh(tx: Transaction, ids: Iterable[int]) -> list[Fresh]:
    """Those of `ids` that wait still and that nobody else works on, locked, in order."""
    given = tx.ids(ids)
    rows = tx.rows(
        "select id, kind, name, customer_id, relation_id, at, properties, text from signal"
        f" where handled_at is null and id in (select id from {given.sql} g) order by id{tx.skip_locked}",
        given.params,
    )
    return [Fresh(*row) for row in rows]


def set_handled(tx: Transaction, ids: Iterable[int]) -> None:
    """From now on these signals are facts."""
    given = tx.ids(ids)
    tx.run(f"update signal set handled_at = ? where id in (select id from {given.sql} g)", (tx.now, *given.params))


def set_talked(tx: Transaction, talks: Sequence[tuple[int, int]]) -> None:
    """(relation, instant) of messages either side wrote; an older one changes nothing."""
    latest: dict[int, int] = {}
    for relation_id, at in talks:
        latest[relation_id] = max(at, latest.get(relation_id, at))
    if not latest:
        return
    given = tx.table({"id": "bigint", "at": "bigint"}, sorted(latest.items()))
    tx.run(
        f"update relation set last_talk_at = n.at from {given.sql} n where relation.id = n.id"
        " and (relation.last_talk_at is null or relation.last_talk_at < n.at)",
        given.params,
    )


# -- what rules ask --------------------------------------------------------------------------------------------------


class Since(NamedTuple):
    """Which signals count for somebody: those of the customer after this one and not before this instant.

    `ref_id` is what the answer is given by (an enrollment, a subject). relation_id: only replies on this relation.
    """

    ref_id: int
    customer_id: int
    after_signal: int
    since_at: int
    relation_id: int | None = None


_SINCE = {"ref_id": "bigint", "customer_id": "bigint", "after_signal": "bigint", "since_at": "bigint",
          "relation_id": "bigint"}  # fmt: skip
_COUNTS = "s.customer_id = w.customer_id and s.id > w.after_signal and s.at >= w.since_at and s.handled_at is not null"


def events_since(
    tx: Transaction, wanted: Sequence[Since], names: Collection[str]
) -> dict[int, tuple[EventFact, ...]]:
    """The events with one of these names that count, by `ref_id`, in order; who has none is not among them."""
    if not wanted or not names:
        return {}
    given, named = tx.table(_SINCE, wanted), tx.table({"name": "text"}, [(name,) for name in sorted(names)])
    rows = tx.rows(
        f"select w.ref_id, s.name, s.at, s.properties from {given.sql} w join signal s on {_COUNTS}"
        f" where s.kind = 'event' and s.name in (select name from {named.sql} g) order by s.id",
        (*given.params, *named.params),
    )
    found: defaultdict[int, list[EventFact]] = defaultdict(list)
    for ref_id, name, at, properties in rows:
        found[ref_id].append(EventFact(name, at, attributes(json.loads(properties))))
    return {ref_id: tuple(events) for ref_id, events in found.items()}


def replies_since(tx: Transaction, wanted: Sequence[Since]) -> dict[int, list[tuple[int, str]]]:
    """(instant, text) of the replies that count, by `ref_id`, as `machines.facts.answers` takes them."""
    if not wanted:
        return {}
    given = tx.table(_SINCE, wanted)
    rows = tx.rows(
        f"select w.ref_id, s.at, s.text from {given.sql} w join signal s on {_COUNTS}"
        " where s.kind = 'reply' and (w.relation_id is null or s.relation_id = w.relation_id) order by s.id",
        given.params,
    )
    found: defaultdict[int, list[tuple[int, str]]] = defaultdict(list)
    for ref_id, at, text in rows:
        found[ref_id].append((at, text or ""))
    return dict(found)


def sent_steps(tx: Transaction, run_ids: Iterable[int]) -> dict[int, dict[str, int]]:
    """When which step of these runs was sent, by run; a step that was not sent is not among them (D4)."""
    given = tx.ids(run_ids)
    rows = tx.rows(
        "select enrollment_id, step_id, sent_at from push where state = 'sent' and sent_at is not null"
        f" and enrollment_id in (select id from {given.sql} g)",
        given.params,
    )
    found: defaultdict[int, dict[str, int]] = defaultdict(dict)
    for run_id, step_id, sent_at in rows:
        found[run_id][step_id] = sent_at
    return dict(found)


def latest(tx: Transaction, customer_ids: Iterable[int]) -> dict[int, int]:
    """The last handled signal of each customer: what `enrollment.after_signal` holds at an entry that none caused."""
    given = tx.ids(customer_ids)
    rows = tx.rows(
        "select g.id, (select max(s.id) from signal s where s.customer_id = g.id and s.handled_at is not null)"
        f" from {given.sql} g",
        given.params,
    )
    return {customer_id: signal_id for customer_id, signal_id in rows if signal_id is not None}
