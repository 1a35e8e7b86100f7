"""What came of a story in the end, in the words of people: no ids, no instants, nothing that a delay may change.

Two runs of a story that differ only by a crash must have the same outcome, and each must agree with WeCom's own books.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from sopd.rehearsal.accounts import compare, engine_account
from sopd.store.counters import read_counters
from tests.support.rig import Rig

Rows = Counter[tuple[Any, ...]]

_RUN = "join sop s on s.id = e.sop_id join member m on m.id = e.member_id join customer c on c.id = e.customer_id"
_WHO = "s.key, m.userid, c.external_userid, e.run_no"
_QUESTIONS = {
    "sops": "select key, state from sop",
    "versions": "select s.key, v.number, v.source from sop_version v join sop s on s.id = v.sop_id",
    "owner moves": f"select {_WHO}, j.reason from journal j join enrollment e on e.id = j.enrollment_id {_RUN}"
    " where j.kind = 'note' and j.reason like 'owner %'",
    "relations": "select m.userid, c.external_userid, r.state, r.lost_by, r.channel, r.missing_at is null"
    " from relation r join member m on m.id = r.member_id join customer c on c.id = r.customer_id",
    "muted": "select external_userid from customer where muted_at is not null",
    "runs": f"select {_WHO}, e.state, e.reason, e.ended_by, e.due_at is null, e.parked_at is null"
    f" from enrollment e {_RUN}",
    "pushes": f"select {_WHO}, p.step_id, p.state, p.reason, p.mark, p.plan_at is null from push p"
    f" join enrollment e on e.id = p.enrollment_id {_RUN}",
    "decisions": f"select {_WHO}, j.kind, j.state_from, j.state_to, j.reason from journal j"
    f" join enrollment e on e.id = j.enrollment_id {_RUN} where j.kind in ('entered', 'step', 'end')",
    "refusals": "select s.key, c.external_userid, f.reason, f.times from refusal f join sop s on s.id = f.sop_id"
    " join customer c on c.id = f.customer_id",
    "reservations": f'select {_WHO}, p.step_id, v."window" from reservation v join push p on p.id = v.push_id'
    f" join enrollment e on e.id = p.enrollment_id {_RUN}",
    "own sends": 'select c.external_userid, v."window" from reservation v join customer c on c.id = v.customer_id'
    " where v.push_id is null",
    "nags": "select s.key, m.userid, d.step_id, d.nags from dispatch d join sop s on s.id = d.sop_id"
    " join member m on m.id = d.member_id where d.nags > 0",
    "claims": "select s.key, l.step_id, c.external_userid, m.userid, p.state from claim l join sop s on s.id = l.sop_id"
    " join customer c on c.id = l.customer_id join push p on p.id = l.push_id join member m on m.id = p.member_id",
    "tags": "select m.userid, c.external_userid, t.tag_id, t.in_wecom, t.wanted from relation_tag t"
    " join relation r on r.id = t.relation_id join member m on m.id = r.member_id"
    " join customer c on c.id = r.customer_id",
    "library": "select group_name, name, deleted_at is null from tag",
    "members": "select userid, in_scope, can_send, reason from member",
    "acts": "select o.kind, o.state, o.reason, m.userid, c.external_userid from outbox o"
    " join relation r on r.id = o.relation_id join member m on m.id = r.member_id"
    " join customer c on c.id = r.customer_id",
    # A card comes later after a crash, and so does the press on it; whatever else is said is said at its own instant.
    "signals": "select s.kind, s.name, c.external_userid, case when s.name = 'call' then 0 else s.at end, s.properties,"
    " s.text from signal s join customer c on c.id = s.customer_id",
    "attributes": "select external_userid, attributes from customer",
    # Tasks are named by number, and a number that a dead transaction drew is not drawn again.
    "audit": "select who, verb, case when verb like 'dispatch %' then '' else target end from audit",
    "set aside": "select kind, reason from set_aside",
}
_REPEATABLE = ("audit", "acts")
"""Who gives an order twice, because he did not hear that it was done, is twice in the audit; once is what counts."""
UNFINISHED = {
    "inbox": "select event, change_type from inbox where state <> 'done'",
    "signals": "select ref from signal where handled_at is null",
    "hand-overs": "select id from relation where handover_until is not null",
    "re-reads": "select userid, external_userid, cause, reason from dirty",
    "tasks": "select state, reason from dispatch where state not in"
    " ('settled', 'failed', 'cancelled', 'needs_operator')",
    "acts": "select kind, key, state from outbox where state in ('pending', 'sending')",
    "cards": "select id, state from dispatch where act_at is not null and state in ('settled', 'cancelled')",
    "jobs": "select kind, state, reason from job where ended_at is null"
    " and kind not in ('reconcile', 'outside_sends', 'prune')",
    "leases": "select id, kind from outbox where lease_until is not null and done_at is null",
}


@dataclass(frozen=True)
class Outcome:
    """`engine`, `arrived` and `doubtful` are to be equal in both runs; `unfinished` and `untrue` empty in each."""

    engine: dict[str, Rows]
    arrived: Rows
    unfinished: dict[str, list[tuple[Any, ...]]]
    doubtful: int
    untrue: tuple[str, ...]


def outcome_of(rig: Rig) -> Outcome:
    """Look at both sides now."""
    account = rig.world.account()
    verdict = compare(account, engine_account(rig.store), lambda add: False)  # the runs are compared by name
    with rig.store.reading() as tx:
        engine = {name: Counter(tx.rows(sql)) for name, sql in _QUESTIONS.items()}
        engine |= {name: Counter(set(engine[name])) for name in _REPEATABLE}
        engine["counters"] = Counter(read_counters(tx).items())
        unfinished = {name: rows for name, sql in UNFINISHED.items() if (rows := tx.rows(sql))}
    arrived = Counter(
        (*pair, kind, said["text"])
        for pair, row in account.items()
        for kind in ("welcomes", "messages")
        for said in row[kind]
    )
    arrived += Counter(
        (card.member, card.shown["main_title"]["title"], card.replaced) for card in rig.world.cards.values()
    )
    return Outcome(engine, arrived, unfinished, verdict.doubtful, verdict.differences)


def differences(expected: Outcome, found: Outcome) -> list[str]:
    """What is not as it was in the uninterrupted run, a line each; none if all is well."""
    lines = []
    tables = {name: (expected.engine[name], found.engine[name]) for name in expected.engine}
    for name, (before, after) in {**tables, "arrived": (expected.arrived, found.arrived)}.items():
        lines += [f"{name}: missing {row} x{n}" for row, n in (before - after).items()]
        lines += [f"{name}: too many {row} x{n}" for row, n in (after - before).items()]
    lines += [f"unfinished {name}: {rows}" for name, rows in found.unfinished.items()]
    lines += [f"untrue: {line}" for line in found.untrue]
    if found.doubtful != expected.doubtful:
        lines.append(f"{found.doubtful} pushes need an operator, {expected.doubtful} without the crash")
    return lines
