"""Attributes and audiences from outside: only differences are news, and a contradiction is told before anything."""

from __future__ import annotations

import pytest

from sopd.commands import ImportAudience
from sopd.errors import Refused
from sopd.handlers import attribute_imports, attributes, audiences
from sopd.handlers.attributes import Change
from sopd.handlers.happened import Cause
from sopd.incoming import files
from sopd.incoming.identities import phone_hash
from sopd.incoming.people import people
from sopd.store import Store
from tests.support.company import TestCompany


@pytest.fixture
def company(store: Store) -> TestCompany:
    return TestCompany(store)


def resolve(company: TestCompany, text: str, *, clear: bool = False) -> attribute_imports.Resolved:
    rows = files.read("crm.csv", text.encode())
    found = people(rows)
    rows.require()
    with company.store.reading() as tx:
        return attribute_imports.resolve(tx, found, clear=clear)


def test_attributes_are_written_and_told_only_where_they_differ(company: TestCompany) -> None:
    mei, lan = company.customer("wmMei").id, company.customer("wmLan", attributes='{"level": "gold", "n": 1}').id

    with company.store.transaction() as tx:
        news = attributes.write(tx, [
            Change(mei, {"vip": True, "n": 1}, Cause(3)), Change(lan, {"level": "gold", "n": True}),
            Change(mei, {"n": None, "level": "gold"}, Cause(3)), Change(4711, {"a": 1}),
        ])  # fmt: skip
        again = attributes.write(tx, [Change(mei, {"vip": True, "nothing": None})])

    assert again == []
    assert [(one.customer_id, sorted(one.touched.attributes), one.cause.hop) for one in news] == [
        (mei, ["level", "n", "vip"], 3), (lan, ["n"], 0),
    ]  # fmt: skip
    assert company.rows("select attributes from customer order by id") == [
        ('{"level": "gold", "vip": true}',), ('{"level": "gold", "n": true}',),
    ]  # fmt: skip


def test_a_table_of_customers_sets_typed_attributes_and_teaches_what_they_are_called(company: TestCompany) -> None:
    company.customer("wmMei", attributes='{"old": "x"}')
    company.customer("wmLan", crm_id="77")

    resolved = resolve(
        company,
        "external_userid,crm_id,phone,level,amount:number,vip:truth,paid_on:date,old\n"
        "wmMei,42,138 0013 8000,gold,99.5,yes,2026/3/1,\n"
        ",77,,,12,否,,\n",
    )

    assert (resolved.unknown, resolved.faults) == ([], [])
    assert attribute_imports.take(company.app, resolved.known) == 2
    assert attribute_imports.take(company.app, resolved.known) == 0
    assert company.rows("select external_userid, crm_id, phone_hash, attributes from customer order by id") == [
        ("wmMei", "42", phone_hash("+8613800138000"),
         '{"amount": 99.5, "level": "gold", "old": "x", "paid_on": "2026-03-01", "vip": true}'),
        ("wmLan", "77", None, '{"amount": 12, "vip": false}'),
    ]  # fmt: skip


def test_an_empty_field_takes_an_attribute_away_only_if_that_is_wanted(company: TestCompany) -> None:
    company.customer("wmMei", attributes='{"level": "gold"}')

    kept = resolve(company, "external_userid,level\nwmMei,\n")
    cleared = resolve(company, "external_userid,level\nwmMei,\n", clear=True)

    assert attribute_imports.take(company.app, kept.known) == 0
    assert attribute_imports.take(company.app, cleared.known) == 1
    assert company.rows("select attributes from customer") == [("{}",)]


def test_who_is_unknown_or_contradicts_is_told_by_line(company: TestCompany) -> None:
    company.customer("wmMei", crm_id="42")
    company.customer("wmLan")

    resolved = resolve(
        company, "external_userid,crm_id,level\nwmNobody,,a\nwmMei,,b\nwmLan,42,c\n,42,d\nwmLan,43,e\n"
    )

    assert resolved.unknown == [(2, "no customer has external_userid wmNobody")]
    assert resolved.faults == [
        (4, "crm_id 42 is another customer's"), (5, "crm_id 42 is the customer of line 3 too"),
        (6, "external_userid wmLan is the customer of line 4 too"),
    ]  # fmt: skip
    assert [one.line for one in resolved.known] == [3]


def test_an_audience_becomes_what_the_list_says(company: TestCompany) -> None:
    one, two, three = (company.customer(f"wm{n}").id for n in range(3))

    first = audiences.begin(company.app, ImportAudience("vip", "tester"), [one, two, two])
    assert (first.join, first.leave, first.stay) == ([one, two], [], 0)
    assert audiences.join(company.app, first, first.join) == 2
    then = audiences.begin(company.app, ImportAudience("vip", "tester"), [two, three])
    assert (then.join, then.leave, then.stay) == ([three], [one], 1)
    assert (audiences.join(company.app, then, [three, two]), audiences.leave(company.app, then, then.leave)) == (1, 1)
    more = audiences.begin(company.app, ImportAudience("vip", "tester", keep=True), [one])

    assert (more.join, more.leave, more.stay) == ([one], [], 2)
    assert company.rows("select customer_id from audience_member order by 1") == [(two,), (three,)]


def test_an_audience_is_named_as_rules_can_write_it(company: TestCompany) -> None:
    with pytest.raises(Refused, match="VIP 客户"):
        audiences.begin(company.app, ImportAudience("VIP 客户", "tester"), [])
