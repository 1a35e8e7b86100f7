"""Callbacks: the list, and handling some once more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sopd.cli import paging
from sopd.cli.asking import with_progress
from sopd.cli.desk import Desk
from sopd.cli.output import Column, say
from sopd.commands import ReplayInbox
from sopd.errors import NotFound
from sopd.store.queries import views_health
from sopd.store.queries.views_health import InboxRow

if TYPE_CHECKING:
    from sopd.store import Transaction

A_BATCH = 500

LIST = (
    Column("id", "number"), Column("received_at", "instant"), Column("change_type"), Column("userid"),
    Column("external_userid"), Column("times", "number"), Column("state", "state"), Column("reason", "reason"),
    Column("event", wide=True), Column("happened_at", "instant", wide=True), Column("last_at", "instant", wide=True),
    Column("handled_at", "instant", wide=True), Column("fast", "flag", wide=True),
)  # fmt: skip


def show_list(
    desk: Desk, limit: int, before: int | None, wanted: Sequence[str], member: str | None, customer: str | None,
    since: Any,
) -> None:  # fmt: skip
    """`inbox list`. Members and customers are matched as they were written: the inbox may know them first."""
    with desk.reading() as tx:
        from_on = paging.instant_of(desk, tx, since)

    def fetch(tx: Transaction, below: int | None, count: int) -> Sequence[InboxRow]:
        return views_health.inbox(
            tx, states=wanted or None, userid=member, external_userid=customer, since=from_on, before=below,
            limit=count,
        )  # fmt: skip

    paging.listing(desk, LIST, fetch, limit, before)


def replay(desk: Desk, inbox_ids: Sequence[int], set_aside: bool) -> None:
    """`inbox replay`."""
    from sopd.handlers import inbox

    wanted = _set_aside(desk) if set_aside else list(dict.fromkeys(inbox_ids))
    if not wanted:
        raise NotFound("no callback is set aside", "nothing was changed")

    def act(batch: list[int]) -> None:
        inbox.replay(desk.app, ReplayInbox(tuple(batch), desk.person))

    with_progress(desk, "replaying callbacks", wanted, A_BATCH, act)
    say(desk, "to be handled once more: {count}; a running daemon does it within a second", count=len(wanted))


def _set_aside(desk: Desk) -> list[int]:
    found: list[int] = []
    while True:
        with desk.reading() as tx:
            page = views_health.inbox_ids(tx, "set_aside", found[-1] if found else 0, A_BATCH)
        found += page
        if len(page) < A_BATCH:
            return found
