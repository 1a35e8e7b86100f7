"""The life of a card: a dispatch that tells a member what to do for customers (SPEC 6: remind, call).

Until it is claimed a card is a planned task like any other (`machines.dispatch`); this table begins with the claim.
Rules of the table:

- The member's own word settles a card, whatever we believed of it: a click proves that the card is there.
- message/send cannot be looked up. A lost answer makes the card `unsure`, and the very same card, under the same task
  id and WeCom's duplicate check, is sent once more; so no member gets it twice. When the check's time is over nobody
  can know, and it becomes `needs_operator`.
- A refusal counts as "no card" only if no attempt before it went unanswered.
- What expires, or is of no use to anybody any more, is closed by us alone: WeCom has no part in it.

Called by the handlers of cards. What its pushes make of it is their own decision (`machines.push`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import time
from typing import ClassVar, Literal

from machines import reasons
from machines.calendar import HOUR_MS, MINUTE_MS, Instant, day_after, instant_of, local_date
from machines.effects import AlertOperator, DispatchEffect, TellPushes
from machines.events import (
    Claimed,
    Created,
    Doubtful,
    Emptied,
    ExpireDue,
    PushExpired,
    PushRefused,
    PushRequested,
    ResultSent,
    TaskRefused,
    Throttled,
)
from machines.fsm import Callback, Guard, Run, Transition, build, each
from machines.slots import creation_minute
from machines.timetable import Timetable, earliest_send

PLANNED, HANDING, UNSURE, HANDED = "planned", "handing", "unsure", "handed"
NEEDS_OPERATOR = "needs_operator"
SETTLED, FAILED, CANCELLED = FINAL = ("settled", "failed", "cancelled")
CHANNELS = ("remind", "call")
"""Dispatches of these channels are cards, all others tasks."""
STATES = (PLANNED, HANDING, UNSURE, HANDED, NEEDS_OPERATOR, *FINAL)
OUT = (HANDING, UNSURE, HANDED)
"""The member may have it."""

DUPLICATE_CHECK_MS = 4 * HOUR_MS
"""The longest time for which WeCom keeps the same message from being delivered twice (WeCom 5.7)."""
_MARGIN_MS = 10 * MINUTE_MS
MORNING = time(8)

CardOutcome = Literal["done", "reached", "not_reached"]


@dataclass(frozen=True, slots=True)
class CardAnswered:
    """The member pressed a button that settles the card. `at`: the click's CreateTime."""

    name: ClassVar[str] = "answered"
    outcome: CardOutcome
    at: int


@dataclass(frozen=True, slots=True)
class CardPutOff:
    """The member pressed `later`."""

    name: ClassVar[str] = "put_off"


@dataclass(frozen=True, slots=True)
class DoubtOver:
    """The time in which the same card may be sent once more without a second one is over (WeCom 5.7)."""

    name: ClassVar[str] = "doubt_over"


CardEvent = (
    Claimed | Created | TaskRefused | Throttled | Doubtful | ExpireDue | Emptied | CardAnswered | CardPutOff | DoubtOver
)


@dataclass(frozen=True, slots=True)
class CardFacts:
    """What a decision may look at.

    doubted: an attempt to send this very card went unanswered. asked: an earlier card of the same dispatch is with the
    member, who put it off.
    """

    doubted: bool = False
    asked: bool = False


@dataclass(frozen=True, slots=True)
class CardDecision:
    """A card after an event. `reason`: to be kept with it. `ignored`: a late or repeated word, nothing changed."""

    state: str
    effects: tuple[DispatchEffect, ...] = ()
    reason: str | None = None
    ignored: bool = False


def may_repeat(doubted_at: Instant, now: Instant) -> bool:
    """Whether a card that went unanswered first at `doubted_at` may be sent once more: WeCom still knows the first."""
    return now < doubted_at + DUPLICATE_CHECK_MS - _MARGIN_MS


def next_morning(now: Instant, timetable: Timetable) -> Instant:
    """When a card that was put off is handed out anew: eight o'clock of the next local day, outside quiet hours and off
    days, not at a minute at which WeCom is slow. It may lie behind the card's expiry."""
    today = local_date(now, timetable.zone)
    at = earliest_send(instant_of(day_after(today), MORNING, timetable.zone), timetable, today)
    return creation_minute(at, at + HOUR_MS, timetable)


# -- guards and callbacks


def _doubted(run: Run) -> bool:
    facts: CardFacts = run.context["facts"]
    return facts.doubted


def _asked(run: Run) -> bool:
    facts: CardFacts = run.context["facts"]
    return facts.asked


def _is_permanent(run: Run) -> bool:
    return bool(run.context["event"].kind == "permanent")


@dataclass(frozen=True, slots=True)
class _Reason:
    text: str


def _because(reason: str) -> Callback:
    def append(run: Run) -> None:
        run.effects.append(_Reason(reason))

    return append


def _ask_operator(run: Run) -> None:
    run.effects.extend((_Reason(reasons.CARD_UNKNOWN), AlertOperator(reasons.CARD_UNKNOWN)))


def _tell_requested(run: Run) -> None:
    run.effects.append(TellPushes(PushRequested()))


def _tell_sent(run: Run) -> None:
    event: CardAnswered = run.context["event"]
    reason = {"reached": reasons.REACHED, "not_reached": reasons.NOT_REACHED}.get(event.outcome)
    run.effects += [_Reason(reason)] if reason else []
    run.effects.append(TellPushes(ResultSent(event.at)))


def _tell_refused(run: Run) -> None:
    reason = run.context["event"].reason or reasons.REFUSED_BY_WECOM
    run.effects += [_Reason(reason), TellPushes(PushRefused(reason))]


def _tell_expired(run: Run) -> None:
    run.effects += [_Reason(reasons.NOT_CONFIRMED), TellPushes(PushExpired(reasons.NOT_CONFIRMED))]


# -- the table


def _not_there(event: str, why: str, *guards: Guard) -> tuple[Transition, ...]:
    """This call made no card; whether an earlier one did is another question."""
    return (
        Transition(event, HANDING, UNSURE, (_because(why),), (*guards, _doubted)),
        Transition(event, HANDING, HANDED, (_because(why),), (*guards, _asked)),
        Transition(event, HANDING, PLANNED, (_because(why),), guards),
    )


_ROWS = (
    *each((PLANNED, UNSURE, HANDED), "claimed", HANDING),
    *each((HANDING, UNSURE), "created", HANDED, _tell_requested),
    Transition("refused", HANDING, NEEDS_OPERATOR, (_ask_operator,), (_is_permanent, _doubted)),
    Transition("refused", HANDING, FAILED, (_tell_refused,), (_is_permanent,)),
    *_not_there("refused", reasons.NOT_CREATED),
    *_not_there("throttled", reasons.THROTTLED),
    Transition("doubtful", HANDING, UNSURE, (_because(reasons.DOUBTFUL),)),
    Transition("doubt_over", UNSURE, NEEDS_OPERATOR, (_ask_operator,)),
    *each((HANDING, UNSURE, HANDED, NEEDS_OPERATOR), "answered", SETTLED, _tell_sent),
    *each((HANDING, UNSURE), "put_off", HANDED, _because(reasons.PUT_OFF), _tell_requested),
    Transition("put_off", HANDED, HANDED, (_because(reasons.PUT_OFF),)),
    Transition("expire_due", HANDING, HANDING),
    Transition("expire_due", UNSURE, NEEDS_OPERATOR, (_ask_operator,)),
    Transition("expire_due", HANDED, CANCELLED, (_tell_expired,)),
    Transition("emptied", HANDED, CANCELLED, (_because(reasons.NOT_NEEDED),)),
)
EVENTS = tuple(dict.fromkeys(row.event for row in _ROWS))
# Late and repeated words: an answer may outlive its lease, a click may be older than the row. What is still planned is
# the business of `machines.dispatch`.
_LATE: dict[str, str] = {
    PLANNED: "created refused throttled doubtful doubt_over answered put_off expire_due emptied",
    HANDING: "claimed doubt_over emptied",
    UNSURE: "refused throttled doubtful emptied",
    HANDED: "created refused throttled doubtful doubt_over",
    NEEDS_OPERATOR: "claimed created refused throttled doubtful doubt_over put_off expire_due emptied",
}
IGNORED = frozenset((state, event) for state, events in _LATE.items() for event in events.split()) | frozenset(
    (state, event) for state in FINAL for event in EVENTS
)
TABLE = build(STATES, _ROWS, initial=PLANNED, ignored=IGNORED, name="card")


def decide(state: str, event: CardEvent, facts: CardFacts) -> CardDecision:
    """What a card in this state becomes by this event; depends on its arguments alone.

    Raises IllegalEvent for an unknown state. Nothing has changed then.
    """
    fired = TABLE.fire(state, event.name, event=event, facts=facts)
    reason = next((effect.text for effect in fired.effects if isinstance(effect, _Reason)), None)
    effects = tuple(effect for effect in fired.effects if not isinstance(effect, _Reason))
    return CardDecision(fired.state, effects, reason, fired.ignored)
