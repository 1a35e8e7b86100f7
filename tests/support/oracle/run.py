"""One customer's run through one SOP, its pushes, and the tasks that carry them: the rows of the oracle.

Values only; `company` moves them. States and reasons are SPEC's words.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.support.oracle.calendar import Calendar
from tests.support.oracle.definition import Plan, Step
from tests.support.oracle.people import Relation
from tests.support.oracle.rules import Literal

SETTLED = ("sent", "failed", "skipped", "expired", "cancelled")

NEVER = 1 << 60
"""Of a step of which nobody knows yet when it falls due."""


@dataclass(frozen=True)
class Cause:
    """The chain behind something: hops from the outside world, and the SOPs entered on the way (SPEC 4)."""

    hop: int = 0
    chain: tuple[str, ...] = ()

    def further(self) -> Cause:
        return Cause(self.hop + 1, self.chain)


OUTSIDE = Cause()


@dataclass(eq=False)
class Sop:
    """One SOP of the company, in the order of their publication. state: draft | running | paused | ended."""

    number: int
    plan: Plan
    calendar: Calendar
    state: str = "draft"
    started: int = 0
    paused: int = 0


@dataclass(eq=False)
class Run:
    """One enrollment. `dues` are the due instants of all steps (NEVER: not known yet); `fired` counts those behind it.

    `relation` is the owner's. `chain`: what led here, this SOP included. `after_signal`: signals up to it are not
    looked at. `moved`: by how much resuming has shifted it. `rule_was_false`: of an ended run, whether the entry rule
    has been false since. `counts_from`: stepwise, the settlement or answer from which the next step counts.
    `answer_until`: an answer is waited for at most so long.
    """

    number: int
    sop: Sop
    relation: Relation
    run_no: int
    cause: str
    chain: Cause
    anchor: int
    entered: int
    dues: list[int]
    before_entry: set[int]
    learned: int
    fired: int = 0
    state: str = "enrolled"
    closed: int | None = None
    reason: str = ""
    waits: bool = False
    released: bool = False
    pushes: list[Push] = field(default_factory=list)
    code: bool = False
    inherited: frozenset[Literal] = frozenset()
    after_signal: int = 0
    rule_was_false: bool = False
    moved: int = 0
    counts_from: int | None = None
    answer_until: int | None = None
    story: list[tuple[int, str]] = field(default_factory=list)

    @property
    def steps(self) -> tuple[Step, ...]:
        return self.sop.plan.steps

    @property
    def customer(self) -> str:
        return self.relation.customer

    @property
    def is_open(self) -> bool:
        return self.closed is None

    def next_step(self) -> Step | None:
        return self.steps[self.fired] if self.fired < len(self.steps) else None

    def next_due(self, step: Step) -> int | None:
        """When the step after this one falls due, which caps the expiry (D11); those missed at entry count as done."""
        later = [one.index for one in self.steps[step.index + 1 :] if one.index not in self.before_entry]
        return self.dues[later[0]] if later and self.dues[later[0]] != NEVER else None

    def open_push(self) -> Push | None:
        """The unsettled mass send, if any; a task that needs an operator counts as settled (D20)."""
        return next((p for p in self.pushes if p.is_unsettled and p.step.by == "mass_send"), None)


@dataclass(eq=False)
class Push:
    """One step of one run. `look_at`: when planning looks at it next; None if something else wakes it."""

    run: Run
    step: Step
    due: int
    state: str = "due"
    reason: str = ""
    look_at: int | None = None
    planned_at: int = 0
    expires: int | None = None
    deferred: int = 0
    task: Task | None = None
    sent_at: int | None = None
    settled_at: int | None = None
    could_not_stop: bool = False
    stopped: int | None = None
    holds_claim: bool = False

    @property
    def customer(self) -> str:
        return self.run.customer

    @property
    def is_settled(self) -> bool:
        return self.state in SETTLED

    @property
    def is_unsettled(self) -> bool:
        return not self.is_settled and not (self.task is not None and self.task.state == "needs_operator")

    @property
    def is_out(self) -> bool:
        """A task may carry it in WeCom, so WeCom's word decides and not ours."""
        return self.task is not None and self.task.created is not None and not self.is_settled


@dataclass(eq=False)
class Task:
    """One mass-send task of one member (D14). state: planned | out | cancelling | gathering | done | needs_operator."""

    sop: Sop
    step: Step
    member: str
    slot_at: int
    expires: int
    send_at: int
    pushes: list[Push]
    state: str = "planned"
    created: int | None = None
    confirmed: int | None = None
    cancelled: int | None = None
    statuses: dict[str, int] = field(default_factory=dict)
    look_at: int | None = None
    stop_at: int | None = None
    stop_for: str = ""
    is_reissue: bool = False
    reads: list[set[int] | None] = field(default_factory=list)
    confirmation_seen: int | None = None
