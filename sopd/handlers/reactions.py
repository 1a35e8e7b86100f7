"""Runs that end early because a tag changed (SPEC 8, D23): judged at the event, edge-triggered ("was tagged").

A part, called by `consequences.follow` for every round of tag changes. It looks only at open runs of the relations at
hand whose early-end rule mentions one of the changed tags; like cases are judged once. Paused SOPs end runs as well.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

from machines.events import EarlyEnd
from machines.facts import Dependencies, Facts
from machines.rules import depends_on, evaluate
from machines.sop import Program
from sopd.handlers import enrollments, facts
from sopd.handlers.app import App
from sopd.handlers.happened import NOTHING, Consequences
from sopd.handlers.tags import TagChange
from sopd.store import Transaction
from sopd.store.queries import people, tags

Cause = tuple[frozenset[str], frozenset[str]]
"""(tags that came, tags that went), as far as the rule mentions them."""


def react(tx: Transaction, app: App, changes: Sequence[TagChange], *, hop: int) -> Consequences:
    """End the runs whose early-end rule these changes made true; returns what their ends make necessary.

    `changes` have been written already. `hop` says how far they are from their cause, 0 for the outside world.
    """
    net = _net(changes)
    runs = people.open_runs(tx, net)
    programs = app.programs.all(tx, [run.version_id for run in runs])
    touched = [run for run in runs if any(_mentioned(programs[run.version_id], net[run.relation_id]))]
    if not touched:
        return NOTHING
    now = facts.load(tx, {run.relation_id for run in touched}, tx.now)
    ending: defaultdict[Cause, list[int]] = defaultdict(list)
    for run in touched:
        program, change, after = programs[run.version_id], net[run.relation_id], now[run.relation_id]
        before = (after.tags - change.added) | change.removed
        if _holds(program, after, after.tags) and not _holds(program, after, before):
            ending[_mentioned(program, change)].append(run.id)
    names = tags.by_ids(tx, {tag_id for cause in ending for part in cause for tag_id in part}) if ending else {}
    followed = NOTHING
    for cause, ids in ending.items():
        text = _text(cause, {tag_id: tag.path for tag_id, tag in names.items()}, hop)
        followed += enrollments.end(tx, app, ids, EarlyEnd(text))
    return followed


def _net(changes: Iterable[TagChange]) -> dict[int, TagChange]:
    """One change per relation; what came and went within one round did neither."""
    net: dict[int, TagChange] = {}
    for change in changes:
        known = net.get(change.relation_id)
        net[change.relation_id] = change if known is None else TagChange(
            change.relation_id,
            added=(known.added - change.removed) | (change.added - known.removed),
            removed=(known.removed - change.added) | (change.removed - known.added),
        )
    return net


@lru_cache(maxsize=1024)
def _needs(program: Program) -> Dependencies:
    rule = program.early_end_rule
    return Dependencies() if rule is None else depends_on(rule)


def _mentioned(program: Program, change: TagChange) -> Cause:
    named = _needs(program).tags
    return change.added & named, change.removed & named


def _holds(program: Program, facts: Facts, tags: frozenset[str]) -> bool:
    """The early-end rule of these facts, with these tags instead of theirs."""
    needs = _needs(program)
    if _asks_tags_only(program):
        return _judge(program, Facts(now=0, tags=tags & needs.tags))
    return _judge(program, replace(facts, tags=tags).restricted_to(needs))


@lru_cache(maxsize=1024)
def _asks_tags_only(program: Program) -> bool:
    """Then a group is told by its tags, which costs much less than restricting all facts."""
    needs = _needs(program)
    return needs == Dependencies(tags=needs.tags)


@lru_cache(maxsize=65_536)
def _judge(program: Program, facts: Facts) -> bool:
    """The early-end rule, once per group of like facts."""
    return program.early_end_rule is not None and evaluate(program.early_end_rule, facts)


def _text(cause: Cause, names: Mapping[str, str], hop: int) -> str:
    """For people: `tag 结果/已复购`, `tag 阶段/新客 removed (hop 2)`. A tag the library does not know shows its id."""
    added, removed = cause
    parts = [f"tag {names.get(tag_id, tag_id)}" for tag_id in sorted(added)]
    parts += [f"tag {names.get(tag_id, tag_id)} removed" for tag_id in sorted(removed)]
    return ", ".join(parts) + (f" (hop {hop})" if hop else "")
