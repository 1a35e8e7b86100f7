"""WeCom's side of the network, played from a script: what each path answers, and what it was asked.

For tests of the client alone. It knows no rules of WeCom; the sandbox does.
"""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx

from sopd.wecom.client import WeCom
from sopd.wecom.windows import BackoffWindows

T0 = 1_767_225_600_000  # 2026-01-01T00:00Z
Answer = dict[str, Any] | int | Exception | httpx.Response | Callable[[httpx.Request], Any]


@dataclass(frozen=True)
class Asked:
    """One request as it arrived."""

    method: str
    path: str
    params: dict[str, str]
    raw: bytes
    headers: httpx.Headers
    timeout: dict[str, float]

    @property
    def body(self) -> dict[str, Any]:
        return json.loads(self.raw)


class SettableClock:
    """The engine's time in a test, and its monotonic clock: readings advance `step` seconds each."""

    def __init__(self, now: int = T0) -> None:
        self.now = now
        self.seconds = 0.0
        self.step = 0.0

    def instant(self) -> int:
        return self.now

    def monotonic(self) -> float:
        self.seconds += self.step
        return self.seconds


class ScriptedWeCom(httpx.BaseTransport):
    """Answers by path: each in turn, the last one for ever. gettoken gives tok-1, tok-2, ... unless scripted.

    An answer is a reply, an errcode, a response, an exception of the network, or a function of the request giving one.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._script: dict[str, list[Answer]] = {}
        self._tokens = 0
        self.asked: defaultdict[str, list[Asked]] = defaultdict(list)

    def on(self, path: str, *answers: Answer) -> None:
        """Script a path, given without /cgi-bin/."""
        self._script[path] = list(answers)

    def times(self, path: str) -> int:
        return len(self.asked[path])

    def bodies(self, path: str) -> list[dict[str, Any]]:
        return [asked.body for asked in self.asked[path]]

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/cgi-bin/")
        raw = request.read()
        timeout = request.extensions["timeout"]
        with self._lock:
            seen = Asked(request.method, path, dict(request.url.params), raw, request.headers, timeout)
            self.asked[path].append(seen)
            answer = self._next(path)
        while callable(answer):
            answer = answer(request)
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, httpx.Response) else httpx.Response(200, json=_reply(answer))

    def _next(self, path: str) -> Answer:
        if path in self._script:
            answers = self._script[path]
            return answers.pop(0) if len(answers) > 1 else answers[0]
        if path == "gettoken":
            self._tokens += 1
            return {"access_token": f"tok-{self._tokens}", "expires_in": 7200}
        return {}


def _reply(answer: Any) -> dict[str, Any]:
    if isinstance(answer, int):
        return {"errcode": answer, "errmsg": f"scripted, hint: [1767225600000000{answer}], from ip: 192.0.2.1"}
    return {"errcode": 0, "errmsg": "ok", **answer}


def client_of(
    script: ScriptedWeCom, clock: SettableClock | None = None, windows: BackoffWindows | None = None
) -> WeCom:
    """A client whose network is the script."""
    clock = clock or SettableClock()
    return WeCom(
        "https://wecom.test",
        "wwsimcorp",
        "app-secret",
        1000002,
        now=clock.instant,
        windows=windows,
        transport=script,
        monotonic=clock.monotonic,
    )
