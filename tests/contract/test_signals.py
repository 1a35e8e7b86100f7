"""Signals on both databases: taken once, refused by line, told to rules in each customer's order (SPEC 4, 10)."""

from __future__ import annotations

import pytest

from machines.facts import EventFact, attributes
from sopd import signals as loop
from sopd.handlers import signals
from sopd.incoming.conversation import Message
from sopd.incoming.events import EventIn
from sopd.incoming.shapes import read
from sopd.store import Store
from sopd.store.queries import signals as queries
from sopd.store.queries.signals import Since
from tests.support.company import TestCompany, at
from tests.support.plans import assert_uses_index, hearing

ASKING = """
sop: asking
title: 问价
kind: new_customer
entry: {when: {not: {source: [internal]}}}
steps:
  - {id: offer, day: 1, at: "10:00", by: mass_send, text: 优惠,
     on_reply: {keywords: {价格: {add_tags: [阶段/考虑价格], set: {asked: true}}}, any: {remove_tags: [阶段/沉默]}}}
  - {id: last, day: 9, at: "10:00", by: mass_send, text: 再见}
"""


@pytest.fixture
def company(store: Store) -> TestCompany:
    made = TestCompany(store)
    made.price, made.silent = made.tag("阶段/考虑价格"), made.tag("阶段/沉默")  # type: ignore[attr-defined]
    return made


def event(ref: str, customer: object, name: str = "order_paid", **more: object) -> dict[str, object]:
    return {"ref": ref, "name": name, "customer": customer, **more}


def take(company: TestCompany, *events: dict[str, object]) -> signals.Receipt:
    found = read(EventIn, events)
    assert found.faults == []
    return signals.take_events(company.app, found.items)


def say(company: TestCompany, ref: str, sender: str, receiver: str, text: str = "", **more: object) -> signals.Receipt:
    found = read(Message, [{"ref": ref, "from": sender, "to": receiver, "text": text, **more}])
    assert found.faults == []
    return signals.take_messages(company.app, found.items)


def test_an_event_is_taken_once_however_often_it_comes(company: TestCompany) -> None:
    company.customer("wmMei")

    first = take(company, event("a", "wmMei"), event("a", "wmMei"), event("b", "wmMei"))
    again = take(company, event("a", "wmMei", "another_name"), event("c", "wmMei"))

    assert (first, again) == (signals.Receipt(2, 1, ()), signals.Receipt(1, 1, ()))
    assert company.rows("select ref, name from signal order by id") == [
        ("event/a", "order_paid"), ("event/b", "order_paid"), ("event/c", "order_paid"),
    ]  # fmt: skip
    assert "signals" in company.rung


def test_who_is_unknown_is_refused_by_line_and_the_others_stay(company: TestCompany) -> None:
    company.customer("wmMei", crm_id="42", unionid="u")
    company.customer("wmLan", unionid="u")

    receipt = take(
        company, event("a", {"crm_id": "42"}), event("b", "wmNobody"), event("c", {"unionid": "u"}),
        event("d", "wmMei", at="2026-03-02T09:06:00+08:00"), event("e", "wmMei", at="2026-03-02T09:05:00+08:00"),
    )  # fmt: skip

    assert (receipt.accepted, receipt.repeated) == (2, 0)
    assert receipt.refused == (
        (1, "no customer has external_userid wmNobody"),
        (2, "2 customers have unionid u; name one by external_userid"),
        (3, "at: lies in the future"),
    )


def test_customers_are_found_by_a_phone_number_that_is_never_kept(company: TestCompany) -> None:
    found = read(EventIn, [event("a", {"phone": "138 0013-8000"}), event("b", {"phone": "+86 13800138000"})])
    hashed = found.items[0][1].customer.value
    company.customer("wmMei", phone_hash=hashed)

    receipt = signals.take_events(company.app, found.items)

    assert receipt.accepted == 2 and "13800138000" not in repr(found)


def test_rules_see_the_signals_of_one_customer_one_after_another(company: TestCompany) -> None:
    mei, lan = company.customer("wmMei"), company.customer("wmLan")
    take(company, event("a", "wmMei"), event("b", "wmMei"), event("c", "wmLan"))

    pages = [loop.run_once(company.app) for _ in range(3)]

    assert pages == [2, 1, 0]
    with company.store.reading() as tx:
        assert set(queries.latest(tx, [mei.id, lan.id])) == {mei.id, lan.id}
        assert queries.latest(tx, [mei.id])[mei.id] < queries.latest(tx, [lan.id])[lan.id]


def test_facts_are_what_was_handled_after_the_entry(company: TestCompany) -> None:
    mei = company.customer("wmMei")
    take(company, event("a", "wmMei"))
    loop.run_once(company.app)
    with company.store.reading() as tx:
        creating = queries.latest(tx, [mei.id])[mei.id]
    company.go_to("2026-03-03 12:00")
    take(company, event("old", "wmMei", at="2026-03-01T10:00:00+08:00"))
    take(company, event("b", "wmMei", properties={"amount": 99.5, "vip": True}), event("x", "wmMei", "article_read"))
    while loop.run_once(company.app):
        pass
    take(company, event("waits", "wmMei"))

    with company.store.reading() as tx:
        found = queries.events_since(tx, [Since(7, mei.id, creating, at("2026-03-02 09:00"))], {"order_paid"})

    expected = EventFact("order_paid", at("2026-03-03 12:00"), attributes({"amount": 99.5, "vip": True}))
    assert found == {7: (expected,)}


def test_messages_belong_to_the_relation_and_are_talk(company: TestCompany) -> None:
    relation = company.befriend("alice", "wmMei")

    receipt = say(company, "1", "wmMei", "alice", "多少钱?")
    say(company, "2", "alice", "wmMei", "九十九", at="2026-03-02T08:00:00+08:00")
    while loop.run_once(company.app):
        pass

    assert receipt == signals.Receipt(1, 0, ())
    assert company.rows("select kind, relation_id, text from signal order by id") == [
        ("reply", relation.id, "多少钱?"), ("message", relation.id, None),
    ]  # fmt: skip
    assert company.rows("select last_talk_at from relation") == [(at("2026-03-02 09:00"),)]
    with company.store.reading() as tx:
        wanted = [Since(1, relation.customer_id, 0, 0), Since(2, relation.customer_id, 0, 0, relation.id + 1)]
        assert queries.replies_since(tx, wanted) == {1: [(at("2026-03-02 09:00"), "多少钱?")]}


def test_people_without_a_contact_cannot_talk(company: TestCompany) -> None:
    company.befriend("alice", "wmMei")

    assert say(company, "1", "wmMei", "bob").refused == ((0, "wmMei and bob are no contact that is known"),)


def asked(company: TestCompany, customer: str = "wmMei"):
    """A run whose first step was sent on the morning of the second day."""
    company.start(ASKING)
    relation = company.add("alice", customer)
    company.put_tag(relation, company.silent)  # type: ignore[attr-defined]
    company.work_until("2026-03-03 10:00")
    company.requested(relation, "offer")
    company.go_to("2026-03-03 11:00")
    company.sent(relation, "offer")
    company.go_to("2026-03-03 12:00")
    return relation


def test_an_answer_does_what_the_last_sent_step_says(company: TestCompany) -> None:
    relation = asked(company)

    say(company, "1", "wmMei", "alice", "价格呢")
    loop.run_once(company.app)

    held = "select tag_id from relation_tag where coalesce(wanted, case when in_wecom then 1 else 0 end) = 1"
    assert company.rows(held) == [("et-考虑价格",)]
    assert company.rows("select attributes from customer") == [('{"asked": true}',)]
    notes = company.rows("select reason, detail from journal where enrollment_id = ? and kind = 'note'",
                         company.run(relation).id)  # fmt: skip
    assert notes[-1] == ("on_reply", '{"step": "offer", "keywords": "价格"}')


def test_a_talkative_customer_costs_no_call_for_every_message(company: TestCompany) -> None:
    asked(company)

    for ref in "abc":
        say(company, ref, "wmMei", "alice", "价格")
        loop.run_once(company.app)

    assert company.rows("select count(*) from outbox where kind = 'mark_tag'") == [(1,)]


def test_an_answer_from_before_the_sending_does_nothing(company: TestCompany) -> None:
    asked(company)

    say(company, "1", "wmMei", "alice", "价格", at="2026-03-03T10:30:00+08:00")
    loop.run_once(company.app)

    assert company.rows("select count(*) from outbox where kind = 'mark_tag'") == [(0,)]


def test_a_signal_that_cannot_be_handled_is_set_aside_and_tried_again(company: TestCompany) -> None:
    from sopd.commands import RetrySetAside
    from sopd.handlers import aside

    company.customer("wmMei")
    company.customer("wmLan")
    take(company, event("bad", "wmMei"), event("good", "wmLan"))
    with company.store.transaction() as tx:
        tx.run("update signal set properties = 'no json' where ref = 'event/bad'")

    assert loop.run_once(company.app) == 2
    assert company.rows("select kind, row_key from set_aside") == [
        ("signal", str(company.rows("select id from signal where ref = 'event/bad'")[0][0]))
    ]
    assert loop.run_once(company.app) == 0
    with company.store.transaction() as tx:
        tx.run("update signal set properties = '{}' where ref = 'event/bad'")
    assert aside.retry(company.app, RetrySetAside("tester")) == {"signal": 1}
    assert loop.run_once(company.app) == 1


# -- what it costs ---------------------------------------------------------------------------------------------------


def statements(company: TestCompany, work) -> int:
    with hearing(company.store) as seen:
        work()
    return sum(1 for sql in seen if not sql.startswith(("begin", "commit")) and "from clock" not in sql)


def test_statements_of_a_page_do_not_depend_on_its_size(company: TestCompany) -> None:
    company.start(ASKING)
    found = {}
    for count in (1, 200):
        names = [f"wm{count}x{number}" for number in range(count)]
        for name in names:
            company.add("alice", name)
        events = [event(f"{count}/{name}", name) for name in names]
        found["take", count] = statements(company, lambda events=events: take(company, *events))
        found["events", count] = statements(company, lambda: loop.run_once(company.app))
        said = [
            {"ref": f"{count}/{name}", "from": name, "to": "alice", "text": "价格"} for name in names
        ]
        messages = read(Message, said).items
        signals.take_messages(company.app, messages)
        found["replies", count] = statements(company, lambda: loop.run_once(company.app))

    assert {key: found[key, 200] for key in ("take", "events", "replies")} == {
        key: found[key, 1] for key in ("take", "events", "replies")
    }


def test_signals_are_found_through_indexes(company: TestCompany) -> None:
    for sql, params, index in (
        ("select id, customer_id from signal where handled_at is null order by id limit ?", (2000,), "signal_new"),
        ("select exists (select 1 from signal where handled_at is null)", (), "signal_new"),
        ("select s.at from signal s where s.customer_id = ? and s.id > ? and s.handled_at is not null", (1, 0),
         "signal_customer_id_id"),
        ("select c.id from customer c where c.crm_id = ?", ("1",), "customer_crm_id"),
        ("select c.id from customer c where c.phone_hash = ?", ("1",), "customer_phone"),
        ("select c.id from customer c where c.unionid = ?", ("1",), "customer_unionid"),
        ("select e.id from enrollment e where e.sop_id in (1, 2) and e.subject_id in (3, 4)"
         " and e.state = 'normal_end' and e.closed_at >= ?", (0,), "enrollment_runs"),
        ("select hash from token where hash = ? and revoked_at is null", ("x",), "token_hash"),
    ):  # fmt: skip
        assert_uses_index(company.store, sql, params, index)
