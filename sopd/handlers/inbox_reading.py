"""What a stored callback asks for (WeCom 3): to read a relation again, to end one, to read the tag library, or nothing.

Pure: a row in, a wish out. Order is not promised, so an event is believed for two things only: that a relation ended,
and that somebody added somebody. Everything else is read from WeCom. Called by `inbox.digest`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from machines.calendar import SECOND_MS
from sopd.handlers.card_clicks import Click
from sopd.handlers.customers import Loss
from sopd.store.queries.inbox import Arrived, Mark

WELCOME_MS = 20 * SECOND_MS
"""How long a welcome code lives, from the event's CreateTime (WeCom 5.4)."""

BY_TRANSFER = "DELETE_BY_TRANSFER"
_ENDED_BY = {"del_external_contact": "member", "del_follow_user": "customer"}
_REREAD = {
    "add_external_contact": "added",
    "add_half_external_contact": "half_added",
    "edit_external_contact": "edited",
}


@dataclass(frozen=True)
class LibraryChanged:
    """A tag or a tag group was made, renamed, moved or deleted."""


@dataclass(frozen=True)
class Unused:
    """Nothing is to be done, and why."""

    reason: str


@dataclass(frozen=True)
class Faulty:
    """It cannot be handled, and why; it is set aside."""

    reason: str


Wish = Mark | Loss | LibraryChanged | Click | Unused | Faulty


def read(row: Arrived) -> Wish:
    """What this callback asks for."""
    if row.event == "change_external_tag":
        return LibraryChanged()
    if row.event == "template_card_event":
        return _click(row)
    if row.event != "change_external_contact":
        return Unused(f"sopd has no use for {row.event or 'a push that is no event'}")
    if row.change_type not in _REREAD and row.change_type not in _ENDED_BY:
        return Unused(f"sopd has no use for {row.change_type or 'a change of no named type'}")
    missing = [name for name, value in (("UserID", row.userid), ("ExternalUserID", row.external_userid)) if not value]
    if missing:
        return Faulty(f"{row.change_type} names no {' and no '.join(missing)}")
    fields = json.loads(row.body)["fields"]
    if row.change_type in _ENDED_BY:
        by = "transfer" if fields.get("source") == BY_TRANSFER else _ENDED_BY[row.change_type]
        return Loss(row.userid, row.external_userid, by, row.happened_at)
    return _mark(row, fields)


def _click(row: Arrived) -> Click | Unused:
    """A button of a card; other apps' cards, and other versions' of ours, may come along."""
    raw = {str(name).casefold(): value for name, value in json.loads(row.body)["raw"].items()}
    told = {name: str(raw.get(name.casefold(), "")) for name in ("TaskId", "EventKey", "ResponseCode")}
    click = Click(told["TaskId"], row.userid, told["EventKey"], told["ResponseCode"], row.happened_at)
    return Unused("a card that sopd did not send") if click.dispatch_id is None else click


def _mark(row: Arrived, fields: dict[str, str]) -> Mark:
    """An edit carries nothing. The code of a half-add is not kept: there is nobody to welcome yet (SPEC 4)."""
    cause = _REREAD[row.change_type]
    if cause == "edited":
        return Mark(row.userid, row.external_userid, cause)
    code = fields.get("welcome_code") if cause == "added" else None
    return Mark(
        row.userid,
        row.external_userid,
        cause,
        added_at=row.happened_at,
        channel=fields.get("state", ""),
        welcome_code=code,
        welcome_until=row.happened_at + WELCOME_MS if code else None,
    )
