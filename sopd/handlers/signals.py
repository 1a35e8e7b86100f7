"""Signals: what customers do and say, taken in by batches and told to rules in the order of each customer (SPEC 4, 10).

Commands. `take_events` and `take_messages` are called by every face that brings some; `digest` by its loop, one page at
a time, at most one signal of each customer a page. A signal is a fact for rules once it is handled, so what two signals
of one customer cause never mixes. A row that cannot be handled is set aside; the rest goes on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from machines.calendar import MINUTE_MS
from machines.facts import Dependencies
from sopd.handlers import identities, replies
from sopd.handlers.app import App
from sopd.handlers.consequences import follow
from sopd.handlers.happened import Consequences, News
from sopd.incoming.conversation import Message
from sopd.incoming.events import EventIn
from sopd.store import Transaction
from sopd.store.batch import in_halves, put_aside
from sopd.store.queries import people
from sopd.store.queries import signals as queries
from sopd.store.queries.people import Known, Pair
from sopd.store.queries.signals import EVENT, MESSAGE, REPLY, Fresh

PAGE = 500

AHEAD_MS = 5 * MINUTE_MS
"""So far may a sender's clock be ahead of the database's."""

IN_FUTURE = "lies in the future"

Row = dict[str, Any]


@dataclass(frozen=True)
class Receipt:
    """What became of a batch: how many were new, how many had been taken before, and who was refused by index."""

    accepted: int
    repeated: int
    refused: tuple[tuple[int, str], ...]


# -- in --------------------------------------------------------------------------------------------------------------


def take_events(app: App, events: Sequence[tuple[int, EventIn]]) -> Receipt:
    """Write behaviour events, given with their index; those of unknown customers are refused, the others stay."""
    with app.store.transaction() as tx:
        return _keep(tx, app, _event_rows(tx, events))


def take_messages(app: App, messages: Sequence[tuple[int, Message]]) -> Receipt:
    """Write messages between members and customers; those of people without a contact are refused."""
    with app.store.transaction() as tx:
        return _keep(tx, app, _message_rows(tx, messages))


def refused_events(tx: Transaction, events: Sequence[tuple[int, EventIn]]) -> list[tuple[int, str]]:
    """Which of them would be refused, and why; nothing is written."""
    return [(index, row) for index, row in _event_rows(tx, events) if isinstance(row, str)]


def refused_messages(tx: Transaction, messages: Sequence[tuple[int, Message]]) -> list[tuple[int, str]]:
    """Which of them would be refused, and why; nothing is written."""
    return [(index, row) for index, row in _message_rows(tx, messages) if isinstance(row, str)]


def _keep(tx: Transaction, app: App, rows: Sequence[tuple[int, Row | str]]) -> Receipt:
    refused = tuple((index, row) for index, row in rows if isinstance(row, str))
    taken = [row for _, row in rows if not isinstance(row, str)]
    fresh = queries.insert(tx, list({row["ref"]: row for row in reversed(taken)}.values())[::-1])
    if fresh:
        tx.after_commit(partial(app.ring, "signals"))
    return Receipt(len(fresh), len(taken) - len(fresh), refused)


def _event_rows(tx: Transaction, events: Sequence[tuple[int, EventIn]]) -> list[tuple[int, Row | str]]:
    known = identities.find(tx, {event.customer for _, event in events})
    return [(index, _event_row(tx.now, event, known[event.customer])) for index, event in events]


def _event_row(now: int, event: EventIn, customer: int | str) -> Row | str:
    if isinstance(customer, str):
        return customer
    at = now if event.at is None else event.at
    if at > now + AHEAD_MS:
        return f"at: {IN_FUTURE}"
    return {
        "ref": f"event/{event.ref}", "kind": EVENT, "name": event.name, "customer_id": customer, "at": at,
        "properties": json.dumps(event.properties, ensure_ascii=False, sort_keys=True), "received_at": now,
    }  # fmt: skip


def _message_rows(tx: Transaction, messages: Sequence[tuple[int, Message]]) -> list[tuple[int, Row | str]]:
    pairs = {pair for _, one in messages for pair in ((one.receiver, one.sender), (one.sender, one.receiver))}
    known = people.known(tx, pairs)
    return [(index, _message_row(tx.now, message, known)) for index, message in messages]


def _message_row(now: int, message: Message, known: Mapping[Pair, Known]) -> Row | str:
    said, told = known.get((message.receiver, message.sender)), known.get((message.sender, message.receiver))
    relation = said or told
    if relation is None:
        return f"{message.sender} and {message.receiver} are no contact that is known"
    at = now if message.at is None else message.at
    if at > now + AHEAD_MS:
        return f"at: {IN_FUTURE}"
    return {
        "ref": f"message/{message.ref}", "kind": MESSAGE if said is None else REPLY, "relation_id": relation.id,
        "customer_id": relation.customer_id, "at": at, "text": message.text if said is not None else None,
        "received_at": now,
    }  # fmt: skip


# -- what follows ----------------------------------------------------------------------------------------------------


def digest(app: App) -> int:
    """Let rules see one page of signals; returns how many were looked at."""
    with app.store.reading() as tx:
        ids = queries.next_ids(tx, PAGE)
    done = in_halves(ids, partial(_digest, app), partial(_set_aside, app))
    return sum(done.results) + len(done.aside)


def _digest(app: App, ids: Sequence[int]) -> int:
    """Locks as everywhere: customers and relations in `replies`, then runs in what follows."""
    with app.store.transaction() as tx:
        fresh = queries.lock_fresh(tx, ids)
        queries.set_handled(tx, [one.id for one in fresh])
        happened = replies.heard(tx, app, [one for one in fresh if one.kind != EVENT])
        news = tuple(_news(one) for one in fresh)
        follow(tx, app, Consequences(news=news) + happened)
    return len(fresh)


def _news(one: Fresh) -> News:
    if one.kind == EVENT:
        touched = Dependencies(events=frozenset((one.name,)))
        return News(one.customer_id, touched, f"event {one.name}", event=one.fact, signal_id=one.id)
    if one.kind == REPLY:
        touched, text = Dependencies(asked=frozenset((None,)), talk=True), "a reply"
    else:
        touched, text = Dependencies(talk=True), "a message of the member"
    return News(one.customer_id, touched, text, relation_id=one.relation_id, signal_id=one.id)


def _set_aside(app: App, signal_id: int, reason: str) -> None:
    with app.store.transaction() as tx:
        queries.set_handled(tx, [signal_id])
        put_aside(tx, "signal", str(signal_id), reason, tx.now)
