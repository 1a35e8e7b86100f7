"""Customers and their relations: losing one, 免打扰, tags by hand (SPEC 8, D22, D24).

`lost` is a part: it believes WeCom's word that a relation ended, as of the event's own instant; what that means to the
runs the relation carries is decided by `handovers`. `mute` and `tag` are an operator's commands. What WeCom shows of
relations is taken over by `observe`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from machines.calendar import SECOND_MS
from sopd.commands import MuteCustomers, TagRelation
from sopd.errors import NotFound, Refused, no_such
from sopd.handlers import contact_news, dispatches, forgotten, handovers, pushes, tag_library, tags
from sopd.handlers.app import App
from sopd.handlers.consequences import follow
from sopd.handlers.contact_news import Contact
from sopd.handlers.happened import NOTHING, Consequences
from sopd.handlers.observe_verdicts import RECONCILIATION
from sopd.store import Transaction
from sopd.store.queries import audit, inbox, people
from sopd.store.queries import enrollments as run_queries
from sopd.store.queries import members as member_queries
from sopd.store.queries.inbox import Mark
from sopd.store.queries.owners import Leaving
from sopd.store.queries.people import Known, Named, NewRelation


@dataclass(frozen=True)
class Loss:
    """WeCom says that a relation ended. by: member | customer | transfer; at: the event's CreateTime."""

    userid: str
    external_userid: str
    by: str
    at: int

    @property
    def pair(self) -> tuple[str, str]:
        """Which relation."""
        return self.userid, self.external_userid


def lost(tx: Transaction, app: App, losses: Sequence[Loss]) -> Consequences:
    """End relations by events; their open runs go on through others, wait for who takes over, or are lost (SPEC 8).

    An event older than the relation's beginning speaks of an earlier one and is ignored. One of the very same second is
    no proof either way: WeCom is asked. A relation that nobody knew is written as lost, so that a late reading that
    still shows it does not take it for new (D24).
    """
    latest = {one.pair: one for one in sorted(losses, key=lambda one: one.at)}
    if not latest:
        return NOTHING
    for pair in forgotten.losses(tx, list(latest)):
        del latest[pair]
    _bury_unknown(tx, list(latest.values()))
    known = people.lock_known_of(tx, latest)
    unclear = {pair for pair, row in known.items() if row.state != "lost" and _same_second(row, latest[pair])}
    inbox.mark(tx, [Mark(*pair, "edited") for pair in unclear])
    ended = [
        (row, row._replace(state="lost", lost_at=latest[pair].at, lost_by=latest[pair].by, missing_at=None))
        for pair, row in known.items()
        if pair not in unclear and _ends(row, latest[pair])
    ]
    people.write(tx, [after for _, after in ended])
    return leave(tx, app, [after for before, after in ended if before.state == "active"])


def _bury_unknown(tx: Transaction, losses: Sequence[Loss]) -> None:
    members = member_queries.member_ids(tx, {one.userid for one in losses})
    customers = people.customers(tx, [Named(one) for one in sorted({loss.external_userid for loss in losses})]).ids
    people.insert(
        tx,
        [
            NewRelation(
                members[one.userid], customers[one.external_userid], "lost", one.at, tx.now, lost_at=one.at,
                lost_by=one.by,
            )
            for one in losses
        ],
    )  # fmt: skip


def leave(tx: Transaction, app: App, over: Sequence[Known]) -> Consequences:
    """What the end of these relations, written just now, means to their runs and to rules.

    A relation among them may be active again already: it ended unseen and began anew.
    """
    if not over:
        return NOTHING
    leaving = [
        Leaving(one.id, one.customer_id, one.userid, one.lost_by or RECONCILIATION, one.lost_at or tx.now)
        for one in over
    ]
    happened = handovers.leave(tx, app, leaving)
    return happened + Consequences(
        news=contact_news.ended(tx, [Contact(one.id, one.customer_id, one.userid) for one in over])
    )


def _same_second(row: Known, loss: Loss) -> bool:
    """WeCom counts in whole seconds."""
    return row.began_at // SECOND_MS == loss.at // SECOND_MS


def _ends(row: Known, loss: Loss) -> bool:
    """Whether the event says anything new: of a relation that was only missed, it says when and by whom it ended."""
    if row.state != "lost":
        return loss.at > row.began_at
    only_missed = row.lost_by == RECONCILIATION and loss.at >= row.began_at
    return only_missed or (row.lost_at is not None and loss.at > row.lost_at)


# -- what an operator may ask for ------------------------------------------------------------------------------------


def mute(app: App, command: MuteCustomers) -> None:
    """免打扰 on or off. On: tasks that are out for the customers are stopped, as an early end would (D22).

    Runs stay open; planning skips their pushes as `muted`, and entry refuses. Raises NotFound, and then mutes nobody.
    """
    asked = list(dict.fromkeys(command.external_userids))
    with app.store.transaction() as tx:
        found = people.mute(tx, asked, tx.now if command.muted else None)
        if strange := [one for one in asked if one not in found]:
            raise no_such("customer", *strange)
        audit.write_each(tx, command.who, f"customer {'mute' if command.muted else 'unmute'}", asked)
        if command.muted:
            runs = run_queries.lock(tx, people.runs_of_customers(tx, found.values()))
            left = pushes.open_pushes(tx, [run.id for run in runs])
            out = [one.id for one in left if one.dispatch_id is not None and not pushes.is_ours(one)]
            dispatches.stop(tx, app, out, "end")


def tag(app: App, command: TagRelation) -> None:
    """Add and remove tags, given by name or id, on one relation, in WeCom too; runs react at once.

    Raises NotFound for a customer or relation nobody knows, Refused for a lost one and for tags that are not one of the
    library's; nothing is changed then.
    """
    with app.store.transaction() as tx:
        found = tag_library.resolve(tx, (*command.add, *command.remove))
        if found.faults:
            raise Refused("; ".join(found.faults.values()))
        relation = _relation(tx, command.external_userid, command.userid)
        detail = json.dumps({"add": command.add, "remove": command.remove}, ensure_ascii=False)
        target = f"{command.external_userid}@{command.userid}"
        audit_id = audit.write(tx, command.who, "customer tag", target, detail)
        add, remove = ([found.tag_ids[name] for name in names] for names in (command.add, command.remove))
        changes = tags.write(tx, app, [(relation.id, add, remove)], f"audit/{audit_id}")
        follow(tx, app, Consequences(tag_changes=tuple(changes)))


def _relation(tx: Transaction, external_userid: str, userid: str) -> Known:
    relation = people.lock_known(tx, [(userid, external_userid)]).get((userid, external_userid))
    if relation is None:
        raise NotFound(f"{external_userid} is no contact of {userid}", f"`sopd customer show {external_userid}`")
    if relation.state != "active":
        raise Refused(f"{external_userid} and {userid} are not in contact: {relation.state}", "tags need a contact")
    return relation
