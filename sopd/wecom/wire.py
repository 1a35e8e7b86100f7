"""One HTTP exchange with WeCom, ended by a deadline: the only module that knows the HTTP library.

`Calls` uses it. It reads neither errcodes nor replies; it tells only whether a request that got no answer can have
left this machine. Nothing is repeated and nothing is logged here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

import httpx

from sopd.errors import ConfigError
from sopd.wecom.redact import redact_httpx_logs

_MAX_REPLY_BYTES = 32 * 1024 * 1024

# Raised by httpx before a byte of the request was written.
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol, httpx.ProxyError)


class NoAnswer(Exception):
    """The exchange gave no whole reply. `sent` is False if WeCom cannot have seen the request."""

    def __init__(self, why: str, *, sent: bool) -> None:
        super().__init__(why)
        self.why = why
        self.sent = sent


@dataclass(frozen=True, slots=True)
class Request:
    """What one call sends: query parameters, a JSON body, or a file part `(filename, data)`.

    Calls with the same `alone` follow each other: two writes on one relation meet in 45035 (WeCom 1.3).
    """

    params: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: Mapping[str, Any] | None = field(default=None, repr=False)
    media: tuple[str, bytes] | None = field(default=None, repr=False)
    alone: tuple[str, ...] = ()


class Wire:
    """Connections to one base URL, shared by threads. `monotonic` is the clock of the deadlines, in seconds.

    Raises ConfigError for an address that would carry the secret in the clear to another machine.
    """

    def __init__(
        self, base_url: str, transport: httpx.BaseTransport | None, monotonic: Callable[[], float]
    ) -> None:
        url = _checked(base_url)
        redact_httpx_logs()
        self._monotonic = monotonic
        self._http = httpx.Client(
            base_url=url,
            transport=transport,
            # A company's proxy settings must not catch a sandbox on this machine.
            trust_env=not _is_loopback(url.host),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=20),
        )

    def close(self) -> None:
        """Give the connections back; the object is not used afterwards."""
        self._http.close()

    def exchange(
        self, method: str, path: str, request: Request, secrets: Mapping[str, str], ends: float
    ) -> tuple[int, bytes]:
        """HTTP status and body of the reply, before the monotonic second `ends`. Raises NoAnswer."""
        left = ends - self._monotonic()
        if left <= 0:
            raise NoAnswer("the deadline passed before it was sent", sent=False)
        params = {**request.params, **secrets}
        wired = self._http.build_request(method, path, params=params, **_payload(request), timeout=_shares(left))
        try:
            return self._read(self._http.send(wired, stream=True), ends)
        except _NOT_SENT as fault:
            raise NoAnswer(f"no connection ({type(fault).__name__})", sent=False) from fault
        except (httpx.HTTPError, httpx.StreamError) as fault:
            raise NoAnswer(f"no answer ({type(fault).__name__})", sent=True) from fault

    def _read(self, response: httpx.Response, ends: float) -> tuple[int, bytes]:
        """Status and body; read in pieces, so that a dripping body cannot outlive the deadline.

        An answer whose last piece came late is still taken: it says what became of the call.
        """
        raw, late = bytearray(), False
        try:
            for piece in response.iter_bytes():
                if late:
                    raise NoAnswer("the answer did not end within the deadline", sent=True)
                raw += piece
                late = self._monotonic() >= ends
                if len(raw) > _MAX_REPLY_BYTES:
                    raise NoAnswer(f"the answer has more than {_MAX_REPLY_BYTES} bytes", sent=True)
        finally:
            response.close()
        return response.status_code, bytes(raw)


def _payload(request: Request) -> dict[str, Any]:
    """Body of the HTTP request. JSON goes out as raw UTF-8: 40033 exists for escapes (WeCom 1.2)."""
    if request.media is not None:
        return {"files": {"media": request.media}}
    if request.body is None:
        return {}
    content = json.dumps(request.body, ensure_ascii=False, separators=(",", ":")).encode()
    return {"content": content, "headers": {"Content-Type": "application/json"}}


def _shares(left: float) -> httpx.Timeout:
    # The phases follow each other (TLS counts as a second connect), so their shares add up to the whole.
    return httpx.Timeout(connect=left * 0.15, write=left * 0.1, read=left * 0.6, pool=left)


def _checked(base_url: str) -> httpx.URL:
    try:
        url = httpx.URL(base_url)
    except httpx.InvalidURL as fault:
        raise ConfigError(f"the WeCom address {base_url!r} is no URL: {fault}") from None
    if not url.host:
        raise ConfigError(f"the WeCom address {base_url!r} names no host", "it looks like https://qyapi.weixin.qq.com")
    if url.scheme != "https" and not (url.scheme == "http" and _is_loopback(url.host)):
        raise ConfigError(f"the WeCom address {base_url!r} is not HTTPS", "plain HTTP is for a sandbox on loopback")
    return url


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
