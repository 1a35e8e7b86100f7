"""When the member of an unconfirmed task is nagged, and when not (SPEC 7.6, D19).

A task asks for three nags, counted from its creation; a member hears at most three a local day over all tasks, the
newest task first, none in quiet hours and none for a task that has expired. Called by the nagger and by `dispatch
remind`; what was nagged before is handed in.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from machines import reasons
from machines.calendar import HOUR_MS, Instant, QuietHours, end_of_day, local_date

NAGS_AFTER_MS = (2 * HOUR_MS, 5 * HOUR_MS, 8 * HOUR_MS)
"""When a task's nags fall due after its creation. WeCom allows three in 24 h for one task (WeCom 5.3)."""
NAG_GAP_MS = 3 * HOUR_MS
"""Between two nags for one task, also where quiet hours have put one off."""
NAGS_PER_DAY = 3


class Unconfirmed(NamedTuple):
    """A task nobody has confirmed yet. `nags` counts those of the task it stands for, too (D17)."""

    nags: int
    expires_at: Instant


def next_nag_at(requested_at: Instant, nags: int, last_nag_at: Instant | None = None) -> Instant | None:
    """When the next nag for a task falls due; None after the third. Quiet hours are looked at when it has come."""
    if nags >= len(NAGS_AFTER_MS):
        return None
    at = requested_at + NAGS_AFTER_MS[nags]
    return at if last_nag_at is None else max(at, last_nag_at + NAG_GAP_MS)


def why_not(task: Unconfirmed, nags_today: int, now: Instant, quiet: QuietHours, zone: str) -> str | None:
    """Why the member may not be nagged for this task now, or None. `nags_today` are his, over all tasks (D19)."""
    if now >= task.expires_at:
        return reasons.NOT_CONFIRMED
    if task.nags >= len(NAGS_AFTER_MS):
        return reasons.TASK_NAGGED
    if nags_today >= NAGS_PER_DAY:
        return reasons.MEMBER_NAGGED
    return reasons.QUIET_HOURS if quiet.contains(now, zone) else None


def look_again_at(task: Unconfirmed, reason: str, now: Instant, quiet: QuietHours, zone: str) -> Instant | None:
    """When to look at a nag again that `why_not` held back for this reason; None if it never comes."""
    if reason == reasons.QUIET_HOURS:
        at = quiet.end_after(now, zone)
    elif reason == reasons.MEMBER_NAGGED:
        at = quiet.end_after(end_of_day(local_date(now, zone), zone), zone)
    else:
        return None
    return at if at < task.expires_at else None


def newest_first(tasks: Iterable[tuple[Instant, int]]) -> tuple[int, ...]:
    """The tasks of one member, given (created_at, id) of each, in the order in which they are nagged for (D19)."""
    return tuple(task_id for _, task_id in sorted(tasks, reverse=True))
