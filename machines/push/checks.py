"""What planning asks of a due push before it gets a place in a task: the checks of SPEC 7.2, in their order.

Called by planning and, without consequences, by the preview. It does not move the push: its verdict holds the event to
give to `decide`. Slots and expiry come after it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from machines import reasons
from machines.events import FullOutcome, PushCancelled, PushDelayed, PushEvent, PushPlanned, PushSkipped, ResultQuota


@dataclass(frozen=True, slots=True)
class PlanFacts:
    """What planning knows of a push at the moment it looks. Equal facts make one group.

    handover_until: so long the run waits for the member who takes the customer over, None outside a hand-over.
    only_if: the step's condition now. quiet_until: end of the quiet hours that hold now, None outside them and for a
    welcome, whose code lives 20 seconds. claim: may this run send the step to this customer (D5): free, held by another
    relation's push that is still open, or sent by it; `claimed_by` is that relation's member. has_place: quota and
    rivals leave room (D6, D7, D10), true for channels without quota; else `full` and `next_try_at` say what follows.
    """

    enrollment_open: bool = True
    end_reason: str | None = None
    sop_state: str = "running"
    handover_until: int | None = None
    only_if: bool = True
    muted: bool = False
    owner_able: bool = True
    quiet_until: int | None = None
    claim: Literal["free", "held", "sent"] = "free"
    claimed_by: str = ""
    has_place: bool = True
    full: FullOutcome = "skip"
    next_try_at: int | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """`check`: the first check that spoke, or `ready`. `event`: what to give to `decide`."""

    check: str
    event: PushEvent

    @property
    def ready(self) -> bool:
        """True if the push may be planned now."""
        return self.check == "ready"


def check(facts: PlanFacts) -> Verdict:
    """The checks of SPEC 7.2, in their order; the first that does not hold decides."""
    for name, judge in CHECKS:
        event = judge(facts)
        if event is not None:
            return Verdict(name, event)
    return Verdict("ready", PushPlanned())


def _check_enrollment(facts: PlanFacts) -> PushEvent | None:
    return None if facts.enrollment_open else PushCancelled(facts.end_reason or reasons.ENROLLMENT_ENDED)


def _check_sop(facts: PlanFacts) -> PushEvent | None:
    if facts.sop_state == "running":
        return None
    if facts.sop_state == "ended":
        return PushCancelled(reasons.STOPPED)
    return PushDelayed(reasons.SOP_PAUSED if facts.sop_state == "paused" else reasons.SOP_NOT_RUNNING)


def _check_handover(facts: PlanFacts) -> PushEvent | None:
    return None if facts.handover_until is None else PushDelayed(reasons.HANDED_OVER, facts.handover_until)


def _check_condition(facts: PlanFacts) -> PushEvent | None:
    return None if facts.only_if else PushSkipped(reasons.CONDITION)


def _check_muted(facts: PlanFacts) -> PushEvent | None:
    return PushSkipped(reasons.MUTED) if facts.muted else None


def _check_owner(facts: PlanFacts) -> PushEvent | None:
    return None if facts.owner_able else PushSkipped(reasons.MEMBER_UNABLE)


def _check_quiet(facts: PlanFacts) -> PushEvent | None:
    return None if facts.quiet_until is None else PushDelayed(reasons.QUIET_HOURS, facts.quiet_until)


def _check_claim(facts: PlanFacts) -> PushEvent | None:
    if facts.claim == "free":
        return None
    reason = reasons.with_detail(reasons.SAME_CONTENT, facts.claimed_by)
    return PushSkipped(reason) if facts.claim == "sent" else PushDelayed(reason)


def _check_quota(facts: PlanFacts) -> PushEvent | None:
    return None if facts.has_place else ResultQuota(facts.full, facts.next_try_at)


CHECKS: tuple[tuple[str, Callable[[PlanFacts], PushEvent | None]], ...] = (
    ("enrollment open", _check_enrollment),
    ("sop running", _check_sop),
    ("handed over", _check_handover),
    ("only_if", _check_condition),
    ("muted", _check_muted),
    ("owner able", _check_owner),
    ("quiet hours", _check_quiet),
    ("once_per", _check_claim),
    ("quota", _check_quota),
)
