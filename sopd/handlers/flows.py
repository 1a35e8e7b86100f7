"""Runs that flow into another SOP (SPEC 4): through the flow gate, in the chain of the end they come from.

A part of `consequences.follow`. The source has ended whatever becomes of the flow; its journal says what did.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from machines import reasons
from sopd.handlers import entries
from sopd.handlers.app import App
from sopd.handlers.catalogue import Catalogue
from sopd.handlers.happened import NOTHING, Consequences, Flow
from sopd.handlers.wishes import Wish
from sopd.store import Transaction
from sopd.store.queries import enrollments as queries
from sopd.store.queries.enrollments import Note

FLOW = "flow"


def flow(tx: Transaction, app: App, flows: Sequence[Flow]) -> Consequences:
    """Let ended runs enter where they flow to; returns what follows."""
    if not flows:
        return NOTHING
    catalogue = app.programs.catalogue(tx, holding=True)
    shut = {one.target: why for one in flows if (why := closed(catalogue, one.target))}
    open_gates = [one for one in flows if one.target not in shut]
    results, happened = entries.enter(tx, app, [wish(catalogue, one) for one in open_gates], catalogue=catalogue)
    notes = [_note(one, result.enrollment_id, result.reason) for one, result in zip(open_gates, results, strict=True)]
    notes += [_note(one, None, shut[one.target]) for one in flows if one.target in shut]
    queries.journal(tx, notes)
    return happened


def closed(catalogue: Catalogue, target: str) -> str:
    """Why nobody at all flows there: no such SOP, or one that only lets in by its own kind; empty if somebody may."""
    sop_id = catalogue.id_of(target)
    if sop_id is None:
        return reasons.UNKNOWN_SOP
    return "" if catalogue.kinds[sop_id] == "nurture" else reasons.NOT_NURTURE


def wish(catalogue: Catalogue, one: Flow) -> Wish:
    """The flow at the gate of its target; the owner stays, if in scope there."""
    sop_id = catalogue.id_of(one.target)
    assert sop_id is not None  # the caller knows its kind
    cause = f"{FLOW}:{catalogue.keys[one.from_sop]}"
    return Wish(sop_id, one.customer_id, "flow", cause, relation_id=one.relation_id, chain=one.cause, who=one.who)


def _note(one: Flow, into: int | None, reason: str) -> Note:
    detail: dict[str, object] = {"flow": one.target}
    if into is not None:
        detail["into"] = into
    return Note(one.from_run, "note", reason=reason or None, detail=json.dumps(detail, ensure_ascii=False))
