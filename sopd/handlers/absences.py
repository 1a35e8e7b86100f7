"""Customers whom full reads did not show, too many at once to believe it: what an operator may decide (SPEC 15.1).

`accept` is a command, one batch a call. Without it they count as friends until a later read shows them again, or
until so few are missing that it is believed.
"""

from __future__ import annotations

import json

from sopd.commands import AcceptAbsences
from sopd.errors import Refused, no_such
from sopd.handlers import customers
from sopd.handlers.app import App
from sopd.handlers.consequences import follow
from sopd.handlers.observe_verdicts import RECONCILIATION
from sopd.store import Transaction
from sopd.store.queries import audit, members, people, reading_jobs

A_BATCH = 500


def count(tx: Transaction, userid: str) -> int:
    """How many of a member's customers are held. Raises NotFound for a member nobody knows, Refused if none is."""
    if not members.is_member(tx, userid):
        raise no_such("member", userid)
    held = people.count_missing(tx, userid, reading_jobs.reading_since(tx))
    if not held:
        raise Refused(f"nobody of {userid} is held as missing", "`sopd member list --held` shows of whom customers are")
    return held


def accept(app: App, command: AcceptAbsences) -> int:
    """End some of the held relations, as a reading would have; returns how many. 0: none is left.

    What a reading that is going on has just not seen is not among them: it may still be listed.
    """
    with app.store.transaction() as tx:
        since = reading_jobs.reading_since(tx)
        ids = [one.id for one in people.missing(tx, command.userid, before=since, limit=A_BATCH)]
        held = [one for one in people.lock_ids(tx, ids) if one.state == "active" and one.missing_at is not None]
        over = [
            one._replace(state="lost", lost_at=tx.now, lost_by=RECONCILIATION, missing_at=None)
            for one in held
        ]
        people.write(tx, over)
        if over:
            audit.write(tx, command.who, "member accept", command.userid, json.dumps({"lost": len(over)}))
        follow(tx, app, customers.leave(tx, app, over))
        return len(over)
