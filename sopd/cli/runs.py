"""Lists of runs: the filter that options mean, and rows with the place of their step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sopd.cli import describing, finding, paging, states
from sopd.cli.desk import Desk
from sopd.cli.output import Column
from sopd.store.queries import views, views_runs
from sopd.store.queries.views_runs import RunFilter, RunRow

if TYPE_CHECKING:
    from sopd.store import Transaction

OPEN, ENDED = "open", "ended"

COLUMNS = (
    Column("id", "number"), Column("sop"), Column("version", "number", wide=True), Column("customer", wide=True),
    Column("name"), Column("member"), Column("state", "state"), Column("step"), Column("entered_at", "instant"),
    Column("due_at", "instant"), Column("closed_at", "instant", wide=True), Column("reason", "reason"),
    Column("cause", "cause", wide=True), Column("run_no", "number", wide=True), Column("ended_by", wide=True),
    Column("parked_at", "instant", wide=True),
)  # fmt: skip


@dataclass(frozen=True)
class Listed:
    """A run as a list shows it; `step` is `3/5`, `name` falls back to the customer's id."""

    id: int
    sop: str
    version: int
    customer: str
    name: str
    member: str
    state: str
    step: str
    entered_at: int
    due_at: int | None
    closed_at: int | None
    reason: str | None
    cause: str
    run_no: int
    ended_by: str | None
    parked_at: int | None


def show_list(desk: Desk, limit: int, before: int | None, **chosen: Any) -> None:
    """`enrollment list`."""
    with desk.reading() as tx:
        wanted = run_filter(desk, tx, **chosen)

    def fetch(tx: Transaction, below: int | None, count: int) -> list[Listed]:
        return listed(tx, views_runs.runs(tx, wanted, below, count))

    paging.listing(desk, COLUMNS, fetch, limit, before)


def listed(tx: Transaction, rows: Sequence[RunRow]) -> list[Listed]:
    """Rows with the places of their steps."""
    steps = views.step_ids(tx, [row.version_id for row in rows])
    return [_listed(row, steps[row.version_id]) for row in rows]


def _listed(row: RunRow, steps: tuple[str, ...]) -> Listed:
    return Listed(
        row.id, row.sop, row.version, row.customer, row.name or row.customer, row.member, row.state,
        describing.place(row.state, steps), row.entered_at, row.due_at, row.closed_at, row.reason, row.cause,
        row.run_no, row.ended_by, row.parked_at,
    )  # fmt: skip


def run_filter(
    desk: Desk,
    tx: Transaction,
    sops: Sequence[str],
    wanted: Sequence[str],
    member: str | None,
    customer: str | None,
    since: Any,
) -> RunFilter:
    """What the options mean. Raises NotFound for names that mean nothing, a usage error for such a state."""
    sop_ids = finding.sop_ids(tx, sops)
    if wanted:
        finding.check_state("--state", wanted, known_states(tx, sop_ids))
    named = [name for name in wanted if name not in (OPEN, ENDED)]
    if ENDED in wanted:
        named += states.ENROLLMENT_ENDS
    return RunFilter(
        sop_ids=sop_ids,
        states=named or None,
        or_open=OPEN in wanted,
        member_id=finding.member_id(tx, member),
        customer_id=finding.customer_id(tx, customer),
        since=paging.instant_of(desk, tx, since),
    )


def known_states(tx: Transaction, sop_ids: Sequence[int] | None) -> list[str]:
    """Every state that a run of these SOPs may be in, and the two words for open and ended."""
    sops = views.sops(tx)
    version_ids = [
        version.id for row in sops if sop_ids is None or row.id in sop_ids for version in views.versions(tx, row.id)
    ]
    steps = dict.fromkeys(step for ids in views.step_ids(tx, version_ids).values() for step in ids)
    return [OPEN, ENDED, "enrolled", *steps, "settling", *states.ENROLLMENT_ENDS]
