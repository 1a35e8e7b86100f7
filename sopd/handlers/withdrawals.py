"""An operator withdraws a task (`dispatch cancel`): its pushes end `cancelled: by operator`, the runs go on (D15, D22).

What nobody was asked for yet ends at once. A task that a member has is cancelled in WeCom by the collector and read
twice before its pushes are told; had the member confirmed before, they are sent. One that may exist is cancelled as
soon as that is known. A card is ours: it is closed at once, and looks so at its member.
"""

from __future__ import annotations

from dataclasses import dataclass

from machines.cards import OUT
from machines.dispatch.life import CONFIRMED, FINAL, NEEDS_OPERATOR, PLANNED
from machines.events import StopWanted
from machines.reasons import OPERATOR
from sopd.commands import CancelDispatch
from sopd.errors import Refused, no_such
from sopd.handlers import card_updates, dispatches, task_pushes
from sopd.handlers.app import App
from sopd.handlers.dispatches import Task
from sopd.store import Transaction
from sopd.store.queries import audit
from sopd.store.queries import dispatches as queries

_OVER = (*FINAL, CONFIRMED)


@dataclass(frozen=True)
class Withdrawn:
    """The task's state now: `cancelled`, or one on the way there. `pushes` are those in it that are not settled."""

    state: str
    pushes: int


def cancel(app: App, command: CancelDispatch) -> Withdrawn:
    """Withdraw a task. Raises NotFound, and Refused for one that is over, confirmed, in doubt or withdrawn already."""
    done = None
    while done is None:
        with app.store.transaction() as tx:
            done = _cancel(tx, app, command)
    return done


def _cancel(tx: Transaction, app: App, command: CancelDispatch) -> Withdrawn | None:
    """None if somebody joined the task after its runs were locked: once more, then."""
    runs = queries.lock_runs(tx, [command.dispatch_id])
    task = next(iter(dispatches.lock(tx, [command.dispatch_id])), None)
    if task is None:
        raise no_such("task", command.dispatch_id)
    _refuse(task)
    if task.state in OUT:
        audit.write(tx, command.who, "dispatch cancel", str(task.row.id))
        return Withdrawn(*card_updates.withdraw(tx, app, task.row.id))
    inside = queries.inside(tx, [task.row.id])
    if any(one.enrollment_id not in runs for one in inside):
        return None
    was_planned = task.state == PLANNED
    task.hear(StopWanted("operator"), tx.now)
    if was_planned:
        task.reason = OPERATOR
    dispatches.save(tx, [task])
    if was_planned:
        task_pushes.settle(tx, app, [task], queries.inside(tx, [task.row.id]))
    audit.write(tx, command.who, "dispatch cancel", str(task.row.id))
    tx.after_commit(lambda: app.ring("collect"))
    return Withdrawn(task.state, len(inside))


def _refuse(task: Task) -> None:
    name = f"task {task.row.id}"
    if task.state in _OVER:
        raise Refused(f"{name} is {task.state}: nothing in it can be stopped any more")
    if task.state == NEEDS_OPERATOR:
        raise Refused(f"nobody knows what became of {name}", f"say it with `sopd dispatch resolve {task.row.id}`")
    if task.memory.stop == "operator":
        raise Refused(f"{name} is being cancelled already", f"`sopd dispatch show {task.row.id}` tells how far it is")
