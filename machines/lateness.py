"""What becomes of a step that cannot go out at its due instant: missed at entry, late, deferred, expired.

SPEC 5 and 7.3, D2, D3, D11. Pure: the caller passes in due instants and what it knows, and gets instants or step
indexes back. Whether a delay was ours is the caller's to know: waiting for a slot or for quota is never late.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import time
from typing import Literal, NamedTuple

from machines.calendar import MINUTE_MS, Instant, end_of_day, instant_of, local_date, local_time
from machines.errors import DefinitionError
from machines.moments import AfterElapsed, AtOnce
from machines.timetable import Own, Timetable, in_order

NO_GRACE_MS = MINUTE_MS
"""What `outage_grace: none` still allows: a tick is not an outage, and no step is ever done at its very millisecond."""


@dataclass(frozen=True)
class Within:
    """`{within: D}` of `late_at_entry` and `outage_grace`, in milliseconds, more than 0."""

    ms: int

    def __post_init__(self) -> None:
        if self.ms <= 0:
            raise DefinitionError(f"within {self.ms} ms is not allowed; it lasts longer than 0")


LatePolicy = Literal["skip", "next_day"] | Within
Grace = Literal["same_day", "none"] | Within


class LateAtEntry(NamedTuple):
    """What entry does to the steps: these indexes are skipped as `before entry`, these get another due instant."""

    skipped: tuple[int, ...]
    moved: dict[int, Instant]


def is_before_entry(due: Instant, entered_at: Instant) -> bool:
    """True if the moment was already past when the subject entered; one at that very instant is not."""
    return due < entered_at


def late_steps(
    dues: Sequence[Instant], entered_at: Instant, policy: LatePolicy, timetable: Timetable
) -> LateAtEntry:
    """Judge the moments missed at entry (SPEC 5 `late_at_entry`, D3); `dues` as `due_instants` gave them.

    `skip`: all of them are skipped. `Within`: those missed by no more are kept and fall due at once. `next_day`: the
    latest goes to the next allowed day at its own time and the earlier ones are skipped. Order is kept among what is
    left, as D11 says: a step that would not be later than its predecessor moves on and is in `moved` too. A missed
    `at once` step is always skipped.
    """
    missed = [index for index, due in enumerate(dues) if is_before_entry(due, entered_at)]
    if not missed:
        return LateAtEntry((), {})
    movable = [index for index in missed if not isinstance(timetable.steps[index].moment, AtOnce)]
    if policy == "skip" or not movable:
        return LateAtEntry(tuple(missed), {})
    if isinstance(policy, Within):
        wished = {index: entered_at for index in movable if entered_at - dues[index] <= policy.ms}
    else:
        own = own_time(timetable, movable[-1], dues[movable[-1]])
        wished = {movable[-1]: next_allowed_day_same_time(entered_at, timetable, own)}
    skipped = tuple(index for index in missed if index not in wished)
    return LateAtEntry(skipped, _in_order_again(dues, skipped, wished, timetable) if wished else {})


def _in_order_again(
    dues: Sequence[Instant], skipped: Collection[int], wished: Mapping[int, Instant], timetable: Timetable
) -> dict[int, Instant]:
    """The dues that change when some steps are skipped and others wished for another instant (D11)."""
    left = [index for index in range(timetable.starts_at_once, len(dues)) if index not in skipped]
    owns = []
    for index in left:
        due = wished.get(index, dues[index])
        owns.append(Own(timetable.steps[index], local_date(due, timetable.zone),
                        own_time(timetable, index, dues[index]), due))  # fmt: skip
    return {index: due for index, due in zip(left, in_order(timetable, owns), strict=True) if due != dues[index]}


def grace_end(planned_at: Instant, grace: Grace, zone: str) -> Instant:
    """The first instant at which a step planned for `planned_at` and delayed by our own fault is `skipped: late`.

    `planned_at` is the due instant after quiet hours (`earliest_send`). `same_day` lasts until that local day ends.
    """
    if isinstance(grace, Within):
        return planned_at + grace.ms
    if grace == "none":
        return planned_at + NO_GRACE_MS
    return end_of_day(local_date(planned_at, zone), zone)


def own_time(timetable: Timetable, index: int, due: Instant) -> time:
    """The time of day that belongs to a step wherever it is moved to: its `at`, or the local time of its due."""
    moment = timetable.steps[index].moment
    return local_time(due, timetable.zone) if isinstance(moment, AtOnce | AfterElapsed) else moment.at


def next_allowed_day_same_time(at: Instant, timetable: Timetable, own: time | None = None) -> Instant:
    """Where a deferred push goes: the SOP's next allowed day after that of `at`, at its own time (SPEC 7.3).

    `own` is the step's time (see `own_time`; default: the local time of `at`). Where that is quiet it is the end of
    the quiet hours on that day, and of those over midnight the end in the morning, so no day is left out.
    """
    zone = timetable.zone
    on = timetable.workdays.next_allowed(local_date(at, zone), timetable.calendar)
    wished = instant_of(on, local_time(at, zone) if own is None else own, zone)
    allowed = timetable.quiet.end_after(wished, zone)
    if local_date(allowed, zone) == on:
        return allowed
    return timetable.quiet.end_after(instant_of(on, time(0), zone), zone)


def expiry(planned_at: Instant, timetable: Timetable, next_due: Instant | None) -> Instant:
    """The first instant at which a push planned for `planned_at` is no longer of use (SPEC 5, D11).

    The end of the SOP's next allowed day after the day it is planned for now (after quiet hours, shift, deferral), and
    never later than the due of the next step (None for the last one). An answer that is not after `planned_at` means
    that the next step has overtaken this one.
    """
    zone = timetable.zone
    last_on = timetable.workdays.next_allowed(local_date(planned_at, zone), timetable.calendar)
    end = end_of_day(last_on, zone)
    return end if next_due is None else min(end, next_due)
