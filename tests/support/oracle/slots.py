"""A member's sending slots (分批): at most `size` customers every `every`, over all SOPs (SPEC 7.4, D12)."""

from __future__ import annotations

from tests.support.oracle.calendar import Calendar
from tests.support.oracle.company import Company, Slot
from tests.support.oracle.definition import MINUTE
from tests.support.oracle.run import Sop

#: Task creation avoids these minutes where the slot allows.
SLOW = (0, 30)


def take(company: Company, sop: Sop, member: str, now: int, expires: int) -> tuple[Slot, int] | None:
    """One place for this SOP in the member's slots from `now` on: (slot, from when it can be used), or None."""
    calendar, plan = sop.calendar, sop.plan
    slots = company.slots.setdefault(member, [])
    at, today = calendar.sendable(now), calendar.date(now)
    while at < expires:
        slots.sort(key=lambda slot: slot.opens)
        here = next((slot for slot in slots if slot.opens <= at < slot.closes), None)
        later = next((slot for slot in slots if slot.opens > at), None)
        if here is not None and here.used < plan.size:
            here.used += 1
            return here, at
        if here is not None:
            at = calendar.sendable(here.closes, today)
        elif later is not None and at + plan.every > later.opens:
            at = calendar.sendable(later.opens, today)
        else:
            slots.append(Slot(at, at + plan.every, used=1))
            return slots[-1], at
    return None


def creation(calendar: Calendar, at: int, closes: int) -> int:
    """When in its slot the task is made: not at minute 00 or 30 if the slot has another minute outside quiet hours."""
    good = at
    while calendar.local(good).minute in SLOW or calendar.is_quiet(good):
        good = (good // MINUTE + 1) * MINUTE
        if good >= closes:
            return at
    return good
