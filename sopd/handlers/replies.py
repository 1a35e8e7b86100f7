"""What a message between customer and member does beside being a fact for rules (SPEC 5, 10).

A part, called by `signals.digest` for a page of talks, at most one of each customer. A reply does what the last sent
step with `on_reply` says, in each of the customer's runs, and wakes runs that wait for an answer. A run that has ended
normally still hears for some days, or the last step's `on_reply` could never act.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from machines.calendar import DAY_MS
from machines.reasons import ON_REPLY
from machines.sop import EndActions, Program
from sopd.handlers import attributes, stepwise, tags
from sopd.handlers.app import App
from sopd.handlers.attributes import Change
from sopd.handlers.happened import NOTHING, Cause, Consequences, TagChange
from sopd.store import Transaction
from sopd.store.queries import enrollments as run_queries
from sopd.store.queries import replies as queries
from sopd.store.queries import signals
from sopd.store.queries import tags as tag_queries
from sopd.store.queries.enrollments import Note
from sopd.store.queries.replies import Answered
from sopd.store.queries.signals import REPLY, Fresh

LISTENS_MS = 7 * DAY_MS
"""So long after its normal end a run's `on_reply` still acts."""

BY_ANSWER = Cause(1)
"""What an answer writes is one hop from the outside."""


@dataclass(frozen=True)
class Acting:
    """What one reply does in one run."""

    reply: Fresh
    run: Answered
    step_id: str
    words: tuple[str, ...]
    actions: tuple[EndActions, ...]

    def note(self) -> Note:
        """For the run's journal: never what was said, only the keywords of the definition."""
        detail = {"step": self.step_id} | ({"keywords": ", ".join(self.words)} if self.words else {})
        return Note(self.run.id, "note", reason=ON_REPLY, detail=json.dumps(detail, ensure_ascii=False))


@dataclass
class Tags:
    """Tags to put on and take off one relation; a later action wins over an earlier one."""

    add: dict[str, None] = field(default_factory=dict)
    remove: dict[str, None] = field(default_factory=dict)

    def take(self, actions: EndActions) -> None:
        """Add what these actions write."""
        for wanted, other, tag_ids in (
            (self.remove, self.add, actions.remove_tags), (self.add, self.remove, actions.add_tags),
        ):  # fmt: skip
            for tag_id in tag_ids:
                other.pop(tag_id, None)
                wanted[tag_id] = None


def heard(tx: Transaction, app: App, talks: Sequence[Fresh]) -> Consequences:
    """Note who talked with whom, and let replies act; returns what rules are to be told of beside the talks themselves.

    Locks customers, then relations, then runs that wait for an answer; whoever follows this up locks more runs.
    """
    if not talks:
        return NOTHING
    replied = {one.customer_id: one for one in talks if one.kind == REPLY}
    runs = [run for run in _runs(tx, app, replied.values()) if concerns(run, replied[run.customer_id])]
    acting = list(_acting(tx, app, runs, replied))
    news = attributes.write(tx, list(_changes(acting)))
    wishes = _wishes(acting)
    tag_queries.lock(tx, {*wishes, *(one.relation_id for one in talks if one.relation_id is not None)})
    signals.set_talked(tx, [(one.relation_id, one.at) for one in talks if one.relation_id is not None])
    changes = _write_tags(tx, app, wishes, f"signal/{talks[0].id}")
    run_queries.journal(tx, [one.note() for one in acting])
    waiting = [(run.id, replied[run.customer_id].at) for run in runs if run.is_open and run.waits_reply]
    if waiting:
        stepwise.answered(tx, app, waiting)
    return Consequences(news=tuple(news), tag_changes=changes)


def _acting(
    tx: Transaction, app: App, runs: Sequence[Answered], replied: Mapping[int, Fresh]
) -> Iterable[Acting]:
    programs = app.programs.all(tx, [run.version_id for run in runs])
    listening = [run for run in runs if any(step.on_reply for step in programs[run.version_id].steps)]
    if not listening:
        return
    sent = signals.sent_steps(tx, [run.id for run in listening])
    for run in listening:
        reply = replied[run.customer_id]
        step_id = _last_asking(programs[run.version_id], sent.get(run.id, {}), reply.at)
        rules = programs[run.version_id].step(step_id).on_reply if step_id else None
        words, actions = rules.to(reply.text or "") if rules is not None else ((), ())
        if actions:
            yield Acting(reply, run, step_id or "", words, actions)


def _runs(tx: Transaction, app: App, replied: Collection[Fresh]) -> list[Answered]:
    """Open runs of those who replied, and those that ended normally a short while ago and listen still."""
    if not replied:
        return []
    customers = {one.customer_id for one in replied}
    found = queries.open_runs(tx, customers)
    live = app.programs.catalogue(tx).live.values()
    asking = [sop.sop_id for sop in live if any(step.on_reply for step in sop.program.steps)]
    if asking:
        subjects = customers | {one.relation_id for one in replied if one.relation_id is not None}
        ended = queries.ended_runs(tx, asking, subjects, tx.now - LISTENS_MS)
        found += [run for run in ended if run.customer_id in customers]
    return found


def concerns(run: Answered, reply: Fresh) -> bool:
    """Whether the reply speaks to the run: one of a relation hears that relation only (S2)."""
    return run.kind != "new_customer" or run.relation_id == reply.relation_id


def _last_asking(program: Program, sent: Mapping[str, int], at: int) -> str | None:
    """The step with `on_reply` that was sent last, not after that instant."""
    asked = [
        (sent[step.id], step.index, step.id)
        for step in program.steps
        if step.on_reply is not None and sent.get(step.id, at + 1) <= at
    ]
    return max(asked)[2] if asked else None


def _changes(acting: Iterable[Acting]) -> Iterable[Change]:
    for one in acting:
        values = {name: value for actions in one.actions for name, value in actions.set}
        if values:
            yield Change(one.run.customer_id, values, BY_ANSWER)


def _wishes(acting: Iterable[Acting]) -> dict[int, Tags]:
    """What is to be on each owner's relation afterwards."""
    wishes: defaultdict[int, Tags] = defaultdict(Tags)
    for one in acting:
        for actions in one.actions:
            wishes[one.run.relation_id].take(actions)
    return {relation_id: wish for relation_id, wish in wishes.items() if wish.add or wish.remove}


def _write_tags(
    tx: Transaction, app: App, wishes: Mapping[int, Tags], cause_key: str
) -> tuple[TagChange, ...]:
    """Only what is not so already: a talkative customer must not cost a call for every message."""
    if not wishes:
        return ()
    held = {key for key, row in tags.held(tx, wishes).items() if row.holds}
    effective = [
        (
            relation_id,
            [tag_id for tag_id in wish.add if (relation_id, tag_id) not in held],
            [tag_id for tag_id in wish.remove if (relation_id, tag_id) in held],
        )
        for relation_id, wish in wishes.items()
    ]
    written = tags.write(tx, app, effective, cause_key)
    return tuple(change._replace(cause=BY_ANSWER) for change in written)
