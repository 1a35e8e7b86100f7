"""Who was not let in and why, written down: one row per SOP, subject and reason (SPEC 4). A part of `entries`."""

from __future__ import annotations

import json
from collections.abc import Sequence

from machines import reasons
from sopd.handlers.wishes import Judged, Wish
from sopd.store import Transaction
from sopd.store.queries import enrollments as queries
from sopd.store.queries.enrollments import Note


def refuse(tx: Transaction, refused: Sequence[Judged]) -> None:
    """Record the refusals; a chain that was cut is told in the journal of the run whose end led there."""
    rows = {}
    for one in refused:
        reason, detail = one.admission.reason, _detail(one.wish)
        for subject_id, customer_id, relation_id in _whom(one):
            rows[one.wish.sop_id, subject_id, reason] = {
                "sop_id": one.wish.sop_id, "subject_id": subject_id, "reason": reason, "customer_id": customer_id,
                "relation_id": relation_id, "detail": detail, "first_at": tx.now, "last_at": tx.now,
            }  # fmt: skip
    queries.refuse(tx, list(rows.values()))
    for sop_id, _, reason in rows:
        tx.count(f"sop/{sop_id}/refused/{reason}")
    _note_cut(tx, refused)


def _whom(one: Judged) -> list[tuple[int, int, int | None]]:
    """(subject, customer, relation) of all it is about."""
    relation_id = one.wish.relation_id if one.owner is None else one.owner.relation_id
    first = (one.subject_id, one.wish.customer_id, relation_id)
    return [first, *[(new.relation_id, new.customer_id, new.relation_id) for new in one.wish.alike]]


def _detail(wish: Wish) -> str:
    said = {"cause": wish.cause, "who": wish.who, "why": wish.why}
    return json.dumps({name: value for name, value in said.items() if value}, ensure_ascii=False)


def _note_cut(tx: Transaction, refused: Sequence[Judged]) -> None:
    """What was cut of a chain stands in the journal of the run whose end led there; a flow tells it by itself."""
    chained = (reasons.CHAIN_REPEATED, reasons.CHAIN_TOO_LONG)
    notes = [
        Note(one.wish.chain.run, "note", reason=one.admission.reason, detail=json.dumps({"sop": one.sop.key}))
        for one in refused
        if one.wish.gate == "own" and one.admission.reason in chained and one.wish.chain.run and one.sop
    ]
    queries.journal(tx, notes)
