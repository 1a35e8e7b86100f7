"""Runs that end early because of news (SPEC 8, D4, D23): their rule is true while what was inherited reads false.

A part, called by `consequences.follow` for every round. At rest the early-end rule of an open run is false, so this is
the edge ("was tagged"). It looks only at open runs of the customers at hand whose rule mentions what happened; like
cases are judged once. Literals inherited at a flow or by hand are released when they are seen false or occur anew, and
the instant at which time alone changes the rule next is written down. Paused SOPs end runs as well.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from machines.events import EarlyEnd
from machines.facts import Facts
from machines.rules import NOTHING as NO_LITERALS
from machines.rules import Literal, evaluate, flips_at, occurring, released
from machines.sop import Program
from sopd.handlers import enrollments, facts, touches
from sopd.handlers.app import App
from sopd.handlers.enrollments import Ending
from sopd.handlers.facts import OfRuns
from sopd.handlers.happened import NOTHING, Cause, Consequences
from sopd.handlers.owners import Owner
from sopd.handlers.touches import Touch, Touched
from sopd.store import Transaction
from sopd.store.queries import enrollments as run_queries
from sopd.store.queries import entries as queries
from sopd.store.queries import flips
from sopd.store.queries.enrollments import Run
from sopd.store.queries.flips import Armed

Literals = frozenset[Literal]


class Alike(NamedTuple):
    """Open runs in one state of one version that inherit the same, and the news that may end them."""

    program: Program
    inherited: Literals
    news: Sequence[Touch]
    runs: list[Run]


class Judged(NamedTuple):
    """Some of like runs, of whom rules see the same: what they inherit still, and whether they end.

    about: the exact facts of the one run, where its rule looks at more than plain ones.
    """

    alike: Alike
    runs: Sequence[Run]
    about: Facts | None
    left: Literals
    ends: bool


def react(tx: Transaction, app: App, happened: Touched, seen: Mapping[int, Owner]) -> Consequences:
    """End the runs whose early-end rule holds now; returns what their ends make necessary.

    `happened` is what was written already, by customer; `seen`: relations as they stand since.
    """
    judged = judge(tx, app, happened, seen) if happened else []
    if not judged:
        return NOTHING
    ending = [one for one in judged if one.ends]
    keep(tx, [one for one in judged if not one.ends])
    if not ending:
        return NOTHING
    names = touches.tag_names(tx, {one.alike.program for one in ending})
    return enrollments.end_each(tx, app, _together(ending, names))


def judge(tx: Transaction, app: App, happened: Touched, seen: Mapping[int, Owner]) -> list[Judged]:
    """Every open run whose early-end rule mentions what happened; nothing is written."""
    topics, is_about_one = _heard(happened)
    known = run_queries.known_versions(tx, happened)
    if known is not None and not is_about_one and not _listening(app.programs.all(tx, known), topics):
        return []
    runs = run_queries.open_runs_of(tx, happened)
    programs = app.programs.all(tx, {run.version_id for run in runs})
    listening = programs.keys() if is_about_one else _listening(programs, topics)
    groups = _alike([run for run in runs if run.version_id in listening], programs, happened)
    if not groups:
        return []
    concerned = [run for alike in groups for run in alike.runs]
    loaded = facts.load_runs(tx, concerned, programs, {alike.program.end_needs for alike in groups}, seen)
    return [judged for alike in groups for judged in _judged(alike, loaded)]


def at_their_end(tx: Transaction, app: App, run_ids: Collection[int]) -> set[int]:
    """Those of these runs whose early-end rule holds now, whatever happened: asked again when a send is claimed."""
    if not run_ids:
        return set()
    runs = queries.runs_by_id(tx, run_ids)
    programs = app.programs.all(tx, [run.version_id for run in runs])
    ruled = [run for run in runs if programs[run.version_id].early_end_rule is not None]
    if not ruled:
        return set()
    loaded = facts.load_runs(tx, ruled, programs, {programs[run.version_id].end_needs for run in ruled})
    groups = [Alike(programs[run.version_id], _inherited(run), (), [run]) for run in ruled]
    return {run.id for alike in groups for one in _judged(alike, loaded) if one.ends for run in one.runs}


def keep(tx: Transaction, judged: Iterable[Judged]) -> None:
    """Write down of runs that go on which literals are inherited still, and when time changes their rule next."""
    judged = list(judged)
    queries.set_inherited(
        tx, [(run.id, one.left) for one in judged if one.left != one.alike.inherited for run in one.runs]
    )
    timed = [one for one in judged if one.alike.program.end_needs.time]
    flips.arm(
        tx, [armed(one.alike.program, run, one.about) for one in timed if one.about is not None for run in one.runs]
    )


def armed(program: Program, run: Run, about: Facts) -> Armed:
    """The next flip of a run's early-end rule, which has time atoms."""
    rule = program.early_end_rule
    at = None if rule is None else flips_at(rule, about, about.now)
    return Armed(flips.END, run.sop_id, run.id, run.customer_id, at)


# -- inside ------------------------------------------------------------------------------------------------------------


def _listening(programs: Mapping[int, Program], topics: Collection[tuple[str, str]]) -> set[int]:
    """The versions whose early-end rule looks at any of this."""
    return {version_id for version_id, one in programs.items() if not one.end_topics.isdisjoint(topics)}


def _heard(happened: Touched) -> tuple[set[tuple[str, str]], bool]:
    """(every topic there is news of, whether some news are about one rule, whatever that mentions)."""
    every = {one for news in happened.values() for _, one in news}
    return {topic for one in every for topic in one.topics}, any(one.only is not None for one in every)


def _alike(runs: Iterable[Run], programs: Mapping[int, Program], happened: Touched) -> list[Alike]:
    """The runs that any of the news concerns, like ones together; runs and groups by id."""
    groups: dict[Hashable, Alike] = {}
    for run in runs:
        program = programs[run.version_id]
        news = _concerning(run, program, happened[run.customer_id])
        if news:
            like = run.version_id, run.state, run.inherited, news
            if like not in groups:
                groups[like] = Alike(program, _inherited(run), news, [])
            groups[like].runs.append(run)
    return list(groups.values())


def _inherited(run: Run) -> Literals:
    return run.literals if run.inherited else NO_LITERALS


def _concerning(run: Run, program: Program, happened: Iterable[tuple[int | None, Touch]]) -> tuple[Touch, ...]:
    """Those of the news that this run's rule looks at; what is about another relation is none of a relation's run."""
    if program.kind == "new_customer":
        happened = [one for one in happened if one[0] is None or one[0] == run.relation_id]
    return tuple([one for _, one in happened if _concerns(run, program, one)])


def _concerns(run: Run, program: Program, one: Touch) -> bool:
    if one.only is not None:
        return bool(program.end_topics) and one.only.purpose == flips.END and one.only.ref_id == run.id
    return not program.end_topics.isdisjoint(one.topics)


def _judged(alike: Alike, loaded: OfRuns) -> list[Judged]:
    """Of plain facts only a few differ, so runs are judged together; else each on its own."""
    program = alike.program
    if program.end_needs.is_plain and not alike.inherited:
        return _judged_together(alike, loaded)
    judged = []
    for run in alike.runs:
        about = loaded.of(program, run)
        anew = [literal for one in alike.news if alike.inherited for literal in _anew(program, run, one)]
        said = _verdict(program, about.restricted_to(program.end_needs), alike.inherited, frozenset(anew))
        judged.append(Judged(alike, [run], about, *said))
    return judged


def _judged_together(alike: Alike, loaded: OfRuns) -> list[Judged]:
    program = alike.program
    said: dict[Hashable, tuple[Literals, bool]] = {}
    together: defaultdict[tuple[Literals, bool], list[Run]] = defaultdict(list)
    for run in alike.runs:
        like = loaded.like(program, run)
        if like not in said:
            about = loaded.of(program, run).restricted_to(program.end_needs)
            said[like] = _verdict(program, about, NO_LITERALS, NO_LITERALS)
        together[said[like]].append(run)
    return [Judged(alike, runs, None, *verdict) for verdict, runs in together.items()]


def _anew(program: Program, run: Run, one: Touch) -> Literals:
    """The literals that this makes occur anew; the event that created the run is none."""
    rule = program.early_end_rule
    counts = one.event is not None and (one.signal_id is None or one.signal_id > run.after_signal)
    events = (one.event,) if one.event is not None and counts else ()
    if rule is None:
        return NO_LITERALS
    return occurring(rule, added_tags=one.added, removed_tags=one.removed, events=events)


@lru_cache(maxsize=65_536)
def _verdict(program: Program, about: Facts, inherited: Literals, anew: Literals) -> tuple[Literals, bool]:
    """(what is inherited still, whether the run ends), once per group of like facts."""
    rule = program.early_end_rule
    assert rule is not None
    left = released(rule, about, inherited, anew)
    return left, evaluate(rule, about, left)


def _together(ending: Iterable[Judged], names: Mapping[str, str]) -> list[tuple[Sequence[Run], Ending]]:
    """Runs of one version and state that end alike, whatever led there."""
    groups: defaultdict[tuple[int, str, Ending], list[Run]] = defaultdict(list)
    for one in ending:
        first = one.runs[0]
        groups[first.version_id, first.state, _ending(one.alike, names)] += one.runs
    return [(runs, how) for (_, _, how), runs in groups.items()]


def _ending(alike: Alike, names: Mapping[str, str]) -> Ending:
    """The end with its cause: one hop from the first of the news, in the chain of that."""
    cause = alike.news[0].cause
    told = touches.text(alike.news, alike.program.end_needs, names)
    return Ending(EarlyEnd(told), Cause(cause.hop + 1, cause.chain))
