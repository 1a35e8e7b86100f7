"""Engine and oracle on one history: what came of it must be the same, or a story is told of where they part."""

from __future__ import annotations

from sopd.store import Store
from tests.support.oracle.account import compare, predicted, tell
from tests.support.oracle.history import History
from tests.support.oracle.replay import replay
from tests.support.played import disbelieved, played, set_aside
from tests.support.playing import play


def check(history: History, url: str) -> None:
    """Play it on the database at `url` and fail with a story if engine and oracle differ."""
    store = Store.open(url, pool=4)
    try:
        rig = play(history, store)
        engine, oracle = played(rig), predicted(replay(history))
        aside = set_aside(rig)
        assert not aside, f"set aside: {aside}\n{history}"
        differences = compare(engine, oracle)
        assert not differences, tell(history, differences, engine, oracle)
        wrong = disbelieved(rig, engine)
        assert not wrong, f"{wrong}\n{history}"
    finally:
        store.close()
