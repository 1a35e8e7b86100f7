"""How many tasks a member has on the days of a preview, as things stand (D12). Reads only."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from datetime import date

from machines.calendar import DAY_MS, local_date
from machines.slots import MANY_TASKS
from machines.timetable import earliest_send
from sopd.handlers import schedule
from sopd.handlers.app import App
from sopd.handlers.preview_ahead import OWNERS_RUNS
from sopd.store import Transaction
from sopd.store.queries import planning, preview


def crowded(tx: Transaction, app: App, member_id: int, days: Collection[date]) -> tuple[tuple[date, int], ...]:
    """Those of these local days on which the member would have more tasks than people confirm, with how many.

    Tasks that exist count, and of the steps to come one task for each step and day: customers of one step share it.
    """
    if not days:
        return ()
    made: defaultdict[date, int] = defaultdict(int)
    for _, send_at in planning.task_instants(tx, [member_id], tx.now - DAY_MS):
        made[local_date(send_at, app.company.zone)] += 1
    ahead: defaultdict[date, set[tuple[int, str]]] = defaultdict(set)
    runs = preview.runs_of_member(tx, member_id, OWNERS_RUNS)
    programs = app.programs.all(tx, [run.version_id for run in runs])
    for run in runs:
        program = programs[run.version_id]
        first = schedule.next_index(program, run.state) if schedule.is_known(program, run.state) else None
        if first is None:
            continue
        dues = schedule.of_run(program, run).dues
        for step in program.steps[first:]:
            due_at = dues[step.index]
            if step.takes_quota and due_at is not None:
                sent_at = earliest_send(max(due_at, tx.now), program.timetable)
                ahead[local_date(sent_at, app.company.zone)].add((run.version_id, step.id))
    counts = {day: made[day] + len(ahead[day]) for day in sorted(days)}
    return tuple((day, count) for day, count in counts.items() if count > MANY_TASKS)
