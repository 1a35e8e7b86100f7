"""Attributes and identities that a CRM knows of customers, taken over by batches; only what differs is news (SPEC 10).

`resolve` looks at everything before anything is written; `take` writes one batch in one transaction. Called by the CLI.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sopd.handlers import attributes, identities
from sopd.handlers.app import App
from sopd.handlers.attributes import Change
from sopd.handlers.consequences import follow
from sopd.handlers.happened import Consequences
from sopd.incoming.identities import Identity
from sopd.incoming.people import Person
from sopd.incoming.shapes import Plain
from sopd.store import Transaction
from sopd.store.queries import attributes as queries

BATCH = 500


class Known(NamedTuple):
    """A line whose customer is known: what to set (None takes an attribute away), and what else they are called."""

    line: int
    customer_id: int
    values: Mapping[str, Plain | None]
    learned: tuple[Identity, ...]


class Resolved(NamedTuple):
    """`unknown` lines name nobody that is known; `faults` contradict themselves or what is known. (line, sentence)"""

    known: list[Known]
    unknown: list[tuple[int, str]]
    faults: list[tuple[int, str]]


def resolve(tx: Transaction, people: Sequence[Person], *, clear: bool = False, place: str = "line") -> Resolved:
    """Who is meant by each line. `clear`: an empty field takes the attribute away, else it says nothing.

    `place`: what a line is called in a fault.
    """
    asked = {one for person in people for one in (person.who, *person.learned)}
    found = identities.find(tx, asked)
    resolved = Resolved([], [], [])
    line_of: dict[int, int] = {}
    taught: dict[Identity, int] = {}
    for person in people:
        customer = found[person.who]
        if isinstance(customer, str):
            resolved.unknown.append((person.line, customer))
            continue
        first = line_of.setdefault(customer, person.line)
        if first != person.line:
            resolved.faults.append((person.line, f"{person.who} is the customer of {place} {first} too"))
            continue
        fault = next((text for one in person.learned if (text := _taken(one, customer, found, taught))), None)
        if fault is not None:
            resolved.faults.append((person.line, fault))
            continue
        taught |= dict.fromkeys(person.learned, customer)
        values = {name: value for name, value in person.values.items() if clear or value is not None}
        resolved.known.append(Known(person.line, customer, values, person.learned))
    return resolved


def _taken(
    one: Identity, customer: int, found: Mapping[Identity, int | str], taught: Mapping[Identity, int]
) -> str | None:
    """Why this customer cannot be called so. A phone may be several customers', a CRM id only one's."""
    if one.kind != "crm_id":
        return None
    owner = taught.get(one, found[one])
    return f"{one} is another customer's" if isinstance(owner, int) and owner != customer else None


def take(app: App, batch: Sequence[Known]) -> int:
    """Write one batch and let rules react; returns of how many customers something was different."""
    with app.store.transaction() as tx:
        news = attributes.write(tx, [Change(one.customer_id, one.values) for one in batch])
        learned = queries.teach(tx, [(one.customer_id, *_columns(one.learned)) for one in batch if one.learned])
        follow(tx, app, Consequences(news=tuple(news)))
        return len({one.customer_id for one in news} | learned)


def _columns(learned: Sequence[Identity]) -> tuple[str | None, str | None]:
    by_kind = {one.kind: one.value for one in learned}
    return by_kind.get("crm_id"), by_kind.get("phone_hash")
