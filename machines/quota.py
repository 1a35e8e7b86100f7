"""How often WeCom lets one customer receive mass sends: windows, places, rivals, and what the loser does.

Windows are WeCom's and always Asia/Shanghai, whatever the company's own zone is (SPEC 5, 7.3; WeCom 5.2). A reservation
row is (customer, window key, place); its unique index keeps the promise, this module says which rows are needed. Who
calls it: planning, the collector, the preview. It counts nothing itself: what is taken is handed in.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal, NamedTuple

from machines.calendar import DAY_MS, HOUR_MS, Instant
from machines.errors import DefinitionError
from machines.events import FullOutcome

# China has had no summer time since 1991, so WeCom's days are the UTC days shifted by eight hours.
SHANGHAI_MS = 8 * HOUR_MS
_EPOCH = date(1970, 1, 1)

Mode = Literal["day", "week", "month"]
_MODES: dict[str, Mode] = {"day:1": "day", "week:7": "week", "month:days": "month"}


class Window(NamedTuple):
    """One quota window: `key` as stored, [from_at, to_at) in instants, `capacity` places."""

    key: str
    from_at: Instant
    to_at: Instant
    capacity: int


@dataclass(frozen=True, slots=True)
class Quota:
    """The mode set in the company's WeCom console; `day:1` is the strictest and the default."""

    mode: Mode = "day"

    @classmethod
    def parse(cls, text: str) -> Quota:
        """Read a setting. Raises DefinitionError for anything but the three modes that WeCom has."""
        try:
            return cls(_MODES[text])
        except KeyError:
            allowed = ", ".join(_MODES)
            raise DefinitionError(f"unknown quota mode {text!r}; allowed: {allowed} (see WeCom's console)") from None

    def __str__(self) -> str:
        return next(text for text, mode in _MODES.items() if mode == self.mode)

    def window_of(self, at: Instant) -> Window:
        """The window that holds this instant."""
        first = self._first_day(day_of(at))
        last = self._next(first)
        key = f"M{first:%Y-%m}" if self.mode == "month" else f"{self.mode[0].upper()}{first}"
        places = 1 if self.mode == "day" else (last - first).days
        return Window(key, _midnight(first), _midnight(last), places)

    def capacity(self, window: Window) -> int:
        """Places in a window: 1 a day, 7 a week, as many as the month has days."""
        return window.capacity

    def windows_between(self, from_at: Instant, to_at: Instant) -> tuple[Window, ...]:
        """Every window that [from_at, to_at) reaches into, in order; at least that of `from_at`."""
        windows = [self.window_of(from_at)]
        while windows[-1].to_at < to_at:
            windows.append(self.window_of(windows[-1].to_at))
        return tuple(windows)

    def windows_for_open_task(self, planned_at: Instant, expires_at: Instant) -> tuple[Window, ...]:
        """A task that is not confirmed yet holds a place in each window it reaches into (D7)."""
        return self.windows_between(planned_at, expires_at)

    def window_after_settlement(self, send_time: Instant) -> Window:
        """Once settled, only the window of WeCom's send_time stays booked (D7)."""
        return self.window_of(send_time)

    def _first_day(self, day: date) -> date:
        if self.mode == "week":
            return day - timedelta(days=day.weekday())
        return day.replace(day=1) if self.mode == "month" else day

    def _next(self, first: date) -> date:
        if self.mode == "month":
            return (first + timedelta(days=31)).replace(day=1)
        return first + timedelta(days=7 if self.mode == "week" else 1)


def day_of(at: Instant) -> date:
    """WeCom's calendar day of an instant; also the day for which rivals compete (D10)."""
    return _EPOCH + timedelta(days=(at + SHANGHAI_MS) // DAY_MS)


def end_of(key: str) -> Instant:
    """When the window of a stored key is over, in whichever mode it was booked. Raises ValueError for no key."""
    first = date.fromisoformat(f"{key[1:]}-01"[:10])
    if key[0] == "M":
        return _midnight((first + timedelta(days=31)).replace(day=1))
    return _midnight(first + timedelta(days={"D": 1, "W": 7}[key[0]]))


def _midnight(day: date) -> Instant:
    return (day - _EPOCH).days * DAY_MS - SHANGHAI_MS


def choose_place(taken: Collection[int], capacity: int) -> int | None:
    """The lowest free place, counted from 1, or None when the window is full."""
    return next((place for place in range(1, capacity + 1) if place not in taken), None)


class Rival(NamedTuple):
    """One push, or the next mass send of an open enrollment, that wants a customer's day."""

    priority: int
    due_at: Instant
    id: int


def rank(rival: Rival) -> tuple[int, int, int]:
    """Sort key: highest priority, then earliest due, then lowest id come first (SPEC 7.3)."""
    return (-rival.priority, rival.due_at, rival.id)


def wins(candidate: Rival, rivals: Iterable[Rival]) -> bool:
    """True if none of the rivals comes before the candidate.

    The caller hands in only rivals that count for this day: their SOP runs, their other checks pass now, and they
    are open, due, waiting or deferred to it (D10). With n places left, `contenders` says who gets them.
    """
    return all(rank(candidate) <= rank(rival) for rival in rivals)


def contenders(candidates: Iterable[Rival], places: int) -> tuple[Rival, ...]:
    """Who gets the free places, best first; never first come, first served."""
    return tuple(sorted(candidates, key=rank)[: max(places, 0)])


def after_full(policy: Literal["remind", "skip"] | timedelta, deferred_days: int) -> FullOutcome:
    """What the loser does; `policy` is the program's `quota_full`, a timedelta of whole days to defer over.

    `defer`: try again on the following day at its own time; `deferred_days` counts the days given up so far. Beyond
    them `give_up`: `failed: quota` (D8).
    """
    if isinstance(policy, timedelta):
        return "defer" if deferred_days < policy.days else "give_up"
    return policy
