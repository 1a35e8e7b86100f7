"""`customer forget`: erases a person and keeps the sums (docs/retention.md).

The command mutes the customer and ends every open run, as an end by hand does: tasks that are out are stopped (D22).
What is left is a job, for WeCom may still answer about her: it waits until nothing is under way, walks through what no
index leads to (callbacks, acts, audit), and erases the rest in one transaction. Of her stay ids of ours, what became of
each run and push, and a hash, so that the relation that WeCom still shows does not bring her back (`forgotten`).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from machines.calendar import MINUTE_MS
from machines.events import ManualEnd
from machines.reasons import family
from sopd.commands import ForgetCustomer
from sopd.errors import no_such
from sopd.handlers import enrollments
from sopd.handlers.app import App
from sopd.handlers.consequences import follow
from sopd.handlers.forgotten import hash_of
from sopd.store import Transaction
from sopd.store.queries import audit, jobs, people, reading_jobs
from sopd.store.queries import forgetting as queries
from sopd.store.queries.forgetting import Counts
from sopd.store.queries.jobs import JobRow

KIND = "forget"
WHY = "forgotten"
LEASE_MS = 5 * MINUTE_MS
WAITS_MS = 5 * MINUTE_MS
"""So often the job looks whether something is still under way."""
PAGE = 2000
STAGES = ("wait", "inbox", "acts", "audit", "erase")


@dataclass(frozen=True)
class Place:
    """What the job keeps: at which stage it is, and after which row."""

    stage: str = STAGES[0]
    after: int = 0


def token_of(customer_id: int) -> str:
    """What stands where the external_userid stood."""
    return f"forgotten/{customer_id}"


def counts(app: App, external_userid: str) -> Counts:
    """What there is of a customer. Raises NotFound."""
    with app.store.reading() as tx:
        return queries.counts(tx, _customer(tx, external_userid))


def forget(app: App, command: ForgetCustomer) -> int:
    """End all that is open and have the rest erased; returns our id of the customer. Raises NotFound."""
    with app.store.transaction() as tx:
        customer_id = people.mute(tx, [command.external_userid], tx.now).get(command.external_userid)
        if customer_id is None:
            raise no_such("customer", command.external_userid)
        queries.remember(tx, hash_of(command.external_userid))
        runs = people.runs_of_customers(tx, [customer_id])
        follow(tx, app, enrollments.end(tx, app, runs, ManualEnd(command.who, WHY), by=command.who))
        audit.write(tx, command.who, "customer forget", token_of(customer_id))
        jobs.begin(tx, KIND, str(customer_id))
        tx.after_commit(lambda: app.ring("jobs"))
        return customer_id


def is_over(app: App, customer_id: int) -> bool:
    """Whether nothing is left to be erased."""
    with app.store.reading() as tx:
        return not jobs.is_running(tx, KIND, str(customer_id))


def run_once(app: App) -> int:
    """One step for one customer who is to be forgotten; returns 0 if none is due."""
    with app.store.transaction() as tx:
        job = jobs.claim(tx, (KIND,), LEASE_MS)
        if job is None:
            return 0
        customer_id = int(job.key)
        place = Place(**job.memory())  # type: ignore[arg-type]  # what was kept below
        external_userid = queries.name_of(tx, customer_id)
        assert external_userid is not None  # customers are never deleted
        _step(tx, job, customer_id, external_userid, place)
        return 1


def _step(tx: Transaction, job: JobRow, customer_id: int, external_userid: str, place: Place) -> None:
    after: int | None = None
    match place.stage:
        case "wait":
            queries.give_up_tags(tx, customer_id, WHY)
            if queries.is_under_way(tx, customer_id):
                _go_on(tx, job, place, tx.now + WAITS_MS)
                return
        case "inbox":
            after = queries.blank_callbacks(tx, external_userid, place.after, PAGE)
        case "acts":
            after = queries.blank_acts(tx, queries.relations_of(tx, customer_id), place.after, PAGE)
        case "audit":
            after = queries.blank_audit(tx, external_userid, token_of(customer_id), place.after, PAGE)
        case "erase":
            _erase(tx, customer_id, external_userid)
            jobs.finish(tx, job)
            return
    following = STAGES[STAGES.index(place.stage) + 1]
    _go_on(tx, job, Place(following) if after is None else Place(place.stage, after), tx.now)


def _go_on(tx: Transaction, job: JobRow, place: Place, at: int) -> None:
    reading_jobs.go_on(tx, job.id, json.dumps(asdict(place)), 1, at, None)


def _erase(tx: Transaction, customer_id: int, external_userid: str) -> None:
    """Refusals are counted on, as pruning does; what somebody wrote goes, what became of runs and pushes stays."""
    for sop_id, reason, n in queries.refusals(tx, customer_id):
        tx.count(f"sop/{sop_id}/pruned/{reason}", n)
    runs = queries.runs(tx, customer_id)
    queries.blank_runs(tx, [(run_id, None if reason is None else family(reason)) for run_id, reason in runs])
    queries.erase(tx, customer_id, external_userid, token_of(customer_id))


def _customer(tx: Transaction, external_userid: str) -> int:
    found = people.customer_id(tx, external_userid)
    if found is None:
        raise no_such("customer", external_userid)
    return found
