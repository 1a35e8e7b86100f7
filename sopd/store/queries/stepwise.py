"""Statements about runs that go step by step: settlements, answers, the clock that counts from them (SPEC 5, D13)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sopd.store.transaction import Transaction, types_of


class Settlement(NamedTuple):
    """How the last step of a run settled. `sent_at` is WeCom's word or ours; `mass_at`: its last mass send that went
    out, whatever the step."""

    enrollment_id: int
    state: str
    sent_at: int | None
    settled_at: int | None
    mass_at: int | None


class Clock(NamedTuple):
    """What a run waits for: see the columns of the same name."""

    id: int
    due_at: int | None
    mass_at: int | None
    counts_from: int | None
    waits_reply: bool = False


def settlements(tx: Transaction, run_ids: Iterable[int]) -> list[Settlement]:
    """Of the step each run stands at; runs whose step has no push are not in the answer."""
    given = tx.ids(run_ids)
    rows = tx.rows(
        "select e.id, p.state, p.sent_at, p.settled_at,"
        " (select max(q.sent_at) from push q where q.enrollment_id = e.id and q.takes_quota)"
        f" from {given.sql} g join enrollment e on e.id = g.id"
        " join push p on p.enrollment_id = e.id and p.step_id = e.state order by e.id",
        given.params,
    )
    return [Settlement(*row) for row in rows]


def last_mass_sends(tx: Transaction, run_ids: Iterable[int]) -> dict[int, int]:
    """When each run's last mass send went out, for those that had one."""
    given = tx.ids(run_ids)
    return dict(
        tx.rows(
            f"select p.enrollment_id, max(p.sent_at) from {given.sql} g join push p on p.enrollment_id = g.id"
            " where p.takes_quota and p.sent_at is not null group by p.enrollment_id",
            given.params,
        )
    )


def first_answers(tx: Transaction, sends: Sequence[tuple[int, int]]) -> dict[int, int]:
    """By run, the customer's first reply since this instant (run, instant), for those that have one.

    A run per relation hears the replies on its relation, a run per customer all of the customer's.
    """
    given = tx.table({"id": "bigint", "since": "bigint"}, sends)
    return dict(
        tx.rows(
            f"select e.id, min(s.at) from {given.sql} g join enrollment e on e.id = g.id"
            " join sop o on o.id = e.sop_id"
            " join signal s on s.customer_id = e.customer_id and s.kind = 'reply' and s.at >= g.since"
            " and (o.kind <> 'new_customer' or s.relation_id = e.relation_id) group by e.id",
            given.params,
        )
    )


def set_clocks(tx: Transaction, rows: Sequence[Clock]) -> None:
    """Write what locked runs, which are open, wait for."""
    given = tx.table(types_of(Clock), rows)
    tx.run(
        "update enrollment set due_at = n.due_at, mass_at = n.mass_at, counts_from = n.counts_from,"
        f" waits_reply = n.waits_reply, rev = enrollment.rev + 1 from {given.sql} n where enrollment.id = n.id",
        given.params,
    )
