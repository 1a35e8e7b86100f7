"""Time atoms whose truth flips: the clock's word to the rules (SPEC 3). Called by the sweep loop.

A flip that is due is taken off and becomes news about its one rule. Whoever judges that rule arms its next flip, so a
flip that changed nothing is armed anew by the same way. Those of SOPs and runs that are over are dropped.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from machines.facts import Dependencies
from sopd.handlers.app import App
from sopd.handlers.consequences import follow
from sopd.handlers.happened import Consequences, News, Only
from sopd.store.batch import in_halves, put_aside
from sopd.store.queries import flips as queries
from sopd.store.queries.flips import Armed, FlipKey

TEXT = "the time has come"


def sweep(app: App, *, limit: int = 500) -> int:
    """Turn what is due into news, at most `limit`; returns how many were looked at. A poison row is set aside."""
    with app.store.reading() as tx:
        keys = queries.due(tx, limit)
    done = in_halves(keys, partial(_sweep, app), partial(_set_aside, app))
    return sum(done.results) + len(done.aside)


def _sweep(app: App, keys: Sequence[FlipKey]) -> int:
    with app.store.transaction() as tx:
        taken = queries.take(tx, keys)
        if taken:
            follow(tx, app, Consequences(news=tuple(map(_news, taken))))
    return len(taken)


def _news(one: Armed) -> News:
    only = Only("entry" if one.purpose == queries.ENTRY else "end", one.sop_id, one.ref_id)
    return News(one.customer_id, Dependencies(), TEXT, only=only)


def _set_aside(app: App, key: FlipKey, reason: str) -> None:
    with app.store.transaction() as tx:
        put_aside(tx, "flip", str(key), reason, queries.lay_aside(tx, key))
