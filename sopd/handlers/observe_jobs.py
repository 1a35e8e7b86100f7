"""The jobs that read WeCom, as rows: the tag library when it changed, everybody once a day (SPEC 15.1).

Commands, each its own transaction, for `reconcile`, which does the reading. A member is read when his `read_at` is
younger than the job, and what is missing is noted on the relations, so a killed job goes on where it was.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import time

from machines.backoff import next_attempt
from machines.calendar import HOUR_MS, MINUTE_MS, SECOND_MS, Instant, day_after, instant_of, local_date
from sopd.handlers.app import App
from sopd.store.queries import jobs, people, reading_jobs
from sopd.store.queries import members as member_queries
from sopd.store.queries.jobs import JobRow
from sopd.store.queries.people import Known
from sopd.wecom.errors import WeComFailure

KINDS = TAGS, RECONCILE = "tags", "reconcile"
LEASE_MS = 10 * MINUTE_MS
FIRST_PAUSE_MS, LONGEST_PAUSE_MS = 10 * SECOND_MS, HOUR_MS


@dataclass
class Progress:
    """What a reconciliation keeps between two steps.

    tries: failed readings by member. left_out: members that could not be read, and why. settled: members about whose
    absences it is decided. held: those among them of whom so many customers are missing that nobody is taken for lost,
    and how many.
    """

    tries: dict[str, int] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    settled: list[str] = field(default_factory=list)
    held: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, job: JobRow) -> Progress:
        """From the job's row."""
        return cls(**json.loads(job.cursor or "{}"))

    def text(self) -> str:
        """For the job's row."""
        return json.dumps(asdict(self), ensure_ascii=False)

    def outcome(self) -> tuple[str, str | None]:
        """State and reason of a job that has been through everybody."""
        said = [f"{userid} could not be read: {why}" for userid, why in sorted(self.left_out.items())]
        said += [f"{userid}: {count} are missing in WeCom's list; held" for userid, count in sorted(self.held.items())]
        state = "failed" if self.left_out else "held" if self.held else "done"
        return state, "; ".join(said) or None


def claim(app: App) -> JobRow | None:
    """Take the reading job that is due longest, if any."""
    with app.store.transaction() as tx:
        return jobs.claim(tx, KINDS, LEASE_MS)


def begin(app: App, job: JobRow, total: int) -> None:
    """The members in sight are known: now they are read, `total` of them."""
    with app.store.transaction() as tx:
        reading_jobs.begin(tx, job.id, Progress().text(), total)


def next_members(app: App, job: JobRow, progress: Progress, limit: int) -> list[str]:
    """Members whose customers this job has yet to read."""
    with app.store.reading() as tx:
        return member_queries.unread_members(tx, job.started_at, sorted(progress.left_out), limit)


def go_on(app: App, job: JobRow, progress: Progress, rows: int, not_before: Instant | None) -> None:
    """Note a step; the next one is due at once, or when WeCom may be asked again."""
    with app.store.transaction() as tx:
        waits = "; ".join(f"{userid} is tried again" for userid in sorted(progress.tries)) or None
        reading_jobs.go_on(tx, job.id, progress.text(), rows, max(tx.now, not_before or 0), waits)


def retry(app: App, job: JobRow, failure: WeComFailure) -> None:
    """The step failed as a whole: the same again, later and later."""
    with app.store.transaction() as tx:
        pause = next_attempt(
            job.attempts, tx.now, base_ms=FIRST_PAUSE_MS, cap_ms=LONGEST_PAUSE_MS, jitter_key=f"job/{job.id}"
        )
        reading_jobs.retry(tx, job.id, max(pause, failure.retry_at or 0), str(failure))


def end_tags(app: App, job: JobRow) -> None:
    """The library has been read."""
    with app.store.transaction() as tx:
        reading_jobs.end_if_unwanted(tx, job.id, job.cursor)


def end_reconciliation(app: App, job: JobRow, progress: Progress) -> None:
    """Everybody has been read; the next time is tomorrow at the hour of the settings."""
    with app.store.transaction() as tx:
        reading_jobs.end(tx, job.id, *progress.outcome())
        reading_jobs.schedule(tx, RECONCILE, next_time(tx.now, app.settings.reconcile.at, app.company.zone))


def note_missing(app: App, relation_ids: Sequence[int]) -> None:
    """Note that these relations were not shown, without believing it."""
    with app.store.transaction() as tx:
        people.set_missing(tx, relation_ids)


def next_missed(app: App, job: JobRow, progress: Progress, limit: int) -> list[str]:
    """Members about whose absences this job has yet to decide."""
    with app.store.reading() as tx:
        return people.missed_members(tx, job.started_at, sorted({*progress.left_out, *progress.settled}), limit)


def absences(app: App, userid: str, listed: Sequence[str]) -> tuple[list[Known], int]:
    """Whoever of a member's customers is missing and not in WeCom's plain list either; and how many he has."""
    with app.store.transaction() as tx:
        people.not_missing(tx, userid, listed)
        return people.missing(tx, userid), people.count_active(tx, userid)


def next_time(now: Instant, at: time, zone: str) -> Instant:
    """The next instant after `now` at which the clocks of `zone` show `at`."""
    today = local_date(now, zone)
    instant = instant_of(today, at, zone)
    return instant if instant > now else instant_of(day_after(today), at, zone)
