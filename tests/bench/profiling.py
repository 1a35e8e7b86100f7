"""Where the engine's time goes in a contest: by function, and by statement."""

from __future__ import annotations

import cProfile
import pstats
import re
import time
from collections import defaultdict
from typing import Any

from sopd import memory
from sopd.store.transaction import Transaction
from tests.bench import filling, throughput
from tests.bench.places import Place
from tests.bench.throughput import Contest

FUNCTIONS, STATEMENTS = 25, 15


class TimedStatements:
    """Adds up what every statement takes, by its text, while it is laid around `Transaction`."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._execute = Transaction._execute

    def __enter__(self) -> TimedStatements:
        inner, seconds = self._execute, self.seconds

        def timed(tx: Transaction, sql: str, *rest: Any) -> Any:
            begun = time.perf_counter()
            try:
                return inner(tx, sql, *rest)
            finally:
                seconds[re.sub(r"\(\?[?,() ]*\)", "(..)", sql)[:140]] += time.perf_counter() - begun

        Transaction._execute = timed  # type: ignore[method-assign]
        return self

    def __exit__(self, *_: object) -> None:
        Transaction._execute = self._execute  # type: ignore[method-assign]


def show(place: Place, contest: Contest, *, waiting: int, count: int) -> None:
    """Print the functions and statements on which most time is spent; the two are measured in turns of their own."""
    with place.fresh() as (store, url):
        ground = throughput.ground(store, url, waiting)
        memory.settle()
        first = waiting + 1
        for turn in ("warm up", "statements", "functions"):
            contest.prepare(ground, first, count)
            filling.settle_down(store)
            if turn == "functions":
                _functions(ground, contest, first, count)
            elif turn == "statements":
                _statements(ground, contest, first, count, place.kind)
            else:
                contest.engine(ground, first, count, contest.batch)()
            first += count
        ground.hand.close()


def _statements(ground: throughput.Ground, contest: Contest, first: int, count: int, kind: str) -> None:
    work = contest.engine(ground, first, count, contest.batch)
    with TimedStatements() as timed:
        begun = time.perf_counter()
        work()
        total = time.perf_counter() - begun
    print(f"\n{contest.name}, {contest.batch} a batch, {kind}: {total / count * 1e6:.1f} us each, of these SQL")
    for sql, seconds in sorted(timed.seconds.items(), key=lambda one: -one[1])[:STATEMENTS]:
        print(f"{seconds / count * 1e6:8.2f}  {sql}")


def _functions(ground: throughput.Ground, contest: Contest, first: int, count: int) -> None:
    profile = cProfile.Profile()
    profile.runcall(contest.engine(ground, first, count, contest.batch))
    pstats.Stats(profile).sort_stats("tottime").print_stats(FUNCTIONS)
