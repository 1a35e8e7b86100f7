"""How many mass sends one customer may still receive: WeCom's windows, enterprise and personal sends together.

Windows are calendar days, weeks (Monday to Sunday) or months of Asia/Shanghai, whatever zone the company uses
(WeCom 5.2). Only delivered messages count. Kept by the world at each confirmation; knows nothing of the engine.
"""

from __future__ import annotations

import calendar
from collections import defaultdict
from datetime import date, timedelta

from machines.calendar import Instant

MODES = ("day:1", "week:7", "month:days")
_SHANGHAI_MS = 8 * 3_600_000
_DAY_MS = 86_400_000
_EPOCH = date(1970, 1, 1).toordinal()


def shanghai_day(at: Instant) -> date:
    """The date in Asia/Shanghai (UTC+8 all year since 1991) at this instant."""
    return date.fromordinal(_EPOCH + (at + _SHANGHAI_MS) // _DAY_MS)


def window(mode: str, day: date) -> tuple[date, date, int]:
    """First day, last day and number of messages of the window that holds `day`."""
    if mode == "day:1":
        return day, day, 1
    if mode == "week:7":
        monday = day - timedelta(days=day.weekday())
        return monday, monday + timedelta(days=6), 7
    length = calendar.monthrange(day.year, day.month)[1]
    return day.replace(day=1), day.replace(day=length), length


class QuotaBook:
    """Days on which each customer received a mass send."""

    def __init__(self, mode: str) -> None:
        self._mode = mode
        self._days: defaultdict[str, list[date]] = defaultdict(list)

    def used(self, customer: str, at: Instant) -> int:
        """Messages already received in the window that holds `at`."""
        first, last, _ = window(self._mode, shanghai_day(at))
        return sum(first <= day <= last for day in self._days[customer])

    def allows(self, customer: str, at: Instant) -> bool:
        """Whether one more message may reach the customer at `at`."""
        return self.used(customer, at) < window(self._mode, shanghai_day(at))[2]

    def take(self, customer: str, at: Instant) -> None:
        """Count one delivered message."""
        self._days[customer].append(shanghai_day(at))

    def total(self, customer: str) -> int:
        """Messages ever delivered to the customer."""
        return len(self._days[customer])
