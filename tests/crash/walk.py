"""The crash walk: a unit of work dies at every point it passes, and each time the story must end as it did without.

First the story is told uninterrupted, and each unit's points are listed. Then it is told again; before a unit that is
to be walked, children die in it at point 1, 2, 3 ... until one completes. After each death the story is played on by a
new process on what was left, to its end, and compared. What a death leaves (rows and WeCom's world) decides all that
follows, so equal remains are played on once.
"""

from __future__ import annotations

import hashlib
import pickle
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, count

from machines.calendar import SECOND_MS
from tests.crash.outcome import Outcome, differences, outcome_of
from tests.crash.player import Order, Player, Unit
from tests.crash.stories import Story
from tests.support.crash import Copies, Fuse, Saved, Wreck, die_in_child
from tests.support.rig import Rig

RESTART_MS = SECOND_MS
"""How long until a new process stands in for the dead one."""
_FRAME = ("begin", "commit")
_MANY = re.compile(r"\((\?,?)+\)(,\((\?,?)+\))+")


@dataclass
class Tally:
    """What was walked: units by name, points, endings played on, and what went wrong at which point."""

    units: Counter[str] = field(default_factory=Counter)
    points: int = 0
    recoveries: int = 0
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        units = ", ".join(f"{name} {n}" for name, n in sorted(self.units.items()))
        return f"{self.points} crash points in {self.units.total()} units, {self.recoveries} recoveries ({units})"


@dataclass(frozen=True)
class Recording:
    """The uninterrupted story: the points of each unit in their order, and how it ended."""

    units: tuple[tuple[str, tuple[str, ...]], ...]
    outcome: Outcome


class Walk:
    """The walk through one story on one database. `again` plays every ending, also those that were seen before."""

    def __init__(self, story: Story, copies: Copies, *, again: bool = False) -> None:
        self._story = story
        self._copies = copies
        self._again = again
        self._empty = copies.save()

    def record(self) -> Recording:
        """Tell the story and list what every unit passes."""
        units: list[tuple[str, tuple[str, ...]]] = []

        def perform(unit: Unit) -> object:
            fuse = Fuse()
            rig.store.on_statement(lambda sql: fuse.pass_point(shape(sql)))
            rig.stage.gateway.handle, handle = fuse.around(rig.stage.gateway.handle), rig.stage.gateway.handle
            try:
                return unit.run(rig)
            finally:
                rig.store.on_statement(None)
                rig.stage.gateway.handle = handle
                units.append((unit.name, tuple(fuse.points)))

        rig, player = self._begin()
        player.perform = perform
        player.run_until(self._story.ends_at)
        outcome = outcome_of(rig)
        rig.store.close()
        return Recording(tuple(units), outcome)

    def run(self, where: Callable[[int], Iterable[int]], expected: Outcome) -> Tally:
        """Tell the story again and let units die. `where`: number of a unit -> its points, from 1; none: it lives."""
        tally, numbers = Tally(), count()

        def perform(unit: Unit) -> object:
            points = iter(where(next(numbers)))
            first = next(points, None)
            if first is not None:
                self._die(chain((first,), points), rig, player, unit, expected, tally)
            return unit.run(rig)

        rig, player = self._begin()
        player.perform = perform
        player.run_until(self._story.ends_at)
        rig.store.close()
        return tally

    def _begin(self) -> tuple[Rig, Player]:
        self._copies.put_back(self._empty)
        rig = self._story.rig(self._copies.open())
        return rig, Player(rig, self._story.orders)

    def _die(
        self, points: Iterable[int], rig: Rig, player: Player, unit: Unit, expected: Outcome, tally: Tally
    ) -> None:
        rig.store.close()
        before = self._copies.save()
        tally.units[unit.name] += 1
        seen: dict[str, list[str]] = {}
        for wreck in self._wrecks(points, rig, unit, before):
            tally.points += 1
            left = repr((self._copies.look(), hashlib.sha256(wreck.remains).digest()))
            if self._again or left not in seen:
                seen[left] = self._play_on(wreck, rig.now, tuple(player.orders), expected)
                tally.recoveries += 1
            where = f"{self._story.name}: {unit.name} died at point {len(wreck.points) + 1} ({wreck.died_at})"
            tally.wrong += [f"{where}: {line}" for line in seen[left]]
        self._copies.put_back(before)
        self._copies.forget(before)

    def _wrecks(self, points: Iterable[int], rig: Rig, unit: Unit, before: Saved) -> Iterator[Wreck]:
        """Children that die at these points; the last one when the unit is complete."""
        for at in chain(points, (None,)):
            self._copies.put_back(before)
            wreck = die_in_child(
                lambda: unit.run(rig), at, rig.store, rig.stage.gateway, lambda: _surroundings_of(rig)
            )
            yield wreck
            if wreck.died_at is None:
                return

    def _play_on(self, wreck: Wreck, now: int, orders: tuple[Order, ...], expected: Outcome) -> list[str]:
        """A new process on what was left, from this instant to the story's end; returns what is not as expected."""
        store = self._copies.open()
        world, people, faults = pickle.loads(wreck.remains)
        rig = Rig(store, world, now + RESTART_MS, population=people, faults=faults)
        try:
            Player(rig, orders, repeats_first=True).run_until(self._story.ends_at)
            return differences(expected, outcome_of(rig))
        finally:
            rig.app.wecom.close()
            store.close()


def shape(sql: str) -> str:
    """A statement whatever the number of rows in it."""
    return _MANY.sub("(..)", " ".join(sql.split()))


def plan(recordings: dict[str, Recording]) -> dict[str, dict[int, tuple[int, ...]]]:
    """By story and number of the unit, the points at which to die: few, but of all that any unit passes one of a kind.

    Two points are alike if they lie in units of one name, before the same statement or at the same call, and after the
    same one; that a transaction begins or is committed does not count as "after", for it is always the same.
    """
    passed = {
        (story, number): _kinds(name, points)
        for story, recording in recordings.items()
        for number, (name, points) in enumerate(recording.units)
    }
    left = {kind for kinds in passed.values() for kind in kinds}
    chosen: dict[str, dict[int, tuple[int, ...]]] = {story: {} for story in recordings}
    while left:
        story, number = max(passed, key=lambda key: len(left.intersection(passed[key])))
        first = {kind: at for at, kind in reversed(tuple(enumerate(passed[story, number], 1))) if kind in left}
        chosen[story][number] = tuple(sorted(first.values()))
        left -= first.keys()
    return chosen


def _kinds(name: str, points: tuple[str, ...]) -> tuple[tuple[str, str, str], ...]:
    """The kind of each point: name of the unit, what came before it, what comes."""
    kinds, before = [], ""
    for point in points:
        kinds.append((name, before, point))
        before = before if point.startswith(_FRAME) else point
    return tuple(kinds)


def _surroundings_of(rig: Rig) -> bytes:
    """WeCom's world, its people and the faults still to come."""
    return pickle.dumps((rig.world, rig.stage.population, rig.stage.gateway.faults))
