"""What goes wrong between the client and the platform: planned for a test, or by chance for a rehearsal.

A fault is a refusal, a gateway error or a connection dropped before or after the effect, never a delay
(ARCHITECTURE 7). Chances hang on the call's own content and how often exactly this call was made, so that
they reproduce whatever else is called (SPEC 14). Laid around the API by `gateway`.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from typing import Literal, get_args

from sopd.sandbox import chance
from sopd.sandbox.api import TOKEN_PATH, Request

Kind = Literal["errcode", "http_502", "drop", "wrong_json"]


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong. With `after` the call has had its effect when it goes wrong."""

    kind: Kind
    errcode: int = 0
    after: bool = False

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ValueError(f"fault kind is {self.kind!r}; allowed: {', '.join(get_args(Kind))}")
        if (self.kind == "errcode") != (self.errcode != 0):
            raise ValueError(f"a fault of kind {self.kind} has errcode {self.errcode}; only kind errcode has one")
        if self.kind == "wrong_json" and self.after:
            raise ValueError("a fault of kind wrong_json has no effect, so it cannot come after it")


@dataclass(frozen=True)
class Rate:
    """How often a fault happens, in [0, 1] of the calls of a path (as in `Faults.plan`)."""

    fault: Fault
    odds: float
    path: str = "*"


#: A bad but survivable day: every kind of fault, about one call in thirty.
BAD_DAY: tuple[Rate, ...] = (
    Rate(Fault("errcode", -1), 0.008),
    Rate(Fault("errcode", -1, after=True), 0.004),
    Rate(Fault("errcode", 45033), 0.004),
    Rate(Fault("errcode", 45009), 0.001),
    Rate(Fault("http_502"), 0.004),
    Rate(Fault("http_502", after=True), 0.004),
    Rate(Fault("drop"), 0.004),
    Rate(Fault("drop", after=True), 0.004),
    Rate(Fault("wrong_json"), 0.001),
)


@dataclass
class Planned:
    """A planned fault and how many calls it still hits."""

    path: str
    fault: Fault
    times: int


class Faults:
    """Planned faults first, then those of chance. The token call is only hit by plan."""

    def __init__(self, seed: chance.Seed, rates: tuple[Rate, ...] = ()) -> None:
        self.rates = rates
        self.planned: list[Planned] = []
        self.happened: Counter[str] = Counter()
        self._seed = seed
        self._seen: Counter[str] = Counter()

    def plan(self, path: str, fault: Fault, times: int = 1) -> None:
        """The next `times` calls of `path` go wrong: a whole path, its last part ("mark_tag"), or "*" for any."""
        self.planned.append(Planned(path, fault, times))

    def clear(self) -> None:
        """Nothing goes wrong any more."""
        self.planned.clear()
        self.rates = ()

    def draw(self, request: Request) -> Fault | None:
        """The fault that hits this call, if any; counts it in `happened` as "path kind"."""
        fault = self._next_planned(request.path) or self._by_chance(request)
        if fault is not None:
            self.happened[f"{request.path} {fault.kind}"] += 1
        return fault

    def _next_planned(self, path: str) -> Fault | None:
        for planned in self.planned:
            if _matches(planned.path, path):
                planned.times -= 1
                if planned.times <= 0:
                    self.planned.remove(planned)
                return planned.fault
        return None

    def _by_chance(self, request: Request) -> Fault | None:
        if not self.rates or request.path == TOKEN_PATH:
            return None
        call = _identity(request)
        nth = self._seen[call]
        self._seen[call] += 1
        for ordinal, rate in enumerate(self.rates):
            is_meant = _matches(rate.path, request.path)
            if is_meant and chance.happens(rate.odds, self._seed, "fault", ordinal, call, nth):
                return rate.fault
        return None


def _matches(pattern: str, path: str) -> bool:
    return pattern in ("*", path) or path.endswith(f"/{pattern.lstrip('/')}")


def _identity(request: Request) -> str:
    """The call without its token: the same call repeated has the same identity."""
    query = sorted((name, value) for name, value in request.query.items() if name != "access_token")
    return f"{request.path} {query} {hashlib.sha256(request.body).hexdigest()}"
