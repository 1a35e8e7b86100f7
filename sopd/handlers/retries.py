"""An operator has pushes tried again that are over without having been sent (`push retry`).

A retried push goes back to planning with its old due and a new expiry, and every check is made anew. Its run must be
open and stand at this step still, for order is kept; what is doubtful is never tried again (D18, D20).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from machines.enrollment import SETTLING
from machines.events import RetryWanted
from machines.push import PushFacts
from machines.push.life import FINAL
from machines.reasons import IN_DOUBT, NOT_OVER, RETRY, SOP_NOT_RUNNING, SOP_PAUSED
from machines.sop import Program
from sopd.commands import RetryPushes
from sopd.errors import no_such
from sopd.handlers import pushes
from sopd.handlers.app import App
from sopd.store import Transaction
from sopd.store.queries import audit, locks, sops
from sopd.store.queries import planning as run_queries
from sopd.store.queries import pushes as push_queries
from sopd.store.queries import retries as queries
from sopd.store.queries.enrollments import Note, journal
from sopd.store.queries.planning import RunFacts
from sopd.store.queries.retries import Over
from sopd.store.queries.stepwise import Clock, set_clocks


@dataclass(frozen=True)
class Retried:
    """One push and why it is not tried again; empty: it is due."""

    push_id: int
    reason: str


def retry(app: App, command: RetryPushes) -> list[Retried]:
    """Have these pushes tried again; those that may not be stay as they are, each with its reason.

    Raises NotFound, and nothing is changed, if one of them does not exist.
    """
    wanted = list(dict.fromkeys(command.push_ids))
    with app.store.transaction() as tx:
        ids = push_queries.enrollments_of(tx, wanted)
        locks.of_runs(tx, ids)
        runs = run_queries.lock_runs(tx, ids)
        rows = {row.id: row for row in queries.rows(tx, wanted)}
        if unknown := [push_id for push_id in wanted if push_id not in rows]:
            raise no_such("push", *unknown)
        programs = app.programs.all(tx, [row.version_id for row in rows.values()])
        states = sops.states(tx)
        found = {key: _why_not(row, runs[row.enrollment_id], programs, states) for key, row in rows.items()}
        again = [row for key, row in rows.items() if not found[key]]
        if again:
            _reopen(tx, again, runs, programs)
            tx.after_commit(lambda: app.ring("plan"))
        audit.write_each(tx, command.who, "push retry", [str(row.id) for row in again])
        return [Retried(push_id, found[push_id]) for push_id in wanted]


def _why_not(row: Over, run: RunFacts, programs: Mapping[int, Program], states: Mapping[int, str]) -> str:
    if row.settled_at is None:
        return NOT_OVER
    if row.state not in FINAL:
        return IN_DOUBT
    facts = PushFacts(
        enrollment_open=run.closed_at is None,
        end_reason=run.reason,
        reason=row.reason,
        later_step_fired=_has_moved_on(programs[row.version_id], run, row.step_id),
        repeatable=row.channel != "welcome",
    )
    decision = pushes.decide(row.state, RetryWanted("operator"), facts)
    if decision.ignored:
        return decision.reason or NOT_OVER
    if states[row.sop_id] == "running":
        return ""
    return SOP_PAUSED if states[row.sop_id] == "paused" else SOP_NOT_RUNNING


def _has_moved_on(program: Program, run: RunFacts, step_id: str) -> bool:
    last = len(program.steps) - 1
    stands_at = last if run.state == SETTLING else program.step(run.state).index if program.has_step(run.state) else 0
    return stands_at > program.step(step_id).index


def _reopen(
    tx: Transaction, rows: Sequence[Over], runs: Mapping[int, RunFacts], programs: Mapping[int, Program]
) -> None:
    """Due again. A stepwise run waits for the settlement to come, as it did for the first one (D13)."""
    queries.reopen(tx, [row.id for row in rows])
    waits = [
        row.enrollment_id
        for row in rows
        if programs[row.version_id].pace == "stepwise" and runs[row.enrollment_id].state != SETTLING
    ]
    if waits:
        set_clocks(tx, [Clock(run_id, None, None, None) for run_id in waits])
    details = [(row.enrollment_id, json.dumps({"step": row.step_id, "push": "due"})) for row in rows]
    journal(tx, [Note(run_id, "task", reason=RETRY, detail=detail) for run_id, detail in details])
    for row in rows:
        pushes.count(tx, row.sop_id, row.step_id, row.state, row.reason, -1)
