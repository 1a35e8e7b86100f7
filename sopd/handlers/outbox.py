"""Tag writes on their way to WeCom (SPEC 8): claimed in order per relation, and what came of the calls.

Commands of the outbox loop. Repeating a tag write is harmless, so a lost answer is simply tried again; what WeCom
refuses for good is told to `tags.written`, and an add then counts as removed. Where WeCom does not know a tag, our
library is behind: it is read again, and the other tags of that write are written by themselves. Retries live in the due
column.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from machines.calendar import MINUTE_MS, SECOND_MS, Instant
from sopd.handlers import refusals, tags
from sopd.handlers.app import App
from sopd.handlers.consequences import follow
from sopd.handlers.happened import Consequences
from sopd.handlers.tags import Payload, Written
from sopd.store.batch import in_halves
from sopd.store.queries import aside, inbox, reading_jobs
from sopd.store.queries import outbox as queries
from sopd.store.queries.outbox import Act, Finished
from sopd.wecom.errors import WeComFailure

LEASE_MS = 120 * SECOND_MS
CALL_MS = 15 * SECOND_MS
"""More than the deadline of one call: with less of the lease left it is not begun."""
HELD_MS = MINUTE_MS
MOST_WRITES = 100


@dataclass(frozen=True)
class Write:
    """One tag write to be made now. No call is begun after `until`: then it may be somebody else's."""

    act: Act
    payload: Payload

    @property
    def until(self) -> Instant:
        return self.act.lease_until - CALL_MS


@dataclass(frozen=True)
class Outcome:
    """What came of one write; `failure` None: WeCom has it."""

    write: Write
    failure: WeComFailure | None = None


def claim(app: App) -> list[Write]:
    """Lease due tag writes, of each relation the oldest that is not done."""
    with app.store.transaction() as tx:
        queries.hold_back(tx, tx.now + HELD_MS)
        acts = queries.claim_tags(tx, limit=MOST_WRITES, lease_ms=LEASE_MS)
    return [Write(act, Payload.read(act.payload)) for act in acts]


def record(app: App, outcomes: Sequence[Outcome]) -> None:
    """Record what came of a page of writes; runs whose rules look at these tags react in the same transaction."""
    in_halves(outcomes, partial(_record, app), partial(_set_aside, app))
    rests = [one.failure.retry_at for one in outcomes if one.failure is not None and refusals.is_resting(one.failure)]
    if any(rests):
        with app.store.transaction() as tx:
            queries.postpone(tx, queries.TAGS, max(until for until in rests if until))


def _set_aside(app: App, outcome: Outcome, reason: str) -> None:
    outbox_id = outcome.write.act.id
    with app.store.transaction() as tx:
        aside.take_out(tx, "outbox", outbox_id, reason)


def _record(app: App, outcomes: Sequence[Outcome]) -> None:
    with app.store.transaction() as tx:
        held = queries.lock_claimed(tx, [(one.write.act.id, one.write.act.attempts) for one in outcomes])
        mine = [one for one in outcomes if one.write.act.id in held]
        if not mine:
            return
        over = [one for one in mine if one.failure is None or refusals.is_final(one.failure)]
        written = [
            Written(one.write.act.id, one.write.act.relation_id, one.write.payload, done=one.failure is None)
            for one in over
        ]
        unknown = {one.write.act.id for one in over if refusals.errcode_of(one.failure) == refusals.UNKNOWN_TAG}
        tags.write_one_by_one(tx, [one for one in written if one.outbox_id in unknown])
        changes = tags.written(tx, app, written)
        queries.finish(tx, [_finished(one, tx.now) for one in mine])
        if over:
            queries.wake_next(tx, [one.write.act.relation_id for one in over])
        follow(tx, app, Consequences(tag_changes=tuple(changes)))
        if unknown:
            reading_jobs.want(tx, "tags")
            tx.after_commit(partial(app.ring, "jobs"))
        strangers = sorted({_pair(one) for one in over if refusals.errcode_of(one.failure) in refusals.STRANGERS})
        if strangers:  # last, because others mark re-reads while they hold what is locked above
            inbox.mark(tx, [inbox.Mark(*pair, "result") for pair in strangers])
            tx.after_commit(partial(app.ring, "intake"))


def _pair(one: Outcome) -> tuple[str, str]:
    return one.write.act.userid, one.write.act.external_userid


def _finished(one: Outcome, now: Instant) -> Finished:
    act, failure = one.write.act, one.failure
    if failure is None:
        return Finished(act.id, "done", None, None, now)
    if refusals.is_final(failure):
        return Finished(act.id, "failed", refusals.said(failure), None, now)
    again = refusals.next_try_at(failure, act.attempts, f"outbox/{act.id}", now)
    return Finished(act.id, "pending", refusals.said(failure), again, None)
