"""The life of a dispatch: one task handed to one member, carrying many pushes (SPEC 7.5-7.7, D14-D18, D20-D22).

Rules of the table:

- Nothing is called twice in doubt. A create whose answer is lost is `uncertain` until the look-up has spoken; only
  "absent in two complete reads" sends it again; what stays unclear is `needs_operator` and never moves by itself.
- A stop or an expiry that comes while the task is not known yet is noted, and acts as soon as the task is known.
- Cancelled means: cancelled in WeCom and read twice. Until then its pushes are not told anything.
- A task is re-issued once: later ends leave a re-issued task alone (D17).
- An operator's word outranks an end, a pause and an expiry that are being carried out: then nothing is re-issued.

`decide` is asked by the handlers that record what relay, look-up and collector found. What the pushes make of it is
their own decision: `TellPushes` hands them an event of `machines.push`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from machines import reasons
from machines.dispatch.verdicts import verdict_of_reread
from machines.effects import (
    AlertOperator,
    CancelTask,
    DispatchEffect,
    ForgetStop,
    LookUp,
    NoteStop,
    ReadResults,
    ReissuePushes,
    RereadRelations,
    TellPushes,
)
from machines.events import (
    CodeUsed,
    Delivered,
    DispatchEvent,
    PushCancelled,
    PushConfirmed,
    PushEvent,
    PushExpired,
    PushRefused,
    PushRequested,
    PushResolved,
    PushReturned,
    Resolved,
    ResultSent,
    ResultUnreported,
    StopPurpose,
    WelcomeUsed,
)
from machines.fsm import Callback, Guard, Run, Transition, build, each

PLANNED, SENDING, UNCERTAIN, REQUESTED, CONFIRMED = ("planned", "sending", "uncertain", "requested", "confirmed")
STOPPING, CANCELLING, REREADING, NEEDS_OPERATOR = ("stopping", "cancelling", "rereading", "needs_operator")
SETTLED, FAILED, CANCELLED = FINAL = ("settled", "failed", "cancelled")
STATES = (
    PLANNED, SENDING, UNCERTAIN, REQUESTED, STOPPING, CANCELLING, REREADING, CONFIRMED, NEEDS_OPERATOR, *FINAL
)  # fmt: skip
UNKNOWN = (SENDING, UNCERTAIN)
"""A task may exist and its msgid is not known."""


@dataclass(frozen=True, slots=True)
class DispatchFacts:
    """What a decision may look at.

    looks_up: the channel's tasks can be found again in WeCom; False for a welcome or a webhook, which are repeated
    instead. doubted: an earlier attempt of ours got no answer (D21). stop: the purpose noted for stopping it, None if
    nobody asked. reissue: it is itself a re-issue. cancel_overdue: 41063 for more than 10 minutes (D15).
    """

    looks_up: bool = True
    doubted: bool = False
    stop: StopPurpose | None = None
    reissue: bool = False
    cancel_overdue: bool = False


@dataclass(frozen=True, slots=True)
class DispatchDecision:
    """A dispatch after an event. `reason`: to be kept with it, None where the state says all. See Fired for ignored."""

    state: str
    effects: tuple[DispatchEffect, ...] = ()
    reason: str | None = None
    ignored: bool = False


# -- guards


def _facts(run: Run) -> DispatchFacts:
    facts: DispatchFacts = run.context["facts"]
    return facts


def _when(holds: Callable[[DispatchFacts], object]) -> Guard:
    def guard(run: Run) -> bool:
        return bool(holds(_facts(run)))

    return guard


def _event_has(field: str, *values: object) -> Guard:
    def guard(run: Run) -> bool:
        return getattr(run.context["event"], field) in values

    return guard


def _reread_says(verdict: str) -> Guard:
    def guard(run: Run) -> bool:
        event = run.context["event"]
        return verdict_of_reread(event.first, event.second) == verdict

    return guard


_repeatable = _when(lambda facts: not facts.looks_up)
_doubted = _when(lambda facts: facts.doubted)
_stop_noted = _when(lambda facts: facts.stop)
_overdue = _when(lambda facts: facts.cancel_overdue)


def _left_alone(run: Run) -> bool:
    """D17: once re-issued, an end does not stop it again; a pause, an expiry or an operator does."""
    return _facts(run).reissue and run.context["event"].purpose == "end"


# -- callbacks: each appends effects; a reason is an effect like any other until `decide` takes it out


@dataclass(frozen=True, slots=True)
class _Reason:
    text: str


@dataclass(frozen=True, slots=True)
class _Moot:
    """The event came too late to matter in its state, though another of its name would not."""


def _stays(run: Run) -> None:
    run.effects.append(_Moot())


def _do(*effects: DispatchEffect) -> Callback:
    def append(run: Run) -> None:
        run.effects.extend(effects)

    return append


def _because(reason: str) -> Callback:
    def append(run: Run) -> None:
        run.effects.append(_Reason(reason))

    return append


def _ask_operator(reason: str) -> Callback:
    def append(run: Run) -> None:
        run.effects.extend((_Reason(reason), AlertOperator(reason)))

    return append


def _tell_sent(run: Run) -> None:
    event: Delivered | CodeUsed = run.context["event"]
    run.effects.append(TellPushes(ResultSent(event.at)))


def _tell_resolved(run: Run) -> None:
    event: Resolved = run.context["event"]
    run.effects += [_Reason(reasons.OPERATOR), TellPushes(PushResolved(event.sent, event.at, event.by))]


def _tell_refused(run: Run) -> None:
    reason = run.context["event"].reason or reasons.REFUSED_BY_WECOM
    run.effects += [_Reason(reason), TellPushes(PushRefused(reason))]


def _known(run: Run) -> None:
    """The task exists: its pushes are requested, and who was refused at once is read again (D8)."""
    run.effects.append(TellPushes(PushRequested()))
    if getattr(run.context["event"], "fail_list", False):
        run.effects.append(RereadRelations())


def _note_stop(run: Run) -> None:
    run.effects.append(NoteStop(getattr(run.context["event"], "purpose", "expiry")))


def _forget_stop(run: Run) -> None:
    """Back to planned there is nothing to stop: the claim looks at ends, pause and expiry afresh."""
    if _facts(run).stop:
        run.effects.append(ForgetStop())


def _release(run: Run) -> None:
    """Certainly not confirmed: the pushes go where the stop's purpose sends them; ended ones cancel themselves."""
    purpose = _facts(run).stop or "expiry"
    run.effects.append(TellPushes(_WORDS[purpose]))
    if purpose == "end":
        run.effects.append(ReissuePushes())


def _withdraw(run: Run) -> None:
    """Stopped before any call; an end takes only its own pushes out, so it does not come here."""
    run.effects.append(TellPushes(_WORDS[run.context["event"].purpose]))


_WORDS: dict[StopPurpose, PushEvent] = {
    "end": PushReturned(reasons.REISSUE),
    "pause": PushReturned(reasons.SOP_PAUSED),
    "expiry": PushExpired(reasons.NOT_CONFIRMED),
    "operator": PushCancelled(reasons.OPERATOR),
}
_cancel = _do(CancelTask())
_look_up = _do(LookUp())
_read = _do(ReadResults())
_tell_confirmed = _do(TellPushes(PushConfirmed()))


# -- the table


def _creating() -> tuple[Transition, ...]:
    """From planned until WeCom is known to have the task, or not to have it (D16, D21)."""
    open_create = (PLANNED, SENDING, UNCERTAIN)
    return (
        Transition("claimed", PLANNED, SENDING),
        Transition("claimed", UNCERTAIN, SENDING, guards=(_repeatable,)),
        Transition("claimed", UNCERTAIN, UNCERTAIN),
        *each(open_create, "created", STOPPING, _known, _cancel, guards=(_stop_noted,)),
        *each(open_create, "created", REQUESTED, _known),
        *each(open_create, "delivered", SETTLED, _tell_sent),
        *each(open_create, "code_used", SETTLED, _tell_sent, guards=(_doubted,)),
        *each(open_create, "code_used", FAILED, _because(reasons.WELCOME_USED), _do(TellPushes(WelcomeUsed()))),
        *each(UNKNOWN, "refused", FAILED, _tell_refused, guards=(_event_has("kind", "permanent"),)),
        *each(UNKNOWN, "refused", FAILED, _because(reasons.NOBODY), _do(RereadRelations()),
              guards=(_event_has("kind", "nobody"),)),
        *each(UNKNOWN, "refused", PLANNED, _because(reasons.NOT_CREATED), _forget_stop),
        Transition("throttled", SENDING, PLANNED, (_because(reasons.THROTTLED), _forget_stop)),
        Transition("doubtful", SENDING, UNCERTAIN, (_because(reasons.DOUBTFUL),), (_repeatable,)),
        Transition("doubtful", SENDING, UNCERTAIN, (_because(reasons.DOUBTFUL), _look_up)),
        Transition("found", UNCERTAIN, STOPPING, (_known, _cancel), (_stop_noted,)),
        Transition("found", UNCERTAIN, REQUESTED, (_known,)),
        Transition("absent_once", UNCERTAIN, UNCERTAIN, (_look_up,)),
        Transition("absent_twice", UNCERTAIN, PLANNED, (_because(reasons.NOT_CREATED), _forget_stop)),
        Transition("unequal_recipients", UNCERTAIN, NEEDS_OPERATOR, (_ask_operator(reasons.UNEQUAL_RECIPIENTS),)),
        Transition("lookup_timeout", UNCERTAIN, NEEDS_OPERATOR, (_ask_operator(reasons.LOOKUP_TIMEOUT),)),
        Transition("emptied", PLANNED, CANCELLED, (_because(reasons.EMPTIED),)),
        Transition("resolved", NEEDS_OPERATOR, SETTLED, (_tell_resolved,)),
    )  # fmt: skip


def _waiting() -> tuple[Transition, ...]:
    """From requested until every row is reported (D14, D18). A confirmation makes a wanted stop moot."""

    def shows(*summaries: str) -> tuple[Guard, ...]:
        return (_event_has("summary", *summaries),)

    cancelled_outside = (_because(reasons.TASK_CANCELLED), _do(TellPushes(PushRefused(reasons.TASK_CANCELLED))))
    unconfirmed = (REQUESTED, STOPPING)
    return (
        *each(unconfirmed, "polled", CONFIRMED, _tell_confirmed, guards=shows("confirmed", "overdue")),
        *each((*unconfirmed, CONFIRMED), "polled", SETTLED, guards=shows("settled")),
        Transition("polled", REQUESTED, CANCELLED, cancelled_outside, shows("cancelled")),
        Transition("polled", STOPPING, REREADING, (_read,), shows("cancelled")),
        Transition("polled", CONFIRMED, SETTLED, (_do(TellPushes(ResultUnreported())),), shows("overdue")),
        *(Transition("polled", state, state) for state in (*unconfirmed, CONFIRMED)),
    )


def _ending() -> tuple[Transition, ...]:
    """Stop and expiry: cancel, read twice, then release the pushes (D15, D17)."""
    cancel_wanted = (STOPPING, CANCELLING)
    too_late = (_ask_operator(reasons.CANCEL_TIMEOUT),)
    return (
        Transition("stop_wanted", PLANNED, PLANNED, guards=(_event_has("purpose", "end"),)),
        Transition("stop_wanted", PLANNED, CANCELLED, (_withdraw,)),
        Transition("stop_wanted", REQUESTED, REQUESTED, guards=(_left_alone,)),
        Transition("stop_wanted", REQUESTED, STOPPING, (_note_stop, _cancel)),
        *(Transition("stop_wanted", state, state, guards=(_left_alone,)) for state in UNKNOWN),
        *(Transition("stop_wanted", state, state, (_note_stop,)) for state in UNKNOWN),
        *(Transition("expire_due", state, state, (_note_stop,), (_when(lambda facts: facts.looks_up),))
          for state in UNKNOWN),
        Transition("expire_due", SENDING, SENDING),
        Transition("expire_due", UNCERTAIN, NEEDS_OPERATOR, (_ask_operator(reasons.WELCOME_UNKNOWN),)),
        Transition("expire_due", PLANNED, CANCELLED,
                   (_because(reasons.CAPACITY), _do(TellPushes(PushExpired(reasons.CAPACITY))))),
        Transition("expire_due", REQUESTED, STOPPING, (_note_stop, _cancel)),
        *(Transition("stop_wanted", state, state, (_note_stop,), (_event_has("purpose", "operator"),))
          for state in (STOPPING, CANCELLING, REREADING)),
        *(Transition("stop_wanted", state, state, (_stays,)) for state in (STOPPING, CANCELLING, REREADING)),
        Transition("claimed", STOPPING, CANCELLING),
        *(Transition(event, CANCELLING, STOPPING, (_cancel,)) for event in ("doubtful", "throttled")),
        *each(cancel_wanted, "cancel_ok", REREADING, _read),
        *each(cancel_wanted, "cancel_gone", REREADING, _read),
        *each(cancel_wanted, "cancel_busy", NEEDS_OPERATOR, *too_late, guards=(_overdue,)),
        *each(cancel_wanted, "cancel_busy", STOPPING, _cancel),
        *each(cancel_wanted, "cancel_refused", NEEDS_OPERATOR, _ask_operator(reasons.CANCEL_REFUSED)),
        Transition("reread", REREADING, CONFIRMED, (_tell_confirmed,), (_reread_says("confirmed"),)),
        Transition("reread", REREADING, CANCELLED, (_release,), (_reread_says("unconfirmed"),)),
        Transition("reread", REREADING, NEEDS_OPERATOR, (_ask_operator(reasons.RESULTS_UNCLEAR),)),
    )  # fmt: skip


_ROWS = (*_creating(), *_waiting(), *_ending())
EVENTS = tuple(dict.fromkeys(row.event for row in _ROWS))
# Late and repeated words, by state. Two loops may look at one task, an answer may outlive its lease, a reading may be
# older than the row; what counts is in the table above.
_ANSWERS = "created delivered code_used refused throttled doubtful"
_LOOKUPS = "found absent_once absent_twice unequal_recipients lookup_timeout"
_CANCELS = "cancel_ok cancel_busy cancel_gone cancel_refused"
_LATE: dict[str, str] = {
    PLANNED: f"refused throttled doubtful {_LOOKUPS} polled {_CANCELS} reread resolved",
    SENDING: f"claimed {_LOOKUPS} polled {_CANCELS} reread emptied resolved",
    UNCERTAIN: f"throttled doubtful polled {_CANCELS} reread emptied resolved",
    REQUESTED: f"claimed {_ANSWERS} {_LOOKUPS} {_CANCELS} reread emptied resolved",
    STOPPING: f"{_ANSWERS} {_LOOKUPS} expire_due reread emptied resolved",
    CANCELLING: f"claimed created delivered code_used refused {_LOOKUPS} polled expire_due reread "
    "emptied resolved",
    REREADING: f"claimed {_ANSWERS} {_LOOKUPS} polled expire_due {_CANCELS} emptied resolved",
    CONFIRMED: f"claimed {_ANSWERS} {_LOOKUPS} stop_wanted expire_due {_CANCELS} reread emptied resolved",
    NEEDS_OPERATOR: f"claimed {_ANSWERS} {_LOOKUPS} polled stop_wanted expire_due {_CANCELS} reread emptied",
}
IGNORED = frozenset((state, event) for state, events in _LATE.items() for event in events.split()) | frozenset(
    (state, event) for state in FINAL for event in EVENTS
)
TABLE = build(STATES, _ROWS, initial=PLANNED, ignored=IGNORED, name="dispatch")


def decide(state: str, event: DispatchEvent, facts: DispatchFacts) -> DispatchDecision:
    """What a dispatch in this state becomes by this event, and what is to be done; depends on its arguments alone.

    Raises IllegalEvent for an unknown state. Nothing has changed then.
    """
    fired = TABLE.fire(state, event.name, event=event, facts=facts)
    reason = next((effect.text for effect in fired.effects if isinstance(effect, _Reason)), None)
    effects = tuple(effect for effect in fired.effects if not isinstance(effect, _Reason | _Moot))
    return DispatchDecision(fired.state, effects, reason, fired.ignored or _Moot() in fired.effects)
