"""Runs that an operator ends by hand (SPEC 8, D22): the command around `enrollments.end`."""

from __future__ import annotations

import json
from dataclasses import dataclass

from machines.events import ManualEnd
from sopd.commands import EndEnrollments
from sopd.errors import NotFound, Refused
from sopd.handlers import enrollments, tag_library
from sopd.handlers.app import App
from sopd.handlers.consequences import follow
from sopd.store.queries import audit
from sopd.store.queries import enrollments as queries


@dataclass(frozen=True)
class Ended:
    """Ids of the runs that were ended now, and of those that had ended before."""

    ended: tuple[int, ...]
    before: tuple[int, ...]


def end_by_operator(app: App, command: EndEnrollments) -> Ended:
    """End open runs `manual_end`, with optional tags (names or ids) on the owner's relation.

    Raises NotFound if one of the runs does not exist and Refused for unknown tags; nothing is changed then.
    """
    wanted = tuple(dict.fromkeys(command.enrollment_ids))
    with app.store.transaction() as tx:
        tags = tag_library.resolve(tx, (*command.add_tags, *command.remove_tags))
        if tags.faults:
            raise Refused("; ".join(f"{name}: {fault}" for name, fault in tags.faults.items()))
        known = queries.existing(tx, wanted)
        strange = [str(one) for one in wanted if one not in known]
        if strange:
            raise NotFound(f"there is no enrollment {', '.join(strange)}", "`sopd enrollment list` shows them")
        ended = tuple(run.id for run in queries.lock(tx, wanted))
        event = ManualEnd(
            by=command.who,
            why=command.why,
            add_tags=tuple(tags.tag_ids[name] for name in command.add_tags),
            remove_tags=tuple(tags.tag_ids[name] for name in command.remove_tags),
        )
        follow(tx, app, enrollments.end(tx, app, ended, event, by=command.who))
        audit.write(tx, command.who, "enrollment end", ",".join(map(str, ended)), json.dumps({"why": command.why}))
        return Ended(ended, tuple(one for one in wanted if one not in ended))
