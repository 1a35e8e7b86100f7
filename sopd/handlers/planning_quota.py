"""Who gets a customer's day: places in WeCom's windows and rivals for them (SPEC 7.3, D6-D8, D10). A part of planning.

A push gets a place if no other mass send of the customer is open, every window its task may reach into has room, and
no better rival wants the same day of WeCom's. Rivals are the other pushes that are due, waiting or deferred to that day
and the open runs whose next mass send falls on it, as far as their SOPs run and their own checks pass now.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from machines.calendar import Instant
from machines.lateness import expiry, next_allowed_day_same_time, own_time
from machines.push import PlanFacts
from machines.quota import Quota, Rival, Window, after_full, day_of, rank
from machines.reasons import CAPACITY
from machines.sop import Program, ProgramStep
from machines.timetable import Timetable, earliest_send
from sopd.handlers import planning_claims, schedule
from sopd.handlers.app import App
from sopd.handlers.planning_claims import Claimant, may_claim
from sopd.handlers.planning_facts import Candidate, run_conditions
from sopd.store import Transaction
from sopd.store.queries import claims
from sopd.store.queries import planning as queries
from sopd.store.queries import pushes as push_queries

OPEN = ("planned", "requested", "confirmed")


@dataclass(frozen=True)
class Contender:
    """Somebody other than the candidates who may want the same day."""

    id: int
    run_id: int
    sop_id: int
    customer_id: int
    relation_id: int
    member_id: int
    program: Program
    step: ProgramStep
    due_at: Instant

    @property
    def rival(self) -> Rival:
        return Rival(self.program.priority, self.due_at, self.run_id)


def expires_at(one: Candidate, now: Instant) -> Instant:
    """When a task planned now for this push would be of no use any more (D11)."""
    return _expiry(now, one.program.timetable, one.push.next_due_at)


@lru_cache(maxsize=65_536)
def _expiry(planned_at: Instant, timetable: Timetable, next_due: Instant | None) -> Instant:
    return expiry(planned_at, timetable, next_due)


@lru_cache(maxsize=65_536)
def windows(quota: Quota, planned_at: Instant, expires_at: Instant) -> tuple[Window, ...]:
    """Every window a task reaches into while it is open (D7)."""
    return quota.windows_for_open_task(planned_at, expires_at)


def judge(
    tx: Transaction, app: App, candidates: Sequence[Candidate], states: Mapping[int, str]
) -> dict[int, PlanFacts]:
    """By push, for all that take quota: its facts with the word of the quota in them."""
    wanted = [one for one in candidates if one.push.takes_quota]
    if not wanted:
        return {}
    customers = sorted({one.push.customer_id for one in wanted})
    busy, rivals = _others(tx, app, wanted, customers, states)
    taken = push_queries.taken_places(tx, customers, _windows(app, wanted, tx.now))
    by_customer: defaultdict[int, list[Candidate]] = defaultdict(list)
    for one in wanted:
        by_customer[one.push.customer_id].append(one)
    facts: dict[int, PlanFacts] = {}
    for customer_id, mine in by_customer.items():
        winner = None
        if customer_id not in busy:
            free = {one.push.id: _free(app, one, taken, tx.now) for one in mine}
            winner = _winner(mine, rivals[customer_id], free)
        for one in mine:
            facts[one.push.id] = one.facts if one.push.id == winner else full(one, tx.now)
    return facts


def full(one: Candidate, now: Instant) -> PlanFacts:
    """The facts of a push that gets no place now: what its SOP does then (`quota_full`)."""
    return replace(
        one.facts,
        has_place=False,
        full=after_full(one.program.quota_full, one.push.deferred),
        next_try_at=next_try_at(one.program, one.step, one.push.due_at, now),
    )


def next_try_at(program: Program, step: ProgramStep, due_at: Instant, now: Instant) -> Instant:
    """The next allowed day at the step's own time (SPEC 7.3)."""
    timetable = program.timetable
    return next_allowed_day_same_time(now, timetable, own_time(timetable, step.index, due_at))


def rival_of(one: Candidate) -> Rival:
    """A candidate among its rivals."""
    return Rival(one.program.priority, one.push.due_at, one.run.id)


def _winner(mine: Sequence[Candidate], rivals: Iterable[Contender], free: Mapping[int, int]) -> int | None:
    """The one candidate that may be planned now: one open mass send per customer, whatever the mode (D6)."""
    others = [rank(contender.rival) for contender in rivals]
    ordered = sorted(mine, key=lambda one: rank(rival_of(one)))
    for place, one in enumerate(ordered):
        before = place + sum(1 for other in others if other < rank(rival_of(one)))
        if before < free[one.push.id]:
            return one.push.id
    return None


def _free(app: App, one: Candidate, taken: Mapping[tuple[int, str], set[int]], now: Instant) -> int:
    """Places that rivals and this push may share today; none if a later window its task reaches into is full (D7)."""
    reached = windows(app.company.quota, now, expires_at(one, now))
    left = [window.capacity - len(taken.get((one.push.customer_id, window.key), ())) for window in reached]
    return left[0] if min(left) > 0 else 0


def _windows(app: App, wanted: Iterable[Candidate], now: Instant) -> set[str]:
    ends = {expires_at(one, now) for one in wanted}
    return {window.key for end in ends for window in windows(app.company.quota, now, end)}


def _others(
    tx: Transaction, app: App, wanted: Sequence[Candidate], customers: Sequence[int], states: Mapping[int, str]
) -> tuple[set[int], Mapping[int, list[Contender]]]:
    """Customers with an open mass send, and the rivals of the others by customer."""
    known = {one.push.id for one in wanted}
    unsettled = [row for row in queries.rival_pushes(tx, customers) if row.id not in known]
    busy = {row.customer_id for row in unsettled if row.state in OPEN}
    runs = queries.rival_runs(tx, customers, Quota("day").window_of(tx.now).to_at)
    programs = app.programs.all(tx, [row.version_id for row in (*unsettled, *runs)])
    contenders = _pushes(unsettled, programs, tx.now) + _runs(
        runs, programs, {one.run.id for one in wanted}, tx.now
    )
    able = _able(tx, app, [one for one in contenders if states[one.sop_id] == "running"], wanted)
    by_customer: defaultdict[int, list[Contender]] = defaultdict(list)
    for one in able:
        by_customer[one.customer_id].append(one)
    return busy, by_customer


def _pushes(rows: Sequence[queries.Rival], programs: Mapping[int, Program], now: Instant) -> list[Contender]:
    """Pushes that are due, waiting or deferred to this day. One that waits for room in a slot will not be sent."""
    found = []
    for row in rows:
        if row.state in OPEN or row.plan_at is None or row.reason == CAPACITY:
            continue
        program = programs[row.version_id]
        if program.has_step(row.step_id) and _is_today(program, max(row.plan_at, now), now):
            found.append(
                Contender(
                    row.id, row.enrollment_id, row.sop_id, row.customer_id, row.relation_id, row.member_id,
                    program, program.step(row.step_id), row.due_at,
                )
            )  # fmt: skip
    return found


def _runs(
    rows: Sequence[queries.RunFacts], programs: Mapping[int, Program], mine: set[int], now: Instant
) -> list[Contender]:
    """Runs whose next mass send falls on this day and has not fired yet."""
    found = []
    for row in rows:
        program = programs[row.version_id]
        if row.id in mine or not schedule.is_known(program, row.state):
            continue
        first = schedule.next_index(program, row.state)
        times = schedule.of_run(program, row)
        step = schedule.next_mass_step(program, times, first)
        if step is None or not _is_today(program, max(times.due(step.index), now), now):
            continue
        found.append(
            Contender(
                0, row.id, row.sop_id, row.customer_id, row.relation_id, row.member_id, program, step,
                times.due(step.index),
            )
        )  # fmt: skip
    return found


def _is_today(program: Program, at: Instant, now: Instant) -> bool:
    return day_of(earliest_send(at, program.timetable)) == day_of(now)


def _able(tx: Transaction, app: App, contenders: Sequence[Contender], wanted: Sequence[Candidate]) -> list[Contender]:
    """Those whose other checks pass now (D10). Muting concerns the customer, so the candidates have passed it."""
    if not contenders:
        return []
    able = queries.able_relations(tx, [one.relation_id for one in contenders])
    asked = [(place, one.run_id, one.step.only_if) for place, one in enumerate(contenders)]
    holds = run_conditions(tx, app, asked)
    claimed = {(one.push.sop_id, one.push.step_id, one.push.customer_id) for one in wanted}
    keys = [_claim(one) for one in contenders if one.program.once_per == "customer"]
    held, claimants = claims.held(tx, keys), planning_claims.claimants(tx, app, keys)
    return [
        one
        for place, one in enumerate(contenders)
        if one.relation_id in able and holds[place] and _may_claim(one, held, claimants, claimed)
    ]


def _claim(one: Contender) -> claims.Key:
    return (one.sop_id, one.step.id, one.customer_id)


def _may_claim(
    one: Contender,
    held: Mapping[claims.Key, claims.Claim],
    claimants: Mapping[claims.Key, list[Claimant]],
    claimed: set[claims.Key],
) -> bool:
    """The claims of the candidates are decided already; another's is judged as it stands."""
    key = _claim(one)
    if one.program.once_per != "customer":
        return True
    rivals = claimants[key]
    return key not in claimed and may_claim(held.get(key), rivals, one.id, one.run_id, one.member_id, one.due_at)
