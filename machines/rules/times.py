"""The conditions that time alone changes: how long ago somebody was added or wrote, and anniversaries (SPEC 3).

Each computes the next instant at which it flips, so that an indexed sweep can turn the flip into an event and nothing
is ever scanned again. The time of day counts only for anniversaries, in the zone of the facts.
"""

from __future__ import annotations

from datetime import date, time, timedelta

from machines.calendar import instant_of, local_date
from machines.facts import Dependencies, Facts
from machines.rules.atom import Atom, Relations, first_after
from machines.rules.comparisons import day_of
from machines.rules.scalars import Block, Duration, Name, milliseconds

MIDNIGHT = time(0)


class Within(Block):
    within: Duration


class Talked(Atom):
    """Somebody wrote, customer or member, not longer ago than that."""

    talked: Within

    def holds(self, facts: Facts, relations: Relations) -> bool:
        within = milliseconds(self.talked.within)
        return facts.last_talk_at is not None and facts.now - facts.last_talk_at < within

    def needs(self) -> Dependencies:
        return Dependencies(talk=True, ages_ms=frozenset((milliseconds(self.talked.within),)))

    def flips_at(self, facts: Facts) -> int | None:
        ends = () if facts.last_talk_at is None else (facts.last_talk_at + milliseconds(self.talked.within),)
        return first_after(facts.now, ends)


class OlderThan(Block):
    older_than: Duration


class Added(Atom):
    """The relation began at least that long ago."""

    added: OlderThan

    def holds(self, facts: Facts, relations: Relations) -> bool:
        return facts.added_at is not None and facts.now - facts.added_at >= milliseconds(self.added.older_than)

    def needs(self) -> Dependencies:
        return Dependencies(added=True, ages_ms=frozenset((milliseconds(self.added.older_than),)))

    def flips_at(self, facts: Facts) -> int | None:
        due = () if facts.added_at is None else (facts.added_at + milliseconds(self.added.older_than),)
        return first_after(facts.now, due)


class Silent(Atom):
    """Nobody wrote for that long; counted from the adding when nobody ever wrote."""

    silent: Duration

    def holds(self, facts: Facts, relations: Relations) -> bool:
        return facts.silent_since is not None and facts.now - facts.silent_since >= milliseconds(self.silent)

    def needs(self) -> Dependencies:
        return Dependencies(added=True, talk=True, ages_ms=frozenset((milliseconds(self.silent),)))

    def flips_at(self, facts: Facts) -> int | None:
        due = () if facts.silent_since is None else (facts.silent_since + milliseconds(self.silent),)
        return first_after(facts.now, due)


class DateOf(Atom):
    """Today is the anniversary of the date in this attribute; 29 February counts as the 28th in other years."""

    date_of: Name

    def holds(self, facts: Facts, relations: Relations) -> bool:
        day = day_of(facts.attribute(self.date_of))
        today = local_date(facts.now, facts.zone) if day else None
        return day is not None and today is not None and today == anniversary(day, today.year)

    def needs(self) -> Dependencies:
        return Dependencies(attributes=frozenset((self.date_of,)), dates=frozenset((self.date_of,)))

    def flips_at(self, facts: Facts) -> int | None:
        day = day_of(facts.attribute(self.date_of))
        if day is None:
            return None
        year = local_date(facts.now, facts.zone).year
        days = [anniversary(day, one) for one in (year - 1, year, year + 1) if 1 <= one <= 9998]
        edges = [edge for start in days for edge in (start, start + timedelta(days=1))]
        return first_after(facts.now, (instant_of(edge, MIDNIGHT, facts.zone) for edge in edges))


def anniversary(day: date, year: int) -> date:
    """The day of `year` on which `day` is remembered."""
    return date(year, 2, 28) if (day.month, day.day) == (2, 29) and not _is_leap(year) else day.replace(year=year)


def _is_leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
