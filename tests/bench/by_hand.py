"""What the engine does, written by hand for this one SOP: the fewest set-based statements that leave the same rows.

Nothing is decided here: who enters, what falls due and which reason is given stands in the text of the SQL. The bench
holds the rows written against the engine's (`same.py`), so both do the same work: same tables, same indexes, same
batches, one transaction a batch.
"""

from __future__ import annotations

from machines.calendar import DAY_MS
from tests.bench.filling import BOUGHT, SEND_MS, SHANGHAI_MS, STEPS, TURNED
from tests.bench.hand import Hand

REASON = "early end: tag 结果/已复购"
_DAY = f"cast({DAY_MS} as bigint)"
_DATE = f"((e.anchor_at + {SHANGHAI_MS}) / {DAY_MS} * {DAY_MS} - {SHANGHAI_MS} + {SEND_MS})"
"""10:00 in Shanghai on the day of the anchor."""


def _next_steps() -> str:
    """For each state the step that follows, its day, and the day of the one after it."""
    names, days = ["enrolled", *STEPS], [*STEPS.values(), None]
    rows = [
        f"('{names[at]}', '{names[at + 1]}', {days[at]}, cast({days[at + 1] or 'null'} as bigint))"
        for at in range(len(STEPS))
    ]
    columns = "column1 as state, column2 as step_id, column3 as day, column4 as next_day"
    return f"(select {columns} from (values {', '.join(rows)}) v)"


_FOLLOWING = _next_steps()


def fire(hand: Hand, limit: int) -> int:
    """The due steps of at most `limit` runs: pushes, state, journal, counters. Returns how many fired."""
    now = hand.now
    with hand.transaction():
        due = hand.rows(
            f"select id from enrollment where due_at <= ? order by due_at limit ?{hand.skip_locked}", (now, limit)
        )
        if not due:
            return 0
        ids = hand.given({"id": "bigint"}, due)
        these = f"from enrollment e join {_FOLLOWING} s on s.state = e.state where e.id in (select id from {ids.sql} g)"
        hand.run(
            "insert into push (enrollment_id, step_id, sop_id, version_id, customer_id, relation_id, member_id,"
            " channel, takes_quota, state, due_at, fired_at, next_due_at, plan_at, deferred)"
            " select e.id, s.step_id, e.sop_id, e.version_id, e.customer_id, e.relation_id, e.member_id, 'mass_send',"
            f" true, 'due', {_DATE} + {_DAY} * s.day, {now}, {_DATE} + {_DAY} * s.next_day, {now}, 0 {these}",
            ids.params,
        )
        hand.run(
            "insert into journal (enrollment_id, at, kind, state_from, state_to, reason)"
            f" select e.id, {now}, 'step', e.state, s.step_id, 'fired' {these}",
            ids.params,
        )
        hand.run(
            "insert into counter_delta (key, n)"
            f" select 'sop/' || e.sop_id || '/push/' || s.step_id || '/due', count(*) {these}"
            " group by e.sop_id, s.step_id",
            ids.params,
        )
        hand.run(
            f"update enrollment as e set state = s.step_id, due_at = {_DATE} + {_DAY} * s.next_day,"
            f" mass_at = {_DATE} + {_DAY} * s.next_day, rev = rev + 1"
            f" from {_FOLLOWING} s where s.state = e.state and e.id in (select id from {ids.sql} g)",
            ids.params,
        )
        return len(due)


Entrant = tuple[str, str, str, int]
"""(userid, external_userid, name, began_at)"""


def enter(hand: Hand, page: list[Entrant], channel: str, add_way: int) -> None:
    """A page of customers that nobody knew: customers, relations, runs, journal, counters; the re-reads end."""
    now = hand.now
    g = hand.given({"userid": "text", "external_userid": "text", "name": "text", "began_at": "bigint"}, page)
    pairs = hand.given({"userid": "text", "external_userid": "text"}, [row[:2] for row in page])
    with hand.transaction():
        hand.run(
            "insert into customer (external_userid, name, kind, gender, attributes, seen_at)"
            f" select external_userid, name, 1, 0, '{{}}', {now} from {g.sql} g where true"
            " on conflict (external_userid) do nothing",
            g.params,
        )
        made = hand.rows(
            "insert into relation"
            " (member_id, customer_id, state, channel, add_way, began_at, generation, learned_at)"
            f" select m.id, c.id, 'active', cast(? as text), {add_way}, g.began_at, 0, {now} from {g.sql} g"
            " join member m on m.userid = g.userid join customer c on c.external_userid = g.external_userid where true"
            " on conflict (customer_id, member_id) do nothing returning id",
            (channel, *g.params),
        )
        ids = hand.given({"id": "bigint"}, made)
        due = f"{_DATE.replace('e.anchor_at', 'r.began_at')} + {_DAY} * {STEPS['guide']}"
        entered = hand.rows(
            "insert into enrollment (sop_id, version_id, subject_id, run_no, customer_id, relation_id, member_id,"
            " state, anchor_at, entered_at, cause, chain, after_signal, anchor_moves_ms, waits_reply, due_at, mass_at,"
            " hop, rev)"
            " select 1, 1, r.id, 1, r.customer_id, r.id, r.member_id, 'enrolled', r.began_at, r.began_at, 'added',"
            f" '[1]', 0, 0, false, {due}, {due}, 0, 0 from relation r where r.id in (select id from {ids.sql} g)"
            " on conflict do nothing returning id",
            ids.params,
        )
        runs = hand.given({"id": "bigint"}, entered)
        hand.run(
            "insert into journal (enrollment_id, at, kind, state_to, detail)"
            f" select id, {now}, 'entered', 'enrolled', '{{\"cause\": \"added\"}}' from {runs.sql} g",
            runs.params,
        )
        hand.run(f"insert into counter_delta (key, n) values ('sop/1/entered/added', {len(entered)})")
        hand.run(
            "delete from dirty where (userid, external_userid) in"
            f" (select userid, external_userid from {pairs.sql} g)",
            pairs.params,
        )


def tagged(hand: Hand, page: list[tuple[int, str, str]]) -> None:
    """A page of known relations (id, userid, external_userid) that have the tag now which ends their runs early."""
    now = hand.now
    ids = hand.given({"id": "bigint"}, [row[:1] for row in page])
    pairs = hand.given({"userid": "text", "external_userid": "text"}, [row[1:] for row in page])
    with hand.transaction():
        ended = hand.rows(
            "update enrollment set state = 'early_end', due_at = null, mass_at = null, closed_at = ?, reason = ?,"
            f" rev = rev + 1 where relation_id in (select id from {ids.sql} g) and closed_at is null returning id",
            (now, REASON, *ids.params),
        )
        runs = hand.given({"id": "bigint"}, ended)
        hand.run(
            "insert into journal (enrollment_id, at, kind, state_from, state_to, reason)"
            f" select id, {now}, 'end', 'guide', 'early_end', cast(? as text) from {runs.sql} g",
            (REASON, *runs.params),
        )
        hand.run(
            "insert into relation_tag (relation_id, tag_id, in_wecom, since, wanted)"
            f" select id, '{BOUGHT}', true, {now}, cast(null as integer) from {ids.sql} g union all"
            f" select id, '{TURNED}', false, {now}, 1 from {ids.sql} h where true"
            " on conflict (relation_id, tag_id) do update set in_wecom = excluded.in_wecom, wanted = excluded.wanted",
            (*ids.params, *ids.params),
        )
        hand.run(
            f"update relation set generation = generation + 1 where id in (select id from {ids.sql} g)", ids.params
        )
        hand.run(
            "insert into outbox (kind, key, relation_id, payload, state, fast, act_at, attempts, created_at)"
            " select 'mark_tag', 'end/' || e.id || '/' || e.relation_id, e.relation_id,"
            f" '{{\"add\": [\"{TURNED}\"], \"remove\": []}}', 'pending', false, {now}, 0, {now} from enrollment e"
            f" where e.id in (select id from {runs.sql} g)",
            runs.params,
        )
        hand.run(
            "insert into counter_delta (key, n) values"
            f" ('sop/1/ended/early_end', {len(ended)}), ('sop/1/ended/early_end/early end', {len(ended)})"
        )
        hand.run(
            "delete from dirty where (userid, external_userid) in"
            f" (select userid, external_userid from {pairs.sql} g)",
            pairs.params,
        )
