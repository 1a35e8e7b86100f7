"""What is to be done: the output of the machines, as frozen values in the order in which they are to be applied.

A machine never acts. The handler that asked for a decision applies its effects to all rows of the group, in the same
transaction in which it writes the new state; what reaches the outside goes through the outbox or a dispatch. Keys that
make an effect safe to repeat are made by the handler from the enrollment and the step, never from an attempt.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from machines.events import PushEvent, StopPurpose

# -- of an enrollment ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SettlePush:
    """Settle the open, never requested quota push (state is `skipped`) and take it out of its planned dispatch."""

    state: Literal["skipped"]
    reason: str


@dataclass(frozen=True, slots=True)
class RetirePush:
    """The open quota push has reached its expiry: its task is to be cancelled, read again, then settled (SPEC 7.6).

    The dispatch does the same by its own expiry, which never lies after the next step's due: doing both is harmless.
    """

    reason: str


@dataclass(frozen=True, slots=True)
class WaitForPush:
    """Park the due step until the open quota push settles; it is on time then, whatever the clock says (SPEC 5)."""

    step_id: str


@dataclass(frozen=True, slots=True)
class FirePush:
    """Write the push row of this step, state `due`."""

    step_id: str


@dataclass(frozen=True, slots=True)
class SkipPush:
    """Write the push row of this step as settled: `skipped`, with this reason."""

    step_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class CancelPushes:
    """Cancel what remains of an ended enrollment.

    Never requested pushes become `cancelled: reason`. `stop_tasks`: those with a task ask for its cancellation (D17,
    D22); False leaves the task to WeCom's result (lost, merged).
    """

    reason: str
    stop_tasks: bool


@dataclass(frozen=True, slots=True)
class WriteTags:
    """Write these tags on the owner's relation, here and in WeCom (SPEC 8). Order as in the definition."""

    add: tuple[str, ...]
    remove: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SetAttributes:
    """Set attributes of the customer: pairs of name and value."""

    values: tuple[tuple[str, Any], ...]


@dataclass(frozen=True, slots=True)
class FlowTo:
    """Enter another SOP through the flow gate, one hop further (SPEC 4)."""

    sop: str


EnrollmentEffect = (
    SettlePush | RetirePush | WaitForPush | FirePush | SkipPush | CancelPushes | WriteTags | SetAttributes | FlowTo
)


# -- of a dispatch ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TellPushes:
    """Give this event to every push of the dispatch; each decides for itself (an ended one becomes cancelled)."""

    event: PushEvent


@dataclass(frozen=True, slots=True)
class LookUp:
    """Look for the task in WeCom before anything else happens (D16), never before lease and call deadline are over."""


@dataclass(frozen=True, slots=True)
class RereadRelations:
    """Read the refused recipients again: no friend, or WeCom's window is full (D8)."""


@dataclass(frozen=True, slots=True)
class NoteStop:
    """Remember that and why the task is to be stopped; the first note stays (D17)."""

    purpose: StopPurpose


@dataclass(frozen=True, slots=True)
class ForgetStop:
    """Take the note back: there is no task, so there is nothing to stop."""


@dataclass(frozen=True, slots=True)
class CancelTask:
    """Cancel the task in WeCom."""


@dataclass(frozen=True, slots=True)
class ReadResults:
    """Read the results twice, a minute apart (D15)."""


@dataclass(frozen=True, slots=True)
class ReissuePushes:
    """One new task for the pushes still inside, once gathering is over (`machines.dispatch.reissue_at`, D17)."""


@dataclass(frozen=True, slots=True)
class AlertOperator:
    """Show it as `needs_operator`, with the reason."""

    reason: str


DispatchEffect = (
    TellPushes | LookUp | RereadRelations | NoteStop | ForgetStop | CancelTask | ReadResults | ReissuePushes
    | AlertOperator
)  # fmt: skip


# -- of a SOP --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PublishVersion:
    """Publish the definition as the next version; new entries get it."""


@dataclass(frozen=True, slots=True)
class Initialise:
    """Begin the resumable initialisation; its day is the entry date of everybody it lets in (SPEC 4)."""


@dataclass(frozen=True, slots=True)
class OpenEntry:
    """From this instant on customers may enter and steps fire."""


@dataclass(frozen=True, slots=True)
class StopTasks:
    """Cancel the unconfirmed tasks that serve only paused SOPs; their pushes wait (SPEC 12)."""


@dataclass(frozen=True, slots=True)
class ResumePushes:
    """Let go on what was parked. policy: skip | shift | catch_up (SPEC 12)."""

    policy: Literal["skip", "shift", "catch_up"]


@dataclass(frozen=True, slots=True)
class StopEnrollments:
    """End every open run as `stopped`: no tags, no flow (SPEC 8)."""


SopEffect = PublishVersion | Initialise | OpenEntry | StopTasks | ResumePushes | StopEnrollments
