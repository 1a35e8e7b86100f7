"""Tasks as the handlers move them, and the parts by which other handlers stop them (SPEC 7.7, D17, D22, D23).

A `Task` is the working copy of one locked row: it hears events, `machines.dispatch` decides, `save` writes all copies
of a batch with one statement. What its pushes are to be told is kept in `words` for `task_pushes.tell`. The calls to
WeCom are not made here: a task that is to be cancelled gets due, and the collector's loop does the rest.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field

from machines import dispatch
from machines.calendar import Instant
from machines.cards import CHANNELS
from machines.dispatch import FINAL, DispatchFacts, cancel_is_overdue
from machines.dispatch.life import NEEDS_OPERATOR, PLANNED, REQUESTED, UNKNOWN
from machines.effects import (
    AlertOperator,
    CancelTask,
    DispatchEffect,
    ForgetStop,
    NoteStop,
    ReadResults,
    ReissuePushes,
    RereadRelations,
    TellPushes,
)
from machines.events import DispatchEvent, PushEvent, StopPurpose, StopWanted
from sopd.handlers import refusals
from sopd.handlers.app import App
from sopd.store import Transaction
from sopd.store.queries import aside
from sopd.store.queries import cards as card_queries
from sopd.store.queries import dispatches as queries
from sopd.store.queries import pushes as push_queries
from sopd.store.queries.dispatches import Saved, TaskRow
from sopd.wecom.errors import WeComFailure


@dataclass
class Memory:
    """What a task keeps between two acts; no facts about customers.

    stop: what it is stopped for. absent: instants of complete reads that did not show it. first: the first of the two
    readings after a cancellation, as (instant, statuses, gone). busy_since: the first cancellation that met 41063.
    tries: failed attempts in a row, for the back-off.
    """

    stop: StopPurpose | None = None
    absent: list[int] = field(default_factory=list)
    first: tuple[int, list[int], bool] | None = None
    busy_since: int | None = None
    tries: int = 0

    @classmethod
    def read(cls, text: str | None) -> Memory:
        """From the row. What only a card remembers (`cards.Memory`) is none of a task's business."""
        kept = json.loads(text) if text else {}
        return cls(**{name: value for name, value in kept.items() if name in cls.__dataclass_fields__})

    def text(self) -> str | None:
        """For the row; None when there is nothing to remember."""
        kept = {name: value for name, value in asdict(self).items() if value}
        return json.dumps(kept) if kept else None


@dataclass
class Task:
    """One locked dispatch and what becomes of it.

    words: what its pushes are to be told, in order. strangers: customers who turned out to be no friends of the member.
    """

    row: TaskRow
    state: str
    reason: str | None
    act_at: Instant | None
    lease_until: Instant | None
    attempted_at: Instant | None
    msgid: str | None
    requested_at: Instant | None
    confirmed_at: Instant | None
    settled_at: Instant | None
    stop_at: Instant | None
    nags: int
    nag_at: Instant | None
    polls: int
    memory: Memory
    words: list[PushEvent] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)
    alert: bool = False
    reissue: bool = False

    @classmethod
    def of(cls, row: TaskRow) -> Task:
        """The working copy of a row."""
        same = {name: getattr(row, name) for name in Saved._fields if name not in ("id", "memory")}
        return cls(row=row, memory=Memory.read(row.memory), **same)

    @property
    def is_over(self) -> bool:
        """Nothing more happens to it by itself."""
        return self.state in FINAL or self.state == NEEDS_OPERATOR

    def hear(self, event: DispatchEvent, now: Instant) -> bool:
        """Let the machine decide; False if the event came too late to matter. The caller says when to look next."""
        decision = dispatch.decide(self.state, event, self._facts(now))
        if decision.ignored:
            return False
        if decision.reason or decision.state != self.state:
            self.reason = decision.reason
        self.state = decision.state
        if self.state != REQUESTED:
            self.nag_at = None
        if self.is_over:
            self.act_at = self.lease_until = None
            self.settled_at = now
        for effect in decision.effects:
            self._take(effect, now)
        return True

    def _facts(self, now: Instant) -> DispatchFacts:
        since = self.memory.busy_since
        return DispatchFacts(
            stop=self.memory.stop,
            reissue=self.row.reissue_of is not None,
            cancel_overdue=since is not None and cancel_is_overdue(since, now),
        )

    def _take(self, effect: DispatchEffect, now: Instant) -> None:
        match effect:
            case TellPushes(event):
                self.words.append(event)
            case NoteStop(purpose):
                self.memory.stop = purpose if purpose == "operator" else self.memory.stop or purpose
                self.stop_at = self.stop_at or now
            case ForgetStop():
                self.memory.stop = self.stop_at = None
            case CancelTask() | RereadRelations():
                self.act_at = now
            case ReadResults():
                self.act_at, self.memory.first, self.memory.tries = now, None, 0
            case ReissuePushes():
                self.reissue = True
            case AlertOperator():
                self.alert = True

    def look_again(self, at: Instant | None) -> None:
        """When somebody must look at it next; the claim on it ends."""
        self.act_at, self.lease_until = at, None

    def saved(self) -> Saved:
        """The row to be written."""
        same = {name: getattr(self, name) for name in Saved._fields if name not in ("id", "memory")}
        return Saved(id=self.row.id, memory=self.memory.text(), **same)


def lock(tx: Transaction, ids: Iterable[int]) -> list[Task]:
    """Working copies of these tasks, locked. Who is going to write their pushes has locked the runs before."""
    return [Task.of(row) for row in queries.lock(tx, ids)]


def save(tx: Transaction, tasks: Sequence[Task]) -> None:
    """Write what became of locked tasks, with one statement."""
    if tasks:
        queries.save(tx, [task.saved() for task in tasks])


def set_aside(app: App, dispatch_id: int, reason: str) -> None:
    """Put a task or card that fails alone on the list of those set aside, so that the rest goes on (SPEC 15.3)."""
    with app.store.transaction() as tx:
        aside.take_out(tx, "dispatch", dispatch_id, reason)


def let_rest(app: App, states: Sequence[str], failures: Iterable[WeComFailure | None]) -> None:
    """After a refusal that closes a path: whoever is due in these states and needs it waits, all in one statement."""
    ends = [one.retry_at for one in failures if one is not None and refusals.is_resting(one) and one.retry_at]
    if ends:
        with app.store.transaction() as tx:
            queries.postpone(tx, states, max(ends))


def stop(tx: Transaction, app: App, push_ids: Sequence[int], purpose: StopPurpose = "end") -> None:
    """Ask for the cancellation of the tasks these pushes are in: ends of their runs, mutes (D17, D22), a pause (D23).

    Which pushes leave is decided when the task is cancelled and read again; until then they stay as they are. What
    nobody was asked for yet is not touched: the caller has taken its pushes out. A task that is not known yet remembers
    the wish; one that stands for a stopped one already goes on, and what it then sends is marked `could not stop`. A
    card looks itself who has left it (`card_updates`).
    """
    if not push_ids:
        return
    if purpose == "end":
        push_queries.mark_stopped(tx, push_ids)
    ids = queries.of_pushes(tx, push_ids)
    if card_queries.look_at(tx, ids):
        tx.after_commit(lambda: app.ring("cards"))
    tasks = [task for task in lock(tx, ids) if task.row.channel not in CHANNELS]
    heard = [task for task in tasks if task.state != PLANNED and _heeds(task, purpose, tx.now)]
    save(tx, heard)
    if heard:
        tx.after_commit(lambda: app.ring("collect"))


def _heeds(task: Task, purpose: StopPurpose, now: Instant) -> bool:
    is_known = task.state not in UNKNOWN
    if not task.hear(StopWanted(purpose), now):
        return False
    if is_known:
        task.lease_until = None  # whoever polls it now brings an answer that comes too late
    return True
