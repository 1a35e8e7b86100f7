"""What runs become, written for whole groups: state, due instants, push rows, journal, counters, what an end writes.

A part for the handlers of enrollments, inside the caller's transaction. `machines.enrollment` has decided before.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple, TypeVar

from machines.effects import EnrollmentEffect, FlowTo, SetAttributes, WriteTags
from machines.enrollment import ENDS
from machines.reasons import family
from sopd.handlers import attributes, pushes, tags
from sopd.handlers.app import App
from sopd.handlers.attributes import Change
from sopd.handlers.happened import NOTHING, Cause, Consequences, Flow, Left, TagChange
from sopd.store import Transaction
from sopd.store.queries import enrollments as queries
from sopd.store.queries import flips
from sopd.store.queries.enrollments import Closed, Line, NewPush, Onward, Run
from sopd.store.queries.flips import FlipKey

E = TypeVar("E")


class Move(NamedTuple):
    """Like runs, in one state of one version, and what becomes of them. `state` in an end closes them.

    `counts_from`: what the next stepwise step counts from. `pushes` are made for each of them; `detail` goes into the
    journal. `cause`: of what their ends write; None: the clock's, one hop further in each run's own chain.
    """

    runs: Sequence[Run]
    kind: str
    state: str
    reason: str = ""
    due_at: int | None = None
    mass_at: int | None = None
    counts_from: int | None = None
    ended_by: str | None = None
    pushes: tuple[NewPush, ...] = ()
    effects: tuple[EnrollmentEffect, ...] = ()
    detail: Mapping[str, object] = MappingProxyType({})
    cause: Cause | None = None

    @property
    def ends(self) -> bool:
        return self.state in ENDS

    @property
    def ids(self) -> list[int]:
        return [run.id for run in self.runs]


def write(tx: Transaction, app: App, moves: Sequence[Move]) -> Consequences:
    """Write decisions about locked runs: for each group a few values, for the rows set-based SQL that applies them."""
    groups = [(move.ids, move) for move in moves]
    onward = [(ids, _onward(move)) for ids, move in groups if not move.ends]
    if onward:
        queries.go_on(tx, onward)
    closed = [(ids, _closed(move)) for ids, move in groups if move.ends]
    if closed:
        queries.close(tx, closed)
    queries.insert_pushes(tx, [(ids, push) for ids, move in groups for push in move.pushes])
    queries.tell(tx, [(ids, _line(move)) for ids, move in groups])
    _count(tx, moves)
    if any(push.plan_at is not None for move in moves for push in move.pushes):
        tx.after_commit(lambda: app.ring("plan"))
    return _follow_up(tx, app, [move for move in moves if move.ends]) if closed else NOTHING


def _count(tx: Transaction, moves: Sequence[Move]) -> None:
    for move in moves:
        sop_id, n = move.runs[0].sop_id, len(move.runs)
        for push in move.pushes:
            pushes.count(tx, sop_id, push.step_id, push.state, push.reason, n)
        if move.ends:
            tx.count(f"sop/{sop_id}/ended/{move.state}", n)
            if move.reason and family(move.reason) != move.state:
                tx.count(f"sop/{sop_id}/ended/{move.state}/{family(move.reason)}", n)


# -- what ends write ---------------------------------------------------------------------------------------------------


def _follow_up(tx: Transaction, app: App, moves: Sequence[Move]) -> Consequences:
    """Attributes, tags and flows of ends (SPEC 8). Customers are locked before relations."""
    news = attributes.write(
        tx,
        [
            Change(run.customer_id, dict(effect.values), _caused(move, run))
            for run, move, effect in _effects(moves, SetAttributes)
        ],
    )
    tag_changes = _write_tags(tx, app, _effects(moves, WriteTags))
    _forget_flips(tx, app, moves)
    return Consequences(
        news=tuple(news),
        tag_changes=tag_changes,
        flows=tuple(
            Flow(
                run.id, run.sop_id, effect.sop, run.customer_id, run.relation_id, run.member_id, _caused(move, run),
                move.ended_by or "",
            )
            for run, move, effect in _effects(moves, FlowTo)
        ),
        left=tuple(Left(runs, cause) for move in moves for cause, runs in _by_cause(move)),
    )  # fmt: skip


def _effects(moves: Sequence[Move], kind: type[E]) -> list[tuple[Run, Move, E]]:
    """What ends of this kind write, run by run."""
    acting = [(move, effect) for move in moves for effect in move.effects if isinstance(effect, kind)]
    found = [(run, move, effect) for move, effect in acting for run in move.runs]
    return sorted(found, key=_by_run) if len(acting) > 1 else found


def _by_run(one: tuple[Run, object, object]) -> int:
    return one[0].id


def _by_cause(move: Move) -> list[tuple[Cause, Sequence[Run]]]:
    if move.cause is not None:
        return [(move.cause, move.runs)]
    found: defaultdict[Cause, list[Run]] = defaultdict(list)
    for run in move.runs:
        found[_cause(move, run)].append(run)
    return list(found.items())


def _cause(move: Move, run: Run) -> Cause:
    """One hop further: from the news that ended it early, from the hand that ended it, or in its own chain."""
    return move.cause or Cause(run.hop + 1, chain_of(run.sop_id, run.chain))


def _caused(move: Move, run: Run) -> Cause:
    """The cause of what this very run's end writes."""
    cause = _cause(move, run)
    return Cause(cause.hop, cause.chain, run.id)


def chain_of(sop_id: int, written: str | None) -> tuple[int, ...]:
    """The SOPs entered in a run's chain, its own included."""
    return (sop_id,) if written is None else tuple(json.loads(written))


def _write_tags(tx: Transaction, app: App, wanted: Sequence[tuple[Run, Move, WriteTags]]) -> tuple[TagChange, ...]:
    """The tags of ends, on the owner's relation, here and in WeCom (SPEC 8); returns what changed by them."""
    changed: list[TagChange] = []
    while wanted:
        # A write's key names its cause and its relation, so one call holds every relation once.
        turn: dict[int, tuple[Run, Move, WriteTags]] = {}
        for one in wanted:
            turn.setdefault(one[0].relation_id, one)
        taken = {run.id for run, _, _ in turn.values()}
        wanted = [one for one in wanted if one[0].id not in taken] if len(turn) < len(wanted) else []
        wishes = [(relation_id, effect.add, effect.remove) for relation_id, (_, _, effect) in turn.items()]
        for relation_id, added, removed, _ in tags.write(tx, app, wishes, f"end/{min(taken)}"):
            run, move, _ = turn[relation_id]
            changed.append(TagChange(relation_id, added, removed, _caused(move, run)))
    return tuple(changed)


def _forget_flips(tx: Transaction, app: App, moves: Sequence[Move]) -> None:
    """Time changes nothing for a run that has ended."""
    programs = app.programs.all(tx, [move.runs[0].version_id for move in moves])
    timed = [move for move in moves if programs[move.runs[0].version_id].end_needs.time]
    flips.drop(tx, [FlipKey(flips.END, run.sop_id, run.id) for move in timed for run in move.runs])


def _onward(move: Move) -> Onward:
    return Onward(move.runs[0].state, move.state, move.due_at, move.mass_at, move.counts_from)


def _closed(move: Move) -> Closed:
    return Closed(move.runs[0].state, move.state, move.reason, move.ended_by)


def _line(move: Move) -> Line:
    detail = json.dumps(dict(move.detail), ensure_ascii=False) if move.detail else None
    return Line(move.kind, move.runs[0].state, move.state, move.reason or None, detail)
