"""The engine's own account of every relation, for the comparison at the end of a rehearsal. Reads only."""

from __future__ import annotations

from machines.reasons import WELCOME_UNKNOWN
from sopd.store.transaction import Transaction

_PAIR = "m.userid, c.external_userid"
_OF_PUSH = (
    "from push p join relation r on r.id = p.relation_id join member m on m.id = r.member_id"
    " join customer c on c.id = r.customer_id"
)

_OF_RUN = (
    "from enrollment e join relation r on r.id = e.relation_id join member m on m.id = r.member_id"
    " join customer c on c.id = r.customer_id"
)


def relations(tx: Transaction) -> list[tuple[str, str, str]]:
    """(member, customer, state) of every relation."""
    return tx.rows(
        f"select {_PAIR}, r.state from relation r join member m on m.id = r.member_id"
        " join customer c on c.id = r.customer_id"
    )


def tags(tx: Transaction) -> list[tuple[str, str, str]]:
    """(member, customer, tag_id) of every tag that holds now, pending writes included."""
    return tx.rows(
        f"select {_PAIR}, t.tag_id from relation_tag t join relation r on r.id = t.relation_id"
        " join member m on m.id = r.member_id join customer c on c.id = r.customer_id"
        " where t.wanted = 1 or (t.wanted is null and t.in_wecom)"
    )


def sent(tx: Transaction) -> list[tuple[str, str, str, str | None, int, int]]:
    """(member, customer, channel, msgid, sent_at, run) of every push that the engine says was sent to the customer.

    What a member did about a card (remind, call) left no trace at the customer.
    """
    return tx.rows(
        f"select {_PAIR}, p.channel, d.msgid, p.sent_at, p.enrollment_id {_OF_PUSH}"
        " left join dispatch d on d.id = p.dispatch_id where p.state = 'sent'"
        " and p.channel in ('welcome', 'mass_send')"
    )


def doubtful(tx: Transaction) -> list[tuple[str, str, str]]:
    """(member, customer, channel) of every push that only an operator can judge (D20): by its task, or a welcome."""
    return tx.rows(
        f"select {_PAIR}, p.channel {_OF_PUSH} left join dispatch d on d.id = p.dispatch_id"
        " where (d.state = 'needs_operator' and d.to_userid is null) or p.reason = ?",
        (WELCOME_UNKNOWN,),
    )


def runs(tx: Transaction) -> list[tuple[str, str]]:
    """(member, customer) of every run of a new customer, open or ended."""
    return tx.rows(f"select {_PAIR} {_OF_RUN} join sop s on s.id = e.sop_id where s.kind = 'new_customer'")


def ended_without_all_steps(tx: Transaction) -> list[tuple[str, str, str]]:
    """(member, customer, state) of runs with a normal end that lack a settled push for some step of their version.

    Every version's steps are those that any run of it has a push for.
    """
    return tx.rows(
        "with steps as (select version_id, count(distinct step_id) as n from push group by version_id),"
        " settled as"
        " (select enrollment_id, count(*) as n from push where settled_at is not null group by enrollment_id)"
        f" select {_PAIR}, e.state {_OF_RUN} join steps v on v.version_id = e.version_id"
        " left join settled s on s.enrollment_id = e.id"
        " where e.state = 'normal_end' and coalesce(s.n, 0) < v.n"
    )


def by_state(tx: Transaction, table: str) -> dict[str, int]:
    """How many rows of `enrollment` or `push` are in each state."""
    return dict(tx.rows(f"select state, count(*) from {table} group by state order by state"))


def by_sop(tx: Transaction) -> list[tuple[str, str, int]]:
    """(SOP, state, how many) of all enrollments."""
    return tx.rows(
        "select s.key, e.state, count(*) from enrollment e join sop s on s.id = e.sop_id group by s.key, e.state"
        " order by s.key"
    )


def by_step(tx: Transaction) -> list[tuple[str, str, str, str | None, int]]:
    """(SOP, step, state, reason, how many) of all pushes."""
    return tx.rows(
        "select s.key, p.step_id, p.state, p.reason, count(*) from push p join sop s on s.id = p.sop_id"
        " group by s.key, p.step_id, p.state, p.reason order by s.key, min(p.id)"
    )
