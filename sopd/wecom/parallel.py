"""Many calls of one kind, a few at a time: WeCom reads a contact per call (ARCHITECTURE 1.3).

Called outside any transaction. Nothing is lost: each key ends up among the values or among the failures.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Hashable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

from sopd.wecom.endpoints import IN_FLIGHT_PER_PATH
from sopd.wecom.errors import WeComFailure

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Outcomes(Generic[K, V]):
    """What became of each key, in the order of the keys; no key is in both."""

    values: dict[K, V]
    failures: dict[K, WeComFailure]


def read_many(fn: Callable[[K], V], keys: Iterable[K], parallel: int = IN_FLIGHT_PER_PATH) -> Outcomes[K, V]:
    """Run `fn` for every key, each key once, at most `parallel` at a time, and wait for all.

    A WeComFailure is kept with its key; any other exception is a fault of ours and is raised once all have ended.
    """
    wanted = list(dict.fromkeys(keys))
    if len(wanted) == 1:  # the usual case of a quiet company, and threads cost more than they bring
        return _read_one(fn, wanted[0])
    with ThreadPoolExecutor(max_workers=max(1, min(parallel, len(wanted)))) as pool:
        # Each thread gets its own copy of the context, so that its log lines carry what the caller bound.
        futures = [(key, pool.submit(contextvars.copy_context().run, fn, key)) for key in wanted]
    outcomes: Outcomes[K, V] = Outcomes({}, {})
    for key, future in futures:
        try:
            outcomes.values[key] = future.result()
        except WeComFailure as failure:
            outcomes.failures[key] = failure
    return outcomes


def _read_one(fn: Callable[[K], V], key: K) -> Outcomes[K, V]:
    try:
        return Outcomes({key: fn(key)}, {})
    except WeComFailure as failure:
        return Outcomes({}, {key: failure})
