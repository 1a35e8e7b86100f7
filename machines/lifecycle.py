"""The life of a SOP: draft -> initialising -> running <-> paused -> ended, and a clear no to everything else.

Operators' commands come in, a new state with effects or a refusal for people goes out (SPEC 12). Called by the handlers
of SOP commands. It does not look at definitions: whether a file may be published or started is judged elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from machines.calendar import Instant
from machines.effects import (
    Initialise,
    OpenEntry,
    PublishVersion,
    ResumePushes,
    SopEffect,
    StopEnrollments,
    StopTasks,
)
from machines.fsm import Run, Transition, build, each

Command = Literal["apply", "start", "initialised", "pause", "resume", "stop"]
ResumePolicy = Literal["skip", "shift", "catch_up"]

DRAFT, INITIALISING, RUNNING, PAUSED, ENDED = STATES = ("draft", "initialising", "running", "paused", "ended")

# What is not possible, why, and what to do instead. {sop} is the SOP's key.
REFUSALS: dict[tuple[str, str], str] = {
    (DRAFT, "pause"): "{sop} has not been started; there is nothing to pause",
    (DRAFT, "resume"): "{sop} has not been started; use `sopd sop start {sop}`",
    (DRAFT, "stop"): "{sop} has not been started; there is nothing to stop",
    (INITIALISING, "apply"): "{sop} is being initialised; apply the new version once it runs",
    (INITIALISING, "start"): "{sop} is being initialised already",
    (INITIALISING, "pause"): "{sop} is being initialised; pause it once it runs, or stop it",
    (INITIALISING, "resume"): "{sop} is being initialised, not paused; it runs by itself when that is done",
    (RUNNING, "start"): "{sop} is running already",
    (RUNNING, "resume"): "{sop} is running, not paused",
    (PAUSED, "start"): "{sop} is paused; use `sopd sop resume {sop}`",
    (PAUSED, "pause"): "{sop} is paused already",
    (ENDED, "apply"): "{sop} has ended for good; apply the definition under a new key",
    (ENDED, "start"): "{sop} has ended for good; apply the definition under a new key and start that",
    (ENDED, "pause"): "{sop} has ended",
    (ENDED, "resume"): "{sop} has ended for good and cannot be resumed; start a new one under a new key",
    (ENDED, "stop"): "{sop} has ended already",
}
# The end of an initialisation is reported by a job and may be repeated after a crash.
_LATE_REPORTS = frozenset((state, "initialised") for state in STATES if state != INITIALISING)


@dataclass(frozen=True, slots=True)
class LifecycleDecision:
    """The SOP's state after a command. `refused`: a sentence for people; state unchanged and no effects then."""

    state: str
    effects: tuple[SopEffect, ...] = ()
    refused: str | None = None


def _publish(run: Run) -> None:
    run.effects.append(PublishVersion())


def _initialise(run: Run) -> None:
    run.effects.append(Initialise())


def _open_entry(run: Run) -> None:
    run.effects.append(OpenEntry())


def _stop_tasks(run: Run) -> None:
    run.effects.append(StopTasks())


def _resume(run: Run) -> None:
    run.effects.append(ResumePushes(run.context["policy"]))


def _stop_enrollments(run: Run) -> None:
    run.effects.append(StopEnrollments())


TABLE = build(
    STATES,
    (
        *(Transition("apply", state, state, (_publish,)) for state in (DRAFT, RUNNING, PAUSED)),
        Transition("start", DRAFT, INITIALISING, (_initialise,)),
        Transition("initialised", INITIALISING, RUNNING, (_open_entry,)),
        Transition("pause", RUNNING, PAUSED, (_stop_tasks,)),
        Transition("resume", PAUSED, RUNNING, (_resume,)),
        *each((INITIALISING, RUNNING, PAUSED), "stop", ENDED, _stop_enrollments),
    ),
    initial=DRAFT,
    ignored=frozenset(REFUSALS) | _LATE_REPORTS,
    name="SOP",
)


def passes_over(policy: str, next_due_at: Instant | None, resumed_at: Instant) -> bool:
    """Whether a push that waited through a pause is `skipped: paused` at its end.

    `next_due_at`: when the step after it falls due; if that had come, the push was not the latest of what was missed.
    """
    return policy == "skip" or (policy == "catch_up" and next_due_at is not None and next_due_at <= resumed_at)


def decide(state: str, command: Command, sop: str = "the SOP", policy: ResumePolicy = "skip") -> LifecycleDecision:
    """What a command does to a SOP in this state; `sop` is named in refusals, `policy` counts for `resume`."""
    fired = TABLE.fire(state, command, policy=policy)
    refusal = REFUSALS.get((state, command))
    return LifecycleDecision(fired.state, fired.effects, refusal.format(sop=sop) if refusal else None)
