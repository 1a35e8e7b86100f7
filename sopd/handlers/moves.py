"""What runs become, written for whole groups: state, due instants, push rows, journal, tags of an end, counters.

A part for the handlers of enrollments, inside the caller's transaction. `machines.enrollment` has decided before.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from machines.effects import EnrollmentEffect, WriteTags
from machines.enrollment import ENDS
from machines.reasons import family
from sopd.handlers import pushes, tags
from sopd.handlers.app import App
from sopd.handlers.happened import Consequences
from sopd.store import Transaction
from sopd.store.queries import enrollments as queries
from sopd.store.queries.enrollments import NewPush, Note, Run, Written


@dataclass(frozen=True)
class Move:
    """One run and what becomes of it. `state` in an end closes it; `detail` goes into the journal."""

    run: Run
    kind: str
    state: str
    reason: str = ""
    due_at: int | None = None
    mass_at: int | None = None
    parked_at: int | None = None
    ended_by: str | None = None
    pushes: tuple[NewPush, ...] = ()
    effects: tuple[EnrollmentEffect, ...] = ()
    detail: dict[str, object] = field(default_factory=dict)

    @property
    def ends(self) -> bool:
        return self.state in ENDS


def write(tx: Transaction, app: App, moves: Sequence[Move]) -> Consequences:
    """Write decisions about locked runs, each at the revision it was made on; one that somebody moved is left out."""
    written = queries.write(tx, [_written(tx, move) for move in moves])
    moves = [move for move in moves if move.run.id in written]
    made = [push for move in moves for push in move.pushes]
    queries.insert_pushes(tx, made)
    queries.journal(tx, [_note(move) for move in moves])
    sop_of = {move.run.id: move.run.sop_id for move in moves}
    for push in made:
        pushes.count(tx, sop_of[push.enrollment_id], push.step_id, push.state, push.reason)
    for move in moves:
        if move.ends:
            tx.count(f"sop/{move.run.sop_id}/ended/{move.state}")
            if move.reason and family(move.reason) != move.state:
                tx.count(f"sop/{move.run.sop_id}/ended/{move.state}/{family(move.reason)}")
    if any(push.plan_at is not None for push in made):
        tx.after_commit(lambda: app.ring("plan"))
    return write_tags(tx, app, moves)


def write_tags(tx: Transaction, app: App, moves: Sequence[Move]) -> Consequences:
    """The tags of ends, on the owner's relation, here and in WeCom (SPEC 8); returns what changed by them."""
    wanted = [
        (move.run.id, (move.run.relation_id, effect.add, effect.remove))
        for move in moves
        for effect in move.effects
        if isinstance(effect, WriteTags)
    ]
    changed = Consequences()
    while wanted:
        # A write's key names its cause and its relation, so one call holds every relation once.
        turn: dict[int, tuple[int, tuple[int, tuple[str, ...], tuple[str, ...]]]] = {}
        for one in wanted:
            turn.setdefault(one[1][0], one)
        taken = {run_id for run_id, _ in turn.values()}
        wanted = [one for one in wanted if one[0] not in taken]
        changes = tags.write(tx, app, [change for _, change in turn.values()], f"end/{min(taken)}")
        changed += Consequences(tag_changes=tuple(changes))
    return changed


def _written(tx: Transaction, move: Move) -> Written:
    return Written(
        id=move.run.id,
        rev=move.run.rev,
        state=move.state,
        due_at=move.due_at,
        mass_at=move.mass_at,
        parked_at=move.parked_at,
        closed_at=tx.now if move.ends else None,
        reason=move.reason if move.ends else None,
        ended_by=move.ended_by,
    )


def _note(move: Move) -> Note:
    detail = json.dumps(move.detail, ensure_ascii=False) if move.detail else None
    return Note(move.run.id, move.kind, move.run.state, move.state, move.reason or None, detail)
