"""What planning knows of a due push before anything is decided, and its first checks. A part of planning.

`Candidate` is a value: everything that was loaded for one push. The checks that need nothing of other pushes are asked
here; claims and quota, which do, come after.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from machines import push
from machines.calendar import Instant, local_date
from machines.cards import CHANNELS
from machines.facts import Facts
from machines.push import PlanFacts, Verdict
from machines.rules import Rule, depends_on, evaluate
from machines.sop import Program, ProgramStep
from machines.timetable import earliest_send
from sopd.handlers import facts as known_facts
from sopd.handlers.app import App
from sopd.store import Transaction
from sopd.store.queries import entries
from sopd.store.queries.planning import Owner, RunFacts
from sopd.store.queries.pushes import PushRow


@dataclass(frozen=True)
class Candidate:
    """One due push with its run, its step and its owner, all locked."""

    push: PushRow
    run: RunFacts
    program: Program
    step: ProgramStep
    owner: Owner
    facts: PlanFacts


@lru_cache(maxsize=65_536)
def check(facts: PlanFacts) -> Verdict:
    """`machines.push.check`, once per group of like pushes."""
    return push.check(facts)


def load(
    tx: Transaction,
    app: App,
    rows: Sequence[PushRow],
    runs: Mapping[int, RunFacts],
    owners: Mapping[int, Owner],
    muted: Mapping[int, bool],
    states: Mapping[int, str],
) -> list[Candidate]:
    """Everything the first checks look at, for all rows."""
    programs = app.programs.all(tx, [row.version_id for row in rows])
    steps = {row.id: programs[row.version_id].step(row.step_id) for row in rows}
    holds = run_conditions(tx, app, [(row.id, row.enrollment_id, steps[row.id].only_if) for row in rows])
    found = []
    for row in rows:
        run, program, owner = runs[row.enrollment_id], programs[row.version_id], owners[row.member_id]
        facts = PlanFacts(
            enrollment_open=run.closed_at is None,
            end_reason=run.reason,
            sop_state=states[row.sop_id],
            handover_until=run.handover_until,
            only_if=holds[row.id],
            muted=muted[row.customer_id],
            owner_able=owner.able or (row.channel in CHANNELS and steps[row.id].written.assign not in (None, "owner")),
            quiet_until=quiet_until(program, row.due_at, tx.now),
        )
        found.append(Candidate(row, run, program, steps[row.id], owner, facts))
    return found


def run_conditions(
    tx: Transaction, app: App, asked: Sequence[tuple[int, int, Rule | None]]
) -> dict[int, bool]:
    """Whether `only_if` holds of runs now: (anything, enrollment, rule) in, truth by the first of them out."""
    rules = {rule for _, _, rule in asked if rule is not None}
    if not rules:
        return {key: True for key, _, _ in asked}
    runs = entries.runs_by_id(tx, {run_id for _, run_id, rule in asked if rule is not None})
    programs = app.programs.all(tx, [run.version_id for run in runs])
    about = known_facts.of_runs(tx, runs, programs, map(depends_on, rules))
    return {
        key: True if rule is None else _holds(rule, about[run_id].restricted_to(depends_on(rule)))
        for key, run_id, rule in asked
    }


@lru_cache(maxsize=65_536)
def _holds(rule: Rule, facts: Facts) -> bool:
    return evaluate(rule, facts)


def quiet_until(program: Program, due_at: Instant, now: Instant) -> Instant | None:
    """When a push may go out that fell due at `due_at`, if that is not now: quiet hours, and off days reached since."""
    at = earliest_send(now, program.timetable, local_date(due_at, program.timetable.zone))
    return at if at > now else None
