"""What is allowed in a definition and yet likely not meant: warnings, each with the path of its place.

Nothing here refuses anything. Faults are the business of `parsing` and of `machines.sop.check`; warnings about several
SOPs together (cycles of flows and tags) need the store and are made elsewhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from itertools import pairwise

from machines.calendar import NO_QUIET_HOURS, QuietHours, instant_of
from machines.rules import atoms
from machines.rules.atoms import Source
from machines.slots import MANY_TASKS
from machines.sop import CHANNELS, Problem, Sop
from sopd.definitions.tags import TagLibrary, bind

_ANY_DAY = date(2024, 1, 1)


def lint(
    sop: Sop,
    *,
    library: TagLibrary | None = None,
    quota_mode: str = "day:1",
    company_quiet: QuietHours = NO_QUIET_HOURS,
) -> tuple[Problem, ...]:
    """Warnings about a checked definition. Tag names are looked at only with a synced `library` (D25)."""
    return (
        *(bind(sop, library).problems if library else ()), *_entry(sop), *_ends(sop),
        *_quiet(sop, company_quiet.union(QuietHours(sop.quiet))), *_same_moment(sop), *_close(sop, quota_mode),
        *_many_tasks(sop),
    )


def _entry(sop: Sop) -> Iterator[Problem]:
    when = sop.entry.when
    if sop.kind == "new_customer" and not (when and any(isinstance(atom, Source) for atom in atoms(when))):
        yield Problem(("entry", "when"), "every new customer of these members enters, whatever the channel; "
                      "filtering by `source` is recommended")
    if sop.kind == "nurture" and "entry" not in sop.model_fields_set:  # without `when`, but written, it is meant so
        yield Problem(("sop",), "has no entry: nobody enters by rule, only by flow or by hand")


def _ends(sop: Sop) -> Iterator[Problem]:
    if sop.early_end is None:
        yield Problem(("sop",), "has no early_end: whoever has bought already still gets every step")


def _quiet(sop: Sop, quiet: QuietHours) -> Iterator[Problem]:
    hours = ", ".join(f"{start:%H:%M}-{end:%H:%M}" for start, end in quiet.windows)
    for index, step in enumerate(sop.steps):
        if step.at is not None and quiet.contains(instant_of(_ANY_DAY, step.at, "UTC"), "UTC"):
            yield Problem(("steps", index, "at"), f"{step.at:%H:%M} lies in the quiet hours {hours}; "
                          "the step goes out when they end")


def _same_moment(sop: Sop) -> Iterator[Problem]:
    if sop.pace == "stepwise":
        return
    for index, (before, step) in enumerate(pairwise(sop.steps), start=1):
        fixed = step.day is not None or step.on is not None
        if fixed and (before.day, before.on, before.at) == (step.day, step.on, step.at):
            yield Problem(("steps", index, "at"), f"is the very moment of step {before.id}, so this step moves to the "
                          "next day; give it a later time")


def _many_tasks(sop: Sop) -> Iterator[Problem]:
    """Customers who entered on different days stand at different steps, and each step makes a task of its own (D12)."""
    makes_task = [step for step in sop.steps if CHANNELS[step.by].takes_quota]
    count = len(makes_task)
    if sop.strategy == "timed":
        count = max(Counter(step.on for step in makes_task).values(), default=0)
    if count > MANY_TASKS:
        yield Problem(("steps",), f"on one day a member may get {count} tasks to confirm, one for each mass send; more "
                      f"than {MANY_TASKS} a day are rarely all confirmed")


def _close(sop: Sop, quota_mode: str) -> Iterator[Problem]:
    """Mass sends counted in hours that may fall on one day, where WeCom takes one a day."""
    sends = [(index, step) for index, step in enumerate(sop.steps) if CHANNELS[step.by].takes_quota]
    for (_, before), (index, step) in pairwise(sends):
        if before.after is None or step.after is None or quota_mode != "day:1":
            continue
        if step.after - before.after < timedelta(days=1):
            yield Problem(("steps", index, "after"), f"may fall on the day of {before.id}; WeCom lets a customer "
                          "receive one mass send a day, so it would move to the next day")
