"""What came of a history, in one shape for both sides, and the differences as stories people can read.

`predicted` is the oracle's word; the engine's and the sandbox's are read by `tests.support.played`, from rows alone.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tests.support.oracle import quota
from tests.support.oracle.company import Company
from tests.support.oracle.history import History, shown
from tests.support.oracle.people import SENT
from tests.support.oracle.run import Push

RunKey = tuple[str, str, str, int]
"""SOP, member (empty in SOPs that customers enter, whoever acts), customer, run number."""
Pair = tuple[str, str]
Messages = tuple[tuple[str, int], ...]

LEEWAY = 60_000
VAGUE = {"quiet hours", "sop paused"}


@dataclass(frozen=True)
class RunRow:
    """One run: its state, which member acts, and why it began. Who was added or found is `added`."""

    state: str
    owner: str
    cause: str

    def __str__(self) -> str:
        return f"{self.state} with {self.owner}, begun by {self.cause}"


@dataclass(frozen=True)
class PushRow:
    """One push: its state, why, the second WeCom sent it (ms), and whether it went out after an end."""

    state: str
    reason: str = ""
    sent_at: int | None = None
    could_not_stop: bool = False

    def __str__(self) -> str:
        when = f" at {shown(self.sent_at)}" if self.sent_at is not None else ""
        return f"{self.state} {self.reason}".rstrip() + when + (", could not stop" if self.could_not_stop else "")


@dataclass
class Account:
    """Everything the two sides are compared by."""

    runs: dict[RunKey, RunRow] = field(default_factory=dict)
    pushes: dict[RunKey, dict[str, PushRow]] = field(default_factory=dict)
    tags: dict[Pair, frozenset[str]] = field(default_factory=dict)
    attributes: dict[str, dict[str, Any]] = field(default_factory=dict)
    booked: dict[str, Counter[str]] = field(default_factory=dict)
    refusals: dict[tuple[str, str, str], tuple[int, frozenset[str]]] = field(default_factory=dict)
    messages: dict[Pair, Messages] = field(default_factory=dict)
    stories: dict[RunKey, tuple[str, ...]] = field(default_factory=dict)


def predicted(company: Company) -> Account:
    """What SPEC says must have come of it."""
    account = Account()
    for run in company.runs:
        member = run.relation.member
        key = (run.sop.plan.key, member if run.sop.plan.is_for_new else "", run.customer, run.run_no)
        account.runs[key] = RunRow(run.state, member, run.cause)
        account.pushes[key] = {push.step.id: _row(push) for push in run.pushes}
        account.stories[key] = tuple(f"{shown(at)}  {what}" for at, what in run.story)
    for pair, relation in company.relations.items():
        account.tags[pair] = frozenset(relation.tags) if relation.friends else frozenset()
        said = _received(company, *pair)
        account.messages[pair] = tuple(sorted(said, key=lambda one: (one[1], one[0])))
        places = Counter(map(str, quota.booked(company, pair[1])))
        if places:
            account.booked[pair[1]] = places
    account.attributes = {one.name: one.attributes for one in company.customers.values() if one.attributes}
    for refusal in company.refusals:
        key = (refusal.sop, refusal.member, refusal.customer)
        times, reasons = account.refusals.get(key, (0, frozenset()))
        account.refusals[key] = (times + 1, reasons | refusal.reasons)
    return account


def _received(company: Company, member: str, customer: str) -> list[tuple[str, int]]:
    """What the customer got through this member: welcomes, and confirmed tasks that reached him."""
    greetings = [
        (push.step.text, push.sent_at // 1000 * 1000)
        for push in company.pushes(customer=customer)
        if push.step.is_welcome and push.state == "sent" and push.run.relation.member == member
    ]
    sends = [
        (task.step.text, task.confirmed // 1000 * 1000)
        for task in company.tasks
        if task.member == member and task.statuses.get(customer) == SENT
    ]
    return greetings + sends


def _row(push: Push) -> PushRow:
    sent_at = push.sent_at // 1000 * 1000 if push.state == "sent" and not push.step.is_welcome else None
    return PushRow(push.state, push.reason, sent_at, push.could_not_stop)


@dataclass(frozen=True)
class Difference:
    """One thing on which the two do not agree. `about`: the customer it happened to; `rule`: where SPEC says it."""

    about: str
    what: str
    engine: str
    oracle: str
    rule: str
    run: RunKey | None = None

    def __str__(self) -> str:
        return f"{self.what}: the engine says {self.engine}; the oracle says {self.oracle} ({self.rule})"


def compare(engine: Account, oracle: Account) -> list[Difference]:
    """Everything on which they differ, the runs first."""
    return [
        *_runs(engine, oracle), *_pushes(engine, oracle), *_messages(engine, oracle), *_tags(engine, oracle),
        *_attributes(engine, oracle), *_booked(engine, oracle), *_refusals(engine, oracle),
    ]  # fmt: skip


def _runs(engine: Account, oracle: Account) -> list[Difference]:
    return [
        Difference(key[2], f"run {_named(key)}",
                   str(engine.runs.get(key, "no such run")), str(oracle.runs.get(key, "no such run")),
                   "SPEC 4, 5, 8", key)
        for key in sorted({*engine.runs, *oracle.runs})
        if engine.runs.get(key) != oracle.runs.get(key)
    ]  # fmt: skip


def _pushes(engine: Account, oracle: Account) -> list[Difference]:
    found = []
    for key in sorted({*engine.pushes, *oracle.pushes}):
        theirs, ours = engine.pushes.get(key, {}), oracle.pushes.get(key, {})
        for step in sorted({*theirs, *ours}):
            if not _alike(theirs.get(step), ours.get(step)):
                found.append(
                    Difference(key[2], f"step {step} of {_named(key)}", str(theirs.get(step, "not fired")),
                               str(ours.get(step, "not fired")), "SPEC 5-7, D5-D22", key)
                )  # fmt: skip
    return found


def _alike(theirs: PushRow | None, ours: PushRow | None) -> bool:
    """The engine may add a detail to a reason: `same content via bob`."""
    if theirs is None or ours is None:
        return theirs is ours
    if theirs.state == ours.state == "waiting" and {theirs.reason, ours.reason} & VAGUE:
        return True  # who waits for two things may be said to wait for either
    same = (theirs.state, theirs.could_not_stop) == (ours.state, ours.could_not_stop)
    alike = theirs.reason.startswith(ours.reason) if ours.reason else not theirs.reason
    return same and alike and _about(theirs.sent_at, ours.sent_at)


def _about(theirs: int | None, ours: int | None) -> bool:
    """The same minute or so: SPEC leaves the engine some seconds between two tasks."""
    if theirs is None or ours is None:
        return theirs is ours
    return abs(theirs - ours) <= LEEWAY


def _messages(engine: Account, oracle: Account) -> list[Difference]:
    return [
        Difference(pair[1], f"what reached {pair[1]} through {pair[0]}", _said(engine.messages.get(pair, ())),
                   _said(oracle.messages.get(pair, ())), "SPEC 1, 15.2")
        for pair in sorted({*engine.messages, *oracle.messages})
        if not _told_alike(engine.messages.get(pair, ()), oracle.messages.get(pair, ()))
    ]  # fmt: skip


def _told_alike(theirs: Messages, ours: Messages) -> bool:
    return [text for text, _ in theirs] == [text for text, _ in ours] and all(
        _about(one[1], other[1]) for one, other in zip(theirs, ours, strict=True)
    )


def _said(messages: Messages) -> str:
    return ", ".join(f"{text} at {shown(at)}" for text, at in messages) or "nothing"


def _tags(engine: Account, oracle: Account) -> list[Difference]:
    return [
        Difference(pair[1], f"tags of {pair[1]} at {pair[0]}", str(sorted(engine.tags.get(pair, ()))),
                   str(sorted(oracle.tags.get(pair, ()))), "SPEC 8")
        for pair in sorted({*engine.tags, *oracle.tags})
        if engine.tags.get(pair, frozenset()) != oracle.tags.get(pair, frozenset())
    ]  # fmt: skip


def _attributes(engine: Account, oracle: Account) -> list[Difference]:
    return [
        Difference(customer, f"attributes of {customer}", str(engine.attributes.get(customer, {})),
                   str(oracle.attributes.get(customer, {})), "SPEC 8, 10")
        for customer in sorted({*engine.attributes, *oracle.attributes})
        if engine.attributes.get(customer) != oracle.attributes.get(customer)
    ]  # fmt: skip


def _booked(engine: Account, oracle: Account) -> list[Difference]:
    return [
        Difference(customer, f"quota places of {customer}", str(dict(engine.booked.get(customer, {}))),
                   str(dict(oracle.booked.get(customer, {}))), "SPEC 7.3, D7")
        for customer in sorted({*engine.booked, *oracle.booked})
        if engine.booked.get(customer) != oracle.booked.get(customer)
    ]  # fmt: skip


def _refusals(engine: Account, oracle: Account) -> list[Difference]:
    found = []
    for key in sorted({*engine.refusals, *oracle.refusals}):
        theirs, ours = engine.refusals.get(key, (0, frozenset())), oracle.refusals.get(key, (0, frozenset()))
        if theirs[0] != ours[0] or not theirs[1] <= ours[1]:
            texts = [f"{times} times {sorted(reasons)}" for times, reasons in (theirs, ours)]
            found.append(Difference(key[2], f"refusals of {key[2]} {key[1]} by {key[0]}", *texts, "SPEC 4"))
    return found


def _named(key: RunKey) -> str:
    sop, member, customer, number = key
    return customer + (f" at {member}" if member else "") + f" in {sop}" + (f", run {number}" if number > 1 else "")


def tell(history: History, differences: list[Difference], engine: Account, oracle: Account) -> str:
    """The differences as one story for each customer: the deeds, what each side did, and where they part."""
    lines = ["", str(history)]
    for customer in sorted({difference.about for difference in differences}):
        lines += ["", f"=== {customer}"]
        keys = sorted({key for key in (*engine.runs, *oracle.runs) if key[2] == customer})
        for key in keys:
            lines += [f"--- {_named(key)}: the oracle's story", *oracle.stories.get(key, ())]
            lines += ["--- the engine's journal", *engine.stories.get(key, ())]
        lines += [f"!!! {difference}" for difference in differences if difference.about == customer]
    return "\n".join(lines)
