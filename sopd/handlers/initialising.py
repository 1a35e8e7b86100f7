"""Everybody there is, judged page by page: at the start of a nurture SOP, before anything fires (SPEC 4).

`sops.start` begins the job, the loop of jobs leads it on, and so does the command line while somebody watches. A page
is one transaction with a fixed number of statements: a crash loses it whole, and nobody enters twice. Whoever enters
has the instant of the start as entry and anchor. What happens meanwhile lets people in, and ends runs, as ever; steps
that fall due are laid aside until everybody has been judged and are then due again at the instant they were.

A new version with another entry rule is judged of everybody as well, but lets nobody in: it only has to be known when
time changes it next. Whoever meets it already enters at the next news that concerns it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from machines import lifecycle
from machines.rules import needs_of
from sopd.handlers import entries
from sopd.handlers.app import App
from sopd.handlers.consequences import follow
from sopd.handlers.wishes import Wish
from sopd.store import Transaction
from sopd.store.batch import is_poison, put_aside, reason_of
from sopd.store.queries import flips, jobs, locks, sops
from sopd.store.queries import initialising as queries
from sopd.store.queries.flips import FlipKey
from sopd.store.queries.initialising import Candidate
from sopd.store.queries.jobs import JobRow
from sopd.store.queries.sops import SopRow

KINDS = KIND, WATCH = "initialise", "watch"
CAUSE = "initialised"
PAGE = 500
LEASE_MS = 60_000
INITIALISING, RUNNING = "initialising", "running"
_JUDGED_IN = {KIND: (INITIALISING,), WATCH: (RUNNING, "paused")}


@dataclass(frozen=True)
class Memory:
    """What the job keeps between two pages: the next page's size, the last customer looked at, how many entered."""

    size: int
    after: int = 0
    entered: int = 0

    @classmethod
    def of(cls, job: JobRow) -> Memory:
        """As it was kept."""
        return cls(**job.memory())  # type: ignore[arg-type]


@dataclass(frozen=True)
class Progress:
    """How far the initialisation of a SOP is: customers looked at, of how many, and how many of them entered."""

    done: int
    total: int
    entered: int
    is_over: bool


def begin(tx: Transaction, app: App, sop: SopRow) -> None:
    """Begin, in the transaction of the start."""
    jobs.begin(tx, KIND, sop.key, asdict(Memory(PAGE)), total=queries.count(tx))
    tx.after_commit(lambda: app.ring("jobs"))


def watch_anew(tx: Transaction, app: App, sop: SopRow, before: int, after: int) -> None:
    """In the transaction of an `apply`: see to it that what time changes in the new version's entry rule is known."""
    old, new = app.programs.get(tx, before), app.programs.get(tx, after)
    if (old.entry_rule, old.reenter) == (new.entry_rule, new.reenter):
        return
    if needs_of(old.entry_rule).time or needs_of(new.entry_rule).time:
        jobs.end(tx, WATCH, sop.key, "applied again")
        jobs.begin(tx, WATCH, sop.key, asdict(Memory(PAGE)), total=queries.count(tx))
        tx.after_commit(lambda: app.ring("jobs"))


def progress(app: App, key: str) -> Progress | None:
    """How far the SOP's initialisation has come; None if there has been none."""
    with app.store.reading() as tx:
        found = queries.standing(tx, KIND, key)
        sop = sops.by_key(tx, key)
    if found is None or sop is None:
        return None
    memory = JobRow(0, KIND, key, found.cursor, 0, None, 0, 0).memory()
    total = max(found.total or 0, found.done)
    return Progress(found.done, total, int(str(memory.get("entered", 0))), sop.state != INITIALISING)


def run_once(app: App) -> int:
    """One page of what is due longest; returns how many rows it led on, 0 if none is due.

    A page that fails is tried again by halves, down to the one customer who is to blame and is set aside.
    """
    taken: list[JobRow] = []
    try:
        return _lead_on(app, taken)
    except Exception as error:  # whatever one customer can make fail; what none can is raised again
        if not taken or not is_poison(error):
            raise
        if not _narrow(app, taken[0], reason_of(error)):
            raise
        return 1


def _lead_on(app: App, taken: list[JobRow]) -> int:
    with app.store.transaction() as tx:
        sops.states(tx)  # before the job is taken, in the order of those who pause and stop SOPs
        job = jobs.claim(tx, KINDS, LEASE_MS)
        if job is None:
            return 0
        taken.append(job)
        sop = sops.by_key(tx, job.key)
        assert sop is not None  # SOPs are never deleted
        judged = _page(tx, app, job, sop) if sop.state in _JUDGED_IN[job.kind] else 0
        given_back = 0 if judged or job.kind == WATCH else _give_back(tx, app, sop)
        if judged or given_back:
            jobs.go_on(tx, job, judged)
        else:
            jobs.finish(tx, job)
        return max(judged, given_back, 1)


def _page(tx: Transaction, app: App, job: JobRow, sop: SopRow) -> int:
    """Judge the next customers; 0 if there are none left."""
    memory = Memory.of(job)
    page = queries.page(tx, sop.id, memory.after, memory.size)
    if not page:
        return 0
    inside = _watch(tx, app, sop, page) if job.kind == WATCH else _enter(tx, app, sop, page)
    grown = Memory(min(PAGE, memory.size * 2), page[-1].customer_id, memory.entered + inside)
    jobs.remember(tx, job, asdict(grown))
    return len(page)


def _enter(tx: Transaction, app: App, sop: SopRow, page: Sequence[Candidate]) -> int:
    """Let in whom the rule holds for; returns how many. Those with a run came by news since the start."""
    wishes = [
        Wish(sop.id, one.customer_id, "own", CAUSE, entered_at=sop.started_at) for one in page if not one.has_run
    ]
    entered, happened = entries.enter(tx, app, wishes)
    follow(tx, app, happened)
    return sum(one.enrollment_id is not None for one in entered)


def _watch(tx: Transaction, app: App, sop: SopRow, page: Sequence[Candidate]) -> int:
    """Note when time changes the rule for these; nobody enters."""
    locks.customers(tx, [one.customer_id for one in page])
    wishes = [Wish(sop.id, one.customer_id, "own", CAUSE) for one in page]
    catalogue = app.programs.catalogue(tx)
    if needs_of(catalogue.live[sop.id].program.entry_rule).time:
        entries.watch(tx, entries.judge(tx, catalogue, wishes))
    else:
        flips.drop(tx, [FlipKey(flips.ENTRY, sop.id, one.customer_id) for one in page])
    return 0


def _give_back(tx: Transaction, app: App, sop: SopRow) -> int:
    """Let the SOP run, and some of the steps that were laid aside fall due; 0 if nothing is left of them.

    One that was paused or stopped in between leaves them to whoever resumes or stops it.
    """
    if sop.state == INITIALISING:
        sops.set_state(tx, sop.id, lifecycle.decide(sop.state, "initialised", sop.key).state)
    elif sop.state != RUNNING:
        return 0
    given = queries.give_back(tx, sop.id, PAGE)
    if given:
        tx.after_commit(lambda: app.ring("fire"))
    return given


def _narrow(app: App, job: JobRow, reason: str) -> bool:
    """Try the failed page again with half of it; a single customer is set aside. False if nobody is to blame."""
    with app.store.transaction() as tx:
        sop, memory = sops.by_key(tx, job.key), Memory.of(job)
        page = queries.page(tx, sop.id, memory.after, memory.size) if sop is not None else []
        if not page:
            return False
        if len(page) > 1:
            return jobs.remember(tx, job, asdict(replace(memory, size=len(page) // 2)))
        if jobs.remember(tx, job, asdict(replace(memory, after=page[0].customer_id, size=PAGE))):
            put_aside(tx, KIND, f"{job.key}/{page[0].customer_id}", reason)
            jobs.go_on(tx, job, 1)
        return True
