"""Enterprises of any size, made by set-based SQL: members, customers, relations, and runs that wait or are due.

Row n of customers, relations and enrollments belong together. A run's age in days says how far it has come.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

from machines.calendar import DAY_MS, HOUR_MS, SECOND_MS, Instant
from sopd.store import Store, Transaction
from sopd.store.tables import Member, Sop, SopVersion, Tag

Fill = Callable[[Store, int, int, Instant], None]
"""Makes subjects: (store, the first one's number, how many, today)."""
MEMBERS = 20
CHUNK = 100_000
PATTERN = 100
"""Subjects repeat after so many: counts that are multiples of it make any two groups alike."""
SHANGHAI_MS = 8 * HOUR_MS
SEND_MS = 10 * HOUR_MS
STEPS = {"guide": 1, "coupon": 3, "tips": 7, "gift": 14, "farewell": 30}
"""Step ids with their day; all at 10:00."""
BOUGHT, TURNED, COLD = "tag-bought", "tag-turned", "tag-cold"
DEFINITION = {
    "sop": "care",
    "title": "回访",
    "kind": "new_customer",
    "entry": {"when": {"not": {"source": ["internal"]}}},
    "steps": [
        {"id": step, "by": "mass_send", "day": day, "at": "10:00", "text": f"内容 {step}"}
        for step, day in STEPS.items()
    ],
    "early_end": {"when": {"tag": ["结果/已复购"]}, "add_tags": ["结果/已转化"]},
    "normal_end": {"add_tags": ["结果/未转化"]},
}
TAG_IDS = {"结果/已复购": BOUGHT, "结果/已转化": TURNED, "结果/未转化": COLD}


def send_time(day: Instant) -> Instant:
    """10:00 in Shanghai of the day that `day` lies in."""
    return (day + SHANGHAI_MS) // DAY_MS * DAY_MS - SHANGHAI_MS + SEND_MS


def found(store: Store, *, started_at: Instant) -> None:
    """The enterprise without customers: members m-1.., the tags, and SOP 1, running in version 1."""
    with store.transaction() as tx:
        tx.insert(Member, [{"id": n, "userid": f"m-{n}", "seen_at": tx.now} for n in range(1, MEMBERS + 1)])
        tx.insert(
            Tag,
            [
                {"tag_id": tag_id, "name": path.split("/")[1], "group_id": "g", "group_name": path.split("/")[0]}
                for path, tag_id in TAG_IDS.items()
            ],
        )
        running = {"id": 1, "key": "care", "kind": "new_customer", "state": "running", "version_id": 1}
        tx.insert(Sop, [{**running, "started_at": started_at, "created_at": started_at}])
        program = json.dumps({"sop": DEFINITION, "tag_ids": TAG_IDS})
        version = {"id": 1, "sop_id": 1, "number": 1, "source_name": "care.yaml", "source": "", "program": program}
        tx.insert(SopVersion, [{**version, "created_at": started_at}])


def add_sops(store: Store, count: int, *, started_at: Instant) -> None:
    """As many running SOPs besides, each about tags of its own: half of them for new customers, half nurture SOPs."""
    sops, versions = [], []
    for n in range(2, count + 2):
        tag_ids = {"群组/进": f"tag-in-{n}", "群组/出": f"tag-out-{n}"}
        kind = "nurture" if n % 2 else "new_customer"
        definition = {
            "sop": f"other-{n}", "title": f"{n}", "kind": kind,
            "entry": {"when": {"tag": ["群组/进"]}},
            "steps": [{"id": "one", "by": "mass_send", "day": 1, "at": "10:00", "text": f"内容 {n}"}],
            "early_end": {"when": {"tag": ["群组/出"]}},
        }  # fmt: skip
        sops.append({
            "id": n, "key": f"other-{n}", "kind": kind, "state": "running", "version_id": n,
            "started_at": started_at, "created_at": started_at,
        })  # fmt: skip
        versions.append({
            "id": n, "sop_id": n, "number": 1, "source_name": "", "source": "", "created_at": started_at,
            "program": json.dumps({"sop": definition, "tag_ids": tag_ids}),
        })  # fmt: skip
    with store.transaction() as tx:
        tx.insert(Sop, sops)
        tx.insert(SopVersion, versions)


def add_waiting(store: Store, first: int, count: int, today: Instant) -> None:
    """Runs of every age from 0 to 29 days; the earliest next step is tomorrow's."""
    with_age = "n % 30"
    for low, high in _chunks(first, count):
        with store.transaction() as tx:
            _add_people(tx, low, high, today, with_age)
            _add_runs(tx, low, high, today, with_age)


def add_due(store: Store, first: int, count: int, today: Instant) -> None:
    """Runs that began yesterday and have not fired yet: `guide` is due today at 10:00."""
    for low, high in _chunks(first, count):
        with store.transaction() as tx:
            _add_people(tx, low, high, today, "1")
            _add_runs(tx, low, high, today, "1", fired=False)


def add_inside(store: Store, first: int, count: int, today: Instant) -> None:
    """Runs that began two days ago and have fired `guide`, whose push was sent; `coupon` is tomorrow's."""
    for low, high in _chunks(first, count):
        with store.transaction() as tx:
            _add_people(tx, low, high, today, "2")
            _add_runs(tx, low, high, today, "2")
            sent_at = send_time(today) - DAY_MS + HOUR_MS
            tx.run(
                "insert into push (enrollment_id, step_id, sop_id, version_id, customer_id, relation_id, member_id,"
                " channel, takes_quota, state, due_at, fired_at, deferred, settled_at, sent_at)"
                " select id, 'guide', 1, 1, customer_id, relation_id, member_id, 'mass_send', true, 'sent',"
                f" due_at, due_at, 0, {sent_at}, {sent_at} from enrollment where id between ? and ?",
                (low, high),
            )


def began(n: int, age: int, today: Instant) -> Instant:
    """When the relation n of this age began, as the tables have it."""
    return send_time(today) + 2 * HOUR_MS - age * DAY_MS + n % PATTERN * SECOND_MS


def settle_down(store: Store) -> None:
    """Let the database look at what it holds, as it would in time by itself, and number new rows after the old."""
    with store.transaction() as tx:
        tx.run("analyze")
        if store.dialect.name == "postgres":
            for table in ("member", "customer", "relation", "tag", "sop", "sop_version", "enrollment"):
                tx.rows(f"select setval(pg_get_serial_sequence('{table}', 'id'), max(id)) from {table}")


def _chunks(first: int, count: int) -> Iterator[tuple[int, int]]:
    for low in range(first, first + count, CHUNK):
        yield low, min(low + CHUNK, first + count) - 1


_DAY = f"cast({DAY_MS} as bigint)"
_NUMBERS = "with recursive g(n) as (select cast(? as bigint) union all select n + 1 from g where n < ?)"


def _began(age: str, today: Instant) -> str:
    """When the relation began: noon of the day `age` days ago, spread over some minutes."""
    noon = send_time(today) + 2 * HOUR_MS
    return f"({noon} - {_DAY} * ({age}) + (n % {PATTERN}) * {SECOND_MS})"


def _add_people(tx: Transaction, low: int, high: int, today: Instant, age: str) -> None:
    tx.run(
        f"{_NUMBERS} insert into customer (id, external_userid, name, kind, gender, attributes, seen_at)"
        f" select n, 'wmBENCH' || n, 'c' || n, 1, 0, '{{}}', {today} from g",
        (low, high),
    )
    began = _began(age, today)
    tx.run(
        f"{_NUMBERS} insert into relation"
        " (id, member_id, customer_id, state, channel, add_way, began_at, generation, learned_at)"
        f" select n, 1 + n % {MEMBERS}, n, 'active', 'expo', 1, {began}, 0, {began} from g",
        (low, high),
    )


def _add_runs(tx: Transaction, low: int, high: int, today: Instant, age: str, *, fired: bool = True) -> None:
    """With `fired` all steps up to today's are behind; else none is."""
    state, day = _come_to(age) if fired else ("'enrolled'", str(STEPS["guide"]))
    began, date = _began(age, today), f"{send_time(today)} - {_DAY} * ({age})"
    due = f"({date} + {_DAY} * ({day}))"
    tx.run(
        f"{_NUMBERS} insert into enrollment (id, sop_id, version_id, subject_id, run_no, customer_id, relation_id,"
        " member_id, state, anchor_at, entered_at, cause, after_signal, anchor_moves_ms, waits_reply, due_at, mass_at,"
        " hop, rev)"
        f" select n, 1, 1, n, 1, n, n, 1 + n % {MEMBERS}, {state}, {began}, {began}, 'added', 0, 0, false, {due},"
        f" {due}, 0, 1"
        " from g",
        (low, high),
    )


def _come_to(age: str) -> tuple[str, str]:
    """The state of a run of this age, and the day of its next step."""
    states, days = ["case"], ["case"]
    before = "enrolled"
    for step, day in STEPS.items():
        states.append(f"when {age} < {day} then '{before}'")
        days.append(f"when {age} < {day} then {day}")
        before = step
    return " ".join([*states, "end"]), " ".join([*days, "end"])
