"""Members: the list."""

from __future__ import annotations

from sopd.cli import output
from sopd.cli.desk import Desk
from sopd.cli.output import Column
from sopd.store.queries import views_members

LIST = (
    Column("userid"), Column("name"), Column("in_scope", "flag"), Column("can_send", "flag"), Column("reason"),
    Column("relations", "number"), Column("open", "number"), Column("held", "number"), Column("read_at", "instant"),
)  # fmt: skip


def show_list(desk: Desk, only_unable: bool, only_held: bool) -> None:
    """`member list`."""
    with desk.reading() as tx:
        rows = views_members.members(tx, only_unable=only_unable, only_held=only_held)
    output.listing(desk, LIST, rows)
