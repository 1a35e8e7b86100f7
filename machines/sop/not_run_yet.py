"""What a definition may say and this version does not run: `apply` accepts it, `start` refuses it by line.

One place to shorten with each thing that learns to run; nothing else may refuse a definition for being too modern.
"""

from __future__ import annotations

from collections.abc import Iterator

from machines.rules import Path, located
from machines.rules.atoms import Stage
from machines.sop.checks import rules_of
from machines.sop.content import files_of
from machines.sop.definition import Sop, Step
from machines.sop.step_checks import Problem

RUN_CHANNELS = ("welcome", "mass_send", "remind", "call")
RUN_KINDS = ("new_customer", "nurture")


def not_run_yet(sop: Sop) -> tuple[Problem, ...]:
    """Everything in a checked definition that this version does not run yet; empty if it may start."""
    return (*_frame(sop), *_rules(sop), *_all_steps(sop))


def _frame(sop: Sop) -> Iterator[Problem]:
    if sop.kind not in RUN_KINDS:
        yield _later(("kind",), sop.kind, " and ".join(RUN_KINDS))
    if sop.goal is not None:
        yield _later(("goal",))


def _rules(sop: Sop) -> Iterator[Problem]:
    for path, rule in rules_of(sop):
        if path[0] == "goal":
            continue
        for place, atom in located(rule, path):
            if isinstance(atom, Stage):
                yield _later(place, "the condition stage", "every other one")


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


def _later(path: Path, what: str = "this key", runs: str = "") -> Problem:
    return Problem(path, f"{what} is not run by this version yet; " + (f"it runs {runs}" if runs else "leave it out"))
