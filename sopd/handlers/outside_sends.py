"""Mass sends that others made: members' own ones, and enterprise tasks made elsewhere (D9). Commands of its loop.

They use up the customers' windows as ours do. One job goes round for ever: a round lists what was created since the
last one, page by page, then the results of what is not ours are read, and every customer it reached gets a reservation
without a push. None is ever taken away. Whatever is missed here WeCom tells us by refusing.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import time
from functools import partial

from machines.calendar import DAY_MS, MINUTE_MS, Instant, instant_of, local_date
from sopd.handlers import refusals
from sopd.handlers.app import App
from sopd.store import Transaction
from sopd.store.batch import in_halves
from sopd.store.queries import aside, dispatches, jobs, reading_jobs
from sopd.store.queries import outside_sends as queries
from sopd.store.queries import planning as locks
from sopd.store.queries.jobs import JobRow
from sopd.store.queries.outside_sends import Booking, Outside
from sopd.wecom.errors import WeComFailure
from sopd.wecom.sends import CreateType, MassSendPage, SendResult, SendStatus

KIND = "outside_sends"
LEASE_MS = 10 * MINUTE_MS
MOST_SENDS = 30
LONGEST_MS = 29 * DAY_MS
"""WeCom lists a month at a time (WeCom 5.3)."""
OVERLAP_MS = 10 * MINUTE_MS
"""A round begins so long before the end of the last one: clocks differ."""
FOLLOWED_MS = 3 * DAY_MS
"""So long a task made elsewhere is looked at: until its members have confirmed it, or forgotten it."""
NEAR_MS = 5 * MINUTE_MS
"""A task created so close to an attempt of ours whose answer is lost may be ours: the look-up knows better (D16)."""
TRY_AGAIN_MS = 5 * MINUTE_MS


@dataclass(frozen=True)
class Round:
    """What the job keeps between two steps. `listed_until`: the end of the last complete list.

    since, until: the span of the round under way, None between rounds. page: where its list goes on. is_listed: all
    pages of it were read.
    """

    listed_until: Instant | None = None
    since: Instant | None = None
    until: Instant | None = None
    page: str = ""
    is_listed: bool = False

    @classmethod
    def of(cls, job: JobRow) -> Round:
        """From the job's row."""
        return cls(**json.loads(job.cursor or "{}"))


@dataclass(frozen=True)
class Seen:
    """What was read of one: rows per customer, and whether more may come. `failure`: why nothing could be read."""

    send: Outside
    rows: tuple[SendResult, ...] = ()
    is_complete: bool = True
    failure: WeComFailure | None = None


def claim(app: App) -> JobRow | None:
    """Take the job if it is due and wanted."""
    if not app.settings.quota.own_sends_every_minutes:
        return None
    with app.store.transaction() as tx:
        return jobs.claim(tx, (KIND,), LEASE_MS)


def begin(app: App, job: JobRow) -> Round | None:
    """Begin a round; None, and the job sleeps, if nobody has an open run."""
    with app.store.transaction() as tx:
        last = Round.of(job)
        if not queries.members_with_runs(tx):
            _sleep(tx, app, job, replace(last, since=None, until=None))
            return None
        queries.forget_before(tx, tx.now - LONGEST_MS - DAY_MS)
        first = app.company.quota.window_of(tx.now).from_at if last.listed_until is None else last.listed_until
        begun = Round(last.listed_until, max(first - OVERLAP_MS, tx.now - LONGEST_MS), tx.now)
        _go_on(tx, job, begun, tx.now)
        return begun


def listed(app: App, job: JobRow, under_way: Round, page: MassSendPage) -> None:
    """Remember what a page of WeCom's list shows that is not ours and concerns members with open runs."""
    with app.store.transaction() as tx:
        ours = dispatches.known_msgids(tx, [record.msgid for record in page.records])
        members = queries.members_with_runs(tx)
        queries.note(
            tx,
            [
                Outside(record.msgid, record.create_type, record.creator, record.created_at)
                for record in page.records
                if record.msgid not in ours and (record.create_type != CreateType.PERSONAL or record.creator in members)
            ],
        )
        is_broken = bool(page.next_cursor) and page.next_cursor == under_way.page  # it would never end
        is_last = not page.next_cursor or is_broken
        until = under_way.until if is_last and not is_broken else under_way.listed_until
        _go_on(tx, job, replace(under_way, page=page.next_cursor, is_listed=is_last, listed_until=until), tx.now)


def due(app: App) -> tuple[list[Outside], set[str]]:
    """Those to be read now, and the members whose shares in tasks made elsewhere count."""
    with app.store.reading() as tx:
        found = queries.due(tx, MOST_SENDS)
        return found, queries.members_with_runs(tx) if found else set()


def finish(app: App, job: JobRow) -> None:
    """Everything was listed and read: the job sleeps until the next round, or until something is to be read again."""
    with app.store.transaction() as tx:
        _sleep(tx, app, job, Round(Round.of(job).listed_until))


def next_round_at(now: Instant, every_minutes: int, zone: str) -> Instant:
    """The next of the day's rounds, counted from local midnight."""
    today = local_date(now, zone)
    midnight = instant_of(today, time(), zone)
    every_ms = every_minutes * MINUTE_MS
    return midnight + ((now - midnight) // every_ms + 1) * every_ms


def _sleep(tx: Transaction, app: App, job: JobRow, left: Round) -> None:
    at = next_round_at(tx.now, app.settings.quota.own_sends_every_minutes, app.company.zone)
    waiting = queries.next_at(tx)
    _go_on(tx, job, left, at if waiting is None else max(min(at, waiting), tx.now + 1))


def _go_on(tx: Transaction, job: JobRow, left: Round, at: Instant) -> None:
    reading_jobs.go_on(tx, job.id, json.dumps(asdict(left)), 1, at, None)


# -- what was read -----------------------------------------------------------------------------------------------------


def record(app: App, job: JobRow, seen: Sequence[Seen]) -> None:
    """Book what these sends took of their customers' windows, and say when each is to be read again."""
    in_halves(seen, partial(_record, app), partial(_set_aside, app))
    with app.store.transaction() as tx:
        _go_on(tx, job, Round.of(job), tx.now)


def _set_aside(app: App, seen: Seen, reason: str) -> None:
    msgid = seen.send.msgid
    with app.store.transaction() as tx:
        aside.take_out(tx, "outside_send", msgid, reason)


def _record(app: App, seen: Sequence[Seen]) -> None:
    with app.store.transaction() as tx:
        ours = dispatches.known_msgids(tx, [one.send.msgid for one in seen])
        attempts = queries.attempts_in_doubt(tx)
        doubtful = {one.send.msgid for one in seen if _may_be_ours(one.send, attempts)}
        foreign = [one for one in seen if one.send.msgid not in ours | doubtful]
        _book(tx, app, foreign)
        later = next_round_at(tx.now, app.settings.quota.own_sends_every_minutes, app.company.zone)
        again = {one.send.msgid: _next_read(one, later, tx.now) for one in foreign}
        again |= dict.fromkeys(doubtful - ours, later)
        queries.save(tx, [(one.send.msgid, again.get(one.send.msgid), _why(one)) for one in seen])


def _may_be_ours(send: Outside, attempts: Iterable[Instant]) -> bool:
    return send.create_type != CreateType.PERSONAL and any(abs(send.created_at - at) <= NEAR_MS for at in attempts)


def _next_read(one: Seen, later: Instant, now: Instant) -> Instant | None:
    if one.failure is not None and not refusals.is_final(one.failure):
        return max(one.failure.retry_at or 0, now + TRY_AGAIN_MS)
    return None if one.is_complete or now >= one.send.created_at + FOLLOWED_MS else later


def _why(one: Seen) -> str | None:
    return None if one.failure is None else refusals.said(one.failure)


def _book(tx: Transaction, app: App, seen: Sequence[Seen]) -> None:
    """A place in the window of each sending that is not over, once per customer and send; also beyond what fits."""
    sent = [(row.external_user_id, row.sent_at, one.send.msgid) for one in seen for row in one.rows
            if row.status == SendStatus.SENT]  # fmt: skip
    if not sent:
        return
    known = queries.customers(tx, [name for name, _, _ in sent])
    wanted = set()
    for name, sent_at, msgid in sent:
        window = app.company.quota.window_of(tx.now if sent_at is None else sent_at)
        if name in known and window.to_at > tx.now:
            wanted.add((known[name], window.key, msgid))
    if not wanted:
        return
    locks.lock_customers(tx, [customer_id for customer_id, _, _ in wanted])
    # A sending of ours may be booked meanwhile, without the customer's lock: then the next place is taken.
    while rows := _bookings(tx, wanted):
        if queries.book(tx, rows) == len(rows):
            return


def _bookings(tx: Transaction, wanted: Iterable[tuple[int, str, str]]) -> list[Booking]:
    taken: defaultdict[tuple[int, str], set[int]] = defaultdict(set)
    booked = set()
    wanted = sorted(wanted)
    for one in queries.places(tx, [(customer_id, window) for customer_id, window, _ in wanted]):
        taken[one.customer_id, one.window].add(one.place)
        booked.add((one.customer_id, one.window, one.msgid))
    rows = []
    for customer_id, window, msgid in wanted:
        if (customer_id, window, msgid) in booked:
            continue
        places = taken[customer_id, window]
        place = next(number for number in range(1, len(places) + 2) if number not in places)
        places.add(place)
        rows.append(Booking(customer_id, window, place, msgid))
    return rows
