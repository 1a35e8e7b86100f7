"""`pace: stepwise`: the next step's clock starts when its predecessor has settled or was answered (SPEC 5, D13, S11).

Parts of `enrollments`, inside its transactions, for runs that are locked and have nothing open. A settlement counts
from WeCom's send_time, else from when it was learned; a push in doubt that an operator must look at counts as settled
when it became so (D20). `wait: reply` puts the next step off to the first answer, or else to the end of `at_most`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

from machines.calendar import Instant, local_date
from machines.reasons import ANSWERED, WAITS_FOR_ANSWER
from machines.sop import Program
from sopd.handlers import schedule
from sopd.handlers.app import App
from sopd.store import Transaction
from sopd.store.queries import enrollments as run_queries
from sopd.store.queries import stepwise as queries
from sopd.store.queries.enrollments import Note, Run
from sopd.store.queries.stepwise import Clock, Settlement


def settled(tx: Transaction, app: App, runs: Sequence[Run]) -> None:
    """Start the clock of the next step of these runs, whose last push has settled."""
    if not runs:
        return
    programs = app.programs.all(tx, [run.version_id for run in runs])
    runs = [run for run in runs if programs[run.version_id].has_step(run.state)]
    by_id = {run.id: run for run in runs}
    ends = [(by_id[one.enrollment_id], one) for one in queries.settlements(tx, by_id)]
    asked = {run.id: one.sent_at for run, one in ends if _asks(programs[run.version_id], run, one)}
    answers = queries.first_answers(tx, [(key, at) for key, at in asked.items() if at is not None]) if asked else {}
    clocks = [
        _clock(programs[run.version_id], run, one, run.id in asked, answers.get(run.id), tx.now) for run, one in ends
    ]
    queries.set_clocks(tx, clocks)
    waiting = [Note(one.id, "wait", reason=WAITS_FOR_ANSWER) for one in clocks if one.waits_reply]
    run_queries.journal(tx, waiting)


def answered(tx: Transaction, app: App, answers: Sequence[tuple[int, Instant]]) -> None:
    """Replies of customers, as (enrollment, instant): a step that waited for one counts from the first of them.

    Runs that wait for nothing, and answers from before the sending or after the longest wait, are left alone.
    """
    waiting = {run.id: run for run in run_queries.lock(tx, {run_id for run_id, _ in answers}) if run.waits_reply}
    if not waiting:
        return
    programs = app.programs.all(tx, [run.version_id for run in waiting.values()])
    sent = {one.enrollment_id: one.sent_at for one in queries.settlements(tx, waiting)}
    first: dict[int, Instant] = {}
    for run_id, at in answers:
        if run_id in waiting and _in_time(programs, waiting[run_id], sent.get(run_id), at):
            first[run_id] = min(at, first.get(run_id, at))
    runs = [waiting[run_id] for run_id in first]
    if not runs:
        return
    days = quota_days(tx, programs, runs)
    clocks = []
    for run in runs:
        program = programs[run.version_id]
        index = program.step(run.state).index + 1
        ahead = schedule.counted(program, index, first[run.id], days.get(run.id), tx.now)
        parked = run.parked_at is not None  # it is led on by `resume`
        clocks.append(Clock(run.id, None if parked else ahead.due_at, ahead.mass_at, ahead.counts_from))
    queries.set_clocks(tx, clocks)
    run_queries.journal(tx, [Note(run.id, "note", reason=ANSWERED) for run in runs])
    tx.after_commit(lambda: app.ring("fire"))


def quota_days(tx: Transaction, programs: Mapping[int, Program], runs: Sequence[Run]) -> dict[int, date]:
    """By run, the local date of its last mass send, for stepwise runs; asks nothing if there are none."""
    single = [run for run in runs if programs[run.version_id].pace == "stepwise"]
    if not single:
        return {}
    sends = queries.last_mass_sends(tx, [run.id for run in single])
    zones = {run.id: programs[run.version_id].timetable.zone for run in single}
    return {run_id: local_date(at, zones[run_id]) for run_id, at in sends.items()}


def _asks(program: Program, run: Run, one: Settlement) -> bool:
    return one.state == "sent" and schedule.longest_wait(program, program.step(run.state).index) > 0


def _in_time(programs: Mapping[int, Program], run: Run, sent_at: Instant | None, at: Instant) -> bool:
    """Since the sending, and within the longest wait, which a shift prolongs."""
    program = programs[run.version_id]
    if run.counts_from is None or sent_at is None or not program.has_step(run.state):
        return False
    return sent_at <= at <= run.counts_from + schedule.longest_wait(program, program.step(run.state).index)


def _clock(
    program: Program, run: Run, one: Settlement, asks: bool, answer: Instant | None, now: Instant
) -> Clock:
    index = program.step(run.state).index + 1
    since = now if one.settled_at is None else one.settled_at
    if one.state == "sent" and one.sent_at is not None:
        since = one.sent_at
    if answer is not None and answer <= since + schedule.longest_wait(program, index - 1):
        since, asks = answer, False
    quota_on = None if one.mass_at is None else local_date(one.mass_at, program.timetable.zone)
    return Clock(run.id, *schedule.counted(program, index, since, quota_on, now, waits=asks), asks)
