"""Histories in which engine and oracle once differed: what was wrong is told by the name of each test."""

from __future__ import annotations

import pytest

from tests.support.checking import check
from tests.support.telling import history, nurture, sop


def test_a_step_missed_before_the_entry_overtakes_nobody(fresh) -> None:
    check(
        history(
            sop("care", "first after: 10m", 'second day: 0, at: "09:00"'), deeds=[("09-14 15:00:01", "add alice mei")]
        ),
        fresh(),
    )


def test_a_push_that_waits_for_another_relations_claim_is_nobodys_rival(fresh) -> None:
    """Bob's second step waits for Alice's, which is put off to the third day: the second day is free for `low`."""
    high = sop("high", 'first day: 1, at: "10:00"', 'second day: 2, at: "08:00"', priority="60")
    low = sop("low", 'only day: 2, at: "18:00"', once_per="relation")
    deeds = [("09-14 15:00:01", "add bob mei"), ("09-14 15:30:03", "add alice mei")]
    check(history(high, low, deeds=deeds, habits={"bob": (None,)}), fresh())


@pytest.mark.parametrize("policy", ["{within: 3h}", "next_day"])
def test_a_step_kept_at_entry_stays_behind_the_one_before_it(fresh, policy: str) -> None:
    care = sop("care", "first after: 30h", 'second day: 0, at: "10:00"', late_at_entry=policy)
    check(history(care, deeds=[("09-14 12:00:01", "add alice mei")]), fresh())


def test_nobody_is_refused_at_the_end_of_the_wait_whose_rule_stayed_true(fresh) -> None:
    one = nurture("one", "first after: 10m", when="{tag: [r/out]}", reenter="{after: 1d}")
    deeds = [("09-14 10:40:07", "add alice mei"), ("09-14 10:40:09", "tag alice mei r/out")]
    check(history(one, deeds=deeds, days=4), fresh())


def test_a_relation_that_begins_leads_to_every_gate_whatever_its_rule_asks(fresh) -> None:
    one = nurture("one", 'first day: 0, at: "18:00"', when="{attribute: {level: {exists: false}}}")
    check(history(one, deeds=[("09-14 10:40:07", "add alice mei")], days=2), fresh())


@pytest.mark.parametrize("how", ["shift", "catch_up", "skip"])
def test_a_stepwise_run_that_is_resumed_falls_due_on_an_allowed_day(fresh, how: str) -> None:
    """Shifted by two days its second step would fall on a Saturday."""
    care = sop(
        "care", 'one day: 1, at: "10:00"', 'two day: 2, at: "18:00"', 'three day: 3, at: "09:00"', pace="stepwise",
        calendar="weekdays",
    )  # fmt: skip
    deeds = [
        ("09-14 09:00:01", "add alice mei"), ("09-16 12:00:00", "pause care"), ("09-18 11:00:00", f"resume care {how}"),
    ]  # fmt: skip
    check(history(care, deeds=deeds), fresh())


def test_whoever_enters_again_gets_every_step_again(fresh) -> None:
    again = nurture("again", 'first day: 1, at: "10:00"', when="{tag: [r/bought]}", reenter="after_end")
    deeds = [("09-14 10:40:07", "add alice mei"), ("09-14 12:40:09", "tag alice mei r/bought"),
             ("09-16 12:00:11", "untag alice mei r/bought"), ("09-16 13:00:13", "tag alice mei r/bought")]  # fmt: skip
    check(history(again, deeds=deeds, days=6), fresh())


def test_whoever_adds_the_member_again_gets_every_step_again(fresh) -> None:
    care = sop("care", 'first day: 1, at: "10:00"', entry="{reenter: after_end}")
    deeds = [("09-14 10:40:07", "add alice mei"), ("09-16 12:40:09", "member_delete alice mei"),
             ("09-16 13:00:13", "add alice mei")]  # fmt: skip
    check(history(care, deeds=deeds, days=6), fresh())


def test_who_is_refused_by_a_draft_for_new_customers_is_the_relation_that_was_named(fresh) -> None:
    """The customer's id was once taken for a relation's."""
    care = sop("care", 'first day: 1, at: "10:00"')
    deeds = [
        ("09-14 09:00:01", "add bob lan"), ("09-14 10:00:03", "add bob mei"), ("09-14 10:30:05", "add alice mei"),
        ("09-14 11:00:07", "enter alice mei care"),
    ]  # fmt: skip
    check(history(care, deeds=deeds, days=2, later=("care",)), fresh())


def test_who_has_added_a_member_one_way_is_known(fresh) -> None:
    one = nurture("one", 'first day: 1, at: "10:00"', when="{attribute: {level: gold}}")
    deeds = [
        ("09-14 10:00:03", "half_add bob mei"), ("09-14 10:30:05", "attribute bob mei level=gold"),
        ("09-14 11:00:07", "confirm_half bob mei"),
    ]  # fmt: skip
    check(history(one, deeds=deeds, days=3), fresh())


def test_nobody_enters_through_a_member_who_has_no_such_contact(fresh) -> None:
    care = sop("care", 'first day: 1, at: "10:00"', "second after: 30h")
    deeds = [
        ("09-14 10:00:03", "add bob mei"), ("09-14 10:30:05", "enter alice mei care"),
        ("09-14 11:00:07", "add alice mei"),
    ]  # fmt: skip
    check(history(care, deeds=deeds, days=2), fresh())
