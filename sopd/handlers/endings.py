"""Runs that an operator ends by hand (SPEC 8, D22): the command around `enrollments.end`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from machines.events import ManualEnd
from sopd.commands import EndEnrollments
from sopd.errors import Refused, no_such
from sopd.handlers import enrollments, tag_library
from sopd.handlers.app import App
from sopd.handlers.consequences import follow
from sopd.store import Transaction
from sopd.store.queries import audit
from sopd.store.queries import enrollments as queries


@dataclass(frozen=True)
class Ended:
    """Ids of the runs that were ended now, and of those that had ended before."""

    ended: tuple[int, ...]
    before: tuple[int, ...]


@dataclass(frozen=True)
class EndTags:
    """Ids of the tags that an operator's end writes."""

    add: tuple[str, ...]
    remove: tuple[str, ...]


def resolve(tx: Transaction, add: Sequence[str], remove: Sequence[str]) -> EndTags:
    """Tags by name or id; Refused with every fault."""
    found = tag_library.resolve(tx, (*add, *remove))
    if found.faults:
        raise Refused("; ".join(f"{name}: {fault}" for name, fault in found.faults.items()))
    return EndTags(tuple(found.tag_ids[name] for name in add), tuple(found.tag_ids[name] for name in remove))


def meant(tx: Transaction, enrollment_ids: Iterable[int]) -> tuple[int, ...]:
    """These runs, open or not, each once. Raises NotFound if one of them does not exist."""
    wanted = tuple(dict.fromkeys(enrollment_ids))
    known = queries.existing(tx, wanted)
    if strange := [one for one in wanted if one not in known]:
        raise no_such("enrollment", *strange)
    return wanted


def end_by_operator(app: App, command: EndEnrollments) -> Ended:
    """End open runs `manual_end`, with optional tags (names or ids) on the owner's relation.

    Raises NotFound if one of the runs does not exist and Refused for unknown tags; nothing is changed then.
    """
    with app.store.transaction() as tx:
        tags = resolve(tx, command.add_tags, command.remove_tags)
        wanted = meant(tx, command.enrollment_ids)
        ended = tuple(run.id for run in queries.lock(tx, wanted))
        event = ManualEnd(
            by=command.who,
            why=command.why,
            add_tags=tags.add,
            remove_tags=tags.remove,
        )
        follow(tx, app, enrollments.end(tx, app, ended, event, by=command.who))
        audit.write(tx, command.who, "enrollment end", ",".join(map(str, ended)), json.dumps({"why": command.why}))
        return Ended(ended, tuple(one for one in wanted if one not in ended))
