"""Transfers of runs into another SOP, by id or by filter: judged and counted first, asked, then done in batches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sopd.cli import choosing, finding, output
from sopd.cli.asking import agree, measured
from sopd.cli.desk import Desk
from sopd.cli.output import Column, note, say
from sopd.commands import TransferEnrollments
from sopd.errors import Refused
from sopd.handlers import transfers
from sopd.handlers.transfers import Transferred
from sopd.store.queries import views_runs

A_BATCH = 200

COLUMNS = (
    Column("id", "number"), Column("customer"), Column("into", "number"), Column("reason", "reason"),
)  # fmt: skip


@dataclass(frozen=True)
class Wish:
    """Where to, why, whether with everything the customer has in the same SOP, and which tags on the way."""

    to: str
    why: str
    all_relations: bool
    add_tags: tuple[str, ...] = ()
    remove_tags: tuple[str, ...] = ()

    def command(self, ids: Sequence[int], who: str) -> TransferEnrollments:
        """The wish for these runs."""
        return TransferEnrollments(
            tuple(ids), self.to, who, self.why, self.all_relations, self.add_tags, self.remove_tags
        )


@dataclass(frozen=True)
class Moved:
    """What became of one run: `into` is the run its customer has in the target now."""

    id: int
    customer: str
    into: int | None
    reason: str | None


def transfer(desk: Desk, ids: Sequence[int], chosen: Mapping[str, Any], wish: Wish, yes: bool) -> None:
    """`enrollment transfer`."""
    with desk.reading() as tx:
        finding.sop(tx, wish.to)
    batches = list(_batches(desk, choosing.open_runs(desk, ids, chosen)))
    foreseen = _all(desk, "judging who may go", batches, wish, dry=True)
    going = [one for one in foreseen if not one.reason]
    _tell_staying(desk, foreseen)
    if not going:
        raise Refused(f"none of these runs can go to {wish.to}", "nothing was changed")
    agree(desk, yes, "Transfer {count} to {sop}?", count=len(going), sop=wish.to)
    done = _all(desk, "transferring runs", batches, wish)
    if desk.output != "table":
        output.listing(desk, COLUMNS, [Moved(*_fields(one)) for one in done])
    moved = sum(not one.reason for one in done)
    tell = say if desk.output == "table" else note
    tell(desk, "{count} transferred to {sop} by {who}", count=moved, sop=wish.to, who=desk.person)


def _fields(one: Transferred) -> tuple[int, str, int | None, str | None]:
    return one.enrollment_id, one.external_userid, one.into, one.reason or None


def _batches(desk: Desk, ids: Sequence[int]) -> Iterator[list[int]]:
    """The runs in batches that never part the runs of one customer: of those all end and one goes on."""
    with desk.reading() as tx:
        customers = views_runs.customers_of(tx, ids)
    together: dict[int, list[int]] = {}
    for run_id in ids:
        together.setdefault(customers[run_id], []).append(run_id)
    batch: list[int] = []
    for some in together.values():
        if batch and len(batch) + len(some) > A_BATCH:
            yield batch
            batch = []
        batch += some
    if batch:
        yield batch


def _all(
    desk: Desk, title: str, batches: Sequence[Sequence[int]], wish: Wish, *, dry: bool = False
) -> list[Transferred]:
    found: dict[int, Transferred] = {}
    total = sum(map(len, batches)) if len(batches) > 1 else 0
    with measured(desk, title, total) as show:
        done = 0
        for batch in batches:
            command = wish.command(batch, desk.person)
            found |= {one.enrollment_id: one for one in transfers.transfer(desk.app, command, dry=dry)}
            show(done := done + len(batch))
    return list(found.values())


def _tell_staying(desk: Desk, foreseen: Sequence[Transferred]) -> None:
    for reason, count in Counter(one.reason for one in foreseen if one.reason).items():
        note(desk, "{count} stay where they are: {reason}", count=count, reason=desk.words.reason(reason))
