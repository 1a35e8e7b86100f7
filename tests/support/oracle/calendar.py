"""Local days, quiet hours, due instants and expiries of one SOP, as SPEC 5, D3 and D11 have them. Instants are ms.

Where the SPEC is silent: a due instant is raw, but "later than its predecessor" and "on one quota day" speak of the
instants at which the steps may be sent, after quiet hours. A welcome stands outside all of it.
"""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

from tests.support.oracle.definition import MINUTE, Plan, Step

ONE_DAY = dt.timedelta(days=1)

#: Days off and make-up workdays of autumn 2026, from the State Council's notice; histories play there.
HOLIDAYS = {dt.date(2026, 9, day) for day in (25, 26, 27)} | {dt.date(2026, 10, day) for day in range(1, 8)}
MAKE_UP = {dt.date(2026, 9, 20), dt.date(2026, 10, 10)}


class Calendar:
    """The time of one SOP. `shares_days`: WeCom takes several mass sends a day (`week:7`, `month:days`)."""

    def __init__(self, plan: Plan, zone: str = "Asia/Shanghai", *, shares_days: bool = False) -> None:
        self.plan = plan
        self.zone = ZoneInfo(zone)
        self.shares_days = shares_days

    # -- days --------------------------------------------------------------------------------------------------------

    def local(self, at: int) -> dt.datetime:
        """What the clocks show."""
        return dt.datetime.fromtimestamp(at // 1000, self.zone) + dt.timedelta(milliseconds=at % 1000)

    def date(self, at: int) -> dt.date:
        return self.local(at).date()

    def instant(self, on: dt.date, time: dt.time) -> int:
        """A time in a gap moves forward by the gap; of a repeated time the first is meant (`fold=0` does both)."""
        return round(dt.datetime.combine(on, time, self.zone).timestamp() * 1000)

    def is_allowed(self, on: dt.date) -> bool:
        if self.plan.calendar == "every_day":
            return True
        if self.plan.calendar == "china_workday" and (on in HOLIDAYS or on in MAKE_UP):
            return on in MAKE_UP
        return on.weekday() < 5

    def next_allowed(self, after: dt.date) -> dt.date:
        day = after + ONE_DAY
        while not self.is_allowed(day):
            day += ONE_DAY
        return day

    def previous_allowed(self, before: dt.date) -> dt.date:
        day = before - ONE_DAY
        while not self.is_allowed(day):
            day -= ONE_DAY
        return day

    # -- quiet hours -------------------------------------------------------------------------------------------------

    def quiet_end(self, at: int) -> int:
        """The first instant from `at` on that is not quiet."""
        while (end := self._end_of_window(at)) is not None:
            at = end
        return at

    def is_quiet(self, at: int) -> bool:
        return self._end_of_window(at) is not None

    def _end_of_window(self, at: int) -> int | None:
        now = self.local(at)
        for start, end in self.plan.quiet:
            over_midnight = end <= start
            inside = (now.time() >= start or now.time() < end) if over_midnight else start <= now.time() < end
            if inside:
                tomorrow = over_midnight and now.time() >= start
                return self.instant(now.date() + ONE_DAY if tomorrow else now.date(), end)
        return None

    def sendable(self, at: int, planned_on: dt.date | None = None) -> int:
        """Outside quiet hours, and on no off day that quiet hours or waiting carried it to (unless they are kept)."""
        planned_on = planned_on or self.date(at)
        at = self.quiet_end(at)
        if self.plan.off_day != "keep" and self.date(at) != planned_on and not self.is_allowed(self.date(at)):
            at = self.quiet_end(self._on(self.next_allowed(self.date(at)), at))
        return at

    # -- due instants ------------------------------------------------------------------------------------------------

    def dues(self, anchor: int, entered: int | None = None) -> list[int]:
        """The due instant of every step, in list order (SPEC 5, D11)."""
        entered = anchor if entered is None else entered
        dues: list[int] = []
        last, taken, previous_on = None, {}, self.date(anchor)
        for step in self.plan.steps:
            if step.is_welcome:
                dues.append(anchor)
                continue
            own = self._own(step, anchor, previous_on)
            previous_on = self.date(own)
            at = self._off_days(own, entered)
            if self.plan.is_timed or step.after is not None or at >= min(anchor, entered):
                at = self._behind(step, at, last, own)
                at = self._free_day(at, last, taken, self.date(own), own)
                last = self.sendable(at)
                taken[self.date(last)] = self.date(own)
            dues.append(at)
        return dues

    def _own(self, step: Step, anchor: int, previous_on: dt.date) -> int:
        if step.after is not None:
            return anchor + step.after
        if step.on is not None:
            return self.instant(step.on, step.at)
        if step.day is not None:
            return self.instant(self.date(anchor) + step.day * ONE_DAY, step.at)
        day = previous_on + ONE_DAY
        while day.weekday() != step.next_weekday:
            day += ONE_DAY
        return self.instant(day, step.at)

    def _off_days(self, own: int, entered: int) -> int:
        """`next`, `previous` or `keep`; never from after the entry to before it."""
        on = self.date(own)
        if self.is_allowed(on) or self.plan.off_day == "keep":
            return own
        later = self._on(self.next_allowed(on), own)
        if self.plan.off_day == "next":
            return later
        sooner = self._on(self.previous_allowed(on), own)
        return later if sooner < entered <= own else sooner

    def _behind(self, step: Step, at: int, last: int | None, own: int) -> int:
        """Later than its predecessor: the next day at its own time; `after`, a minute behind it."""
        if last is None or self.sendable(at) > last:
            return at
        if step.after is not None:
            return last + MINUTE
        return self._on(self.next_allowed(self.date(last)), own)

    def _free_day(self, at: int, last: int | None, taken: dict[dt.date, dt.date], own_on: dt.date, own: int) -> int:
        """No quota day twice; where several are allowed, only a shift may not bring two together."""
        while (other := taken.get(self.date(self.sendable(at)))) is not None and not (
            self.shares_days and other == own_on
        ):
            at = self._on(self.next_allowed(self.date(at)), own)
        return at

    def _on(self, day: dt.date, own: int) -> int:
        """That day at the own time."""
        return self.instant(day, self.local(own).time())

    def due_after(self, step: Step, since: int, quota_day: dt.date | None) -> int:
        """Under `pace: stepwise`: when a step falls due that counts from this instant, as if it were an anchor, and
        later than it; never on the day of the last mass send."""
        own = self._own(step, since, self.date(since))
        at = self._behind(step, self._off_days(own, since), since, own)
        while step.by == "mass_send" and quota_day is not None and self.date(self.sendable(at)) <= quota_day:
            at = self._on(self.next_allowed(self.date(at)), own)
        return at

    # -- late, deferred, expired -------------------------------------------------------------------------------------

    def at_entry(self, dues: list[int], entered: int) -> tuple[set[int], list[int]]:
        """Which steps entry passes over as `before entry`, and the dues of the others (`late_at_entry`, D3)."""
        steps = self.plan.steps[: len(dues)]
        missed = [step.index for step in steps if not step.is_welcome and dues[step.index] < entered]
        wished: dict[int, int] = {}
        if isinstance(self.plan.late, int):
            wished = {index: entered for index in missed if entered - dues[index] <= self.plan.late}
        elif self.plan.late == "next_day" and missed:
            wished = {missed[-1]: self.next_try(entered, self.own_time(missed[-1], dues[missed[-1]]))}
        skipped = set(missed) - set(wished)
        return skipped, self._in_order_again(dues, wished, skipped) if wished else dues

    def _in_order_again(self, dues: list[int], wished: dict[int, int], skipped: set[int]) -> list[int]:
        """D11 once more: those kept or moved at entry and the others must not meet."""
        settled, last, taken = list(dues), None, {}
        for step in self.plan.steps[: len(dues)]:
            if step.is_welcome or step.index in skipped:
                continue
            wish = wished.get(step.index, dues[step.index])
            own = self.instant(self.date(wish), self.own_time(step.index, dues[step.index]))
            at = self._behind(step, wish, last, own)
            settled[step.index] = self._free_day(at, last, taken, self.date(wish), own)
            last = self.sendable(settled[step.index])
            taken[self.date(last)] = self.date(wish)
        return settled

    def own_time(self, index: int, due: int) -> dt.time:
        """The time of day that stays with a step wherever it is moved to."""
        return self.plan.steps[index].at or self.local(due).time()

    def grace_end(self, planned: int) -> int:
        """From here on a step that our own fault delayed is `skipped: late`."""
        if isinstance(self.plan.grace, int):
            return planned + self.plan.grace
        if self.plan.grace == "none":
            return planned + MINUTE
        return self.instant(self.date(planned) + ONE_DAY, dt.time(0))

    def next_try(self, at: int, own: dt.time) -> int:
        """The next allowed day at its own time; where that is quiet, when quiet hours end on that day (SPEC 7.3)."""
        day = self.next_allowed(self.date(at))
        moment = self.instant(day, own)
        if not self.is_quiet(moment):
            return moment
        ended = self.quiet_end(moment)
        if self.date(ended) == day:
            return ended
        return self.quiet_end(self.instant(day, dt.time(0)))

    def expiry(self, planned: int, next_due: int | None) -> int:
        """End of the next allowed day after the one it is planned for, and never after the next step's due (D11)."""
        end = self.instant(self.next_allowed(self.date(planned)) + ONE_DAY, dt.time(0))
        return end if next_due is None else min(end, next_due)
