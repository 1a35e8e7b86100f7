"""One WeCom call from its name to its decoded reply: token, window, deadline, errors, one log line if it fails.

`client.WeCom` is its only user. It never sleeps, never repeats a creating call, and knows nothing of what replies mean
beyond `errcode`. The token travels in the query only (WeCom 1.1) and is kept out of logs and error texts.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx
import structlog

from machines.calendar import HOUR_MS, MINUTE_MS, SECOND_MS, Instant
from sopd import metrics
from sopd.wecom import fields
from sopd.wecom.codes import CODES, DOUBTFUL, RENEWABLE, THROTTLING, Klass
from sopd.wecom.endpoints import ENDPOINTS, IN_FLIGHT_PER_PATH, Endpoint, Retry
from sopd.wecom.errors import BackedOff, Unreachable, WeComError, WeComFailure, WrongAddress, refusal
from sopd.wecom.token import Fetched, TokenSource
from sopd.wecom.windows import BackoffWindows
from sopd.wecom.wire import NoAnswer, Request, Wire

_TRY_AGAIN_MS = 5 * SECOND_MS

_GETTOKEN = ENDPOINTS["gettoken"]
_WARNING = "wrong json format"

T = TypeVar("T")

log = structlog.get_logger("sopd.wecom")


@dataclass(frozen=True, slots=True)
class _Span:
    """One call's time: the engine's instant it began at, and the monotonic second at which it must be over."""

    now: Instant
    began: float
    ends: float


class Calls:
    """The network side of one app of one enterprise. Shared by threads.

    `now` gives the engine's time once per call; `monotonic` measures the deadline.
    """

    def __init__(
        self,
        base_url: str,
        corp_id: str,
        secret: str,
        *,
        now: Callable[[], Instant],
        windows: BackoffWindows,
        transport: httpx.BaseTransport | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wire = Wire(base_url, transport, monotonic)
        self._corp_id, self._secret = corp_id, secret
        self._now, self._windows, self._monotonic = now, windows, monotonic
        self._tokens = TokenSource(self._fetch_token)
        self._writers = [threading.Lock() for _ in range(64)]
        self._slots = {name: threading.BoundedSemaphore(IN_FLIGHT_PER_PATH) for name in ENDPOINTS}
        self._limits = threading.Lock()

    def close(self) -> None:
        """Give the connections back; the object is not used afterwards."""
        self._wire.close()

    def tell(self, name: str, request: Request) -> None:
        """Make a call whose reply holds nothing but its errcode. Raises WeComFailure."""
        self.ask(name, request, lambda reply: None)

    def ask(self, name: str, request: Request, read: Callable[[fields.Row], T]) -> T:
        """Make a call and read its reply, errcode 0. Raises WeComFailure; a failed call writes one log line.

        A reply that `read` finds Malformed counts as no answer.
        """
        endpoint = ENDPOINTS[name]
        began = self._monotonic()
        span = _Span(self._now(), began, began + endpoint.deadline_seconds)
        try:
            self._refuse_if_resting(endpoint.path, span)
            with self._alone(endpoint, request, span), self._slot(endpoint, span):
                reply = self._authorised(endpoint, request, span)
            try:
                answer = read(reply)
            except fields.Malformed as fault:
                raise self._lost(endpoint, span, f"the answer cannot be used: {fault}", sent=True) from None
            metrics.WECOM_CALLS.labels(endpoint.path, "ok").inc()
            return answer
        except BackedOff as rest:
            metrics.WECOM_CALLS.labels(rest.path, "resting").inc()
            raise  # nothing was tried; the hit that closed the window has its line
        except WeComFailure as failure:
            self._tell_of(endpoint, failure, span)
            raise
        finally:
            metrics.WECOM_SECONDS.labels(endpoint.path).observe(self._monotonic() - span.began)

    # --- around the call ---

    def _refuse_if_resting(self, path: str, span: _Span) -> None:
        until = self._windows.blocked_until(path, span.now)
        if until is not None:
            raise BackedOff(path, until)

    @contextmanager
    def _slot(self, endpoint: Endpoint, span: _Span) -> Iterator[None]:
        slot = self._slots[endpoint.name]
        if not slot.acquire(timeout=self._left(span)):
            raise self._lost(endpoint, span, "too many calls were under way until the deadline", sent=False)
        try:
            yield
        finally:
            slot.release()

    @contextmanager
    def _alone(self, endpoint: Endpoint, request: Request, span: _Span) -> Iterator[None]:
        if not request.alone:
            yield
            return
        lock = self._writers[hash(request.alone) % len(self._writers)]
        if not lock.acquire(timeout=self._left(span)):
            raise self._lost(endpoint, span, "another write was under way until the deadline", sent=False)
        try:
            yield
        finally:
            lock.release()

    def _authorised(self, endpoint: Endpoint, request: Request, span: _Span) -> dict[str, Any]:
        """One call with a token; a refused token is renewed and the call repeated once (nothing happened before)."""
        token = self._tokens.get(span.now, lambda: self._left(span))
        try:
            return self._try(endpoint, request, {"access_token": token}, span)
        except WeComError as error:
            if error.errcode not in RENEWABLE or not self._tokens.renew(token, error.errcode):
                raise
        fresh = self._tokens.get(span.now, lambda: self._left(span))
        return self._try(endpoint, request, {"access_token": fresh}, span)

    def _fetch_token(self, now: Instant, seconds_left: float) -> Fetched:
        began = self._monotonic()
        span = _Span(now, began, began + min(seconds_left, _GETTOKEN.deadline_seconds))
        self._refuse_if_resting(_GETTOKEN.path, span)
        params = {"corpid": self._corp_id, "corpsecret": self._secret}
        reply = self._try(_GETTOKEN, Request(), params, span)
        try:
            fetched = Fetched(fields.identity(reply, "access_token"), fields.duration_ms(reply, "expires_in"))
        except fields.Malformed as fault:
            raise self._lost(_GETTOKEN, span, f"the answer cannot be used: {fault}", sent=True) from None
        metrics.WECOM_CALLS.labels(_GETTOKEN.path, "ok").inc()
        return fetched

    # --- the call itself ---

    def _try(self, endpoint: Endpoint, request: Request, secrets: Mapping[str, str], span: _Span) -> dict[str, Any]:
        """Send once; a read whose answer was lost is repeated once, at once, if there is time. Nothing else is."""
        try:
            return self._send(endpoint, request, secrets, span)
        except Unreachable:
            if endpoint.retry is not Retry.READ or self._left(span) <= 0:
                raise
        return self._send(endpoint, request, secrets, span)

    def _send(self, endpoint: Endpoint, request: Request, secrets: Mapping[str, str], span: _Span) -> dict[str, Any]:
        try:
            status, raw = self._wire.exchange(endpoint.method, endpoint.path, request, secrets, span.ends)
        except NoAnswer as fault:
            raise self._lost(endpoint, span, fault.why, sent=fault.sent) from fault
        return self._read(endpoint, status, raw, span)

    def _read(self, endpoint: Endpoint, status: int, raw: bytes, span: _Span) -> dict[str, Any]:
        if status == 404 or 300 <= status < 400:
            raise WrongAddress(endpoint.path, f"HTTP {status}: WeCom has no such call there", "check the base URL")
        reply = _decoded(raw)
        if status != 200 or reply is None:
            what = "an answer that is not WeCom's" if status == 200 else f"HTTP {status}"
            raise self._lost(endpoint, span, what, sent=True)
        errcode, errmsg = reply.get("errcode", 0), str(reply.get("errmsg", ""))
        half_read = _WARNING in errmsg.lower()
        if errcode or half_read:
            doubtful = endpoint.retry is Retry.CREATE and (errcode in DOUBTFUL or (half_read and not errcode))
            error = refusal(endpoint.path, errcode, errmsg, span.now, may_have_happened=doubtful)
            if error.klass is Klass.BACKOFF:
                self._rest(endpoint, error, span)
            raise error
        return reply

    def _rest(self, endpoint: Endpoint, error: WeComError, span: _Span) -> None:
        """Close the path's window: a minute; an hour if hit again within the hour, and for gettoken always (WeCom 9).

        Calls that were under way when the window closed hear the same refusal; they are no second hit.
        """
        with self._limits:
            error.retry_at = self._windows.blocked_until(endpoint.path, span.now)
            if error.retry_at is not None:
                return
            last = self._windows.last_hit(endpoint.path)
            again = last is not None and span.now - last < HOUR_MS
            error.retry_at = span.now + (HOUR_MS if again or endpoint is _GETTOKEN else MINUTE_MS)
            self._windows.block(endpoint.path, error.retry_at, f"WeCom answered {error.errcode}", span.now)

    # --- small things ---

    def _left(self, span: _Span) -> float:
        return max(0.0, span.ends - self._monotonic())

    def _lost(self, endpoint: Endpoint, span: _Span, why: str, *, sent: bool) -> Unreachable:
        doubtful = sent and endpoint.retry is not Retry.READ
        retry_at = span.now + _TRY_AGAIN_MS
        return Unreachable(endpoint.path, why, retry_at=retry_at, may_have_happened=doubtful)

    def _tell_of(self, endpoint: Endpoint, failure: WeComFailure, span: _Span) -> None:
        errcode = getattr(failure, "errcode", None)
        metrics.WECOM_CALLS.labels(failure.path, _outcome(failure, errcode)).inc()
        metrics.WECOM_ERRORS.labels(failure.path, _code(failure, errcode)).inc()
        levels = {Klass.STATE: log.info, Klass.CONFIGURATION: log.error}
        levels.get(failure.klass, log.warning)(
            "wecom_call_failed",
            call=endpoint.name,
            path=failure.path,
            errcode=errcode,
            trace=getattr(failure, "trace", ""),
            klass=str(failure.klass),
            outcome=failure.message,
            may_have_happened=failure.may_have_happened,
            duration_ms=round((self._monotonic() - span.began) * 1000),
        )


_OUTCOMES = {
    Klass.RETRYABLE: "busy",
    Klass.TOKEN: "token",
    Klass.BACKOFF: "throttled",
    Klass.CONFIGURATION: "configuration",
    Klass.PERMANENT: "refused",
    Klass.STATE: "state",
}


def _outcome(failure: WeComFailure, errcode: int | None) -> str:
    """What came of a call that did not work, in one of a few words (docs/observability.md)."""
    if failure.may_have_happened:
        return "doubtful"
    if errcode in THROTTLING:
        return "throttled"
    return "unreachable" if isinstance(failure, Unreachable) else _OUTCOMES[failure.klass]


def _code(failure: WeComFailure, errcode: int | None) -> str:
    if not errcode:
        return type(failure).__name__
    return str(errcode) if errcode in CODES else "unknown"


def _decoded(raw: bytes) -> dict[str, Any] | None:
    """The envelope, or None if the body is no JSON object with a whole-number errcode."""
    try:
        reply = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return reply if isinstance(reply, dict) and isinstance(reply.get("errcode", 0), int) else None
