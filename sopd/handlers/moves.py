"""What runs become, written for whole groups: state, due instants, push rows, journal, counters, what an end writes.

A part for the handlers of enrollments, inside the caller's transaction. `machines.enrollment` has decided before.
"""

from __future__ import annotations

import json
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


class _Ended(NamedTuple):
    """One of the runs that ended, with what was decided about all of its kind."""

    run: Run
    move: Move
    cause: Cause


def _follow_up(tx: Transaction, app: App, moves: Sequence[Move]) -> Consequences:
    """Attributes, tags and flows of ends (SPEC 8), run by run. Customers are locked before relations."""
    ended = [_Ended(run, move, _cause(move, run)) for move in moves for run in move.runs]
    ended.sort(key=lambda one: one.run.id)
    news = attributes.write(
        tx,
        [
            Change(one.run.customer_id, dict(effect.values), one.cause)
            for one, effect in _effects(ended, SetAttributes)
        ],
    )
    tag_changes = _write_tags(tx, app, ended)
    _forget_flips(tx, app, ended)
    return Consequences(
        news=tuple(news),
        tag_changes=tag_changes,
        flows=tuple(
            Flow(
                one.run.id, one.run.sop_id, effect.sop, one.run.customer_id, one.run.relation_id, one.run.member_id,
                one.cause, one.move.ended_by or "",
            )
            for one, effect in _effects(ended, FlowTo)
        ),
        left=tuple(
            Left(one.run.id, one.run.sop_id, one.run.subject_id, one.run.customer_id, one.cause) for one in ended
        ),
    )  # fmt: skip


def _effects(ended: Sequence[_Ended], kind: type[E]) -> list[tuple[_Ended, E]]:
    acting = {id(one.move): one.move for one in ended}.values()
    meant = {id(move): [effect for effect in move.effects if isinstance(effect, kind)] for move in acting}
    return [(one, effect) for one in ended for effect in meant[id(one.move)]] if any(meant.values()) else []


def _cause(move: Move, run: Run) -> Cause:
    """One hop further: from the news that ended it early, from the hand that ended it, or in its own chain."""
    if move.cause is not None:
        return Cause(move.cause.hop, move.cause.chain, run.id)
    return Cause(run.hop + 1, chain_of(run.sop_id, run.chain), run.id)


def chain_of(sop_id: int, written: str | None) -> tuple[int, ...]:
    """The SOPs entered in a run's chain, its own included."""
    return (sop_id,) if written is None else tuple(json.loads(written))


def _write_tags(tx: Transaction, app: App, ended: Sequence[_Ended]) -> tuple[TagChange, ...]:
    """The tags of ends, on the owner's relation, here and in WeCom (SPEC 8); returns what changed by them."""
    causes = {one.run.id: one.cause for one in ended}
    wanted = [
        (one.run.id, (one.run.relation_id, effect.add, effect.remove)) for one, effect in _effects(ended, WriteTags)
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


def _forget_flips(tx: Transaction, app: App, ended: Sequence[_Ended]) -> None:
    """Time changes nothing for a run that has ended."""
    programs = app.programs.all(tx, [one.run.version_id for one in ended])
    timed = [one.run for one in ended if programs[one.run.version_id].end_needs.time]
    flips.drop(tx, [FlipKey(flips.END, run.sop_id, run.id) for run in timed])


def _onward(move: Move) -> Onward:
    return Onward(move.runs[0].state, move.state, move.due_at, move.mass_at, move.counts_from)


def _closed(move: Move) -> Closed:
    return Closed(move.runs[0].state, move.state, move.reason, move.ended_by)


def _line(move: Move) -> Line:
    detail = json.dumps(dict(move.detail), ensure_ascii=False) if move.detail else None
    return Line(move.kind, move.runs[0].state, move.state, move.reason or None, detail)
