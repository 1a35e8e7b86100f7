"""The oracle on nurture SOPs, flows, chains and inheritance, against SPEC examples worked out by hand (SPEC 4, 8)."""

from __future__ import annotations

import pytest

from tests.support.oracle.history import at
from tests.support.telling import nurture, outcome, refused, run, sop, told

DAY_ONE = 'first day: 1, at: "10:00"'
ADDED = ("09-14 15:00", "add alice mei")


def began(company, key: str) -> list[tuple[str, str, str, str]]:
    """(member, customer, cause, state) of every run of a SOP."""
    runs = [one for one in company.runs if one.sop.plan.key == key]
    return [(one.relation.member, one.customer, one.cause, one.state) for one in runs]


def test_a_tag_brings_a_customer_into_a_nurture_sop_from_that_moment_on() -> None:
    company = told(
        nurture("again", DAY_ONE, when="{tag: [r/bought]}"), deeds=[ADDED, ("09-16 12:00", "tag alice mei r/bought")]
    )

    assert run(company, "again").anchor == at("2026-09-16 12:00")
    assert outcome(run(company, "again")) == ["first sent 09-17 10:11"]


@pytest.mark.parametrize(
    ("rule", "owner"), [("first_added", "alice"), ("last_added", "bob"), ("tagged_by", "bob")]
)
def test_the_owner_rule_names_who_acts(rule: str, owner: str) -> None:
    deeds = [ADDED, ("09-14 16:00", "add bob mei"), ("09-16 12:00", "tag bob mei r/bought")]
    company = told(nurture("again", DAY_ONE, when="{tag: [r/bought]}", owner=rule), deeds=deeds)

    assert began(company, "again") == [(owner, "mei", "rule", "normal_end")]


def test_all_tags_of_one_condition_must_be_on_one_relation() -> None:
    deeds = [ADDED, ("09-14 16:00", "add bob mei"), ("09-15 12:00", "tag alice mei r/bought"),
             ("09-15 13:00", "tag bob mei r/price"), ("09-16 12:00", "tag bob mei r/bought")]  # fmt: skip
    company = told(nurture("again", DAY_ONE, when="{all: [{tag: [r/bought]}, {tag: [r/price]}]}"), deeds=deeds)

    assert run(company, "again").entered == at("2026-09-16 12:00")


def test_entry_and_end_both_true_is_refused_and_through_a_flow_it_enters_all_the_same() -> None:
    winback = nurture("winback", DAY_ONE, when="{tag: [r/price]}", early_end="{when: {tag: [r/bought]}}")
    care = sop("care", DAY_ONE, normal_end="{flow_to: winback}")
    deeds = [ADDED, ("09-14 16:00", "tag alice mei r/bought"), ("09-14 16:01", "tag alice mei r/price")]
    company = told(care, winback, deeds=deeds)

    assert refused(company) == [("winback", "mei", {"already at its end"})]
    assert began(company, "winback") == [("alice", "mei", "flow:care", "normal_end")]


def test_what_held_at_flow_in_ends_nobody_until_it_has_been_false_once() -> None:
    winback = nurture("winback", 'first day: 6, at: "10:00"', early_end="{when: {tag: [r/bought]}}")
    care = sop("care", DAY_ONE, normal_end="{flow_to: winback}")
    deeds = [ADDED, ("09-14 16:00", "tag alice mei r/bought"), ("09-16 12:00", "untag alice mei r/bought"),
             ("09-17 12:00", "tag alice mei r/bought")]  # fmt: skip
    company = told(care, winback, deeds=deeds)

    assert (run(company, "winback").state, run(company, "winback").closed) == ("early_end", at("2026-09-17 12:00"))


def test_an_inherited_tag_under_not_does_not_end_a_run_at_once() -> None:
    winback = nurture("winback", 'first day: 6, at: "10:00"', early_end="{when: {not: {tag: [r/bought]}}}")
    care = sop("care", DAY_ONE, normal_end="{flow_to: winback}")
    deeds = [ADDED, ("09-17 12:00", "tag alice mei r/bought"), ("09-18 12:00", "untag alice mei r/bought")]
    company = told(care, winback, deeds=deeds)

    assert (run(company, "winback").state, run(company, "winback").closed) == ("early_end", at("2026-09-18 12:00"))


def test_a_flow_back_in_the_same_chain_is_cut_and_the_source_ends_all_the_same() -> None:
    one = nurture("one", DAY_ONE, when="{tag: [r/bought]}", reenter="after_end", normal_end="{flow_to: two}")
    two = nurture("two", DAY_ONE, normal_end="{flow_to: one}")
    company = told(one, two, deeds=[ADDED, ("09-14 16:00", "tag alice mei r/bought")])

    assert began(company, "two") == [("alice", "mei", "flow:one", "normal_end")]
    assert refused(company) == [("one", "mei", {"already entered in this chain"})]


def test_re_entry_needs_the_rule_to_have_been_false_and_the_wait_to_be_over() -> None:
    one = nurture("one", DAY_ONE, when="{tag: [r/bought]}", reenter="{after: 3d}")
    deeds = [ADDED, ("09-14 16:00", "tag alice mei r/bought"), ("09-16 12:00", "untag alice mei r/bought"),
             ("09-16 13:00", "tag alice mei r/bought")]  # fmt: skip
    company = told(one, deeds=deeds)

    first, second = run(company, "one"), run(company, "one", run_no=2)
    assert refused(company) == [("one", "mei", {"re-entry too soon"})]
    assert second.entered == first.closed + 3 * 86_400_000


def test_initialisation_takes_in_everybody_and_they_share_the_day_of_the_start() -> None:
    deeds = [ADDED, ("09-14 16:00", "add bob lan"), ("09-14 17:00", "tag bob lan r/bought"),
             ("09-16 12:00", "start one")]  # fmt: skip
    company = told(nurture("one", DAY_ONE, when="{not: {tag: [r/bought]}}"), deeds=deeds, later=("one",))

    assert began(company, "one") == [("alice", "mei", "initialised", "normal_end")]
    assert run(company, "one").anchor == at("2026-09-16 12:00")


def test_time_alone_brings_somebody_in() -> None:
    company = told(nurture("gift", DAY_ONE, when="{added: {older_than: 3d}}"), deeds=[ADDED])

    assert run(company, "gift").entered == at("2026-09-17 15:00")


def test_an_event_lets_in_and_only_a_later_one_ends() -> None:
    one = nurture("one", DAY_ONE, when="{event: order}", early_end="{when: {event: order}}", anchor="event")
    company = told(one, deeds=[ADDED, ("09-14 16:00", "event - mei order"), ("09-14 17:00", "event - mei order")])

    assert (run(company, "one").state, run(company, "one").closed) == ("early_end", at("2026-09-14 17:00"))


def test_a_manual_entry_is_exempt_from_the_entry_rule_only() -> None:
    one = nurture("one", DAY_ONE, when="{tag: [r/bought]}", early_end="{when: {tag: [r/price]}}")
    company = told(one, deeds=[ADDED, ("09-14 16:00", "enter alice mei one"), ("09-14 17:00", "tag alice mei r/price")])

    assert began(company, "one") == [("alice", "mei", "manual", "early_end")]


def test_a_transfer_ends_one_run_and_begins_the_other_and_refused_it_changes_nothing() -> None:
    two = nurture("two", DAY_ONE)
    three = nurture("three", DAY_ONE)
    deeds = [ADDED, ("09-14 16:00", "move alice mei care>three"), ("09-14 17:00", "move alice mei care>two")]
    company = told(sop("care", DAY_ONE), two, three, deeds=deeds, later=("three",))

    assert run(company).state == "manual_end"
    assert began(company, "two") == [("alice", "mei", "flow:care", "normal_end")]
    assert began(company, "three") == []


def test_attributes_that_an_end_sets_are_news_like_any_other() -> None:
    care = sop("care", DAY_ONE, normal_end="{set: {level: gold}}")
    company = told(care, nurture("gold", DAY_ONE, when="{attribute: {level: gold}}"), deeds=[ADDED])

    assert company.customers["mei"].attributes == {"level": "gold"}
    assert run(company, "gold").chain.chain == ("care", "gold")


def test_a_nurture_run_goes_on_with_another_member_when_its_owner_is_lost() -> None:
    deeds = [ADDED, ("09-14 16:00", "add bob mei"), ("09-14 17:00", "tag alice mei r/bought"),
             ("09-14 18:00", "member_delete alice mei")]  # fmt: skip
    company = told(nurture("one", DAY_ONE, when="{tag: [r/bought]}"), deeds=deeds)

    assert began(company, "one") == [("bob", "mei", "rule", "normal_end")]
