"""What readings from WeCom say about a task: created or not, confirmed or not, free to go elsewhere (D15, D16, D18).

Pure functions from readings to an event or a verdict, for the look-up and the collector. They do not move the task
(`decide` does) and never guess: what stays unclear is said to be unclear.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from machines.backoff import DISPATCHING_FOR_MS, REPORT_WITHIN_MS
from machines.events import LookedUp, PollSummary, Reading

MINUTE_MS = 60_000
ABSENT_AFTER_MS = 10 * MINUTE_MS
"""The second read that shows nothing must be at least so long after the attempt (D16)."""
GATHER_MS = 10 * MINUTE_MS
"""How long ends are gathered after the first one, before the re-issue (D17)."""
REREAD_GAP_MS = MINUTE_MS
"""Between the two readings after a cancellation (D15)."""


@dataclass(frozen=True, slots=True)
class Match:
    """A task in WeCom that looks like ours and belongs to no other dispatch of ours.

    recipients: equal to ours, unequal, or busy when WeCom answers 41063 and they cannot be read yet.
    """

    msgid: str
    recipients: Literal["equal", "unequal", "busy"]


def lookup_verdict(
    attempted_at: int, complete_reads: Iterable[int], matches: Iterable[Match], now: int
) -> LookedUp | None:
    """Judge a doubtful create after one more look, or None: look again later (41063 within its 10 minutes).

    `complete_reads`: instants of every complete, error-free read of the task list since the attempt in which no
    match was seen, this one included; a read that broke off is none. `matches`: what the present look found. Exactly
    one match with equal recipients is ours; a readable match that is not ours, or two of ours, only a person can
    tell apart.
    """
    found = tuple(matches)
    if found:
        return _judge_matches(found, attempted_at, now)
    reads = sorted(read for read in complete_reads if read >= attempted_at)
    if len(reads) >= 2 and reads[-1] >= attempted_at + ABSENT_AFTER_MS:
        return LookedUp("absent_twice")
    return LookedUp("absent_once") if reads else None


def _judge_matches(found: tuple[Match, ...], attempted_at: int, now: int) -> LookedUp | None:
    equal = [match.msgid for match in found if match.recipients == "equal"]
    busy = any(match.recipients == "busy" for match in found)
    if busy and now <= attempted_at + DISPATCHING_FOR_MS:
        return None
    if len(equal) == 1:
        return LookedUp("found", equal[0])
    return LookedUp("lookup_timeout") if busy and not equal else LookedUp("unequal_recipients")


def cancel_is_overdue(first_tried_at: int, now: int) -> bool:
    """True if WeCom has answered 41063 to our cancellations for more than 10 minutes (D15)."""
    return now > first_tried_at + DISPATCHING_FOR_MS


def verdict_of_reread(first: Reading, second: Reading) -> Literal["confirmed", "unconfirmed", "unclear"]:
    """Two readings after a cancellation (D15): any 1, confirmed; only 0 or 41093 in both, unconfirmed; else unclear."""
    if 1 in first.statuses | second.statuses:
        return "confirmed"
    return "unconfirmed" if _shows_nothing_sent(first) and _shows_nothing_sent(second) else "unclear"


def _shows_nothing_sent(reading: Reading) -> bool:
    return reading.statuses == {0} or (reading.gone and reading.statuses <= {0})


def summary_of(
    task_status: int | None, statuses: Iterable[int], confirmed_at: int | None, now: int
) -> PollSummary:
    """One polling of task and results as a word.

    `task_status`: of get_groupmsg_task, None when it answers 41093; any non-zero means confirmed (WeCom 10).
    `statuses`: of the rows that are still ours to wait for, each 0 until WeCom reports it; empty, nothing is left to
    wait for. `confirmed_at`: when the member confirmed, as far as known. A reported row proves the confirmation,
    because a task is confirmed whole or not at all (D14).
    """
    rows = tuple(statuses)
    if rows and all(rows):
        return "settled"
    if not rows and task_status:
        return "settled"
    if task_status is None and not any(rows):
        return "cancelled"
    if not task_status and not any(rows):
        return "waiting"
    return "overdue" if confirmed_at is not None and now >= confirmed_at + REPORT_WITHIN_MS else "confirmed"


def reissue_at(first_stop_at: int, now: int) -> int:
    """When the pushes still inside go back to planning: 10 minutes after the first end, at once if that is past (D17).

    Quiet hours come on top, in planning.
    """
    return max(first_stop_at + GATHER_MS, now)
