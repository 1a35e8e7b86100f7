"""The last look before a task is created: what was true at planning must be true now (SPEC 7.2, 7.5, 8, D11, D23).

A part of `requests.take`. First the task as a whole: is its SOP paused, has it expired, is it quiet now? Then each
push: is its run open and not at its early end, its condition true, its customer not muted and still a friend, its
member able to send? What is
dropped leaves the task with its reason. At last: is a create of the same content outstanding for this owner?
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from machines.calendar import SECOND_MS, Instant
from machines.cards import CHANNELS
from machines.dispatch.life import CANCELLED
from machines.events import Claimed, EarlyEnd, Emptied, ExpireDue, PushEvent, PushExpired, ResultNotFriend, StopWanted
from machines.push import PlanFacts, PushFacts
from machines.reasons import NOT_CONFIRMED
from machines.sop import Program
from sopd.handlers import dispatches, enrollments, planning_facts, pushes, reactions, task_pushes
from sopd.handlers.app import App
from sopd.handlers.consequences import follow
from sopd.handlers.dispatches import Task
from sopd.handlers.happened import NOTHING, Consequences
from sopd.store import Transaction
from sopd.store.queries import dispatches as queries
from sopd.store.queries import enrollments as run_queries
from sopd.store.queries import sops
from sopd.store.queries.dispatches import Inside

AFTER_ANOTHER_MS = 5 * SECOND_MS
"""When to look again at a task that waits for the answer to a create of the same content."""
END_CAUSE = "found when its task was to be sent"


@dataclass
class Checked:
    """`sending`: now to be called for, with the pushes in `left`. `at_end`: runs that are to be ended before."""

    sending: list[Task] = field(default_factory=list)
    left: dict[int, list[Inside]] = field(default_factory=dict)
    at_end: list[int] = field(default_factory=list)
    happened: Consequences = NOTHING


@dataclass(frozen=True)
class _Seen:
    """What the checks look at, loaded once for the whole batch."""

    now: Instant
    programs: Mapping[int, Program]
    states: Mapping[int, str]
    inside: Mapping[int, Sequence[Inside]]
    locked: Collection[int]

    def program(self, task: Task) -> Program:
        return self.programs[task.row.version_id]

    def of(self, tasks: Sequence[Task]) -> list[tuple[Task, Inside]]:
        """The pushes of these tasks, each with its task."""
        return [(task, one) for task in tasks for one in self.inside.get(task.row.id, ())]


def check(
    tx: Transaction,
    app: App,
    tasks: Sequence[Task],
    locked: Collection[int],
    *,
    lease_ms: int,
    only_judge: bool = False,
) -> Checked:
    """Judge claimed tasks and write what becomes of them. `locked` are the runs that were locked for them before.

    `only_judge`: those that may go out stay planned, for cards are claimed by a table of their own.
    """
    seen = _Seen(
        tx.now,
        app.programs.all(tx, [task.row.version_id for task in tasks]),
        sops.states(tx),
        _by_task(queries.inside(tx, [task.row.id for task in tasks])),
        locked,
    )
    checked = Checked()
    ready = [task for task in tasks if _is_ready(seen, task)]
    ready = _without_ends(tx, app, seen, ready, checked)
    dropped = _sift(tx, app, seen, ready, checked)
    checked.happened = pushes.tell(tx, dropped)
    emptied = [task for task in ready if task.row.id not in checked.left]  # `pushes.tell` has closed these
    left = [task for task in ready if task not in emptied]
    if only_judge:
        checked.sending = left
    else:
        _claim(tx, seen, left, checked, lease_ms)
    dispatches.save(tx, [task for task in tasks if task not in emptied])
    over = [task for task in tasks if task.state == CANCELLED]
    checked.happened += task_pushes.tell(tx, app, over, [one for _, one in seen.of(over)])
    return checked


def end_runs(app: App, run_ids: Sequence[int]) -> None:
    """End runs at whose early end a claimed task was found, in a transaction of their own: they wait for no task."""
    with app.store.transaction() as tx:
        runs = run_queries.lock(tx, run_ids)
        ended = reactions.at_their_end(tx, app, [run.id for run in runs])
        follow(tx, app, enrollments.end(tx, app, ended, EarlyEnd(END_CAUSE)))


# -- the task as a whole -----------------------------------------------------------------------------------------------


def _is_ready(seen: _Seen, task: Task) -> bool:
    """False if it is over now, or has to wait; the task has heard why."""
    row, mine = task.row, seen.inside.get(task.row.id, ())
    quiet = seen.program(task).timetable.quiet
    if not mine:
        task.hear(Emptied(), seen.now)
    elif seen.states[row.sop_id] == "paused":
        task.hear(StopWanted("pause"), seen.now)
    elif row.expires_at <= max(seen.now, row.send_at):  # a re-issue may find no time left outside quiet hours
        _expire(task, seen.now)
    elif any(one.enrollment_id not in seen.locked for one in mine):
        task.look_again(seen.now)  # somebody joined after the runs were locked
    elif quiet.contains(seen.now, zone := seen.program(task).timetable.zone):
        task.look_again(min(quiet.end_after(seen.now, zone), row.expires_at))
    else:
        return True
    return False


def _expire(task: Task, now: Instant) -> None:
    """No room before its expiry, if nothing else is known to have kept it back."""
    task.hear(ExpireDue(), now)
    kept_back = NOT_CONFIRMED if task.row.reissue_of is not None else task.row.reason
    if kept_back is not None:
        task.reason, task.words = kept_back, [PushExpired(kept_back)]


# -- its pushes --------------------------------------------------------------------------------------------------------


def _without_ends(
    tx: Transaction, app: App, seen: _Seen, tasks: Sequence[Task], checked: Checked
) -> list[Task]:
    """The tasks in which no run is at its early end; the others are due again when those runs have ended."""
    found = seen.of(tasks)
    ruled = {
        one.enrollment_id for task, one in found
        if one.closed_at is None and seen.program(task).early_end_rule is not None
    }  # fmt: skip
    holds = reactions.at_their_end(tx, app, ruled)
    at_end = [(task, one) for task, one in found if one.enrollment_id in holds]
    checked.at_end = [one.enrollment_id for _, one in at_end]
    held = {task.row.id for task, _ in at_end}
    for task in tasks:
        if task.row.id in held:
            task.look_again(seen.now)
    return [task for task in tasks if task.row.id not in held]


def _sift(
    tx: Transaction, app: App, seen: _Seen, tasks: Sequence[Task], checked: Checked
) -> list[pushes.Told]:
    """Fill `checked.left`; returns what is dropped, each with its reason."""
    found = seen.of(tasks)
    steps = {task.row.id: seen.program(task).step(task.row.step_id) for task in tasks}
    rules = [(one.id, one.enrollment_id, steps[task.row.id].only_if) for task, one in found]
    holds = planning_facts.run_conditions(tx, app, rules)
    dropped = []
    for task, one in found:
        event = _objection(task, one, seen.states[task.row.sop_id], holds[one.id])
        if event is None:
            checked.left.setdefault(task.row.id, []).append(one)
        else:
            facts = PushFacts(enrollment_open=one.closed_at is None, end_reason=one.end_reason)
            dropped.append(pushes.Told(one, pushes.decide(one.state, event, facts)))
    return dropped


def _objection(task: Task, one: Inside, sop_state: str, only_if: bool) -> PushEvent | None:
    facts = PlanFacts(
        enrollment_open=one.closed_at is None,
        end_reason=one.end_reason,
        sop_state=sop_state,
        only_if=only_if,
        muted=bool(one.is_muted),
        owner_able=bool(task.row.able) or task.row.channel in CHANNELS,
    )
    verdict = planning_facts.check(facts)
    if not verdict.ready:
        return verdict.event
    return None if one.is_friend else ResultNotFriend()


# -- the claim ---------------------------------------------------------------------------------------------------------


def _claim(tx: Transaction, seen: _Seen, tasks: Sequence[Task], checked: Checked, lease_ms: int) -> None:
    """Move to `sending`, the earliest first; one create may be outstanding per owner and content (ARCHITECTURE 5)."""
    if not tasks:
        return
    busy = queries.outstanding(tx, [task.row.member_id for task in tasks])
    for task in sorted(tasks, key=lambda task: (task.row.send_at, task.row.id)):
        key = (task.row.member_id, task.row.content_hash)
        if key in busy:
            task.look_again(min(max(busy[key] or 0, seen.now + AFTER_ANOTHER_MS), task.row.expires_at))
            continue
        busy[key] = None
        task.hear(Claimed(), seen.now)
        task.act_at = task.lease_until = seen.now + lease_ms
        task.attempted_at, task.memory.absent = None, []
        checked.sending.append(task)


def _by_task(rows: Sequence[Inside]) -> dict[int, list[Inside]]:
    found: defaultdict[int, list[Inside]] = defaultdict(list)
    for one in rows:
        found[one.dispatch_id].append(one)
    return dict(found)
