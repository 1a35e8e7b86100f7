"""Relations to read again: claimed in pages for intake, given back when WeCom could not be read.

Commands, each its own transaction; the reading itself happens between them, outside any.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from machines.backoff import next_attempt
from machines.calendar import HOUR_MS, SECOND_MS, Instant
from sopd.handlers.app import App
from sopd.store.batch import put_aside, put_each_aside, take_back
from sopd.store.queries import inbox as queries
from sopd.store.queries import people
from sopd.store.queries.inbox import Claimed
from sopd.store.queries.people import Known, Pair
from sopd.wecom.codes import Klass
from sopd.wecom.errors import WeComFailure

LEASE_MS = 60 * SECOND_MS
FAST_LEASE_MS = 5 * SECOND_MS
"""Where a welcome code lives 20 s, a killed worker's rows must come back in time. Reading twice harms nobody."""
FIRST_PAUSE_MS, LONGEST_PAUSE_MS = 2 * SECOND_MS, HOUR_MS


@dataclass(frozen=True)
class Reread:
    """One claimed re-read, with the relation as we know it before the reading begins (None: we do not)."""

    row: Claimed
    known: Known | None

    @property
    def generation(self) -> int | None:
        """The relation's, to be compared when the reading is taken over."""
        return None if self.known is None else self.known.generation

    @property
    def is_active(self) -> bool:
        """Whether there is anything to lose."""
        return self.known is not None and self.known.state == "active"

    @property
    def is_over(self) -> bool:
        """Whether the add behind it has ended already, as an event told."""
        ended_at = None if self.known is None else self.known.lost_at
        return ended_at is not None and ended_at >= (self.row.added_at or 0)


@dataclass(frozen=True)
class Failed:
    """A re-read that showed nothing. `not_before`: when WeCom may be asked again; `is_final`: never by itself."""

    row: Claimed
    reason: str
    not_before: Instant | None = None
    is_final: bool = False

    @classmethod
    def by(cls, row: Claimed, failure: WeComFailure) -> Failed:
        """The re-read that this failure ended."""
        return cls(row, str(failure), failure.retry_at, failure.klass is Klass.PERMANENT)


def claim(app: App, *, fast: bool, limit: int) -> list[Reread]:
    """Take due re-reads of one lane. `fast`: those with a welcome code."""
    with app.store.reading() as tx:
        if not queries.any_due(tx, fast):
            return []
    with app.store.transaction() as tx:
        rows = queries.claim(tx, fast, limit, FAST_LEASE_MS if fast else LEASE_MS)
        known = people.known(tx, [row.pair for row in rows])
        take_back(tx, "dirty", [key_of(row.pair) for row in rows if row.attempts > 1])
        return [Reread(row, known.get(row.pair)) for row in rows]


def give_back(app: App, failed: Sequence[Failed]) -> None:
    """Try again later what could not be read; what WeCom refuses for good is set aside until it is marked again."""
    if not failed:
        return
    with app.store.transaction() as tx:
        queries.postpone(tx, [(*one.row.pair, _next_at(one, tx.now), one.reason) for one in failed])
        put_each_aside(tx, "dirty", [(key_of(one.row.pair), one.reason) for one in failed if one.is_final], tx.now)


def _next_at(one: Failed, now: Instant) -> Instant | None:
    if one.is_final:
        return None
    pause = next_attempt(
        one.row.attempts, now, base_ms=FIRST_PAUSE_MS, cap_ms=LONGEST_PAUSE_MS, jitter_key=key_of(one.row.pair)
    )
    return max(pause, one.not_before or 0)


def leave_out(app: App, rows: Sequence[Claimed]) -> None:
    """Finish re-reads that can show nothing: their members are out of the app's sight."""
    if not rows:
        return
    with app.store.transaction() as tx:
        queries.finish(tx, [(*row.pair, row.mark) for row in rows])


def set_aside(app: App, pair: Pair, reason: str) -> None:
    """A re-read whose page failed because of it alone (SPEC 15.3)."""
    with app.store.transaction() as tx:
        queries.postpone(tx, [(*pair, None, reason)])
        put_aside(tx, "dirty", key_of(pair), reason, tx.now)


def key_of(pair: Pair) -> str:
    """How a re-read is named among the rows set aside."""
    return "/".join(pair)
