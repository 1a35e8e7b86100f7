"""A round that has come to rest, judged customer by customer: the sandbox's books against the engine's rows.

Zero differences is what is expected; each is a sentence. What nobody can know stands as `needs_operator` and is listed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from machines.reasons import WELCOME_UNKNOWN
from sopd.rehearsal.accounts import INHERITED, compare, engine_account
from sopd.sandbox.world import World
from sopd.store import Store, Transaction
from tests.chaos.foretold import Entry
from tests.crash.outcome import UNFINISHED

_RUN = (
    "from enrollment e join sop s on s.id = e.sop_id join member m on m.id = e.member_id"
    " join customer c on c.id = e.customer_id"
)
_AFTER_THE_END = (
    f"select m.userid, c.external_userid, s.key, p.step_id {_RUN} join push p on p.enrollment_id = e.id"
    " where e.state in ('early_end', 'manual_end', 'stopped') and p.state = 'sent' and p.mark is null"
    " and p.channel in ('welcome', 'mass_send') and p.sent_at > e.closed_at"
)
_ENTERED = (
    "select distinct s.key, m.userid, c.external_userid from enrollment e join sop s on s.id = e.sop_id"
    " join relation r on r.id = e.subject_id join member m on m.id = r.member_id"
    " join customer c on c.id = r.customer_id where s.kind = 'new_customer'"
)
_NOT_OVER = f"select m.userid, c.external_userid, s.key, e.state {_RUN} where e.closed_at is null"
_TWICE_INSIDE = (
    f"select m.userid, c.external_userid, s.key, count(*) {_RUN} where e.run_no = 1"
    " group by m.userid, c.external_userid, s.key, e.subject_id having count(*) > 1"
)
_DOUBTFUL = (
    "select m.userid, c.external_userid, s.key, p.step_id, coalesce(d.reason, p.reason) from push p"
    " left join dispatch d on d.id = p.dispatch_id join sop s on s.id = p.sop_id join member m on m.id = p.member_id"
    f" join customer c on c.id = p.customer_id where d.state = 'needs_operator' or p.reason = '{WELCOME_UNKNOWN}'"
)
_WHY_NOT = (
    "select p.state || case when p.reason is null then '' else ': ' || p.reason end, count(*) from push p"
    " where p.state <> 'sent' group by 1 order by 2 desc"
)


@dataclass(frozen=True)
class Judgement:
    """`foretold`: entries the oracle foretold. `why_not`: how many pushes were not sent, by state and reason."""

    customers: int
    relations: int
    foretold: int
    runs: int
    deliveries: int
    doubtful: tuple[str, ...]
    why_not: Mapping[str, int]
    differences: tuple[str, ...]


def judge(world: World, store: Store, foretold: frozenset[Entry]) -> Judgement:
    """Compare now; both must have come to rest. `foretold`: whom the oracle lets in (`foretold.entries`)."""
    verdict = compare(world.account(), engine_account(store), is_invited)
    with store.reading() as tx:
        found = [*verdict.differences, *_faults(tx), *_misjudged(tx, foretold)]
        return Judgement(
            customers=verdict.customers,
            relations=verdict.compared,
            foretold=len(foretold),
            runs=tx.value("select count(*) from enrollment"),
            deliveries=verdict.deliveries,
            doubtful=tuple(" ".join(map(str, row)) for row in tx.rows(_DOUBTFUL)),
            why_not=dict(tx.rows(_WHY_NOT)),
            differences=tuple(found),
        )


def is_invited(add: Mapping[str, Any]) -> bool:
    """Whom the newcomers' SOP is for."""
    return add["state"] != "internal-test" and add["add_way"] != INHERITED


def _misjudged(tx: Transaction, foretold: frozenset[Entry]) -> list[str]:
    """Whom engine and oracle do not both let in."""
    entered = {(sop, member, customer) for sop, member, customer in tx.rows(_ENTERED)}
    found = [f"{c} at {m}: the oracle lets him into {sop}, the engine did not" for sop, m, c in foretold - entered]
    return found + [f"{c} at {m}: in {sop}, where the oracle lets nobody in" for sop, m, c in entered - foretold]


def _faults(tx: Transaction) -> list[str]:
    """What must not be, whatever happened."""
    found = [f"{c} at {m}: {sop}/{step} was sent after the end" for m, c, sop, step in tx.rows(_AFTER_THE_END)]
    found += [f"{c} at {m}: the run in {sop} is still in {state}" for m, c, sop, state in tx.rows(_NOT_OVER)]
    found += [f"{c} at {m}: {count} first runs in {sop}" for m, c, sop, count in tx.rows(_TWICE_INSIDE)]
    found += [f"set aside: {' '.join(map(str, row))}" for row in tx.rows("select kind, row_key, reason from set_aside")]
    found += [f"unfinished {name}: {row}" for name, sql in UNFINISHED.items() for row in tx.rows(sql)]
    return found
