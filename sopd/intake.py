"""Intake: callbacks become readings of WeCom, and readings become facts (ARCHITECTURE 1.3, 4).

Two lanes, each run by a loop of its own: `run_fast` for adds with a welcome code, which lives 20 s, `run_once` for the
rest. A contact costs a call, so calls run a few at a time outside any transaction, and their answers are applied as one
page. Nothing is decided here but what a failed or empty reading is worth.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from sopd.handlers import handovers, inbox, observe_dirty
from sopd.handlers.app import App
from sopd.handlers.entries import INHERITED_ADD_WAY
from sopd.handlers.observe import observe
from sopd.handlers.observe_dirty import Failed, Reread
from sopd.handlers.observe_verdicts import Sighting
from sopd.store.batch import in_halves
from sopd.store.queries.inbox import Claimed
from sopd.wecom.errors import WeComError, WeComFailure
from sopd.wecom.parallel import read_many
from sopd.wecom.people import Contact

FAST_PAGE = 24
SLOW_PAGE = 100

LISTED_WITHIN_ATTEMPTS = 3
"""So often an add that WeCom does not list is read again before the absence is believed: some seconds."""

NOBODYS = frozenset({84061, 40096, 610004})
"""Errcodes by which WeCom says that a customer is nobody's, as far as the app may see (WeCom 9)."""


def run_fast(app: App) -> int:
    """Handle waiting adds with a welcome code and read them; returns how many rows were handled."""
    return inbox.digest(app, fast=True) + _read_again(app, fast=True, limit=FAST_PAGE)


def run_once(app: App) -> int:
    """Handle a page of all other callbacks and read a page of relations again; returns how many rows were handled."""
    return inbox.digest(app, fast=False) + _read_again(app, fast=False, limit=SLOW_PAGE)


def _read_again(app: App, *, fast: bool, limit: int) -> int:
    claimed = observe_dirty.claim(app, fast=fast, limit=limit)
    if not claimed:
        return 0
    contacts = read_many(partial(_contact, app), [one.row.external_userid for one in claimed])
    failed = [
        Failed.by(one.row, contacts.failures[one.row.external_userid])
        for one in claimed
        if one.row.external_userid in contacts.failures
    ]
    read = [
        (one, _sighting(one.row, one.generation, contacts.values[one.row.external_userid]))
        for one in claimed
        if one.row.external_userid in contacts.values
    ]
    shown = [seen for _, seen in read if seen.follow is not None]
    absent, unbelieved = _absences(app, [(one, seen) for one, seen in read if seen.follow is None], contacts.values)
    observe_dirty.give_back(app, [*failed, *unbelieved])
    in_halves([*shown, *absent], partial(observe, app), lambda one, why: observe_dirty.set_aside(app, one.pair, why))
    return len(claimed)


def _contact(app: App, external_userid: str) -> Contact | None:
    """The customer with every relation the app may see; None if there is none."""
    try:
        return app.wecom.contact(external_userid)
    except WeComError as error:
        if error.errcode in NOBODYS:
            return None
        raise


def _sighting(row: Claimed, generation: int | None, contact: Contact | None) -> Sighting:
    follows = contact.follows if contact is not None else ()
    return Sighting(
        row.userid,
        row.external_userid,
        generation,
        row.cause,
        profile=contact.profile if contact is not None else None,
        follow=next((one for one in follows if one.user_id == row.userid), None),
        mark=row.mark,
        added_at=row.added_at,
        channel=row.channel,
        welcome_code=row.welcome_code,
        welcome_until=row.welcome_until,
    )


def _absences(
    app: App, absent: Sequence[tuple[Reread, Sighting]], contacts: Mapping[str, Contact | None]
) -> tuple[list[Sighting], list[Failed]]:
    """Which absences are believed, and which re-reads are tried again instead.

    An add that is not listed may just not be listed yet. A relation that was active is gone only if its member is in
    the app's sight: customers of all others are silently left out (WeCom 0.3). Or if somebody else has just inherited
    the customer: that is how customers of members who have left go on.
    """
    early = [one for one, seen in absent if seen.cause == "added" and not one.is_over
             and one.row.attempts <= LISTED_WITHIN_ATTEMPTS]  # fmt: skip
    rest = [(one, seen) for one, seen in absent if one not in early]
    failed = [Failed(one.row, "WeCom does not list it yet") for one in early]
    doubtful = [one for one, seen in rest if one.is_active and seen.cause != "half_added"]
    if not doubtful:
        return [seen for _, seen in rest], failed
    try:
        in_sight = set(app.wecom.follow_users())
    except WeComFailure as failure:
        failed += [Failed.by(one.row, failure) for one in doubtful]
        return [seen for one, seen in rest if one not in doubtful], failed
    hidden = [one for one in doubtful if one.row.userid not in in_sight]
    hidden = [one for one in hidden if not _is_handed_over(app, contacts.get(one.row.external_userid))]
    observe_dirty.leave_out(app, [one.row for one in hidden])
    return [seen for one, seen in rest if one not in hidden], failed


def _is_handed_over(app: App, contact: Contact | None) -> bool:
    """Whether the customer came to another member by inheritance a short while ago."""
    follows = contact.follows if contact is not None else ()
    inherited = [other.created_at for other in follows if other.add_way == INHERITED_ADD_WAY]
    return handovers.is_recent(app, max(inherited, default=0))
