"""Attributes of customers: typed values by name, ours and the CRM's, from ends, answers and imports (SPEC 3, 8).

A part: whoever has something to set calls `write` inside their own transaction and hands the returned news on. Only
what differs is written and told. A value is a text, a number, true or false; a date is the text 2026-12-24.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from machines.facts import Dependencies
from sopd.handlers.happened import OUTSIDE, Cause, News
from sopd.store import Transaction
from sopd.store.queries import attributes as queries

Plain = str | bool | int | float


class Change(NamedTuple):
    """What is to be set for one customer; None takes an attribute away. `cause` is the chain behind it."""

    customer_id: int
    values: Mapping[str, Plain | None]
    cause: Cause = OUTSIDE


def write(tx: Transaction, changes: Sequence[Change]) -> list[News]:
    """Set attributes; returns one piece of news for each customer of whom something is different now.

    Of several changes for one customer the later wins. Customers are locked by id; one that does not exist is left out.
    """
    if not changes:
        return []
    held = {one.id: one.attributes for one in queries.lock(tx, {change.customer_id for change in changes})}
    news: dict[int, News] = {}
    after: dict[int, dict[str, Plain]] = {}
    for change in changes:
        known = after.get(change.customer_id, held.get(change.customer_id))
        if known is None:
            continue
        wanted = {name: value for name, value in change.values.items() if not same(known.get(name), value)}
        if not wanted:
            continue
        merged = {**known, **wanted}
        after[change.customer_id] = {name: value for name, value in merged.items() if value is not None}
        news[change.customer_id] = _news(change, wanted, news.get(change.customer_id))
    queries.put(tx, [(key, json.dumps(values, ensure_ascii=False, sort_keys=True)) for key, values in after.items()])
    return list(news.values())


def same(known: Plain | None, value: Plain | None) -> bool:
    """Whether nothing would change: 1 and true are two values, although Python calls them equal."""
    return known == value and isinstance(known, bool) is isinstance(value, bool)


def _news(change: Change, wanted: Mapping[str, Plain | None], earlier: News | None) -> News:
    names = frozenset(wanted)
    touched = Dependencies(attributes=names)
    if earlier is not None:
        touched = touched | earlier.touched
    return News(
        change.customer_id, touched, f"attribute {', '.join(sorted(touched.attributes))}", cause=change.cause
    )
