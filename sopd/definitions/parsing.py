"""From a document to a `Sop`: every fault of the file at once, each in its place.

A file with faults is validated again without its spoiled values, so that one fault does not hide another: shape first,
then the contradictions of `machines.sop.check`. What merely follows from a spoiled value is not reported; where a
spoiled word decides what else is wrong (the kind, a channel), only faults count that hold whatever it was to be.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from itertools import product
from typing import Any

from pydantic import ValidationError

from machines.calendar import NO_QUIET_HOURS, QuietHours
from machines.sop import CHANNELS, Problem, Sop, check
from sopd.definitions.document import Document, Path, key_position, named, spot
from sopd.definitions.faults import DefinitionFaults, Fault
from sopd.definitions.schema import allowed_keys
from sopd.definitions.sentences import Error, missing_key, nearest, sentence, unknown_key

ROUNDS = 50
MOST_FAULTS = 300  # beyond that nobody reads on, and looking each of them up takes its time
_ANY_RULE = {"lost": True}
_STAND_INS: dict[str, Any] = {
    "sop": "unnamed", "title": "unnamed", "kind": "new_customer", "when": _ANY_RULE, "not": _ANY_RULE, "within": "1d",
}
_CHOICES: dict[str, tuple[str, ...]] = {
    "kind": ("new_customer", "nurture", "stage", "group"), "strategy": ("relative", "timed"),
    "pace": ("anchored", "stepwise"),
}
# A problem of the first may follow from a spoiled second.
_FOLLOWS: dict[str, str] = {"anchor": "entry"}


def parse_sop(
    document: Document, *, quota_mode: str = "day:1", company_quiet: QuietHours = NO_QUIET_HOURS
) -> Sop:
    """The SOP a document defines. Raises DefinitionFaults with all its faults, in the order of the file.

    `quota_mode` and `company_quiet` are the company's: under `day:1` two mass sends on one day are a fault (D11), and
    both quiet hours together must leave some minute of the day.
    """
    if not isinstance(document.data, dict):
        shapeless = document.fault((), "is no definition; it begins with `sop: its-key`")
        raise DefinitionFaults([*document.faults, shapeless])
    salvage = _Salvage(document)
    sop = salvage.sop()
    if sop is not None:
        for problem in _certain(sop, salvage.spoiled, quota_mode, company_quiet):
            salvage.report(problem)
    if salvage.faults:
        raise DefinitionFaults(salvage.faults)
    assert sop is not None  # without faults the first round succeeded
    return sop


def placed(document: Document, problems: tuple[Problem, ...] | list[Problem]) -> list[Fault]:
    """Problems found later (not run yet, unknown tags, lint) as faults with line and column, in file order."""
    return sorted((_placed(document, problem) for problem in problems), key=lambda fault: (fault.line, fault.column))


def _placed(document: Document, problem: Problem) -> Fault:
    return document.fault(problem.path, named(spot(document, problem.path).path, problem.message))


class _Salvage:
    """Takes spoiled values out of a definition until the rest can be checked."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.faults = list(document.faults)
        self.spoiled: set[Path] = set(document.spoiled)
        self._data = document.data
        self._copied = False

    def sop(self) -> Sop | None:
        """The definition without its spoiled values; None if too little is left of it."""
        for _ in range(ROUNDS):
            try:
                return Sop.model_validate(self._data)
            except ValidationError as error:
                if not self._repair(error.errors(include_url=False)):
                    return None
        return None

    def _repair(self, errors: list[Error]) -> bool:
        """Report what is new among these errors and take the values out; False if nothing would be left."""
        if not self._copied:
            self._data, self._copied = copy.deepcopy(self._data), True
        deep = {error["loc"] for error in errors}
        # Unknown keys first: a key that was only misspelt is not missing as well.
        errors = sorted(errors, key=lambda error: error["type"] != "extra_forbidden")
        more = len(errors) - MOST_FAULTS
        errors = errors[:MOST_FAULTS]
        before = self.spoiled | {path for error in errors for path in self._meant(error)}
        paths = []
        for error in errors:
            at = error["loc"]
            if error["type"] == "too_short" and any(loc[:len(at)] == at != loc for loc in deep):
                continue  # the list is only empty because its items are spoiled
            paths.append(self._report(error, before))
        if more > 0:
            last = paths[-1] if paths else ()
            self.faults.append(self.document.fault(last, f"{more} more faults follow; correct these first"))
            return False
        removed = [self._remove(path) for path in paths]  # each of them, before anything is said about the whole
        return all(removed)

    def _report(self, error: Error, before: set[Path]) -> Path:
        """Add the fault of one error, unless it follows from an earlier one; returns the path to take out."""
        kind, where = error["type"], error["loc"]
        parts = _parts(where)
        found = spot(self.document, parts[:-1] if kind == "missing" else parts).path
        if kind == "missing":
            path: Path = (*found, parts[-1])
            self._add(found, before, path, missing_key(parts), key=False)
        elif kind == "extra_forbidden":
            path, allowed = found, allowed_keys(where[:-1])
            self._add(path, before, path, unknown_key(str(parts[-1]), allowed), key=True)
            self.spoiled.update(self._meant(error))
        else:
            path = found
            self._add(path, before, path, named(path, sentence(error)), key=parts[-1:] == ("[key]",))
        return path

    def _meant(self, error: Error) -> Iterator[Path]:
        """The path an unknown key was probably meant to be, if the file has none such beside it."""
        if error["type"] == "extra_forbidden":
            *around, key = spot(self.document, _parts(error["loc"])).path
            meant = nearest(str(key), allowed_keys(error["loc"][:-1]))
            if meant and spot(self.document, (*around, meant)).path == tuple(around):
                yield (*around, meant)

    def _add(self, place: Path, before: set[Path], path: Path, message: str, *, key: bool) -> None:
        if not _follows(path, before):
            line, column = key_position(self.document, place) if key else self.document.fault(place, "")[1:3]
            self.faults.append(Fault(self.document.name, line, column, message))

    def report(self, problem: Problem) -> None:
        """Add the fault of a contradiction, unless it follows from a spoiled value."""
        source = _FOLLOWS.get(str(problem.path[0])) if problem.path else None
        if not _follows(problem.path, self.spoiled) and not any(bad[0] == source for bad in self.spoiled if bad):
            self.faults.append(_placed(self.document, problem))

    def _remove(self, path: Path) -> bool:
        """Take a value out, put a stand-in where one is needed, or give up (False)."""
        self.spoiled.add(path)
        if not path or path == ("steps",):
            return False
        *around, last = path
        holder = self._holder(tuple(around))
        if holder is None:
            return True  # taken out already, together with what held it
        if isinstance(last, int):
            stand_in = _item_stand_in(around, last)
            if stand_in is None:
                return self._remove(path[:-1])
            holder[last] = stand_in
        elif last in holder:
            del holder[last]
        elif len(path) == 3 and path[0] == "steps":
            holder |= {"to": "nowhere"} if last == "by" else {}
            holder[last] = _step_stand_in(int(path[1])).get(last)
        elif last in _STAND_INS:
            holder[last] = _STAND_INS[last]
        else:
            return self._remove(path[:-1])
        return True

    def _holder(self, path: Path) -> Any:
        holder = self._data
        for part in path:
            try:
                holder = holder[part]
            except (KeyError, IndexError, TypeError):
                return None
        return holder


def _parts(where: tuple[str | int, ...]) -> Path:
    """A location of pydantic without the names of blocks, which are not in the file."""
    return tuple(part for part in where if not (isinstance(part, str) and part.startswith("<")))


def _item_stand_in(around: list[str | int], index: int) -> Any:
    """What may take the place of a spoiled list item, so that its neighbours keep theirs; None: nothing may."""
    if around == ["steps"]:
        return _step_stand_in(index)
    return _ANY_RULE if around[-1] in ("all", "any") else None


def _step_stand_in(index: int) -> dict[str, Any]:
    return {"id": f"unnamed-{index}", "by": "webhook", "to": "nowhere", "after": "0m"}


def _follows(path: Path, spoiled: set[Path]) -> bool:
    """True if a fault at this path may merely follow from a spoiled value at, around or directly below it."""
    return any(path[:len(bad)] == bad or (len(bad) == len(path) + 1 and bad[:-1] == path) for bad in spoiled)


def _certain(sop: Sop, spoiled: set[Path], quota_mode: str, company_quiet: QuietHours) -> Iterator[Problem]:
    """The contradictions that hold whatever the spoiled words were meant to be."""
    words = [name for name in _CHOICES if (name,) in spoiled]
    channels = [index for index in range(len(sop.steps)) if ("steps", index, "by") in spoiled]
    options = [*(_CHOICES[name] for name in words), tuple(CHANNELS) if channels else ("",)]
    found: list[list[Problem]] = []
    for choice in product(*options):
        steps = tuple(
            step.model_copy(update={"by": choice[-1]}) if index in channels else step
            for index, step in enumerate(sop.steps)
        )
        meant = sop.model_copy(update={**dict(zip(words, choice, strict=False)), "steps": steps})
        found.append(list(check(meant, quota_mode=quota_mode, company_quiet=company_quiet)))
    return (problem for problem in found[0] if all(problem in others for others in found[1:]))
