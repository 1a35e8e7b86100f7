"""Engine and oracle on one history: what came of it must be the same, or a story is told of where they part.

With faults on the line no oracle can say when things happen; then the engine is held against the sandbox's own books.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sopd.sandbox.faults import Faults
from sopd.store import Store
from tests.support.oracle.account import compare, predicted, tell
from tests.support.oracle.history import History
from tests.support.oracle.replay import replay
from tests.support.played import disbelieved, misreported, played, set_aside
from tests.support.playing import play

CALM = 3 * 86_400_000
"""So long nothing goes wrong any more at the end of a history with faults: look-ups and results come to rest."""


def check(history: History, url: str) -> None:
    """Play it on the database at `url` and fail with a story if engine and oracle differ."""
    with _store(url) as store:
        rig = play(history, store)
        aside = set_aside(rig)
        assert not aside, f"set aside: {aside}\n{history}"
        engine, oracle = played(rig), predicted(replay(history))
        differences = compare(engine, oracle)
        assert not differences, tell(history, differences, engine, oracle)
        wrong = disbelieved(rig, engine)
        assert not wrong, f"{wrong}\n{history}"


def check_truth(history: History, url: str, faults: Faults) -> None:
    """Play it while calls go wrong; what the engine says of every message must be what really arrived (SPEC 15.2)."""
    with _store(url) as store:
        rig = play(history, store, faults)
        faults.clear()
        rig.run_until(history.until + CALM)
        aside = set_aside(rig)
        assert not aside, f"set aside: {aside}\n{history}"
        wrong = misreported(rig)
        assert not wrong, "\n".join([*wrong, str(history)])


@contextmanager
def _store(url: str) -> Iterator[Store]:
    store = Store.open(url, pool=4)
    try:
        yield store
    finally:
        store.close()
