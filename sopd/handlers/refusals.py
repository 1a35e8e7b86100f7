"""What a failed call to WeCom means for the row it was made for: an event of the machine, a reason, the next try.

Pure translation from `sopd.wecom.errors` (WeCom 9) for the handlers that record outcomes; it calls and writes nothing.
"""

from __future__ import annotations

from machines.backoff import next_attempt
from machines.calendar import MINUTE_MS, SECOND_MS, Instant
from machines.events import DispatchEvent, Doubtful, TaskRefused, Throttled
from machines.reasons import MEMBER_UNABLE, REFUSED_BY_WECOM, with_detail
from sopd.wecom.codes import Klass
from sopd.wecom.errors import WeComError, WeComFailure

NOBODY, DISPATCHING, CANCELLED, TOO_MANY_AT_ONCE = 41048, 41063, 41093, 45033
UNKNOWN_TAG = 40068
NO_MEMBER = frozenset({40003, 60111})
"""Codes by which WeCom does not know the member who was to send."""
STRANGERS = frozenset({84061, 40096, 610004})
"""Codes by which a contact, asked for by its id, is no contact any more."""
_MAY_CLEAR_UP = (Klass.RETRYABLE, Klass.TOKEN, Klass.BACKOFF, Klass.CONFIGURATION)


def errcode_of(failure: WeComFailure | None) -> int | None:
    """WeCom's code, or None if there was no answer with one."""
    return failure.errcode if isinstance(failure, WeComError) else None


def is_final(failure: WeComFailure) -> bool:
    """Whether the same call would be refused again however often it is made."""
    return not failure.may_have_happened and failure.klass not in _MAY_CLEAR_UP


def is_resting(failure: WeComFailure) -> bool:
    """Whether the path must be left alone until `failure.retry_at`."""
    return failure.klass is Klass.BACKOFF


def of_create(failure: WeComFailure) -> DispatchEvent:
    """What a create that failed is to the machine of its task (D8, D16)."""
    if failure.may_have_happened:
        return Doubtful()
    if errcode_of(failure) == NOBODY:
        return TaskRefused("nobody")
    if errcode_of(failure) in NO_MEMBER:
        return TaskRefused("permanent", MEMBER_UNABLE)
    return of_card(failure)


def of_card(failure: WeComFailure) -> Doubtful | TaskRefused | Throttled:
    """What a card that could not be handed over is to its machine; nobody's list of recipients is in question."""
    if failure.may_have_happened:
        return Doubtful()
    if is_resting(failure) or errcode_of(failure) == TOO_MANY_AT_ONCE:
        return Throttled()
    if is_final(failure):
        return TaskRefused("permanent", refused_because(failure))
    return TaskRefused("not_created", said(failure))


def said(failure: WeComFailure) -> str:
    """The failure as half a sentence for people, without the path."""
    return failure.message.removeprefix(f"{failure.path}: ")


def refused_because(failure: WeComFailure) -> str:
    """The reason of a push that WeCom refused for good, e.g. `refused by WeCom 40003, unknown member`."""
    return with_detail(REFUSED_BY_WECOM, said(failure).removeprefix("WeCom answered "))


def next_try_at(failure: WeComFailure, tries: int, key: str, now: Instant) -> Instant:
    """When to make the call again after its `tries`-th failure in a row; a closed window is waited for."""
    if is_resting(failure) and failure.retry_at is not None:
        return max(failure.retry_at, now + SECOND_MS)
    if failure.klass is Klass.CONFIGURATION:  # a person has to act first
        return next_attempt(tries, now, base_ms=MINUTE_MS, cap_ms=30 * MINUTE_MS, jitter_key=key)
    backed_off = next_attempt(tries, now, base_ms=4 * SECOND_MS, cap_ms=5 * MINUTE_MS, jitter_key=key)
    return max(backed_off, failure.retry_at or 0)
