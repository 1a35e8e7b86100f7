"""Welcomes on their way to WeCom: 20 seconds, one code, one try that counts (SPEC 6, D21).

Commands of the fast outbox loop. `machines.dispatch` decides for them too: a welcome cannot be looked up, but it can be
repeated, because a code works once: 41051 after a doubtful try of ours says that this try was the one. What stays
unknown when the code has died needs an operator; nothing waits for it (D20).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from machines import dispatch
from machines.calendar import SECOND_MS, Instant
from machines.dispatch.life import NEEDS_OPERATOR, PLANNED, SENDING, UNCERTAIN
from machines.effects import TellPushes
from machines.events import (
    CodeUsed,
    Delivered,
    DispatchEvent,
    Doubtful,
    ExpireDue,
    PushCancelled,
    PushEvent,
    PushSkipped,
    ResultNotFriend,
    ResultSent,
    TaskRefused,
    Throttled,
)
from machines.push import PlanFacts, PushFacts
from machines.reasons import DOUBTFUL, PAUSED, WELCOME_EXPIRED, WELCOME_UNKNOWN
from sopd.handlers import planning_facts, pushes, refusals
from sopd.handlers.app import App
from sopd.handlers.consequences import follow
from sopd.handlers.contents import Content, of_step
from sopd.handlers.happened import Consequences
from sopd.store import Transaction
from sopd.store.batch import in_halves
from sopd.store.queries import aside
from sopd.store.queries import dispatches as task_queries
from sopd.store.queries import enrollments as run_queries
from sopd.store.queries import outbox as queries
from sopd.store.queries import pushes as push_queries
from sopd.store.queries.outbox import Finished
from sopd.wecom.errors import WeComFailure

LEASE_MS = 7 * SECOND_MS
"""More than twice the deadline of the call, and so short that a killed worker's row comes back while the code lives."""
TRY_AGAIN_MS = SECOND_MS
CALL_MS = 7 * SECOND_MS // 2
"""More than the deadline of one call: with less of the lease left it is not begun."""
MOST_WELCOMES = 12
USED, DEAD = 41051, (41049, 41050)
"""WeCom's codes: used or chatting already; missing, unknown or expired."""


@dataclass(frozen=True)
class Greeting:
    """One welcome at hand. No call is begun after `until`: then it may be somebody else's.

    doubted: an earlier try got no answer. objection: why it is not to be sent any more.
    """

    outbox_id: int
    claim: int
    push_id: int
    code: str
    content: Content
    give_up_at: Instant
    until: Instant
    doubted: bool
    objection: PushEvent | None


@dataclass(frozen=True)
class Outcome:
    """What came of one welcome; without failure and objection it was sent. `begun` False: there was no time for it."""

    greeting: Greeting
    failure: WeComFailure | None = None
    begun: bool = True


@dataclass(frozen=True)
class _Verdict:
    """The row's new state, what its push hears, and whether nobody can know."""

    row: Finished
    word: PushEvent | None = None
    unknown: bool = False


def claim(app: App) -> list[Greeting]:
    """Lease due welcomes. One whose try got no answer is tried again even after its code died: it may tell."""
    with app.store.transaction() as tx:
        rows = queries.claim_welcomes(tx, limit=MOST_WELCOMES, lease_ms=LEASE_MS, doubtful=DOUBTFUL)
        payloads = [json.loads(row.payload) for row in rows]
        programs = app.programs.all(tx, [payload["version_id"] for payload in payloads])
        return [
            Greeting(
                row.id,
                row.attempts,
                row.push_id,
                payload["code"],
                of_step(programs[payload["version_id"]].step(payload["step_id"])),
                tx.now + LEASE_MS if row.give_up_at is None else row.give_up_at,
                row.lease_until - CALL_MS,
                doubted := row.state in (SENDING, UNCERTAIN) or row.reason == DOUBTFUL,
                None if doubted else _objection(row, tx.now),
            )
            for row, payload in zip(rows, payloads, strict=True)
        ]


def _objection(row: queries.Greeting, now: Instant) -> PushEvent | None:
    if row.closed_at is not None:
        return PushCancelled(row.end_reason or "")
    if row.sop_state == "paused":
        return PushSkipped(PAUSED)
    verdict = planning_facts.check(PlanFacts(sop_state=row.sop_state, muted=bool(row.is_muted)))
    if not verdict.ready:
        return verdict.event
    if not row.is_friend:
        return ResultNotFriend()
    if row.give_up_at is None or now < row.give_up_at:
        return None
    return PushSkipped(f"{WELCOME_EXPIRED}: {row.reason}" if row.reason else WELCOME_EXPIRED)


def record(app: App, outcomes: Sequence[Outcome]) -> None:
    """Record what came of a page of welcomes, in one transaction."""
    in_halves(outcomes, partial(_record, app), partial(_set_aside, app))


def _set_aside(app: App, outcome: Outcome, reason: str) -> None:
    outbox_id = outcome.greeting.outbox_id
    with app.store.transaction() as tx:
        aside.take_out(tx, "outbox", outbox_id, reason)


def _record(app: App, outcomes: Sequence[Outcome]) -> None:
    with app.store.transaction() as tx:
        run_queries.lock(tx, push_queries.enrollments_of(tx, [one.greeting.push_id for one in outcomes]))
        held = queries.lock_claimed(tx, [(one.greeting.outbox_id, one.greeting.claim) for one in outcomes])
        judged = {
            one.greeting.push_id: _judge(one, tx.now) for one in outcomes if one.greeting.outbox_id in held
        }
        if judged:
            queries.finish(tx, [verdict.row for verdict in judged.values()])
            follow(tx, app, _tell(tx, {key: one.word for key, one in judged.items() if one.word is not None}))
            follow(tx, app, _give_up(tx, [key for key, one in judged.items() if one.unknown]))


def _judge(one: Outcome, now: Instant) -> _Verdict:
    greeting, failure = one.greeting, one.failure
    if greeting.objection is not None:
        return _over(greeting, "failed", None, now, greeting.objection)
    if not one.begun:
        state, reason = ("uncertain", DOUBTFUL) if greeting.doubted else ("pending", None)
        return _Verdict(Finished(greeting.outbox_id, state, reason, now, None))
    code = refusals.errcode_of(failure)
    if code in DEAD and not greeting.doubted:
        return _over(greeting, "failed", refusals.said(failure) if failure else None, now, PushSkipped(WELCOME_EXPIRED))
    facts = dispatch.DispatchFacts(looks_up=False, doubted=greeting.doubted)
    heard = dispatch.decide(SENDING, _event(failure, now), facts)
    word = next((effect.event for effect in heard.effects if isinstance(effect, TellPushes)), None)
    if heard.state not in (PLANNED, UNCERTAIN):
        return _over(greeting, "done" if isinstance(word, ResultSent) else "failed", heard.reason, now, word)
    doubted = greeting.doubted or heard.state == UNCERTAIN
    rests_until = failure.retry_at if failure is not None and refusals.is_resting(failure) else None
    if doubted and rests_until is not None:  # a used code still tells when the path opens again
        return _Verdict(Finished(greeting.outbox_id, "uncertain", DOUBTFUL, rests_until, None))
    if now >= greeting.give_up_at or code in DEAD:
        return _at_the_end(greeting, failure, doubted, now)
    again = min(rests_until or now + TRY_AGAIN_MS, greeting.give_up_at)
    if doubted:
        return _Verdict(Finished(greeting.outbox_id, "uncertain", DOUBTFUL, again, None))
    said = refusals.said(failure) if failure is not None else None
    return _Verdict(Finished(greeting.outbox_id, "pending", said, again, None))


def _event(failure: WeComFailure | None, now: Instant) -> DispatchEvent:
    if failure is None:
        return Delivered(now)
    if refusals.errcode_of(failure) == USED:
        return CodeUsed(now)
    if failure.may_have_happened:
        return Doubtful()
    if refusals.is_final(failure) and refusals.errcode_of(failure) not in DEAD:
        return TaskRefused("permanent", refusals.refused_because(failure))
    return Throttled()


def _at_the_end(greeting: Greeting, failure: WeComFailure | None, doubted: bool, now: Instant) -> _Verdict:
    """The code is dead. Whether an earlier try of ours was the one, WeCom no longer tells."""
    if not doubted:
        return _over(greeting, "failed", refusals.said(failure) if failure else None, now, PushSkipped(WELCOME_EXPIRED))
    ended = dispatch.decide(UNCERTAIN, ExpireDue(), dispatch.DispatchFacts(looks_up=False, doubted=True))
    assert ended.state == NEEDS_OPERATOR
    return _Verdict(Finished(greeting.outbox_id, "failed", ended.reason, None, now), unknown=True)


def _over(greeting: Greeting, state: str, reason: str | None, now: Instant, word: PushEvent | None) -> _Verdict:
    return _Verdict(Finished(greeting.outbox_id, state, reason, None, now), word)


def _tell(tx: Transaction, words: dict[int, PushEvent]) -> Consequences:
    told, sent = [], []
    stopped = queries.stopped_at(tx, words)
    for row in push_queries.unsettled(tx, words):
        event = words[row.id]
        decision = pushes.decide(row.state, event, PushFacts(ended_at=stopped.get(row.id)))
        told.append(pushes.Told(row, decision))
        if isinstance(event, ResultSent) and not decision.ignored:
            sent.append((row.id, event.sent_at))
    happened = pushes.tell(tx, told)
    if sent:
        task_queries.note_sent(tx, sent)
    return happened


def _give_up(tx: Transaction, push_ids: Sequence[int]) -> Consequences:
    if not push_ids:
        return Consequences()
    left = queries.settle_unknown(tx, push_ids, WELCOME_UNKNOWN)
    reason = f"{NEEDS_OPERATOR}: {WELCOME_UNKNOWN}"
    run_queries.journal(
        tx, [run_queries.Note(run, "task", reason=reason, detail=json.dumps({"step": step})) for run, step in left]
    )
    return Consequences(settled=frozenset(run for run, _ in left))
