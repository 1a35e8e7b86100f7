"""What runs become, written for whole groups: state, due instants, push rows, journal, counters, what an end writes.

A part for the handlers of enrollments, inside the caller's transaction. `machines.enrollment` has decided before.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple, TypeVar

from machines.effects import EnrollmentEffect, FlowTo, SetAttributes, WriteTags
from machines.enrollment import ENDS
from machines.reasons import family
from sopd.handlers import attributes, pushes, tags
from sopd.handlers.app import App
from sopd.handlers.attributes import Change
from sopd.handlers.happened import NOTHING, Cause, Consequences, Flow, Left
from sopd.handlers.tags import TagChange
from sopd.store import Transaction
from sopd.store.queries import enrollments as queries
from sopd.store.queries import flips
from sopd.store.queries.enrollments import NewPush, Note, Run, Written
from sopd.store.queries.flips import FlipKey

E = TypeVar("E")


class Move(NamedTuple):
    """One run and what becomes of it. `state` in an end closes it; `detail` goes into the journal.

    `cause`: of what its end writes; None: the clock's, one hop further in the run's own chain.
    """

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
    detail: Mapping[str, object] = MappingProxyType({})
    cause: Cause | None = None

    @property
    def ends(self) -> bool:
        return self.state in ENDS

    def of(self, run: Run) -> Move:
        """The same for a run that is alike."""
        return self._replace(run=run, pushes=tuple([one._replace(enrollment_id=run.id) for one in self.pushes]))


def write(tx: Transaction, app: App, moves: Sequence[Move]) -> Consequences:
    """Write decisions about locked runs, each at the revision it was made on; one that somebody moved is left out."""
    written = queries.write(tx, [_written(tx, move) for move in moves])
    moves = [move for move in moves if move.run.id in written]
    made = [push for move in moves for push in move.pushes]
    queries.insert_pushes(tx, made)
    queries.journal(tx, [_note(move) for move in moves])
    _count(tx, moves)
    if any(push.plan_at is not None for push in made):
        tx.after_commit(lambda: app.ring("plan"))
    ended = [move for move in moves if move.ends]
    return _follow_up(tx, app, ended) if ended else NOTHING


def _count(tx: Transaction, moves: Sequence[Move]) -> None:
    made = Counter(
        (move.run.sop_id, push.step_id, push.state, push.reason) for move in moves for push in move.pushes
    )
    for (sop_id, step_id, state, reason), n in made.items():
        pushes.count(tx, sop_id, step_id, state, reason, n)
    ended = Counter((move.run.sop_id, move.state, move.reason) for move in moves if move.ends)
    for (sop_id, state, reason), n in ended.items():
        tx.count(f"sop/{sop_id}/ended/{state}", n)
        if reason and family(reason) != state:
            tx.count(f"sop/{sop_id}/ended/{state}/{family(reason)}", n)


# -- what ends write ---------------------------------------------------------------------------------------------------


def _follow_up(tx: Transaction, app: App, ended: Sequence[Move]) -> Consequences:
    """Attributes, tags and flows of ends (SPEC 8). Customers are locked before relations."""
    causes = {move.run.id: _cause(move) for move in ended}
    news = attributes.write(
        tx,
        [
            Change(move.run.customer_id, dict(effect.values), causes[move.run.id])
            for move, effect in _effects(ended, SetAttributes)
        ],
    )
    tag_changes = _write_tags(tx, app, ended, causes)
    _forget_flips(tx, app, ended)
    return Consequences(
        news=tuple(news),
        tag_changes=tag_changes,
        flows=tuple(
            Flow(
                move.run.id, move.run.sop_id, effect.sop, move.run.customer_id, move.run.relation_id,
                move.run.member_id, causes[move.run.id], move.ended_by or "",
            )
            for move, effect in _effects(ended, FlowTo)
        ),
        left=tuple(
            Left(move.run.id, move.run.sop_id, move.run.subject_id, move.run.customer_id, causes[move.run.id])
            for move in ended
        ),
    )  # fmt: skip


def _effects(moves: Sequence[Move], kind: type[E]) -> list[tuple[Move, E]]:
    return [(move, effect) for move in moves for effect in move.effects if isinstance(effect, kind)]


def _cause(move: Move) -> Cause:
    """One hop further: from the news that ended it early, from the hand that ended it, or in its own chain."""
    if move.cause is not None:
        return Cause(move.cause.hop, move.cause.chain, move.run.id)
    return Cause(move.run.hop + 1, chain_of(move.run.sop_id, move.run.chain), move.run.id)


def chain_of(sop_id: int, written: str | None) -> tuple[int, ...]:
    """The SOPs entered in a run's chain, its own included."""
    return (sop_id,) if written is None else tuple(json.loads(written))


def _write_tags(
    tx: Transaction, app: App, ended: Sequence[Move], causes: Mapping[int, Cause]
) -> tuple[TagChange, ...]:
    """The tags of ends, on the owner's relation, here and in WeCom (SPEC 8); returns what changed by them."""
    wanted = [
        (move.run.id, (move.run.relation_id, effect.add, effect.remove)) for move, effect in _effects(ended, WriteTags)
    ]
    changed: list[TagChange] = []
    while wanted:
        # A write's key names its cause and its relation, so one call holds every relation once.
        turn: dict[int, tuple[int, tuple[int, tuple[str, ...], tuple[str, ...]]]] = {}
        for one in wanted:
            turn.setdefault(one[1][0], one)
        taken = {run_id for run_id, _ in turn.values()}
        wanted = [one for one in wanted if one[0] not in taken]
        changes = tags.write(tx, app, [change for _, change in turn.values()], f"end/{min(taken)}")
        changed += [
            TagChange(one.relation_id, one.added, one.removed, causes[turn[one.relation_id][0]]) for one in changes
        ]
    return tuple(changed)


def _forget_flips(tx: Transaction, app: App, ended: Sequence[Move]) -> None:
    """Time changes nothing for a run that has ended."""
    programs = app.programs.all(tx, [move.run.version_id for move in ended])
    timed = [move.run for move in ended if programs[move.run.version_id].end_needs.time]
    flips.drop(tx, [FlipKey(flips.END, run.sop_id, run.id) for run in timed])


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
    detail = json.dumps(dict(move.detail), ensure_ascii=False) if move.detail else None
    return Note(move.run.id, move.kind, move.run.state, move.state, move.reason or None, detail)
