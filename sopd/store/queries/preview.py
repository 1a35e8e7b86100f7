"""What the preview of one customer looks at. Reads only; called by `handlers.preview`."""

from __future__ import annotations

from typing import NamedTuple

from sopd.store.queries.planning import RUN, RunFacts
from sopd.store.transaction import Transaction


class Pair(NamedTuple):
    """A relation and its two people."""

    relation_id: int
    member_id: int
    userid: str
    customer_id: int
    external_userid: str
    began_at: int
    add_way: int
    muted: bool
    able: bool


def pair(tx: Transaction, relation_id: int) -> Pair | None:
    """The relation of this id."""
    row = tx.one(
        "select r.id, m.id, m.userid, c.id, c.external_userid, r.began_at, r.add_way,"
        " case when c.muted_at is null then 0 else 1 end, case when m.can_send and m.in_scope then 1 else 0 end"
        " from relation r join member m on m.id = r.member_id join customer c on c.id = r.customer_id where r.id = ?",
        (relation_id,),
    )
    return None if row is None else Pair(*row[:-2], bool(row[-2]), bool(row[-1]))


def open_runs(tx: Transaction, customer_id: int) -> list[RunFacts]:
    """The customer's open runs in SOPs that run, through whichever member."""
    rows = tx.rows(
        f"select {RUN} from enrollment e join sop s on s.id = e.sop_id and s.state = 'running'"
        " where e.customer_id = ? and e.closed_at is null order by e.id",
        (customer_id,),
    )
    return [RunFacts(*row) for row in rows]


def run_of(tx: Transaction, sop_id: int, subject_id: int) -> RunFacts | None:
    """The open run of a subject (a relation, or a customer) in a SOP."""
    row = tx.one(
        f"select {RUN} from enrollment e where e.sop_id = ? and e.subject_id = ? and e.closed_at is null",
        (sop_id, subject_id),
    )
    return None if row is None else RunFacts(*row)


def runs_of_owner(tx: Transaction, version_id: int, member_id: int, limit: int) -> list[RunFacts]:
    """Open runs of one version that a member acts for: they share the member's slots."""
    rows = tx.rows(
        f"select {RUN} from enrollment e where e.sop_id = (select sop_id from sop_version where id = ?)"
        " and e.version_id = ? and e.member_id = ? and e.closed_at is null order by e.id limit ?",
        (version_id, version_id, member_id, limit),
    )
    return [RunFacts(*row) for row in rows]


def runs_of_member(tx: Transaction, member_id: int, limit: int) -> list[RunFacts]:
    """Open runs that a member acts for, in SOPs that run."""
    rows = tx.rows(
        f"select {RUN} from enrollment e join sop s on s.id = e.sop_id and s.state = 'running'"
        " where e.member_id = ? and e.closed_at is null order by e.id limit ?",
        (member_id, limit),
    )
    return [RunFacts(*row) for row in rows]


def userids(tx: Transaction) -> dict[int, str]:
    """Every member's userid by id; there are few hundreds."""
    return dict(tx.rows("select id, userid from member"))
