"""The loop that finds out what became of tasks: polls, cancellations, readings after them (SPEC 7.6, D8, D15, D18).

One page of due tasks is leased, everything it needs of WeCom is asked a few calls at a time outside any transaction,
and the answers are recorded as a page.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial

from machines.events import Reading as Shown
from sopd.handlers import refusals, results, stopping
from sopd.handlers.app import App
from sopd.handlers.results import Key, Look, Reading
from sopd.handlers.stopping import Cancelled
from sopd.wecom.errors import WeComFailure
from sopd.wecom.parallel import Outcomes, read_many
from sopd.wecom.people import Contact
from sopd.wecom.sends import SendResult, SendStatus


def run_once(app: App) -> int:
    """Look at a page of due tasks; returns how many."""
    looks, refused = results.claim(app)
    if not looks:
        return 0
    answers = read_many(partial(_ask, app), looks).values
    readings = [one for one in answers.values() if isinstance(one, Reading)]
    if readings:
        _record(app, readings, refused)
    if cancelled := [one for one in answers.values() if isinstance(one, Cancelled)]:
        stopping.cancelled(app, cancelled)
    if reread := [one for one in answers.values() if isinstance(one, stopping.Reading)]:
        stopping.reread(app, reread)
    return len(looks)


# -- what is asked -----------------------------------------------------------------------------------------------------


def _ask(app: App, look: Look) -> Reading | Cancelled | stopping.Reading:
    """One task's calls. A failure is an answer, not an error."""
    try:
        match look.what:
            case "cancel":
                app.wecom.cancel_mass_send(look.msgid)
                return Cancelled(look)
            case "reread":
                return stopping.Reading(look, _shown(app, look))
            case "poll":
                return _poll(app, look)
            case "results":
                return Reading(look, 1, _results(app, look))
        return Reading(look, 1)  # nothing to poll: its relations alone are read
    except WeComFailure as failure:
        if look.what == "cancel":
            return Cancelled(look, failure)
        if look.what == "reread":
            return stopping.Reading(look, failure=failure)
        return Reading(look, failure=failure)


def _poll(app: App, look: Look) -> Reading:
    """The member's word, and if it is a yes what each customer got; a task is confirmed whole or not at all (D14)."""
    try:
        tasks = app.wecom.mass_send_tasks(look.msgid)
    except WeComFailure as failure:
        if refusals.errcode_of(failure) == refusals.CANCELLED:
            return Reading(look, None)
        raise
    mine = next((task for task in tasks if task.user_id == look.userid), None)
    if mine is None or not mine.confirmed:
        return Reading(look)
    return Reading(look, mine.status, _results(app, look), mine.sent_at)


def _results(app: App, look: Look) -> tuple[SendResult, ...]:
    """Rows per customer; none of a task that was cancelled after its confirmation."""
    try:
        return app.wecom.mass_send_results(look.msgid, look.userid)
    except WeComFailure as failure:
        if refusals.errcode_of(failure) == refusals.CANCELLED:
            return ()
        raise


def _shown(app: App, look: Look) -> Shown:
    """What the rows show. While they may lag behind a confirmation, the member's own word counts as a 1 (D15, D18)."""
    try:
        rows = app.wecom.mass_send_results(look.msgid, look.userid)
        statuses = frozenset(row.status for row in rows)
        if not any(statuses) and _is_confirmed(app, look):
            statuses |= {SendStatus.SENT}
    except WeComFailure as failure:
        if refusals.errcode_of(failure) == refusals.CANCELLED:
            return Shown(gone=True)
        raise
    return Shown(statuses)


def _is_confirmed(app: App, look: Look) -> bool:
    return any(task.user_id == look.userid and task.confirmed for task in app.wecom.mass_send_tasks(look.msgid))


# -- relations that are read again (D8) --------------------------------------------------------------------------------


def _record(app: App, readings: Sequence[Reading], refused: Sequence[Key]) -> None:
    """Before recording, ask whether those whom WeCom did not send to are friends at all."""
    userids = {one.look.dispatch_id: one.look.userid for one in readings}
    wanted = [key for key in refused if key[0] in userids] + _full(app, readings)
    contacts = read_many(app.wecom.contact, [customer for _, customer in wanted[: results.MOST_RELATIONS]])
    friends, unread = {}, {}
    for dispatch_id, customer in wanted:
        is_friend = _is_friend(contacts, customer, userids[dispatch_id])
        if is_friend is not None:
            friends[dispatch_id, customer] = is_friend
        elif customer in contacts.failures:
            unread[dispatch_id] = contacts.failures[customer]
    results.record(app, [replace(one, unread=unread.get(one.look.dispatch_id)) for one in readings], friends)


def _full(app: App, readings: Iterable[Reading]) -> list[Key]:
    """(task, customer) that WeCom reports as full and that were not told so before."""
    rows = [
        (one.look.dispatch_id, row.external_user_id)
        for one in readings
        for row in one.results
        if row.status == SendStatus.WINDOW_FULL
    ]
    return results.unsettled(app, rows) if rows else []


def _is_friend(contacts: Outcomes[str, Contact], customer: str, userid: str) -> bool | None:
    """None if nobody knows yet."""
    if customer in contacts.values:
        return any(follow.user_id == userid for follow in contacts.values[customer].follows)
    code = refusals.errcode_of(contacts.failures.get(customer))
    return False if code in refusals.STRANGERS else None
