"""Audiences (人群包): imported lists of customers that rules ask for. Only who joined or left is news (SPEC 3, 4, 10).

Commands of the CLI and the API. `begin` compares a list with what is there; `join` and `leave` write one batch in one
transaction each and let rules react. Leaving an audience ends nothing by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from machines.facts import Dependencies
from sopd.commands import ImportAudience
from sopd.errors import Refused
from sopd.handlers.app import App
from sopd.handlers.consequences import follow
from sopd.handlers.happened import Consequences, News
from sopd.incoming.shapes import AUDIENCE
from sopd.store.queries import audiences as queries
from sopd.store.queries import audit

BATCH = 500


class Differences(NamedTuple):
    """Who is to join and who to leave, by customer id; `stay` is how many do neither."""

    audience_id: int
    name: str
    join: list[int]
    leave: list[int]
    stay: int


def begin(app: App, command: ImportAudience, customer_ids: Iterable[int]) -> Differences:
    """Make the audience if it is new, and say what the list changes. Nobody has joined or left after that."""
    if not AUDIENCE.fullmatch(command.name):
        hint = "small letters, digits, - and _, at most 64, as rules write it"
        raise Refused(f'"{command.name}" is no name of an audience', hint)
    wanted = set(customer_ids)
    with app.store.transaction() as tx:
        audience_id = queries.ensure(tx, command.name)
        held = queries.member_ids(tx, audience_id)
        join, leave = sorted(wanted - held), [] if command.keep else sorted(held - wanted)
        detail = f'{{"join": {len(join)}, "leave": {len(leave)}}}'
        audit.write(tx, command.who, "audience import", command.name, detail)
    return Differences(audience_id, command.name, join, leave, len(held) - len(leave))


def join(app: App, to: Differences, customer_ids: Sequence[int]) -> int:
    """Let these join; returns how many did, for somebody may have been quicker."""
    with app.store.transaction() as tx:
        moved = queries.join(tx, to.audience_id, customer_ids)
        follow(tx, app, _news(to.name, moved, "joined"))
    return len(moved)


def leave(app: App, to: Differences, customer_ids: Sequence[int]) -> int:
    """Let these leave; returns how many did."""
    with app.store.transaction() as tx:
        moved = queries.leave(tx, to.audience_id, customer_ids)
        follow(tx, app, _news(to.name, moved, "left"))
    return len(moved)


def _news(name: str, customer_ids: Iterable[int], verb: str) -> Consequences:
    touched = Dependencies(audiences=frozenset((name,)))
    return Consequences(news=tuple(News(one, touched, f"{verb} audience {name}") for one in sorted(customer_ids)))
