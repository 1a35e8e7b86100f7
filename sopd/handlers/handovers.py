"""What becomes of open runs when the relation that carries them ends (SPEC 4, 8, D22): go on, wait, merge or be lost.

Runs of a customer go on through another relation by the owner rule, runs of a relation end with it. Where WeCom says
that the customer was handed over, both wait a day for the relation that takes over: it may be known before or after.
Then they go on there, whatever the order of the two callbacks. `leave` and `take_over` are parts for those who learn of
ends and beginnings; `close` is the command of the loop that ends what nobody took over.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from machines.calendar import DAY_MS, HOUR_MS, Instant
from machines.events import Lost, Merged
from machines.facts import Dependencies
from machines.sop import Program
from sopd.handlers import enrollments, owner_moves, owners
from sopd.handlers.app import App
from sopd.handlers.consequences import follow
from sopd.handlers.entries import INHERITED_ADD_WAY
from sopd.handlers.happened import NOTHING, Consequences, News
from sopd.handlers.owner_moves import Moving
from sopd.handlers.owners import Owner
from sopd.handlers.welcomes import Begun
from sopd.store import Transaction
from sopd.store.batch import in_halves, put_aside
from sopd.store.queries import enrollments as run_queries
from sopd.store.queries import owners as queries
from sopd.store.queries import people
from sopd.store.queries.enrollments import EarlierRuns, Run
from sopd.store.queries.owners import Leaving

BY_TRANSFER, BY_READING = "transfer", "reconciliation"
WAITS_MS = DAY_MS
"""So far apart the end of one relation and the beginning of the other may lie."""
LEAST_WAIT_MS = HOUR_MS
"""An end that we learn of late may be told of before the beginning that belongs to it."""
UNSEEN_MS = DAY_MS
"""An end found by reading may have come at any time since the reading before."""

_NO_RUNS = EarlierRuns(0, False, None)


@dataclass
class Fates:
    """What becomes of the runs at hand. lost: by whom, then which."""

    move: list[Moving] = field(default_factory=list)
    hold: list[Run] = field(default_factory=list)
    merge: list[int] = field(default_factory=list)
    lost: defaultdict[str, list[int]] = field(default_factory=lambda: defaultdict(list))


def leave(tx: Transaction, app: App, leaving: Sequence[Leaving]) -> Consequences:
    """Lead on the runs of relations that were active until now and have been written as ended, or as begun anew."""
    runs = _runs(tx, leaving)
    if not runs:
        return NOTHING
    relations = owners.candidates(tx, {one.customer_id for one in leaving}, with_tags=True)
    heirs = _heirs(leaving, relations)
    carrying = {run.relation_id for run in runs}
    until = {
        one.relation_id: max(one.at + WAITS_MS, tx.now + LEAST_WAIT_MS)
        for one in leaving
        if one.by == BY_TRANSFER and one.relation_id in carrying and one.relation_id not in heirs
    }
    queries.set_handover(tx, sorted(until.items()))
    return _lead(tx, app, runs, leaving, relations, heirs, until)


def take_over(tx: Transaction, app: App, begun: Sequence[Begun]) -> Consequences:
    """Let relations that begin by inheritance carry on what waits for them.

    A relation that begins while its own runs wait for somebody else is a new one: they wait no longer.
    """
    customers = {one.customer_id for one in begun if one.add_way == INHERITED_ADD_WAY}
    own = {one.relation_id for one in begun if not one.is_made}
    waiting = queries.lock_waiting(tx, customers, own) if customers or own else []
    if not waiting:
        return NOTHING
    relations = owners.candidates(tx, {one.customer_id for one in waiting}, with_tags=True)
    heirs = _heirs(waiting, relations)
    leaving = [one for one in waiting if one.relation_id in heirs or one.relation_id in own]
    queries.set_handover(tx, [(one.relation_id, None) for one in leaving])
    return _lead(tx, app, _runs(tx, leaving), leaving, relations, heirs, {})


def close(app: App, *, limit: int = 500) -> int:
    """Nobody has come in time: runs go on by the owner rule or are lost. Returns how many relations were looked at."""
    with app.store.reading() as tx:
        ids = queries.over_ids(tx, limit)
    done = in_halves(ids, partial(_close, app), partial(_set_aside, app))
    return sum(done.results) + len(done.aside)


def _close(app: App, relation_ids: Sequence[int]) -> int:
    with app.store.transaction() as tx:
        leaving = queries.lock_over(tx, relation_ids)
        queries.set_handover(tx, [(one.relation_id, None) for one in leaving])
        runs = _runs(tx, leaving)
        relations = owners.candidates(tx, {one.customer_id for one in leaving}, with_tags=True) if runs else {}
        follow(tx, app, _lead(tx, app, runs, leaving, relations, {}, {}) + _over(leaving))
        return len(leaving)


def _over(leaving: Iterable[Leaving]) -> Consequences:
    """Who waited to be taken over was not lost to rules; whether he is now, they may look."""
    lost = Dependencies(lost=True)
    return Consequences(
        news=tuple(News(one.customer_id, lost, f"contact with {one.userid} ended", one.relation_id) for one in leaving)
    )


def _set_aside(app: App, relation_id: int, reason: str) -> None:
    with app.store.transaction() as tx:
        put_aside(tx, "relation", str(relation_id), reason, tx.now)
        queries.set_handover(tx, [(relation_id, None)])


def is_recent(app: App, began_at: Instant) -> bool:
    """Whether an inherited relation that began then may belong to an end that is found by reading now."""
    with app.store.reading() as tx:
        return began_at >= tx.now - UNSEEN_MS - WAITS_MS


# -- who takes over ----------------------------------------------------------------------------------------------------


def _heirs(leaving: Sequence[Leaving], relations: Mapping[int, Sequence[Owner]]) -> dict[int, Owner]:
    """The relation that takes over, by the one that ended; those without are left out."""
    found = {one.relation_id: _heir(one, relations.get(one.customer_id, ())) for one in leaving}
    return {relation_id: heir for relation_id, heir in found.items() if heir is not None}


def _heir(one: Leaving, relations: Iterable[Owner]) -> Owner | None:
    """The inherited relation that began closest to the end. Who deletes a member has not been handed over."""
    if one.by not in (BY_TRANSFER, BY_READING):
        return None
    able = [other for other in relations if other.state == "active" and other.add_way == INHERITED_ADD_WAY]
    near = [other for other in able if _belongs(one, other)]
    return min(near, key=lambda other: (abs(other.began_at - one.at), other.relation_id), default=None)


def _belongs(one: Leaving, other: Owner) -> bool:
    if one.by == BY_TRANSFER:
        return abs(other.began_at - one.at) <= WAITS_MS
    # Of both we may have learned late, and of this end only that it came since the reading before.
    return max(other.began_at, other.learned_at) >= one.at - UNSEEN_MS - WAITS_MS


# -- what becomes of each run ------------------------------------------------------------------------------------------


def _runs(tx: Transaction, leaving: Sequence[Leaving]) -> list[Run]:
    """The open runs that these relations carry, locked."""
    ids = [run.id for run in people.open_runs(tx, [one.relation_id for one in leaving])] if leaving else []
    return run_queries.lock(tx, ids) if ids else []


def _lead(
    tx: Transaction,
    app: App,
    runs: Sequence[Run],
    leaving: Sequence[Leaving],
    relations: Mapping[int, Sequence[Owner]],
    heirs: Mapping[int, Owner],
    until: dict[int, Instant],
) -> Consequences:
    """Decide about every run and write it. `until`: relations whose runs wait, and how long."""
    if not runs:
        return NOTHING
    fates = _decide(tx, app, runs, {one.relation_id: one for one in leaving}, relations, heirs, until)
    happened = owner_moves.write(tx, app, fates.move)
    happened += owner_moves.hold(tx, fates.hold, until)
    happened += enrollments.end(tx, app, fates.merge, Merged()) if fates.merge else NOTHING
    for by, ids in fates.lost.items():
        happened += enrollments.end(tx, app, ids, Lost(by))
    return happened


def _decide(
    tx: Transaction,
    app: App,
    runs: Sequence[Run],
    leaving: Mapping[int, Leaving],
    relations: Mapping[int, Sequence[Owner]],
    heirs: Mapping[int, Owner],
    until: Mapping[int, Instant],
) -> Fates:
    programs = app.programs.all(tx, [run.version_id for run in runs])
    inside = _inside(tx, runs, heirs)
    fates = Fates()
    for run in runs:
        program, left, heir = programs[run.version_id], leaving[run.relation_id], heirs.get(run.relation_id)
        if run.relation_id in until:
            fates.hold.append(run)
        elif program.kind == "new_customer":
            _pass_on(fates, run, program, left, heir, inside)
        elif (owner := _owner(program, relations.get(run.customer_id, ()), heir)) is not None:
            fates.move.append(Moving(run, left.userid, owner, None))
        else:
            fates.lost[left.by].append(run.id)
    return fates


def _owner(program: Program, relations: Sequence[Owner], heir: Owner | None) -> Owner | None:
    return owners.choose(program, relations, prefer=None if heir is None else heir.relation_id)


def _pass_on(
    fates: Fates,
    run: Run,
    program: Program,
    left: Leaving,
    heir: Owner | None,
    inside: dict[tuple[int, int], EarlierRuns],
) -> None:
    """A run of a relation: it becomes the heir's, unless he has one. Of several that meet there the oldest goes on."""
    if heir is None or not program.in_scope(heir.userid):
        fates.lost[left.by].append(run.id)
        return
    there = inside.get((run.sop_id, heir.relation_id), _NO_RUNS)
    if heir.relation_id == run.relation_id:
        return
    if there.inside:
        fates.merge.append(run.id)
        return
    fates.move.append(Moving(run, left.userid, heir, there.runs + 1))
    inside[run.sop_id, heir.relation_id] = EarlierRuns(there.runs + 1, True, there.ended_at)


def _inside(tx: Transaction, runs: Sequence[Run], heirs: Mapping[int, Owner]) -> dict[tuple[int, int], EarlierRuns]:
    """What the heirs' relations have behind them in the SOPs at hand."""
    if not heirs:
        return {}
    return run_queries.earlier_runs(
        tx, sorted({run.sop_id for run in runs}), sorted({heir.relation_id for heir in heirs.values()})
    )
