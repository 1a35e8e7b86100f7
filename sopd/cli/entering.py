"""Pulling customers into a SOP by hand: all must be known, then batch by batch; who is refused is told why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sopd.cli import finding, output
from sopd.cli.asking import with_progress
from sopd.cli.desk import Desk
from sopd.cli.failure import Told
from sopd.cli.output import Column, note
from sopd.commands import StartEnrollments
from sopd.handlers import entries_by_hand

A_BATCH = 200

COLUMNS = (
    Column("external_userid"), Column("name"), Column("enrollment", "number"), Column("reason", "reason"),
)  # fmt: skip


@dataclass(frozen=True)
class Pulled:
    """What became of one customer: the run it has now, or why it has none."""

    external_userid: str
    name: str
    enrollment: int | None
    reason: str | None


def start(desk: Desk, key: str, references: Sequence[str], member: str | None, why: str) -> None:
    """`enrollment start`. Ends with exit code 1 if nobody was let in."""
    names = _known(desk, key, references, member)
    made: list[Pulled] = []

    def act(batch: list[str]) -> None:
        command = StartEnrollments(key, tuple(batch), desk.person, why, member)
        made.extend(
            Pulled(one.external_userid, names[one.external_userid], one.enrollment_id, one.reason or None)
            for one in entries_by_hand.start(desk.app, command)
        )

    with_progress(desk, "letting customers in", list(names), A_BATCH, act)
    output.listing(desk, COLUMNS, made)
    inside = sum(one.enrollment is not None for one in made)
    note(desk, "{sop}: entered {count}, refused {refused}", sop=key, count=inside, refused=len(made) - inside)
    if not inside:
        raise Told([desk.words.say("nobody was let in")])


def _known(desk: Desk, key: str, references: Sequence[str], member: str | None) -> dict[str, str]:
    """The customers' names by external_userid, each once. Raises NotFound for what is not known."""
    with desk.reading() as tx:
        finding.sop(tx, key)
        finding.member_id(tx, member)
        found = finding.customers(tx, references)
    return {customer.external_userid: customer.name for customer in found}
