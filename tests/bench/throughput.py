"""The three hot paths, engine beside SQL by hand: how many a second, and the ratio of the two.

Both work in the same database, turn by turn, each turn on subjects of its own made alike. What they wrote is compared.
The median over the rounds counts; which of the two begins changes from round to round.
"""

from __future__ import annotations

import functools
import gc
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any

from machines.calendar import HOUR_MS, SECOND_MS, Instant
from sopd import config, memory
from sopd.bootstrap import build_app
from sopd.handlers import firing
from sopd.handlers.app import App
from sopd.handlers.observe import observe
from sopd.handlers.observe_verdicts import Sighting
from sopd.store import Store
from sopd.store.tables import Dirty
from sopd.wecom.people import Follow, Profile
from tests.bench import by_hand, filling, same
from tests.bench.hand import Hand
from tests.bench.places import Place

CHANNEL, ADD_WAY = "expo", 1
TODAY: Instant = filling.send_time(1_795_000_000_000)
NOW: Instant = TODAY + 5 * SECOND_MS


@dataclass(frozen=True)
class Rate:
    """What one contest showed: events a second of both (medians), and the median of the rounds' ratios."""

    name: str
    database: str
    batch: int
    engine: float
    by_hand: float
    ratio: float


@dataclass(frozen=True)
class Ground:
    """One database with both contestants on it."""

    store: Store
    app: App
    hand: Hand


Work = Callable[[], None]


@dataclass(frozen=True)
class Contest:
    """One hot path. `prepare` makes subjects first..first+count-1; each contestant works them off in batches.

    A contestant is given what it is to work off (ground, first, count, batch) and returns the work itself: pages are in
    its hands, as read from WeCom, before anybody looks at the clock.
    """

    name: str
    batch: int
    prepare: Callable[[Ground, int, int], None]
    engine: Callable[[Ground, int, int, int], Work]
    by_hand: Callable[[Ground, int, int, int], Work]


def run(place: Place, contest: Contest, *, waiting: int, count: int, rounds: int) -> Rate:
    """Let both work off `count` subjects per round, with `waiting` runs in the tables besides."""
    _forget()
    with place.fresh() as (store, url):
        made = ground(store, url, waiting)
        memory.settle()
        first, engine, hand = waiting + 1, [], []
        for number in range(-1, rounds):  # the first one warms up, and is thrown away
            order = ("engine", "hand") if number % 2 else ("hand", "engine")
            seconds, wrote = {}, {}
            for side in order:
                seconds[side], wrote[side] = _turn(made, contest, side, first, count)
                first += count
            same.hold(contest.name, wrote["engine"], wrote["hand"])
            if number >= 0:
                engine.append(count / seconds["engine"])
                hand.append(count / seconds["hand"])
        made.hand.close()
    ratio = median(one / other for one, other in zip(engine, hand, strict=True))
    return Rate(contest.name, place.kind, contest.batch, median(engine), median(hand), ratio)


def _forget() -> None:
    """Begin like a new process: what another contest has left in caches is never found, only compared with."""
    for one in gc.get_objects():
        if isinstance(one, functools._lru_cache_wrapper):
            one.cache_clear()


def ground(store: Store, url: str, waiting: int) -> Ground:
    """An empty database made ready for contests, with `waiting` runs in it."""
    store.set_clock(NOW)
    filling.found(store, started_at=TODAY - 60 * 24 * HOUR_MS)
    filling.add_waiting(store, 1, waiting, TODAY)
    return open_ground(store, url)


def open_ground(store: Store, url: str) -> Ground:
    """Both contestants at a database that is ready."""
    return Ground(store, build_app(config.Settings(), store), Hand(store, url, NOW))


def _turn(ground: Ground, contest: Contest, side: str, first: int, count: int) -> tuple[float, same.Written]:
    contest.prepare(ground, first, count)
    filling.settle_down(ground.store)
    work = (contest.engine if side == "engine" else contest.by_hand)(ground, first, count, contest.batch)
    before = same.counters(ground.store)
    begun = time.perf_counter()
    work()
    seconds = time.perf_counter() - begun
    wrote = same.rows_of(ground.store, first, first + count - 1)
    return seconds, wrote | {"counter_delta": same.counters(ground.store) - before}


# -- a due step becomes a push, a state and a journal row ------------------------------------------------------------


def _make_due(ground: Ground, first: int, count: int) -> None:
    filling.add_due(ground.store, first, count, TODAY)


def _fire_engine(ground: Ground, first: int, count: int, batch: int) -> Work:
    return partial(_until_none, partial(firing.fire_due, ground.app, limit=batch))


def _fire_by_hand(ground: Ground, first: int, count: int, batch: int) -> Work:
    return partial(_until_none, partial(by_hand.fire, ground.hand, batch))


def _until_none(fire: Callable[[], int]) -> None:
    while fire():
        pass


# -- a new relation becomes a run ------------------------------------------------------------------------------------


def _pair(n: int) -> tuple[str, str]:
    return f"m-{1 + n % filling.MEMBERS}", f"wmBENCH{n}"


def _began(n: int) -> Instant:
    return NOW - HOUR_MS + n % filling.PATTERN * SECOND_MS


def _mark_new(ground: Ground, first: int, count: int) -> None:
    _mark(ground, first, count, "added")


def _mark(ground: Ground, first: int, count: int, cause: str) -> None:
    """Re-reads that intake holds under a lease, as it does while it hands a page to `observe`."""
    with ground.store.transaction() as tx:
        tx.insert(
            Dirty,
            [
                {
                    "userid": _pair(n)[0], "external_userid": _pair(n)[1], "marked_at": NOW, "cause": cause,
                    "act_at": NOW + 60 * SECOND_MS, "lease_until": NOW + 60 * SECOND_MS, "attempts": 1,
                }
                for n in range(first, first + count)
            ],
            returning=(),
        )  # fmt: skip


def _sighting(n: int, began_at: Instant, cause: str, generation: int | None, tags: tuple[str, ...] = ()) -> Sighting:
    userid, external = _pair(n)
    follow = Follow(userid, external, began_at, ADD_WAY, CHANNEL, tags)
    return Sighting(userid, external, generation, cause, Profile(external, f"c{n}"), follow, mark=1)


def _pages(first: int, count: int, batch: int) -> list[range]:
    return [range(low, min(low + batch, first + count)) for low in range(first, first + count, batch)]


def enter_engine(ground: Ground, first: int, count: int, batch: int) -> Work:
    """Take them in, page by page."""
    pages = [[_sighting(n, _began(n), "added", None) for n in page] for page in _pages(first, count, batch)]
    return partial(_each, partial(observe, ground.app), pages)


def _enter_by_hand(ground: Ground, first: int, count: int, batch: int) -> Work:
    pages = [[(*_pair(n), f"c{n}", _began(n)) for n in page] for page in _pages(first, count, batch)]
    return partial(_each, partial(by_hand.enter, ground.hand, channel=CHANNEL, add_way=ADD_WAY), pages)


def _each(take: Callable[[Any], object], pages: Iterable[Any]) -> None:
    for page in pages:
        take(page)


# -- a tag seen on a page of re-read relations ends their runs -------------------------------------------------------


def _make_inside(ground: Ground, first: int, count: int) -> None:
    filling.add_inside(ground.store, first, count, TODAY)
    _mark(ground, first, count, "edited")


def _tags_engine(ground: Ground, first: int, count: int, batch: int) -> Work:
    return tag_engine(ground, [(n, filling.began(n, 2, TODAY)) for n in range(first, first + count)], batch)


def tag_engine(ground: Ground, known: list[tuple[int, Instant]], batch: int) -> Work:
    """Customers, with the beginning of their relations, who have the tag now."""
    pages = [
        [_sighting(n, began_at, "edited", 0, (filling.BOUGHT,)) for n, began_at in known[low : low + batch]]
        for low in range(0, len(known), batch)
    ]
    return partial(_each, partial(observe, ground.app), pages)


def _tags_by_hand(ground: Ground, first: int, count: int, batch: int) -> Work:
    pages = [[(n, *_pair(n)) for n in page] for page in _pages(first, count, batch)]
    return partial(_each, partial(by_hand.tagged, ground.hand), pages)


CONTESTS = (
    Contest("enter", 100, _mark_new, enter_engine, _enter_by_hand),
    Contest("enter", 500, _mark_new, enter_engine, _enter_by_hand),
    Contest("fire", 1000, _make_due, _fire_engine, _fire_by_hand),
    Contest("tags", 100, _make_inside, _tags_engine, _tags_by_hand),
    Contest("tags", 500, _make_inside, _tags_engine, _tags_by_hand),
)
"""`batch` is the engine's own: 100 a page of intake, 500 of reconciliation, 1000 a pass of the firing loop."""
