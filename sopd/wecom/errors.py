"""Every way a WeCom call can fail, each with what may be done about it.

All are `WeComFailure`: `path`, `klass` (see `codes.Klass`), `retry_at` (an Instant worth the next try, or None) and
`may_have_happened`, which is the one thing to ask after a creating call: True means look it up, never repeat it.
`errmsg` is the vendor's text for people and is never parsed but for the trace number.
"""

from __future__ import annotations

import re

from machines.calendar import Instant
from sopd.errors import SopdError
from sopd.wecom.codes import CODES, UNKNOWN, Klass

_TRACE = re.compile(r"hint: ?\[([^\]]*)\]")
_CHATTER = re.compile(r",? *(hint:|from ip:|more info at).*", re.DOTALL)


class WeComFailure(SopdError):
    """Root of this package's errors; `klass` of a subclass is fixed unless the subclass says otherwise."""

    klass: Klass = Klass.PERMANENT

    def __init__(
        self,
        path: str,
        message: str,
        hint: str = "",
        *,
        retry_at: Instant | None = None,
        may_have_happened: bool = False,
    ) -> None:
        super().__init__(f"{path}: {message}", hint)
        self.path = path
        self.retry_at = retry_at
        self.may_have_happened = may_have_happened


class WeComError(WeComFailure):
    """WeCom answered with an errcode (or with errcode 0 and a warning that it could not read our JSON).

    `action` says what a person can do, `trace` is the number by which the vendor finds the call.
    """

    def __init__(
        self,
        path: str,
        errcode: int,
        errmsg: str = "",
        *,
        now: Instant | None = None,
        may_have_happened: bool = False,
    ) -> None:
        rule = CODES.get(errcode, UNKNOWN)
        meaning = rule.meaning if rule is not UNKNOWN else f"{rule.meaning}: {_CHATTER.sub('', errmsg)[:120]}"
        wait = None if rule.wait_ms is None or now is None else now + rule.wait_ms
        super().__init__(
            path,
            f"WeCom answered {errcode}, {meaning}",
            rule.action,
            retry_at=wait,
            may_have_happened=may_have_happened,
        )
        self.errcode = errcode
        self.errmsg = errmsg
        self.klass = rule.klass
        self.action = rule.action
        self.trace = trace_of(errmsg)


class ConfigurationError(WeComError):
    """A WeComError that only a person can cure, in our settings or in the admin console; asking again does not help."""


class WrongAddress(WeComFailure):
    """The base URL does not lead to WeCom's API: HTTP 404 or a redirect. Nothing happened."""

    klass = Klass.CONFIGURATION


class Unreachable(WeComFailure):
    """No usable answer: connection, timeout, HTTP 5xx, or a body that is not what the call answers with."""

    klass = Klass.RETRYABLE


class BackedOff(WeComFailure):
    """The path rests until `until`; the network was not touched."""

    klass = Klass.BACKOFF

    def __init__(self, path: str, until: Instant, reason: str = "called too often") -> None:
        super().__init__(path, f"this call rests: {reason}", "it is made when the window ends", retry_at=until)
        self.until = until


class InvalidContent(WeComFailure, ValueError):
    """Content that WeCom would refuse, found before it was sent."""


class ContentTooLong(InvalidContent):
    """A text, list or file above WeCom's limit. `size` and `limit` are in `unit`."""

    def __init__(self, path: str, field: str, size: int, limit: int, unit: str = "bytes") -> None:
        super().__init__(path, f"{field} has {size} {unit}, at most {limit} are allowed", "shorten it")
        self.field, self.size, self.limit, self.unit = field, size, limit, unit


def refusal(path: str, errcode: int, errmsg: str, now: Instant, *, may_have_happened: bool = False) -> WeComError:
    """The error for a reply with this errcode."""
    kind = ConfigurationError if CODES.get(errcode, UNKNOWN).klass is Klass.CONFIGURATION else WeComError
    return kind(path, errcode, errmsg, now=now, may_have_happened=may_have_happened)


def trace_of(errmsg: str) -> str:
    """Number in `hint: [...]` of an errmsg, or ''."""
    found = _TRACE.search(errmsg)
    return found.group(1) if found else ""
