"""What two values of a definition say together: every contradiction at once, as path and sentence (SPEC 3-6, D11).

The shape of each value is the business of `machines.sop.definition`. `check` never raises; its caller is
`sopd.definitions`, which turns paths into lines. Checks of a single step are in `machines.sop.step_checks`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from machines.calendar import NO_QUIET_HOURS, QuietHours
from machines.errors import DefinitionError
from machines.rules import Path, Rule, atoms, located
from machines.rules.atoms import EndedSop, Event, InSop, Replied
from machines.sop.content import CHANNELS
from machines.sop.definition import AttributeAnchor, End, Sop, Step
from machines.sop.step_checks import Problem, step_problems

STATE_NAMES = frozenset(
    {"enrolled", "settling", "normal_end", "early_end", "manual_end", "lost", "stopped", "merged"}
)
"""States that every enrollment knows; the others are named by step id, so no step may be called so (D25)."""


def check(
    sop: Sop, *, quota_mode: str = "day:1", company_quiet: QuietHours = NO_QUIET_HOURS
) -> tuple[Problem, ...]:
    """Everything in the definition that contradicts itself, in no particular order; empty if it may be applied.

    `quota_mode` and `company_quiet` are the company's: under `day:1` two mass sends on one day are a fault (D11), and
    both quiet hours together must leave some minute of the day.
    """
    return (
        *_steps(sop, quota_mode), *_kind(sop), *_pace(sop), *_anchor(sop), *_rules(sop), *_ends(sop),
        *_quiet(sop, company_quiet),
    )


def _steps(sop: Sop, quota_mode: str) -> Iterator[Problem]:
    for index, step in enumerate(sop.steps):
        yield from step_problems(sop, index, step)
    yield from _step_ids(sop)
    yield from _order(sop)
    if quota_mode == "day:1":
        yield from _days(sop)


def _step_ids(sop: Sop) -> Iterator[Problem]:
    first: dict[str, int] = {}
    for index, step in enumerate(sop.steps):
        path: Path = ("steps", index, "id")
        if step.id in STATE_NAMES:
            allowed = ", ".join(sorted(STATE_NAMES))
            yield Problem(path, f'"{step.id}" is the name of a state; a step may be called anything but {allowed}')
        if first.setdefault(step.id, index) != index:
            other = first[step.id] + 1
            yield Problem(path, f'"{step.id}" is the id of step {other} already; every step needs an id of its own')


def _order(sop: Sop) -> Iterator[Problem]:
    """List order is firing order: fixed days and dates may not go backwards."""
    if sop.pace == "stepwise":
        return
    dated = [(index, step) for index, step in enumerate(sop.steps) if step.at and (step.on or step.day is not None)]
    for (_, before), (index, step) in pairwise(dated):
        key = "on" if step.on else "day"
        if (step.on is None) != (before.on is None) or _when(step) >= _when(before):
            continue
        what = f"{key} {getattr(step, key)} at {step.at:%H:%M}"
        yield Problem(
            ("steps", index, key if getattr(step, key) != getattr(before, key) else "at"),
            f'{what} lies before step "{before.id}" ({key} {getattr(before, key)} at {before.at:%H:%M}); '
            "steps fire in the order of the list, so move the step up or its time back",
        )


def _when(step: Step) -> tuple[object, object]:
    return (step.on or step.day, step.at)


def _days(sop: Sop) -> Iterator[Problem]:
    """Two mass sends on one day are a fault where WeCom takes one a day (D11)."""
    seen: dict[tuple[str, object], Step] = {}
    for index, step in enumerate(sop.steps):
        key = "on" if step.on else "day"
        if not CHANNELS[step.by].takes_quota or getattr(step, key) is None:
            continue
        previous = any(CHANNELS[other.by].takes_quota for other in sop.steps[:index])
        if sop.pace == "stepwise":
            if previous and step.day == 0:
                yield Problem(("steps", index, "day"), "day 0 puts two mass sends on one day; give 1 or more, because "
                              "WeCom lets a customer receive one a day (quota mode day:1)")
            continue
        other = seen.setdefault((key, getattr(step, key)), step)
        if other is not step:
            yield Problem(("steps", index, key), f'{key} {getattr(step, key)} has the mass send "{other.id}" already; '
                          "WeCom lets a customer receive one a day (quota mode day:1), so take another day")


def _kind(sop: Sop) -> Iterator[Problem]:
    if (sop.kind == "stage") != (sop.stage is not None):
        yield Problem(("stage",) if sop.stage else (), "a SOP of kind stage needs `stage: {journey: ..., one_of: ...}`"
                      if sop.stage is None else f"only a SOP of kind stage has `stage`; this one is {sop.kind}")
    if sop.owner is not None and sop.kind in ("new_customer", "group"):
        yield Problem(("owner",), f"kind {sop.kind} has no owner rule: the owner is the "
                      f"{'member who was added' if sop.kind == 'new_customer' else 'owner of the group'}")
    if sop.once_per == "relation" and sop.kind != "new_customer":
        yield Problem(("once_per",), f"kind {sop.kind} has one run per customer; only new_customer knows relations")


def _pace(sop: Sop) -> Iterator[Problem]:
    if sop.strategy == "timed" and sop.pace == "stepwise":
        yield Problem(("pace",), "a timed SOP has fixed dates; pace stepwise needs strategy relative")
    if sop.strategy == "timed" and sop.anchor != "entry":
        yield Problem(("anchor",), "a timed SOP has fixed dates and counts from no anchor; take the line away")


def _anchor(sop: Sop) -> Iterator[Problem]:
    when = sop.entry.when
    if sop.anchor == "event" and not (when and any(isinstance(atom, Event) for atom in atoms(when))):
        yield Problem(("anchor",), "event means the event that lets somebody in, and entry.when asks for none")
    if isinstance(sop.anchor, AttributeAnchor) and sop.kind in ("new_customer", "group"):
        yield Problem(("anchor",), f"a SOP of kind {sop.kind} counts from entry, added or event")


class _Place(NamedTuple):
    """A rule of the definition, and the steps a `replied` in it may ask about (None: no run has begun)."""

    path: Path
    rule: Rule
    steps: tuple[Step, ...] | None


def rules_of(sop: Sop) -> Iterator[tuple[Path, Rule]]:
    """Every rule of the definition with its path, in the order of the keys."""
    return ((place.path, place.rule) for place in _places(sop))


def _places(sop: Sop) -> Iterator[_Place]:
    if sop.entry.when is not None:
        yield _Place(("entry", "when"), sop.entry.when, None)
    for index, step in enumerate(sop.steps):
        if step.only_if is not None:
            yield _Place(("steps", index, "only_if"), step.only_if, sop.steps[:index])
    if sop.early_end is not None:
        yield _Place(("early_end", "when"), sop.early_end.when, sop.steps)
    if sop.goal is not None:
        yield _Place(("goal", "when"), sop.goal.when, sop.steps)


def _rules(sop: Sop) -> Iterator[Problem]:
    for place in _places(sop):
        for path, atom in located(place.rule, place.path):
            if isinstance(atom, Replied):
                yield from _replied(place, path, atom)
            elif place.steps is not None and isinstance(atom, InSop) and sop.sop in atom.in_sop:
                yield Problem((*path, "in_sop"), "is this SOP itself, and always true inside it")
            elif place.steps is None and isinstance(atom, InSop | EndedSop) and sop.sop in _keys(atom):
                yield Problem(path, "asks for this SOP itself; how often somebody may enter is said by `reenter`")


def _keys(atom: InSop | EndedSop) -> tuple[str, ...]:
    return atom.in_sop if isinstance(atom, InSop) else atom.ended_sop.sop


def _replied(place: _Place, path: Path, atom: Replied) -> Iterator[Problem]:
    if place.steps is None:
        yield Problem((*path, "replied"), "nothing was sent before the entry; replies count inside a run only")
    elif atom.replied.since is not None and atom.replied.since not in {step.id for step in place.steps}:
        known = ", ".join(dict.fromkeys(step.id for step in place.steps)) or "none"
        yield Problem((*path, "replied", "since"),
                      f'"{atom.replied.since}" is not the id of a step before this; allowed here: {known}')


def _ends(sop: Sop) -> Iterator[Problem]:
    ends: list[tuple[str, End | None]] = [("early_end", sop.early_end), ("normal_end", sop.normal_end)]
    for name, end in ends:
        if end is None:
            continue
        if end.flow_to == sop.sop:
            yield Problem((name, "flow_to"), "is this SOP itself; name another one of kind nurture")
        yield from contradictory_tags((name,), end.add_tags, end.remove_tags)


def contradictory_tags(path: Path, added: tuple[str, ...], removed: tuple[str, ...]) -> Iterator[Problem]:
    """A tag that is added and removed at once."""
    for index, tag in enumerate(removed):
        if Counter(added)[tag]:
            yield Problem((*path, "remove_tags", index), f'"{tag}" is added and removed at once; keep one of both')


def _quiet(sop: Sop, company_quiet: QuietHours) -> Iterator[Problem]:
    try:
        company_quiet.union(QuietHours(sop.quiet))
    except DefinitionError as error:
        yield Problem(("quiet",), error.message)
