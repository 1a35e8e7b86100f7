"""A definition compiled for running: the value that machines and shell work with, bound to one company's calendar.

A `Program` is immutable, cheap to hash (its digest stands for it) and knows nothing of versions or rows. Tags are tag
ids here (D25). It is made anew from the stored definition whenever a process starts.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property, reduce
from operator import or_
from typing import Any, Literal

from machines.calendar import QuietHours
from machines.facts import Dependencies
from machines.lateness import Grace, LatePolicy
from machines.lateness import Within as WithinMs
from machines.moments import AfterElapsed, AtOnce, Moment, NextWeekday, OnDate, OnDay, TimedStep
from machines.rules import Path, Rule, bind_tags, depends_on, located, needs_of
from machines.rules.atoms import Tag
from machines.rules.scalars import milliseconds
from machines.rules.times import Within
from machines.sop.checks import rules_of
from machines.sop.content import CHANNELS, Attachment, ChannelName
from machines.sop.definition import Again, AttributeAnchor, Defer, EarlyEnd, End, OwnerRule, Sop, SopKind, Step
from machines.sop.definition import ReplyActions as Answered
from machines.timetable import Timetable
from machines.workdays import Workdays

_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


@dataclass(frozen=True, slots=True)
class EndActions:
    """What an end writes: tag ids to add and remove, attributes to set (name, value), the SOP to flow to."""

    add_tags: tuple[str, ...] = ()
    remove_tags: tuple[str, ...] = ()
    set: tuple[tuple[str, Any], ...] = ()
    flow_to: str | None = None


@dataclass(frozen=True, slots=True)
class ReplyActions:
    """What an answer to a step writes (SPEC 10): by keyword, and for any answer at all. Without flows."""

    keywords: tuple[tuple[str, EndActions], ...] = ()
    any: EndActions | None = None

    def to(self, text: str) -> tuple[tuple[str, ...], tuple[EndActions, ...]]:
        """(the keywords found in the text, letter case aside; what they and the answer as such write)."""
        said = text.casefold()
        found = [(word, actions) for word, actions in self.keywords if word.casefold() in said]
        written = [actions for _, actions in found]
        return tuple(word for word, _ in found), tuple(written if self.any is None else [*written, self.any])


@dataclass(frozen=True, slots=True)
class ProgramStep:
    """One step, ready to run. `content_hash` is equal for equal text and attachments. `written` is the definition's."""

    id: str
    index: int
    channel: ChannelName
    takes_quota: bool
    content_hash: str
    only_if: Rule | None
    moment: Moment
    on_reply: ReplyActions | None
    written: Step = field(hash=False)  # it may hold mappings

    @property
    def text(self) -> str:
        """What is said, as written."""
        return self.written.text

    @property
    def attachments(self) -> tuple[Attachment, ...]:
        """What is attached, in order."""
        return self.written.attachments


@dataclass(frozen=True, slots=True)
class Reenter:
    """`never`, `after_end`, or `after` with the time that has to pass since the last end."""

    mode: Literal["never", "after_end", "after"]
    after_ms: int = 0


@dataclass(frozen=True, eq=False)
class Program:
    """One SOP, compiled. Equal programs behave alike: same definition, tags and calendar.

    `members` None means all. `anchor` is `entry`, `added`, `event` or `attribute` (then `anchor_attribute` names it).
    `quota_full` is a timedelta of whole days to defer over, `remind` or `skip`, as `machines.quota.after_full` takes
    it. `dependencies` cover every rule of the definition; use `depends_on` for one of them.
    """

    digest: str
    key: str
    title: str
    kind: SopKind
    priority: int
    members: frozenset[str] | None
    owner: OwnerRule
    pace: Literal["anchored", "stepwise"]
    anchor: Literal["entry", "added", "event", "attribute"]
    anchor_attribute: str | None
    steps: tuple[ProgramStep, ...]
    timetable: Timetable
    entry_rule: Rule | None
    early_end_rule: Rule | None
    early_end: EndActions
    normal_end: EndActions
    goal_rule: Rule | None
    goal_within_ms: int
    late_at_entry: LatePolicy
    outage_grace: Grace
    quota_full: Literal["remind", "skip"] | timedelta
    batch_size: int
    batch_every_ms: int
    once_per: Literal["customer", "relation"]
    reenter: Reenter
    dependencies: Dependencies
    _places: Mapping[str, int] = field(repr=False)
    _hash: int = field(repr=False)

    @cached_property
    def entry_needs(self) -> Dependencies:
        """What the entry rule looks at; nothing without one."""
        return needs_of(self.entry_rule)

    @cached_property
    def end_needs(self) -> Dependencies:
        """What the early-end rule looks at; nothing without one."""
        return needs_of(self.early_end_rule)

    @cached_property
    def gate_needs(self) -> Dependencies:
        """What has to be known of somebody to judge an entry: both rules together."""
        return self.entry_needs | self.end_needs

    @cached_property
    def end_topics(self) -> frozenset[tuple[str, str]]:
        """The news at which an early end is judged."""
        return self.end_needs.topics

    def step(self, step_id: str) -> ProgramStep:
        """The step of this id; KeyError if there is none."""
        return self.steps[self._places[step_id]]

    def has_step(self, step_id: str) -> bool:
        """Whether the definition has a step of this id."""
        return step_id in self._places

    def in_scope(self, member: str) -> bool:
        """Whether this member takes part (生效成员)."""
        return self.members is None or member in self.members

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Program) and (self.digest, self.timetable) == (other.digest, other.timetable)

    def __hash__(self) -> int:
        return self._hash


def compile_program(
    sop: Sop,
    *,
    zone: str,
    company_quiet: QuietHours,
    workdays: Workdays,
    tag_ids: Mapping[str, str],
    shares_days: bool = False,
) -> Program:
    """Compile a checked definition. `tag_ids` binds every tag name in it (see `tags_of`); KeyError names a missing one.

    `shares_days`: the company's quota takes several sends a day (`week:7`, `month:days`). DefinitionError if company's
    and SOP's quiet hours together leave no minute of the day, or the zone does not exist.
    """
    steps = tuple(_step(index, step, tag_ids) for index, step in enumerate(sop.steps))
    entry, early = sop.entry.when, sop.early_end
    goal = bind_tags(sop.goal.when, tag_ids) if sop.goal else None
    rules = [bind_tags(rule, tag_ids) for _, rule in rules_of(sop)]
    digest = _digest({"sop": sop.model_dump(mode="json"), "tags": {name: tag_ids[name] for name in tag_names(sop)}})
    timetable = Timetable(
        zone, tuple(TimedStep(step.id, step.moment, step.takes_quota) for step in steps), sop.calendar, sop.off_day,
        workdays, company_quiet.union(QuietHours(sop.quiet)), sop.strategy, shares_days,
    )
    return Program(
        digest=digest, key=sop.sop, title=sop.title, kind=sop.kind, priority=sop.priority,
        members=None if sop.members is None else frozenset(sop.members), owner=sop.owner or "first_added",
        pace=sop.pace,
        anchor="attribute" if isinstance(sop.anchor, AttributeAnchor) else sop.anchor,
        anchor_attribute=sop.anchor.attribute if isinstance(sop.anchor, AttributeAnchor) else None,
        steps=steps, timetable=timetable,
        entry_rule=None if entry is None else bind_tags(entry, tag_ids),
        early_end_rule=None if early is None else bind_tags(early.when, tag_ids),
        early_end=_actions(early, tag_ids), normal_end=_actions(sop.normal_end, tag_ids),
        goal_rule=goal, goal_within_ms=milliseconds(sop.goal.within) if sop.goal else 0,
        late_at_entry=_late_policy(sop), outage_grace=_grace(sop),
        quota_full=sop.quota_full.defer if isinstance(sop.quota_full, Defer) else sop.quota_full,
        batch_size=sop.batch.size, batch_every_ms=milliseconds(sop.batch.every),
        # Whom a SOP enters once per customer hears it through one relation at a time, and anew in every run.
        once_per=sop.once_per if sop.kind == "new_customer" else "relation",
        reenter=_reenter(sop.entry.reenter),
        dependencies=reduce(or_, (depends_on(rule) for rule in rules), Dependencies()),
        _places={step.id: step.index for step in steps}, _hash=hash((digest, timetable)),
    )


def _step(index: int, step: Step, tag_ids: Mapping[str, str]) -> ProgramStep:
    return ProgramStep(
        id=step.id, index=index, channel=step.by, takes_quota=CHANNELS[step.by].takes_quota,
        content_hash=content_hash(step),
        only_if=None if step.only_if is None else bind_tags(step.only_if, tag_ids),
        moment=_moment(step), on_reply=_on_reply(step, tag_ids), written=step,
    )


def _on_reply(step: Step, tag_ids: Mapping[str, str]) -> ReplyActions | None:
    if step.on_reply is None:
        return None
    keywords, any_at_all = step.on_reply.keywords or {}, step.on_reply.any
    return ReplyActions(
        tuple((word, _actions(actions, tag_ids)) for word, actions in keywords.items()),
        None if any_at_all is None else _actions(any_at_all, tag_ids),
    )


def _moment(step: Step) -> Moment:
    if step.by == "welcome":
        return AtOnce()
    if step.after is not None:
        return AfterElapsed(milliseconds(step.after))
    if step.at is None:
        raise ValueError(f"step {step.id!r} was not checked: it has no time of day")
    if step.on is not None:
        return OnDate(step.on, step.at)
    return OnDay(step.day, step.at) if step.day is not None else NextWeekday(_WEEKDAYS.index(step.next or ""), step.at)


def content_hash(step: Step) -> str:
    """64 hex digits that are equal for equal text and attachments, whatever the step (D14)."""
    return _digest({"text": step.text, "attachments": [one.model_dump(mode="json") for one in step.attachments]})


def _digest(shape: Any) -> str:
    return hashlib.sha256(json.dumps(shape, ensure_ascii=False, sort_keys=True).encode()).hexdigest()


def _actions(end: End | Answered | None, tag_ids: Mapping[str, str]) -> EndActions:
    if end is None:
        return EndActions()
    added, removed = ([tag_ids[name] for name in names] for names in (end.add_tags, end.remove_tags))
    flow_to = end.flow_to if isinstance(end, End) else None
    return EndActions(tuple(added), tuple(removed), tuple(end.set.items()), flow_to)


def _late_policy(sop: Sop) -> LatePolicy:
    policy = sop.late_at_entry
    return WithinMs(milliseconds(policy.within)) if isinstance(policy, Within) else policy


def _grace(sop: Sop) -> Grace:
    policy = sop.outage_grace
    return WithinMs(milliseconds(policy.within)) if isinstance(policy, Within) else policy


def _reenter(policy: Literal["never", "after_end"] | Again) -> Reenter:
    return Reenter("after", milliseconds(policy.after)) if isinstance(policy, Again) else Reenter(policy)


def tags_of(sop: Sop) -> Iterator[tuple[Path, str]]:
    """Every tag name in the definition with the path of its place, for binding and for faults about it (D25)."""
    for path, rule in rules_of(sop):
        for place, atom in located(rule, path):
            if isinstance(atom, Tag):
                yield from _listed((*place, "tag"), atom.tag)
    for index, step in enumerate(sop.steps):
        reply = step.on_reply
        for word, actions in (reply.keywords or {}).items() if reply else ():
            yield from _written(("steps", index, "on_reply", "keywords", word), actions.add_tags, actions.remove_tags)
        if reply and reply.any:
            yield from _written(("steps", index, "on_reply", "any"), reply.any.add_tags, reply.any.remove_tags)
    ends: list[tuple[str, EarlyEnd | End | None]] = [("early_end", sop.early_end), ("normal_end", sop.normal_end)]
    for name, end in ends:
        if end is not None:
            yield from _written((name,), end.add_tags, end.remove_tags)


def _written(path: Path, added: tuple[str, ...], removed: tuple[str, ...]) -> Iterator[tuple[Path, str]]:
    yield from _listed((*path, "add_tags"), added)
    yield from _listed((*path, "remove_tags"), removed)


def _listed(path: Path, names: tuple[str, ...]) -> Iterator[tuple[Path, str]]:
    return (((*path, index), name) for index, name in enumerate(names))


def tag_names(sop: Sop) -> tuple[str, ...]:
    """Every tag name in the definition, once, sorted."""
    return tuple(sorted({name for _, name in tags_of(sop)}))
