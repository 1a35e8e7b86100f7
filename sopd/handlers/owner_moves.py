"""Runs that another relation carries on (SPEC 4, 8): what was not asked for goes along, open tasks stay where they are.

A part, inside the caller's transaction, for whole groups of locked runs; `handovers` has decided. A push that nobody
was asked for leaves its planned task and is planned anew through the new owner; what a member has in hand ends by
WeCom's result (D22).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from machines.events import PushDelayed
from machines.push import PushFacts
from machines.reasons import HANDED_OVER, OWNER_MOVED, with_detail
from sopd.handlers import planning, pushes
from sopd.handlers.app import App
from sopd.handlers.happened import NOTHING, Consequences
from sopd.handlers.owners import Owner
from sopd.store import Transaction
from sopd.store.queries import enrollments as run_queries
from sopd.store.queries import owners as queries
from sopd.store.queries.enrollments import Note, OpenPush, Run
from sopd.store.queries.owners import Bound


class Moving(NamedTuple):
    """An open run, and the relation that carries it on. `was`: the userid that acted until now.

    run_no: its number among the runs of its new subject, None if its subject is the customer and stays.
    """

    run: Run
    was: str
    to: Owner
    run_no: int | None


def write(tx: Transaction, app: App, moving: Sequence[Moving]) -> Consequences:
    """Give these runs to their new owners, and with them the pushes that are in no member's hands."""
    moving = [one for one in moving if one.run.relation_id != one.to.relation_id]
    if not moving:
        return NOTHING
    ids = [one.run.id for one in moving]
    planned = _planned(tx, ids)
    queries.bind(tx, [_bound(one) for one in moving])
    run_queries.journal(tx, [Note(one.run.id, "note", reason=_said(one)) for one in moving])
    happened = planning.back(tx, app, [one.id for one in planned], OWNER_MOVED) if planned else NOTHING
    if queries.bind_pushes(tx, ids, HANDED_OVER):
        tx.after_commit(lambda: app.ring("plan"))
    return happened


def hold(tx: Transaction, runs: Sequence[Run], until: dict[int, int]) -> Consequences:
    """Let these runs wait for whoever takes over, `until` an instant by relation; planned tasks go without them."""
    if not runs:
        return NOTHING
    ends = {run.id: until[run.relation_id] for run in runs}
    run_queries.journal(tx, [Note(run.id, "note", reason=HANDED_OVER) for run in runs])
    told = []
    for one in _planned(tx, list(ends)):
        event = PushDelayed(HANDED_OVER, ends[one.enrollment_id])
        decision = pushes.decide(one.state, event, PushFacts(task="none"))
        told.append(pushes.Told(one, decision, plan_at=decision.until))
    return pushes.tell(tx, told)


def _planned(tx: Transaction, run_ids: Sequence[int]) -> list[OpenPush]:
    """The pushes of these runs that are in tasks nobody was asked for yet."""
    return [one for one in pushes.open_pushes(tx, run_ids) if one.dispatch_id is not None and pushes.is_ours(one)]


def _bound(one: Moving) -> Bound:
    subject_id = one.run.subject_id if one.run_no is None else one.to.relation_id
    return Bound(one.run.id, one.to.member_id, one.to.relation_id, subject_id, one.run_no)


def _said(one: Moving) -> str:
    return with_detail(OWNER_MOVED, f"{one.was} -> {one.to.userid}")
