"""What a definition may say and this version does not run: `apply` accepts it, `start` refuses it by line.

One place to shorten with each thing that learns to run; nothing else may refuse a definition for being too modern.
"""

from __future__ import annotations

from collections.abc import Iterator

from machines.rules import Path, located
from machines.rules.atoms import Lost, Member, Source, Tag
from machines.sop.checks import rules_of
from machines.sop.content import files_of
from machines.sop.definition import Sop, Step
from machines.sop.step_checks import Problem

RUN_CHANNELS = ("welcome", "mass_send")
RUN_CONDITIONS = (Tag, Source, Member, Lost)


def not_run_yet(sop: Sop) -> tuple[Problem, ...]:
    """Everything in a checked definition that this version does not run yet; empty if it may start."""
    return (*_frame(sop), *_rules(sop), *_all_steps(sop), *_ends(sop))


def _frame(sop: Sop) -> Iterator[Problem]:
    if sop.kind != "new_customer":
        yield _later(("kind",), sop.kind, "new_customer")
    if sop.entry.reenter != "never":
        yield _later(("entry", "reenter"), "re-entry", "never")
    if sop.quota_full == "remind":
        yield _later(("quota_full",), "remind", "{defer: 3d} and skip")
    if sop.goal is not None:
        yield _later(("goal",))


def _rules(sop: Sop) -> Iterator[Problem]:
    allowed = ", ".join(next(iter(kind.model_fields)) for kind in RUN_CONDITIONS)
    for path, rule in rules_of(sop):
        if path[0] == "goal":
            continue
        for place, atom in located(rule, path):
            if not isinstance(atom, RUN_CONDITIONS):
                yield _later(place, f"the condition {next(iter(type(atom).model_fields))}", allowed)


def _all_steps(sop: Sop) -> Iterator[Problem]:
    for index, step in enumerate(sop.steps):
        for name, message in _step(step):
            yield Problem(("steps", index, *name), message)


def _step(step: Step) -> Iterator[Problem]:
    if step.by not in RUN_CHANNELS:
        yield _later(("by",), step.by, " and ".join(RUN_CHANNELS))
    for place, attachment in enumerate(step.attachments):
        for path in files_of(attachment):
            yield _later(("attachments", place), f"uploading a file ({path})", "links, and images by `url`")


def _ends(sop: Sop) -> Iterator[Problem]:
    for name, end in (("early_end", sop.early_end), ("normal_end", sop.normal_end)):
        if end is not None and end.flow_to is not None:
            yield _later((name, "flow_to"))
        if end is not None and end.set:
            yield _later((name, "set"))


def _later(path: Path, what: str = "this key", runs: str = "") -> Problem:
    return Problem(path, f"{what} is not run by this version yet; " + (f"it runs {runs}" if runs else "leave it out"))
