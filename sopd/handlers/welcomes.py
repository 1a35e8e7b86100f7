"""The welcome of an add: one code, 20 seconds, one SOP (SPEC 6, D21). A part of admission.

Of several SOPs that want the code the one with the highest priority gets it, then the lowest id. Without a living code,
and where the customer gets the same content through another member, the step is skipped. Sending it is an outbox row,
written with the run; the outbox loop does the rest.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

from machines import reasons
from sopd.handlers.app import App
from sopd.handlers.catalogue import RunningSop
from sopd.store import Transaction
from sopd.store.queries import claims
from sopd.store.tables import Outbox


class Begun(NamedTuple):
    """A relation that began, or began anew (D24), as admission needs it. Instants are milliseconds.

    cause: `added` (an event) or `reconciliation`. `welcome_code` comes with an add event only and lives until
    `welcome_until`. is_made: its row was written by this very transaction, so nothing hangs on it yet. able and tags as
    in `owners.Owner`, asked for only where it is made.
    """

    relation_id: int
    member_id: int
    customer_id: int
    userid: str
    began_at: int
    channel: str
    add_way: int
    cause: str
    welcome_code: str | None = None
    welcome_until: int | None = None
    is_made: bool = False
    able: bool = True
    tags: frozenset[str] = frozenset()


def decide(tx: Transaction, entering: Sequence[tuple[RunningSop, Begun]]) -> dict[tuple[int, int], str]:
    """By (SOP, relation), for those whose first step is a welcome: "" if it is sent, else why it is skipped.

    `entering` is ordered by the SOPs' priority, then the relations' age: the first that wants a code, or a claim (D5),
    gets it.
    """
    wanted = [(sop, one) for sop, one in entering if sop.program.steps[0].channel == "welcome"]
    keys = {_claim_key(sop, one) for sop, one in wanted if sop.program.once_per == "customer"}
    held = {key: claim.userid for key, claim in claims.held(tx, keys).items() if not claim.is_free}
    used: dict[int, str] = {}
    said: dict[tuple[int, int], str] = {}
    for sop, one in wanted:
        why = _same_content(held, sop, one) or _why_not(tx, one) or _used(used, one)
        said[sop.sop_id, one.relation_id] = why
        if not why:
            used[one.relation_id] = sop.key
            if sop.program.once_per == "customer":
                held[_claim_key(sop, one)] = one.userid
    return said


def _why_not(tx: Transaction, one: Begun) -> str:
    if one.welcome_code is None:
        return reasons.NO_WELCOME_CODE
    alive = one.welcome_until is None or tx.now < one.welcome_until
    return "" if alive else reasons.WELCOME_EXPIRED


def _same_content(held: dict[tuple[int, str, int], str], sop: RunningSop, one: Begun) -> str:
    via = held.get(_claim_key(sop, one)) if sop.program.once_per == "customer" else None
    return "" if via in (None, one.userid) else reasons.with_detail(reasons.SAME_CONTENT, via)


def _used(used: dict[int, str], one: Begun) -> str:
    by = used.get(one.relation_id)
    return "" if by is None else reasons.with_detail(reasons.WELCOME_USED_BY, by)


def _claim_key(sop: RunningSop, one: Begun) -> tuple[int, str, int]:
    return (sop.sop_id, sop.program.steps[0].id, one.customer_id)


def send(tx: Transaction, app: App, greeted: Sequence[tuple[int, RunningSop, Begun]]) -> None:
    """Write the outbox rows of these pushes, given with SOP and relation, and the claims they take."""
    if not greeted:
        return
    tx.insert(
        Outbox,
        [
            {
                "kind": "welcome", "key": f"welcome/{push_id}", "relation_id": one.relation_id,
                "push_id": push_id, "payload": _payload(sop, one), "fast": True, "act_at": tx.now,
                "give_up_at": one.welcome_until, "created_at": tx.now,
            }
            for push_id, sop, one in greeted
        ],
        returning=(),
    )  # fmt: skip
    claims.take(
        tx,
        [
            (*_claim_key(sop, one), push_id)
            for push_id, sop, one in greeted
            if sop.program.once_per == "customer"
        ],
    )
    tx.after_commit(lambda: app.ring("welcome"))


def _payload(sop: RunningSop, one: Begun) -> str:
    step = sop.program.steps[0]
    return json.dumps({"code": one.welcome_code, "version_id": sop.version_id, "step_id": step.id})
