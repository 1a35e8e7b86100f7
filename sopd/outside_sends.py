"""The loop that reads mass sends which others made, so that their customers' windows count as used (D9).

One step a call: begin a round, read a page of WeCom's list, or the results of some sends. No transaction is open while
WeCom is called.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import partial

from sopd.handlers import observe_jobs, outside_sends, refusals
from sopd.handlers.app import App
from sopd.handlers.outside_sends import Round, Seen
from sopd.store.queries.jobs import JobRow
from sopd.store.queries.outside_sends import Outside
from sopd.wecom.errors import WeComFailure
from sopd.wecom.parallel import read_many
from sopd.wecom.sends import CreateType


def run_once(app: App) -> int:
    """One step of the job if it is due; returns how many rows were handled, at least 1, or 0 if it is not due."""
    job = outside_sends.claim(app)
    if job is None:
        return 0
    try:
        return _step(app, job)
    except WeComFailure as failure:
        observe_jobs.retry(app, job, failure)
        return 1


def _step(app: App, job: JobRow) -> int:
    under_way = Round.of(job)
    if under_way.until is None or under_way.since is None:
        outside_sends.begin(app, job)
        return 1
    if not under_way.is_listed:
        page = app.wecom.mass_sends(under_way.since, under_way.until, under_way.page, CreateType.ALL)
        outside_sends.listed(app, job, under_way, page)
        return max(len(page.records), 1)
    wanted, members = outside_sends.due(app)
    if not wanted:
        outside_sends.finish(app, job)
        return 1
    seen = read_many(partial(_read, app, members), wanted).values
    outside_sends.record(app, job, list(seen.values()))
    return len(wanted)


def _read(app: App, members: Collection[str], send: Outside) -> Seen:
    """What each customer got of one send. A failure is an answer, not an error."""
    try:
        if send.create_type == CreateType.PERSONAL:
            rows = app.wecom.mass_send_results(send.msgid, send.creator)
            return Seen(send, rows, all(row.status for row in rows))
        shares = [one for one in app.wecom.mass_send_tasks(send.msgid) if one.user_id in members]
        confirmed = [one for one in shares if one.confirmed]
        rows = tuple(row for one in confirmed for row in app.wecom.mass_send_results(send.msgid, one.user_id))
        return Seen(send, rows, len(confirmed) == len(shares) and all(row.status for row in rows))
    except WeComFailure as failure:
        is_cancelled = refusals.errcode_of(failure) == refusals.CANCELLED
        return Seen(send, failure=None if is_cancelled else failure)
