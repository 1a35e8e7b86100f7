"""`sop resume`: what a pause means to everybody inside, and to those who would have entered (SPEC 12, D23, S12).

`begin` is a part of the command: it lays aside whatever would act before it has been looked at. `lead_on` is one page
of the job behind it. skip: moments that passed and pushes that wait are `skipped: paused`. catch_up: of these moments
the latest goes out now. shift: what each run counts from moves by the whole local days it was held up, as if it had
entered that much later; what is past even so is skipped, and pushes that wait are planned again. At last, if wished,
those who were recorded `sop paused` are judged again as if they came now.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence, Set
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache, partial
from typing import Literal, get_args

from machines.calendar import Instant, day_after, instant_of, local_date, local_time
from machines.enrollment import SETTLING
from machines.events import PushSkipped
from machines.lifecycle import ResumePolicy, passes_over
from machines.push import PushFacts
from machines.reasons import PAUSED
from machines.sop import Program
from sopd.errors import Refused
from sopd.handlers import entries, firing, pushes, schedule, stepwise
from sopd.handlers.app import App
from sopd.handlers.consequences import follow
from sopd.handlers.happened import NOTHING, Consequences
from sopd.handlers.wishes import Wish
from sopd.store import Transaction
from sopd.store.batch import in_halves, put_aside
from sopd.store.queries import aside, jobs, sops
from sopd.store.queries import enrollments as run_queries
from sopd.store.queries import pushes as push_queries
from sopd.store.queries import resuming as queries
from sopd.store.queries.enrollments import Run
from sopd.store.queries.jobs import JobRow
from sopd.store.queries.resuming import Ahead, Moved
from sopd.store.queries.sops import SopRow

KIND = "resume"
CAUSE = "resumed"
PAGE = 500
POLICIES: tuple[ResumePolicy, ...] = get_args(ResumePolicy)
Phase = Literal["pushes", "runs", "recorded"]
PHASES: dict[ResumePolicy, tuple[Phase, ...]] = {
    # A shifted run tells its pushes first when their next step is due now.
    "skip": ("pushes", "runs"), "catch_up": ("pushes", "runs"), "shift": ("runs", "pushes"),
}  # fmt: skip


@dataclass(frozen=True)
class Memory:
    """What the job keeps between pages.

    pauses: (since, until) of this pause, and before it of those whose resume was cut short by the next one; a run
    laid aside at some instant belongs to the first that reaches to it. phase: which of `phases` is at hand. after: the
    last id looked at in it.
    """

    missed: ResumePolicy = "skip"
    admit: bool = False
    pauses: list[list[Instant]] = field(default_factory=list)
    phase: int = 0
    after: int = 0

    @classmethod
    def of(cls, job: JobRow) -> Memory:
        """As it was kept."""
        return cls(**job.memory())  # type: ignore[arg-type]

    @property
    def phases(self) -> tuple[Phase, ...]:
        return (*PHASES[self.missed], "recorded") if self.admit else PHASES[self.missed]

    def since(self, parked_at: Instant) -> Instant:
        """When the pause began during which a run was laid aside at this instant."""
        return next((since for since, until in self.pauses if parked_at <= until), self.pauses[-1][0])


@dataclass
class _Job:
    """One job at hand: its SOP, its row, and what it keeps; both go on with each part of a page that is committed."""

    sop: SopRow
    row: JobRow
    memory: Memory

    @property
    def resumed_at(self) -> Instant:
        return self.row.started_at

    @property
    def phase(self) -> Phase:
        return self.memory.phases[self.memory.phase]

    def behind(self, last_id: int) -> _Job:
        """The job once everything up to this id has been led on."""
        memory = replace(self.memory, after=last_id)
        return _Job(self.sop, self.row._replace(cursor=json.dumps(asdict(memory))), memory)

    def come_to(self, following: _Job) -> None:
        """Go on from there."""
        self.row, self.memory = following.row, following.memory


def policy_of(tx: Transaction, app: App, sop: SopRow, missed: str) -> ResumePolicy:
    """The way an operator named. Raises Refused if there is none of that name, and for shifting fixed dates."""
    found = next((policy for policy in POLICIES if policy == missed), None)
    if found is None:
        raise Refused(f"{missed!r} is no way to treat missed moments", f"it is one of {', '.join(POLICIES)}")
    assert sop.version_id is not None  # it was started
    if found == "shift" and app.programs.get(tx, sop.version_id).timetable.strategy == "timed":
        raise Refused(f"the dates of {sop.key} are fixed and cannot be shifted", "resume it with skip or catch_up")
    return found


def begin(tx: Transaction, app: App, sop: SopRow, paused_at: Instant, missed: ResumePolicy, admit: bool) -> None:
    """Lay aside what would act before the job has looked at it, and begin the job."""
    if missed == "shift":
        queries.park_all(tx, sop.id)
    else:
        run_queries.park_missed(tx, sop.id)
    if missed == "skip":
        sops.park_pushes(tx, sop.id)
    else:
        queries.park_waiting(tx, sop.id)
    cut_short = queries.cut_short(tx, sop.key)
    earlier = [] if cut_short is None else Memory(**json.loads(cut_short)).pauses
    memory = Memory(missed, admit, [*earlier, [paused_at, tx.now]])
    jobs.begin(tx, KIND, sop.key, asdict(memory))
    tx.after_commit(lambda: app.ring("jobs"))


def lead_on(app: App, row: JobRow) -> int:
    """One page of a claimed job; returns how many rows it led on, 1 for a step that found none. Poison is set aside.

    Each part of a page is committed with the place it has come to, so that none is led on twice.
    """
    with app.store.reading() as tx:
        sop = sops.by_key(tx, row.key)
        assert sop is not None  # SOPs are never deleted
        job = _Job(sop, row, Memory.of(row))
        ids = _page(tx, job)
    if ids:
        in_halves(ids, partial(_act, app, job), partial(_set_aside, app, job))
        return len(ids)
    with app.store.transaction() as tx:
        moved = replace(job.memory, after=0, phase=job.memory.phase + 1)
        if jobs.remember(tx, row, asdict(moved)):
            if moved.phase < len(moved.phases):
                jobs.go_on(tx, row, 0)
            else:
                jobs.finish(tx, row)
    return 1


def _page(tx: Transaction, job: _Job) -> list[int]:
    memory = job.memory
    match job.phase:
        case "pushes":
            return queries.push_page(tx, job.sop.id, job.resumed_at, memory.after, PAGE)
        case "runs":
            return queries.run_page(tx, job.sop.id, memory.after, PAGE)
        case "recorded":
            return queries.recorded_page(tx, job.sop.id, memory.pauses[0][0], memory.after, PAGE)


def _act(app: App, job: _Job, ids: Sequence[int]) -> None:
    lead = {"pushes": _lead_pushes, "runs": _lead_runs, "recorded": _admit}[job.phase]
    with app.store.transaction() as tx:
        if sops.states(tx)[job.sop.id] != "running":  # it was paused again, or stopped
            return
        following = job.behind(ids[-1])
        if not jobs.remember(tx, job.row, asdict(following.memory)):  # somebody else leads the job on
            return
        follow(tx, app, lead(tx, app, job, ids))
        jobs.go_on(tx, job.row, len(ids))
    job.come_to(following)


def _set_aside(app: App, job: _Job, row_id: int, reason: str) -> None:
    following = job.behind(row_id)
    with app.store.transaction() as tx:
        if not jobs.remember(tx, job.row, asdict(following.memory)):
            return
        if job.phase == "pushes":
            aside.take_out(tx, "push", row_id, reason)
        elif job.phase == "runs":
            run_queries.clear_dues(tx, [row_id])
            put_aside(tx, "enrollment", str(row_id), reason)
        else:
            put_aside(tx, KIND, f"{job.sop.id}/{row_id}", reason)
        jobs.go_on(tx, job.row, 1)
    job.come_to(following)


# -- pushes that wait --------------------------------------------------------------------------------------------------


def _lead_pushes(tx: Transaction, app: App, job: _Job, ids: Sequence[int]) -> Consequences:
    """Skip them, or plan them again. One whose next step fell due too is not the latest of the missed moments."""
    run_queries.lock(tx, push_queries.enrollments_of(tx, ids))
    rows = push_queries.unsettled(tx, ids)
    missed = job.memory.missed
    passed = [row for row in rows if passes_over(missed, row.next_due_at, job.resumed_at)]
    left = {row.id for row in rows} - {row.id for row in passed}
    if left:
        queries.plan_again(tx, left)
        tx.after_commit(lambda: app.ring("plan"))
    return pushes.tell(
        tx, [pushes.Told(row, pushes.decide(row.state, PushSkipped(PAUSED), PushFacts())) for row in passed]
    )


# -- runs --------------------------------------------------------------------------------------------------------------


def _lead_runs(tx: Transaction, app: App, job: _Job, ids: Sequence[int]) -> Consequences:
    """Lead runs on that were laid aside; one that came to its end meanwhile ends now."""
    runs = [run for run in run_queries.lock(tx, ids) if run.parked_at is not None]
    if not runs:
        return NOTHING
    if job.memory.missed != "shift":
        return firing.fire(tx, app, runs, job.resumed_at, missed=job.memory.missed)
    programs = app.programs.all(tx, [run.version_id for run in runs])
    moved = [_shifted(programs[run.version_id], run, job) for run in runs]
    queries.shift(tx, [Moved(run.id, run.anchor_at, run.anchor_moves_ms, run.counts_from) for run in moved])
    waited = {run.id for run in runs if _waited(programs[run.version_id], run, job)}
    return _go_on(tx, app, programs, moved, waited, job.resumed_at)


def _shifted(program: Program, run: Run, job: _Job) -> Run:
    """The run as if it had entered that many whole local days later."""
    zone = program.timetable.zone
    assert run.parked_at is not None  # it is laid aside
    held_from = max(job.memory.since(run.parked_at), run.entered_at)
    days = (local_date(job.resumed_at, zone) - local_date(held_from, zone)).days
    if days <= 0 or run.state == SETTLING:
        return run
    anchor_at = _days_later(run.anchor_at, days, zone)
    counts = run.counts_from
    return run._replace(
        anchor_at=anchor_at,
        anchor_moves_ms=run.anchor_moves_ms + anchor_at - run.anchor_at,
        # What settled, or was answered, after the resume was not held up.
        counts_from=_days_later(counts, days, zone) if counts is not None and counts < job.resumed_at else counts,
    )


def _waited(program: Program, run: Run, job: _Job) -> bool:
    """Whether the next step had fallen due before the pause: then it waits for an open push, if there is one still."""
    index = schedule.next_index(program, run.state)
    if index is None or program.pace == "stepwise" or run.parked_at is None:
        return False
    due_at = schedule.of_run(program, run).dues[index]
    return due_at is not None and due_at <= job.memory.since(run.parked_at)


@lru_cache(maxsize=65_536)
def _days_later(at: Instant, days: int, zone: str) -> Instant:
    return instant_of(day_after(local_date(at, zone), days), local_time(at, zone), zone)


def _go_on(
    tx: Transaction,
    app: App,
    programs: Mapping[int, Program],
    runs: Sequence[Run],
    waited: Set[int],
    resumed_at: Instant,
) -> Consequences:
    """Put shifted runs to their next step; those for which it is past even so pass it over.

    A step that has waited for an open push since before the pause goes on waiting for it, as ever.
    """
    days = stepwise.quota_days(tx, programs, runs)
    times = {run.id: schedule.of_run(programs[run.version_id], run, days.get(run.id)) for run in runs}
    holding = _tell_pushes(tx, app, {run.id: (programs[run.version_id], times[run.id]) for run in runs})
    ahead: list[Ahead] = []
    behind: list[Run] = []
    unsettled: set[int] = set()
    for run in runs:
        program = programs[run.version_id]
        index = schedule.next_index(program, run.state)
        due_at = None if index is None else times[run.id].dues[index]
        is_past = due_at is not None and due_at <= resumed_at
        if is_past and run.id in waited & holding:
            due_at = None
        elif index is None or is_past:
            behind.append(run)
            continue
        ahead.append(Ahead(run.id, due_at, schedule.mass_at(program, times[run.id], index)))
        if due_at is None:  # its clock has not started: its last push settles, or has just settled
            unsettled.add(run.id)
    if ahead:
        queries.go_on(tx, ahead)
    happened = firing.fire(tx, app, behind, resumed_at, missed="skip") if behind else NOTHING
    return happened + Consequences(settled=frozenset(unsettled))


def _tell_pushes(
    tx: Transaction, app: App, runs: Mapping[int, tuple[Program, schedule.Schedule]]
) -> set[int]:
    """The caps of the runs' open pushes move with the steps; those that wait are planned again. Runs with an open mass
    send are returned."""
    found = pushes.open_pushes(tx, runs)
    if not found:
        return set()
    caps = []
    for one in found:
        program, times = runs[one.enrollment_id]
        caps.append((one.id, schedule.next_due(times, program.step(one.step_id).index)))
    queries.cap(tx, caps)
    queries.plan_again(tx, [one.id for one in found])
    tx.after_commit(lambda: app.ring("plan"))
    return {one.enrollment_id for one in found if one.takes_quota}


# -- those who would have entered --------------------------------------------------------------------------------------


def _admit(tx: Transaction, app: App, job: _Job, subjects: Sequence[int]) -> Consequences:
    """Judge them again as if they came now; a new customer still counts from the adding."""
    is_new = job.sop.kind == "new_customer"
    wishes = [
        Wish(job.sop.id, customer_id, "own", CAUSE, subject if is_new else relation_id, entered_at=tx.now)
        for subject, customer_id, relation_id in queries.recorded(tx, job.sop.id, subjects)
    ]
    _, happened = entries.enter(tx, app, wishes)
    return happened
