"""Runs that end early because of news (SPEC 8, D4, D23): their rule is true while what was inherited reads false.

A part, called by `consequences.follow` for every round. At rest the early-end rule of an open run is false, so this is
the edge ("was tagged"). It looks only at open runs of the customers at hand whose rule mentions what happened; like
cases are judged once. Literals inherited at a flow or by hand are released when they are seen false or occur anew, and
the instant at which time alone changes the rule next is written down. Paused SOPs end runs as well.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from machines.events import EarlyEnd
from machines.facts import Dependencies, Facts
from machines.rules import NOTHING as NO_LITERALS
from machines.rules import Literal, evaluate, flips_at, occurring, released
from machines.sop import Program
from sopd.handlers import enrollments, facts, touches
from sopd.handlers.app import App
from sopd.handlers.enrollments import Ending
from sopd.handlers.facts import OfRuns
from sopd.handlers.happened import NOTHING, Cause, Consequences
from sopd.handlers.owners import Owner
from sopd.handlers.touches import Touch
from sopd.store import Transaction
from sopd.store.queries import enrollments as run_queries
from sopd.store.queries import entries as queries
from sopd.store.queries import flips
from sopd.store.queries.enrollments import Run
from sopd.store.queries.flips import Armed

Literals = frozenset[Literal]
Said = dict[Hashable, tuple[Literals, bool]]
"""By group of like runs: what is inherited still, and whether they end."""


class Judged(NamedTuple):
    """An open run that news may end, with those news; and with its exact facts, where its rule looks at more than plain
    ones."""

    run: Run
    program: Program
    news: Sequence[Touch]
    about: Facts | None
    inherited: Literals
    left: Literals
    ends: bool


def react(
    tx: Transaction, app: App, happened: Mapping[int, Sequence[Touch]], seen: Mapping[int, Owner]
) -> Consequences:
    """End the runs whose early-end rule holds now; returns what their ends make necessary.

    `happened` is what was written already, by customer; `seen`: relations as they stand since.
    """
    judged = judge(tx, app, happened, seen)
    if not judged:
        return NOTHING
    ending = [one for one in judged if one.ends]
    keep(tx, [one for one in judged if not one.ends])
    names = touches.tag_names(tx, {one.program for one in ending})
    return enrollments.end_each(tx, app, [one.run for one in ending], _endings(ending, names)) if ending else NOTHING


def judge(
    tx: Transaction, app: App, happened: Mapping[int, Sequence[Touch]], seen: Mapping[int, Owner]
) -> list[Judged]:
    """Every open run whose early-end rule mentions what happened; nothing is written."""
    topics, is_about_one = _heard(happened)
    known = run_queries.known_versions(tx, happened)
    if known is not None and not is_about_one and not _listening(app.programs.all(tx, known), topics):
        return []
    runs = run_queries.open_runs_of(tx, happened)
    programs = app.programs.all(tx, {run.version_id for run in runs})
    listening = programs.keys() if is_about_one else _listening(programs, topics)
    runs = [run for run in runs if run.version_id in listening]
    news = {run.id: _concerning(run, programs[run.version_id], happened[run.customer_id]) for run in runs}
    runs = [run for run in runs if news[run.id]]
    if not runs:
        return []
    loaded = facts.load_runs(tx, runs, programs, _needs(programs, runs), seen)
    like: Said = {}
    return [_judged(run, programs[run.version_id], news[run.id], loaded, like) for run in runs]


def at_their_end(tx: Transaction, app: App, run_ids: Collection[int]) -> set[int]:
    """Those of these runs whose early-end rule holds now, whatever happened: asked again when a send is claimed."""
    if not run_ids:
        return set()
    runs = queries.runs_by_id(tx, run_ids)
    programs = app.programs.all(tx, [run.version_id for run in runs])
    ruled = [run for run in runs if programs[run.version_id].early_end_rule is not None]
    if not ruled:
        return set()
    loaded = facts.load_runs(tx, ruled, programs, _needs(programs, ruled))
    like: Said = {}
    return {run.id for run in ruled if _judged(run, programs[run.version_id], (), loaded, like).ends}


def keep(tx: Transaction, judged: Iterable[Judged]) -> None:
    """Write down of runs that go on which literals are inherited still, and when time changes their rule next."""
    judged = list(judged)
    queries.set_inherited(tx, [(one.run.id, one.left) for one in judged if one.left != one.inherited])
    timed = [one for one in judged if one.program.end_needs.time]
    flips.arm(tx, [armed(one.program, one.run, one.about) for one in timed if one.about is not None])


def armed(program: Program, run: Run, about: Facts) -> Armed:
    """The next flip of a run's early-end rule, which has time atoms."""
    rule = program.early_end_rule
    at = None if rule is None else flips_at(rule, about, about.now)
    return Armed(flips.END, run.sop_id, run.id, run.customer_id, at)


# -- inside ------------------------------------------------------------------------------------------------------------


def _listening(programs: Mapping[int, Program], topics: Collection[tuple[str, str]]) -> set[int]:
    """The versions whose early-end rule looks at any of this."""
    return {version_id for version_id, one in programs.items() if not one.end_topics.isdisjoint(topics)}


def _needs(programs: Mapping[int, Program], runs: Iterable[Run]) -> set[Dependencies]:
    return {programs[version_id].end_needs for version_id in {run.version_id for run in runs}}


def _heard(happened: Mapping[int, Sequence[Touch]]) -> tuple[set[tuple[str, str]], bool]:
    """(every topic there is news of, whether some news are about one rule, whatever that mentions)."""
    every = [one for news in happened.values() for one in news]
    alike = {id(one.touched): one.touched for one in every}  # most of a page share the value
    topics = {topic for touched in alike.values() for topic in touched.topics}
    return topics, any(one.only is not None for one in every)


def _concerning(run: Run, program: Program, happened: Iterable[Touch]) -> list[Touch]:
    return [one for one in happened if _concerns(run, program, one)] if program.end_topics else []


def _concerns(run: Run, program: Program, one: Touch) -> bool:
    if one.only is not None:
        return one.only.purpose == flips.END and one.only.ref_id == run.id
    elsewhere = one.relation_id not in (None, run.relation_id) and program.kind == "new_customer"
    return not elsewhere and not program.end_topics.isdisjoint(one.topics)


def _judged(
    run: Run, program: Program, news: Sequence[Touch], loaded: OfRuns, like: Said
) -> Judged:
    """`like` remembers what was said of others: of plain facts only a few differ."""
    needs = program.end_needs
    about = None if needs.is_plain else loaded.of(program, run)
    inherited = run.literals if run.inherited else NO_LITERALS
    key = None if about is not None or inherited else (run.version_id, loaded.like(program, run))
    said = like.get(key)
    if said is None:
        anew = frozenset([literal for one in news if inherited for literal in _anew(program, run, one)])
        said = _verdict(program, (about or loaded.of(program, run)).restricted_to(needs), inherited, anew)
        if key is not None:
            like[key] = said
    return Judged(run, program, news, about, inherited, *said)


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


def _endings(ending: Iterable[Judged], names: Mapping[str, str]) -> dict[int, Ending]:
    """By run; runs of one version that end by like news share the value."""
    known: dict[Hashable, Ending] = {}
    endings: dict[int, Ending] = {}
    for one in ending:
        like = (one.run.version_id, *[(new.added, new.removed, new.text, new.cause) for new in one.news])
        if like not in known:
            known[like] = _ending(one, names)
        endings[one.run.id] = known[like]
    return endings


def _ending(one: Judged, names: Mapping[str, str]) -> Ending:
    """The end with its cause: one hop from the first of the news, in the chain of that."""
    needs = one.program.end_needs
    cause = one.news[0].cause
    return Ending(EarlyEnd(touches.text(one.news, needs, names)), Cause(cause.hop + 1, cause.chain))
