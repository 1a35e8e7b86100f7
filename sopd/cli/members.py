"""Members: the list, and whether their missing customers are lost."""

from __future__ import annotations

from sopd.cli import output
from sopd.cli.asking import agree, measured
from sopd.cli.desk import Desk
from sopd.cli.output import Column, say
from sopd.commands import AcceptAbsences
from sopd.handlers import absences
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


def accept(desk: Desk, userid: str, yes: bool) -> None:
    """`member accept`: counted, asked, then done in batches with progress."""
    with desk.reading() as tx:
        held = absences.count(tx, userid)
    agree(desk, yes, "Take {count} customers of {member} for lost?", count=held, member=userid)
    done = 0
    with measured(desk, "ending relations", held) as show:
        while ended := absences.accept(desk.app, AcceptAbsences(userid, desk.person)):
            done += ended
            show(done)
    say(desk, "{count} customers of {member} are lost", count=done, member=userid)
