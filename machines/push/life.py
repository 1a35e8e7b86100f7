"""The life of a push: one step of one enrollment, from due to a final state with a reason (SPEC 5-8, D5-D8, D18-D22).

`decide` moves a push by what happened. Rules of the table:

- WeCom's word wins. `result_sent` is taken in every open state, and corrects failed, expired and cancelled.
- We never decide over a task that may be out. Skipping, cancelling, expiring and returning act on a push without a
  task, or with one that is cancelled and read again (`retired`); otherwise the push stays and WeCom's answer decides.
- What goes back to planning after its enrollment ended becomes cancelled instead.

Called by the handlers of planning, dispatches and ends. It does not know time zones, slots or definitions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from machines import reasons
from machines.events import PushEvent, PushResolved, ResultQuota, ResultSent
from machines.fsm import Callback, Guard, Run, Transition, build, each

DUE, WAITING, PLANNED, REQUESTED, CONFIRMED = OPEN = ("due", "waiting", "planned", "requested", "confirmed")
SENT, FAILED, SKIPPED, EXPIRED, CANCELLED = FINAL = ("sent", "failed", "skipped", "expired", "cancelled")
STATES = OPEN + FINAL
UNSENT = FINAL[1:]

Task = Literal["none", "doubtful", "open", "retired"]


@dataclass(frozen=True, slots=True)
class PushFacts:
    """What a decision may look at. Equal facts make one group.

    reason: the push's present reason. enrollment_open and end_reason: whether the run goes on, else why it ended.
    ended_at: instant of an end that wanted the task stopped (D22), None while open and after `lost` or `merged`.
    task: none, no call was made; doubtful, one is under way, uncertain or needs an operator; open, WeCom has it;
    retired, it is cancelled and was read twice (D15). later_step_fired: the enrollment has moved on. repeatable: False
    for a welcome, whose code is gone.
    """

    enrollment_open: bool = True
    end_reason: str | None = None
    ended_at: int | None = None
    task: Task = "none"
    reason: str | None = None
    later_step_fired: bool = False
    repeatable: bool = True


@dataclass(frozen=True, slots=True)
class PushDecision:
    """A push after an event. `settled`: its state is final. `ignored`: nothing changed, and `reason` says why if known.

    until: instant of the next look while `waiting`, None when another event wakes it. mark: `could not stop`.
    by_reminder: the mass send is to be replaced by a reminder to the member (`quota_full: remind`).
    """

    state: str
    reason: str | None = None
    mark: str | None = None
    settled: bool = False
    until: int | None = None
    by_reminder: bool = False
    ignored: bool = False


# -- guards: each reads the facts of the run and nothing else


def _facts(run: Run) -> PushFacts:
    facts: PushFacts = run.context["facts"]
    return facts


def _inside(run: Run) -> bool:
    return _facts(run).enrollment_open


def _ours(run: Run) -> bool:
    """No task that could still be confirmed, so the word is ours."""
    return _facts(run).task in ("none", "retired")


def _gone(run: Run) -> bool:
    return not _facts(run).enrollment_open


def _retired(run: Run) -> bool:
    return _facts(run).task == "retired"


def _outcome(wanted: str) -> Guard:
    def is_outcome(run: Run) -> bool:
        event: ResultQuota = run.context["event"]
        return event.outcome == wanted

    return is_outcome


_defers, _reminds, _skips = (_outcome(name) for name in ("defer", "remind", "skip"))


def _was_sent(run: Run) -> bool:
    event: PushResolved = run.context["event"]
    return event.sent


def _may_retry(run: Run) -> bool:
    return why_no_retry(_facts(run)) is None


def why_no_retry(facts: PushFacts) -> str | None:
    """Why a push that is over without having been sent may not be tried again, or None: the reason of the refusal."""
    if not facts.enrollment_open:
        return reasons.ENROLLMENT_ENDED
    if facts.later_step_fired:
        return reasons.LATER_STEP_FIRED
    if not facts.repeatable:
        return reasons.WELCOME_EXPIRED
    return reasons.NOT_REPORTED if facts.reason == reasons.NOT_REPORTED else None  # D18: never sent again


# -- callbacks: each appends one note, what the decision says beside the state


@dataclass(frozen=True, slots=True)
class _Note:
    reason: str | None = None
    mark: str | None = None
    until: int | None = None
    by_reminder: bool = False
    ignored: bool = False


def _as_told(run: Run) -> None:
    event = run.context["event"]
    run.effects.append(_Note(event.reason, until=getattr(event, "until", None)))


def _because(reason: str) -> Callback:
    def note(run: Run) -> None:
        run.effects.append(_Note(reason))

    return note


def _stays(reason: str) -> Callback:
    def note(run: Run) -> None:
        run.effects.append(_Note(reason, ignored=True))

    return note


def _ended(run: Run) -> None:
    run.effects.append(_Note(_facts(run).end_reason or reasons.ENROLLMENT_ENDED))


def _sent(run: Run) -> None:
    event: ResultSent = run.context["event"]
    run.effects.append(_Note(mark=mark_of(event.sent_at, _facts(run).ended_at)))


def _resolved(run: Run) -> None:
    event: PushResolved = run.context["event"]
    run.effects.append(_Note(mark=mark_of(event.at, _facts(run).ended_at)))


def _deferred(run: Run) -> None:
    event: ResultQuota = run.context["event"]
    run.effects.append(_Note(reasons.QUOTA, until=event.until))


def _by_reminder(run: Run) -> None:
    run.effects.append(_Note(reasons.QUOTA, by_reminder=True))


def _no_retry(run: Run) -> None:
    run.effects.append(_Note(why_no_retry(_facts(run)), ignored=True))


def mark_of(sent_at: int, ended_at: int | None) -> str | None:
    """`could not stop` if it was sent after an end that wanted it stopped (D22)."""
    return reasons.COULD_NOT_STOP if ended_at is not None and sent_at > ended_at else None


# -- the table


def _rows() -> tuple[Transition, ...]:
    unplanned, undecided = (DUE, WAITING), (DUE, WAITING, PLANNED)
    return (
        # planning's word
        *each(unplanned, "planned", PLANNED, guards=(_inside,)),
        *each(unplanned, "planned", CANCELLED, _ended),
        *_if_ours("delayed", WAITING, _as_told),
        *_if_ours("skipped", SKIPPED, _as_told),
        *_if_ours("overtaken", SKIPPED, _because(reasons.OVERTAKEN)),
        # the end's and the clock's word, which also reach a task that is cancelled and read again
        *_if_ours("cancelled", CANCELLED, _as_told, requested=True),
        *_if_ours("expired", CANCELLED, _ended, requested=True, guards=(_gone,)),
        *_if_ours("expired", EXPIRED, _as_told, requested=True),
        *_if_ours("returned", CANCELLED, _ended, requested=True, guards=(_gone,), sources=(PLANNED,)),
        *_if_ours("returned", WAITING, _as_told, requested=True, sources=(PLANNED,)),
        # WeCom's word
        *each(undecided, "requested", REQUESTED),
        *each((*undecided, REQUESTED), "refused", FAILED, _as_told),
        *each((*undecided, REQUESTED), "welcome_used", SKIPPED, _because(reasons.WELCOME_USED)),
        *each((*undecided, REQUESTED), "confirmed", CONFIRMED),
        *each((*OPEN, FAILED, EXPIRED, CANCELLED), "result_sent", SENT, _sent),
        *each(OPEN, "result_not_friend", FAILED, _because(reasons.NOT_A_FRIEND)),
        *each(OPEN, "result_quota", CANCELLED, _ended, guards=(_gone,)),
        *each(OPEN, "result_quota", WAITING, _deferred, guards=(_defers,)),
        *each(OPEN, "result_quota", DUE, _by_reminder, guards=(_reminds,)),
        *each(OPEN, "result_quota", SKIPPED, _because(reasons.QUOTA), guards=(_skips,)),
        *each(OPEN, "result_quota", FAILED, _because(reasons.QUOTA)),  # no days left
        *each((REQUESTED, CONFIRMED), "result_unreported", FAILED, _because(reasons.NOT_REPORTED)),
        # an operator's word
        *each((PLANNED, REQUESTED, CONFIRMED), "resolved", SENT, _resolved, guards=(_was_sent,)),
        *each((PLANNED, REQUESTED, CONFIRMED), "resolved", FAILED, _because(reasons.NOT_SENT)),
        *each(UNSENT, "retry_wanted", DUE, _because(reasons.RETRY), guards=(_may_retry,)),
        *(Transition("retry_wanted", state, state, (_no_retry,)) for state in UNSENT),
        Transition("retry_wanted", SENT, SENT, (_stays(reasons.ALREADY_SENT),)),
    )


def _if_ours(
    event: str,
    dest: str,
    callback: Callback,
    *,
    requested: bool = False,
    guards: tuple[Guard, ...] = (),
    sources: tuple[str, ...] = (DUE, WAITING, PLANNED),
) -> tuple[Transition, ...]:
    """Arrows that need certainty, followed by those that stay; a row with extra guards leaves staying to the next."""
    rows = list(each(sources, event, dest, callback, guards=(_ours, *guards)))
    if requested:
        rows.append(Transition(event, REQUESTED, dest, (callback,), (_retired, *guards)))
    if not guards:
        stay = (*sources, REQUESTED) if requested else sources
        rows += [Transition(event, state, state, (_stays(reasons.TASK_OUT),)) for state in stay]
    return tuple(rows)


_ROWS = _rows()
EVENTS = tuple(dict.fromkeys(row.event for row in _ROWS))
# Late and repeated words about a push that has moved on: messages repeat, loops overlap, a poll may be older than the
# row. None of them proves a fault, so none is an error.
_LATE: dict[str, str] = {
    DUE: "returned result_unreported resolved retry_wanted",
    WAITING: "returned result_unreported resolved retry_wanted",
    PLANNED: "planned result_unreported retry_wanted",
    REQUESTED: "planned delayed skipped overtaken requested retry_wanted",
    CONFIRMED: "planned delayed skipped overtaken cancelled expired returned "
    "requested refused welcome_used confirmed retry_wanted",
}
_FINAL_HEARS = {
    SENT: {"retry_wanted"},
    SKIPPED: {"retry_wanted"},
    FAILED: {"retry_wanted", "result_sent"},
    EXPIRED: {"retry_wanted", "result_sent"},
    CANCELLED: {"retry_wanted", "result_sent"},
}
IGNORED = frozenset((state, event) for state, events in _LATE.items() for event in events.split()) | frozenset(
    (state, event) for state in FINAL for event in EVENTS if event not in _FINAL_HEARS[state]
)
TABLE = build(STATES, _ROWS, initial=DUE, ignored=IGNORED, name="push")


def decide(state: str, event: PushEvent, facts: PushFacts) -> PushDecision:
    """What a push in this state becomes by this event; depends on its arguments alone.

    Raises IllegalEvent for an unknown state. Nothing has changed then.
    """
    fired = TABLE.fire(state, event.name, event=event, facts=facts)
    note: _Note = fired.effects[0] if fired.effects else _Note()
    return PushDecision(
        fired.state,
        note.reason,
        note.mark,
        fired.state in FINAL,
        note.until,
        note.by_reminder,
        fired.ignored or note.ignored,
    )


def is_settled(state: str, needs_operator: bool = False) -> bool:
    """Whether the next step and the normal end may go on: a final state, or a task that needs an operator (D20)."""
    return needs_operator or state in FINAL
