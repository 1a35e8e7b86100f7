"""Does a tag event cost more where many SOPs run? The engine alone, beside few SOPs and beside a thousand (SPEC 3).

An event touches only the SOPs that mention it, so both should cost the same. Every other SOP has tags of its own.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from statistics import median

from tests.bench import filling
from tests.bench.places import Place
from tests.bench.throughput import CONTESTS, TODAY, ground

FEW, MANY = 10, 1_000
DAY_MS = 86_400_000


@dataclass(frozen=True)
class Crowd:
    """Tag events a second beside `FEW` and beside `MANY` running SOPs (medians), and how many times slower the latter.

    The two are measured turn by turn in the same minutes, each in a database of its own.
    """

    name: str
    database: str
    batch: int
    few: float
    many: float
    times_slower: float


def measure(place: Place, *, count: int, rounds: int) -> Crowd:
    """End `count` runs per round by a tag, `rounds` times on both sides."""
    contest = next(one for one in CONTESTS if one.name == "tags")
    rates: dict[int, list[float]] = {FEW: [], MANY: []}
    with place.fresh() as (store_few, url_few), place.fresh() as (store_many, url_many):
        grounds = {FEW: ground(store_few, url_few, 1_000), MANY: ground(store_many, url_many, 1_000)}
        for sops, made in grounds.items():
            filling.add_sops(made.store, sops - 1, started_at=TODAY - 60 * DAY_MS)
        first = 1_001
        for number in range(-1, rounds):  # the first one warms up, and is thrown away
            for sops, made in grounds.items():
                contest.prepare(made, first, count)
                filling.settle_down(made.store)
                work = contest.engine(made, first, count, contest.batch)
                begun = time.perf_counter()
                work()
                if number >= 0:
                    rates[sops].append(count / (time.perf_counter() - begun))
            first += count
        for made in grounds.values():
            made.hand.close()
    slower = median(few / many for few, many in zip(rates[FEW], rates[MANY], strict=True))
    return Crowd("crowd", place.kind, contest.batch, median(rates[FEW]), median(rates[MANY]), slower)
