"""What happened: the input of every machine, as frozen values.

An event carries only what its machine needs to decide, so that equal events of many rows form one group. Its `name` is
the machine's own name for it, is stored in rows and drawn in diagrams: renaming one is a migration. Made by the
handlers, read by `machines.enrollment`, `machines.push` and `machines.dispatch`; nothing here decides anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

Timeliness = Literal["on_time", "before_entry", "late", "paused"]
StopPurpose = Literal["end", "pause", "expiry", "operator"]
PollSummary = Literal["waiting", "confirmed", "settled", "overdue", "cancelled"]
LookupVerdict = Literal["found", "absent_once", "absent_twice", "unequal_recipients", "lookup_timeout"]
FullOutcome = Literal["defer", "remind", "skip", "give_up"]


# -- of an enrollment ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StepDue:
    """A step's moment has come, or is behind us already (SPEC 5).

    timeliness: on_time fires the step. before_entry (it was past when the customer entered), late (missed by our own
    fault beyond outage_grace) and paused (resume with `skip`) pass over it. Waiting for a slot, a quota or a doubtful
    predecessor is on_time.
    """

    step_id: str
    timeliness: Timeliness = "on_time"

    @property
    def name(self) -> str:
        """One event per step, so that order is in the table and not in an `if`."""
        return due_name(self.step_id)


def due_name(step_id: str) -> str:
    """The machine's name for "this step fell due"."""
    return f"due {step_id}"


@dataclass(frozen=True, slots=True)
class PushesSettled:
    """No push of the enrollment is open any more (a task that needs an operator counts as settled, D20)."""

    name: ClassVar[str] = "pushes_settled"


@dataclass(frozen=True, slots=True)
class EarlyEnd:
    """The early-end rule became true. `cause` is for people: `tag 结果/已复购`."""

    name: ClassVar[str] = "early_end"
    cause: str = ""


@dataclass(frozen=True, slots=True)
class ManualEnd:
    """An operator ended the run; with `flow_to` it is a transfer (SPEC 8). The tags and the flow are optional."""

    name: ClassVar[str] = "manual_end"
    by: str
    why: str = ""
    add_tags: tuple[str, ...] = ()
    remove_tags: tuple[str, ...] = ()
    flow_to: str | None = None


@dataclass(frozen=True, slots=True)
class Lost:
    """The relation ended and no other can act. `by`: customer | member | transfer | reconciliation."""

    name: ClassVar[str] = "lost"
    by: str = ""


@dataclass(frozen=True, slots=True)
class Stopped:
    """`sop stop` ends all open runs."""

    name: ClassVar[str] = "stopped"
    by: str = ""


@dataclass(frozen=True, slots=True)
class Merged:
    """The customer was inherited by a member with whom a run of this SOP is open already: `into` names it."""

    name: ClassVar[str] = "merged"
    into: str = ""


EnrollmentEvent = StepDue | PushesSettled | EarlyEnd | ManualEnd | Lost | Stopped | Merged


# -- of a push -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PushPlanned:
    """All checks passed: the push has its place in a dispatch."""

    name: ClassVar[str] = "planned"


@dataclass(frozen=True, slots=True)
class PushDelayed:
    """Not now. `until`: instant of the next look, None when some other event wakes it."""

    name: ClassVar[str] = "delayed"
    reason: str
    until: int | None = None


@dataclass(frozen=True, slots=True)
class PushSkipped:
    """A check failed for good."""

    name: ClassVar[str] = "skipped"
    reason: str


@dataclass(frozen=True, slots=True)
class PushOvertaken:
    """The next step fell due while no task had been asked for (SPEC 5)."""

    name: ClassVar[str] = "overtaken"


@dataclass(frozen=True, slots=True)
class PushCancelled:
    """The enrollment ended, or an operator cancelled the task."""

    name: ClassVar[str] = "cancelled"
    reason: str


@dataclass(frozen=True, slots=True)
class PushExpired:
    """Its expiry passed: `capacity` (no slot in time) or `not confirmed` (D11)."""

    name: ClassVar[str] = "expired"
    reason: str


@dataclass(frozen=True, slots=True)
class PushReturned:
    """Certainly not sent, so it goes back to planning: re-issue (D17), pause, task known not created."""

    name: ClassVar[str] = "returned"
    reason: str
    until: int | None = None


@dataclass(frozen=True, slots=True)
class PushRequested:
    """WeCom has the task; the member must confirm it."""

    name: ClassVar[str] = "requested"


@dataclass(frozen=True, slots=True)
class PushRefused:
    """WeCom refused for good."""

    name: ClassVar[str] = "refused"
    reason: str


@dataclass(frozen=True, slots=True)
class WelcomeUsed:
    """41051 without a doubtful attempt of ours: somebody else used the code (D21)."""

    name: ClassVar[str] = "welcome_used"


@dataclass(frozen=True, slots=True)
class PushConfirmed:
    """The member confirmed; results are not there yet."""

    name: ClassVar[str] = "confirmed"


@dataclass(frozen=True, slots=True)
class ResultSent:
    """WeCom reports it sent. `sent_at`: its send_time as an instant, else when we learned it (D13)."""

    name: ClassVar[str] = "result_sent"
    sent_at: int


@dataclass(frozen=True, slots=True)
class ResultNotFriend:
    """Status 2, or status 3 / 41048 / fail_list and the re-read shows no relation (D8)."""

    name: ClassVar[str] = "result_not_friend"


@dataclass(frozen=True, slots=True)
class ResultQuota:
    """No place in a quota window, ours or WeCom's (D7, D8); `outcome` comes from `machines.quota.after_full`."""

    name: ClassVar[str] = "result_quota"
    outcome: FullOutcome
    until: int | None = None


@dataclass(frozen=True, slots=True)
class ResultUnreported:
    """Confirmed 24 h ago and still no result (D18)."""

    name: ClassVar[str] = "result_unreported"


@dataclass(frozen=True, slots=True)
class RetryWanted:
    """An operator wants a settled push tried again."""

    name: ClassVar[str] = "retry_wanted"
    by: str = ""


@dataclass(frozen=True, slots=True)
class PushResolved:
    """An operator says what became of a push whose task nobody could look up (D20)."""

    name: ClassVar[str] = "resolved"
    sent: bool
    at: int
    by: str = ""


PushEvent = (
    PushPlanned | PushDelayed | PushSkipped | PushOvertaken | PushCancelled | PushExpired | PushReturned
    | PushRequested | PushRefused | WelcomeUsed | PushConfirmed | ResultSent | ResultNotFriend | ResultQuota
    | ResultUnreported | RetryWanted | PushResolved
)  # fmt: skip


# -- of a dispatch ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Claimed:
    """A relay took it under a lease and is about to call."""

    name: ClassVar[str] = "claimed"


@dataclass(frozen=True, slots=True)
class Created:
    """WeCom made the task. `fail_list`: some recipients were refused at once (D8)."""

    name: ClassVar[str] = "created"
    msgid: str
    fail_list: bool = False


@dataclass(frozen=True, slots=True)
class Delivered:
    """A channel without confirmation took it (welcome, webhook). `at`: the instant we learned it."""

    name: ClassVar[str] = "delivered"
    at: int


@dataclass(frozen=True, slots=True)
class CodeUsed:
    """41051: this welcome code has been used already. `at`: the instant we learned it (D21)."""

    name: ClassVar[str] = "code_used"
    at: int


@dataclass(frozen=True, slots=True)
class TaskRefused:
    """A clear no. kind: permanent | nobody (41048, D8) | not_created (safe to repeat: token, refused connection)."""

    name: ClassVar[str] = "refused"
    kind: Literal["permanent", "nobody", "not_created"]
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Throttled:
    """45009 / 45033: nothing happened, this path is closed for a while."""

    name: ClassVar[str] = "throttled"


@dataclass(frozen=True, slots=True)
class Doubtful:
    """The answer was lost (time-out, -1, 5xx) or the lease ran out: the call may have had its effect."""

    name: ClassVar[str] = "doubtful"


@dataclass(frozen=True, slots=True)
class LookedUp:
    """What the look-up of a doubtful create showed (D16); `machines.dispatch.lookup_verdict` makes it.

    verdict: found (then `msgid`) | absent_once (proves nothing yet) | absent_twice (was not created) |
    unequal_recipients (a task like ours for others, or several of ours) | lookup_timeout (41063 beyond 10 minutes).
    """

    verdict: LookupVerdict
    msgid: str = ""

    @property
    def name(self) -> str:
        return self.verdict


@dataclass(frozen=True, slots=True)
class Polled:
    """One reading of task and results; see `machines.dispatch.summary_of` for the summaries."""

    name: ClassVar[str] = "polled"
    summary: PollSummary


@dataclass(frozen=True, slots=True)
class StopWanted:
    """Stop the task: an enrollment in it ended, its SOPs are paused, or an operator says so (D17, D22)."""

    name: ClassVar[str] = "stop_wanted"
    purpose: StopPurpose


@dataclass(frozen=True, slots=True)
class ExpireDue:
    """The expiry of the dispatch has come (D11)."""

    name: ClassVar[str] = "expire_due"


@dataclass(frozen=True, slots=True)
class CancelAnswered:
    """WeCom's word on a cancellation: ok | busy (41063, D15) | gone (41093: cancelled before) | refused for good."""

    answer: Literal["ok", "busy", "gone", "refused"]
    reason: str = ""

    @property
    def name(self) -> str:
        return f"cancel_{self.answer}"


@dataclass(frozen=True, slots=True)
class Reading:
    """What one read of the results after a cancellation showed (D15).

    statuses: the set of row statuses (0 not sent, 1 sent, 2 not a friend, 3 quota); `gone`: answered 41093.
    An unreadable or incomplete answer is no reading: read again.
    """

    statuses: frozenset[int] = frozenset()
    gone: bool = False


@dataclass(frozen=True, slots=True)
class Reread:
    """Two readings, a minute apart, after a cancellation (D15)."""

    name: ClassVar[str] = "reread"
    first: Reading
    second: Reading


@dataclass(frozen=True, slots=True)
class Emptied:
    """Its last push left it before it was sent."""

    name: ClassVar[str] = "emptied"


@dataclass(frozen=True, slots=True)
class Resolved:
    """An operator said what became of it (D20). `at`: when, used as the settlement's instant if it was sent."""

    name: ClassVar[str] = "resolved"
    sent: bool
    at: int
    by: str = ""


DispatchEvent = (
    Claimed | Created | Delivered | CodeUsed | TaskRefused | Throttled | Doubtful | LookedUp | Polled
    | StopWanted | ExpireDue | CancelAnswered | Reread | Emptied | Resolved
)  # fmt: skip
