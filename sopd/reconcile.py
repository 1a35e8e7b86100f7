"""Reconciliation: reads everybody WeCom shows, so that nothing depends on callbacks alone (SPEC 15.1).

One step a call: first the tag library and the list of members, then a few members at a time, side by side, page by
page. What it sees goes the same way as every other reading. What it does not see is only noted; when everybody has been
read, absences are decided about, so that whoever took a customer over is known before the other end is. An absence
counts only after a complete, error-free read of a member who is still in sight; if too many of one member's customers
are missing, it is held and shown. Found beginnings have no welcome code. The reading of the tag library that an event
asked for is a job of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from machines.calendar import Instant
from sopd.handlers import members, observe_dirty, observe_jobs, tag_library
from sopd.handlers.app import App
from sopd.handlers.observe import observe
from sopd.handlers.observe_jobs import Progress
from sopd.handlers.observe_verdicts import RECONCILIATION, Sighting
from sopd.store.batch import in_halves
from sopd.store.queries import people
from sopd.store.queries.jobs import JobRow
from sopd.store.queries.people import Known
from sopd.wecom.codes import Klass
from sopd.wecom.endpoints import ENDPOINTS, IN_FLIGHT_PER_PATH
from sopd.wecom.errors import WeComFailure
from sopd.wecom.parallel import read_many
from sopd.wecom.people import ContactPage

PAGE = 500
MOST_TRIES = 3
"""So often a member is tried in one reconciliation before it goes on without him."""
NO_CUSTOMERS = 84061


@dataclass
class Reading:
    """The reading of one member's customers. `known`: his relations before it began, by external_userid.

    `failure`: why it is not complete; then nobody's absence counts.
    """

    userid: str
    known: dict[str, Known]
    cursor: str = ""
    seen: set[str] = field(default_factory=set)
    is_over: bool = False
    failure: WeComFailure | None = None

    @property
    def missing(self) -> list[Known]:
        """Active relations that a complete read did not show."""
        return [one for one in self.known.values() if one.state == "active" and one.external_userid not in self.seen]

    def take(self, page: ContactPage) -> Iterator[Sighting]:
        """Note a page; its rows as sightings."""
        if self.userid in page.unlicensed:
            self.fail(_incomplete("the member has no licence"))
        self.is_over = self.is_over or not page.next_cursor
        if page.next_cursor and page.next_cursor == self.cursor:
            self.fail(_incomplete("the page cursor repeats"))
        self.cursor = page.next_cursor
        for contact in page.contacts:
            for follow in contact.follows:
                if follow.user_id == self.userid:
                    self.seen.add(follow.external_user_id)
                    before = self.known.get(follow.external_user_id)
                    generation = None if before is None else before.generation
                    pair = (self.userid, follow.external_user_id)
                    yield Sighting(*pair, generation, RECONCILIATION, contact.profile, follow)

    def fail(self, failure: WeComFailure) -> None:
        """End it here. A member without customers is no failure (WeCom 4.1)."""
        self.is_over = True
        if getattr(failure, "errcode", None) != NO_CUSTOMERS:
            self.failure = failure


def run_once(app: App) -> int:
    """One step of the reading job that is due; returns how many rows were handled, 0 if none is due."""
    job = observe_jobs.claim(app)
    if job is None:
        return 0
    try:
        return _read_library(app, job) if job.kind == observe_jobs.TAGS else _reconcile(app, job)
    except WeComFailure as failure:
        observe_jobs.retry(app, job, failure)
        return 1


def _read_library(app: App, job: JobRow) -> int:
    count = tag_library.sync(app)
    observe_jobs.end_tags(app, job)
    return max(count, 1)


def _reconcile(app: App, job: JobRow) -> int:
    if job.cursor is None:
        return _begin(app, job)
    progress = Progress.of(job)
    if userids := observe_jobs.next_members(app, job, progress, IN_FLIGHT_PER_PATH):
        return _read_members(app, job, progress, userids)
    if userids := observe_jobs.next_missed(app, job, progress, IN_FLIGHT_PER_PATH):
        return _settle_absences(app, job, progress, userids)
    observe_jobs.end_reconciliation(app, job, progress)
    return 1


def _begin(app: App, job: JobRow) -> int:
    """Tags first, so that what relations show has names; then who is in sight."""
    tag_library.sync(app)
    userids = app.wecom.follow_users()
    if not userids:
        raise WeComFailure(
            ENDPOINTS["follow_users"].path,
            "WeCom lists no member who may use customer contact",
            "check the app's visible scope and its customer-contact permission",
        )
    members.take_list(app, userids)
    observe_jobs.begin(app, job, len(userids))
    return len(userids)


# -- the customers of a few members ----------------------------------------------------------------------------------


def _read_members(app: App, job: JobRow, progress: Progress, userids: Sequence[str]) -> int:
    readings = [_open(app, userid) for userid in userids]
    while unfinished := [one for one in readings if not one.is_over]:
        _read_pages(app, unfinished)
    complete = [one for one in readings if one.failure is None]
    if missing := [relation.id for one in complete for relation in one.missing]:
        observe_jobs.note_missing(app, missing)
    members.take_read(app, [one.userid for one in complete])
    not_before = _note({one.userid: one.failure for one in readings}, progress)
    observe_jobs.go_on(app, job, progress, len(complete), not_before)
    return sum(len(one.seen) for one in readings) or 1


def _open(app: App, userid: str) -> Reading:
    with app.store.reading() as tx:
        return Reading(userid, {one.external_userid: one for one in people.of_member(tx, userid)})


def _read_pages(app: App, readings: Sequence[Reading]) -> None:
    """The next page of each, side by side, applied together."""
    by_userid = {one.userid: one for one in readings}
    pages = read_many(lambda userid: app.wecom.contacts_of([userid], by_userid[userid].cursor), by_userid)
    for userid, failure in pages.failures.items():
        by_userid[userid].fail(failure)
    sightings = [seen for userid, page in pages.values.items() for seen in by_userid[userid].take(page)]
    done = in_halves(sightings, partial(observe, app), lambda one, why: observe_dirty.set_aside(app, one.pair, why))
    for one in done.aside:
        by_userid[one.userid].fail(_incomplete(f"the contact {one.external_userid} was set aside"))


def _incomplete(why: str) -> WeComFailure:
    return WeComFailure(ENDPOINTS["contacts_of"].path, f"the read is not complete: {why}")


# -- who was not there -----------------------------------------------------------------------------------------------


def _settle_absences(app: App, job: JobRow, progress: Progress, userids: Sequence[str]) -> int:
    """Believe absences, or hold them. Pages may shift while they are read, so WeCom's plain list has the last word."""
    listed = read_many(app.wecom.customers_of, userids)
    failures: dict[str, WeComFailure | None] = {}
    in_sight = set(app.wecom.follow_users())
    for userid in userids:
        failure = listed.failures.get(userid)
        if failure is None and userid not in in_sight:
            failure = _incomplete("the member went out of the app's sight meanwhile")
        failures[userid] = failure
        if failure is None:
            _settle(app, userid, listed.values[userid], progress)
    not_before = _note(failures, progress)
    observe_jobs.go_on(app, job, progress, 0, not_before)
    return len(userids)


def _settle(app: App, userid: str, listed: Sequence[str], progress: Progress) -> None:
    absent, active = observe_jobs.absences(app, userid, listed)
    progress.settled.append(userid)
    limits = app.settings.reconcile
    if len(absent) > limits.hold_above_relations and len(absent) * 100 > limits.hold_above_percent * active:
        progress.held[userid] = f"{len(absent)} of {active} contacts"
        return
    sightings = [Sighting(*one.pair, one.generation, RECONCILIATION) for one in absent]
    for start in range(0, len(sightings), PAGE):
        part = sightings[start : start + PAGE]
        in_halves(part, partial(observe, app), lambda one, why: observe_dirty.set_aside(app, one.pair, why))


def _note(failures: Mapping[str, WeComFailure | None], progress: Progress) -> Instant | None:
    """Count failures, leave out who failed too often; returns when WeCom may be asked again, None for at once."""
    waits: list[Instant] = []
    for userid, failure in failures.items():
        tried = progress.tries.pop(userid, 0)
        if failure is None:
            continue
        if failure.klass is not Klass.BACKOFF:
            tried += 1
        if tried >= MOST_TRIES or failure.klass is Klass.PERMANENT:
            progress.left_out[userid] = str(failure)
        else:
            progress.tries[userid] = tried
            waits.append(failure.retry_at or 0)
    return max(waits, default=None)
