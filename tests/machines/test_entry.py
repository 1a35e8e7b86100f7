"""Who enters and why not: each reason alone, their order, the gates, and what is inherited."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from machines import reasons
from machines.entry import MOST_HOPS, Admission, EntryFacts, admit, is_new, rule_holds, wait_is_over
from machines.facts import Facts
from machines.rules import literals
from tests.support.programs import program

EXPO = Facts(now=0, source="expo2026", add_way=1)
CARE = program(
    entry={"when": {"source": ["expo2026"]}, "reenter": "after_end"},
    early_end={"when": {"tag": ["已复购"]}},
)
NURTURE = program(
    kind="nurture",
    entry={"when": {"tag": ["已购"]}, "reenter": {"after": "30d"}},
    early_end={"when": {"all": [{"tag": ["已复购"]}, {"not": {"tag": ["沉睡"]}}]}},
    steps=[{"id": "hi", "by": "mass_send", "day": 1, "at": "10:00", "text": "hi"}],
)
PLAIN = EntryFacts(EXPO)
BOUGHT = EntryFacts(Facts(now=0, tags=frozenset({"已购"})))
# In the order of the page; the pause is last, for it is recorded of those who would have entered.
REFUSALS: list[tuple[str, dict[str, Any]]] = [
    (reasons.SOP_ENDED, {"sop_state": "ended"}),
    (reasons.NOT_NEW, {"is_new": False}),
    (reasons.OUT_OF_SCOPE, {"in_scope": False}),
    (reasons.RULE_FALSE, {"about": replace(EXPO, source="live", tags=frozenset({"已复购"}))}),
    (reasons.INHERITED, {"is_inherited": True}),
    (reasons.MUTED, {"muted": True}),
    (reasons.MEMBER_UNABLE, {"member_able": False}),
    (reasons.AT_ITS_END, {"about": replace(EXPO, tags=frozenset({"已复购"}))}),
    (reasons.INSIDE, {"inside": True}),
    (reasons.TOO_SOON, {"ran_before": True, "wait_over": False}),
    (reasons.CHAIN_REPEATED, {"entered_in_chain": True}),
    (reasons.CHAIN_TOO_LONG, {"hops": MOST_HOPS + 1}),
    (reasons.SOP_PAUSED, {"sop_state": "paused"}),
]


def test_a_new_customer_from_the_right_source_enters() -> None:
    assert admit(CARE, PLAIN) == Admission(True)
    assert admit(CARE, PLAIN._replace(sop_state="initialising")).enter


@pytest.mark.parametrize(("reason", "fault"), REFUSALS, ids=[reason for reason, _ in REFUSALS])
def test_each_fault_alone_refuses_with_its_reason(reason: str, fault: dict[str, Any]) -> None:
    admission = admit(CARE, PLAIN._replace(**fault))

    assert (admission.enter, admission.reason, admission.inherited) == (False, reason, frozenset())
    assert reason in reasons.TEXTS


@pytest.mark.parametrize("first", range(len(REFUSALS)))
def test_of_several_reasons_the_first_of_the_page_is_given(first: int) -> None:
    facts = PLAIN
    for _, fault in reversed(REFUSALS[first:]):
        facts = facts._replace(**fault)

    assert admit(CARE, facts).reason == REFUSALS[first][0]


def test_a_sop_that_was_never_started_refuses() -> None:
    assert admit(CARE, PLAIN._replace(sop_state="draft")).reason == "sop not started"


def test_refusals_are_recorded_only_of_those_the_sop_is_meant_for() -> None:
    recorded = {reason for reason, fault in REFUSALS if admit(CARE, PLAIN._replace(**fault)).recorded}

    not_meant = {"sop ended", "not new", "member not in scope", "entry rule false"}
    assert {reason for reason, _ in REFUSALS} - recorded == not_meant


@pytest.mark.parametrize("gate", ["flow", "manual"])
def test_a_gate_bypasses_the_entry_rule_and_the_refusal_at_the_end_and_nothing_else(gate: Any) -> None:
    """SPEC 4: flow gate."""
    bypassed = {"entry rule false", "already at its end"} | ({"sop paused"} if gate == "flow" else set())

    for reason, fault in REFUSALS:
        admission = admit(CARE, PLAIN._replace(gate=gate, **fault))
        assert admission.enter is (reason in bypassed)
        assert admission.reason == ("" if reason in bypassed else reason)


def test_through_a_gate_what_already_holds_of_the_end_is_inherited() -> None:
    """D4: literals, with their sign."""
    both = Facts(now=0, tags=frozenset({"已复购"}))
    asleep = Facts(now=0, tags=frozenset({"沉睡"}))
    rule = NURTURE.early_end_rule

    assert rule is not None
    assert admit(NURTURE, EntryFacts(both, gate="flow")).inherited == literals(rule)
    assert admit(NURTURE, EntryFacts(asleep, gate="manual")).inherited == frozenset()
    assert admit(program(), EntryFacts(both, gate="flow")).inherited == frozenset()


def test_without_an_entry_rule_every_new_customer_is_meant_and_nobody_else() -> None:
    nurture = program(
        kind="nurture", steps=[{"id": "hi", "by": "mass_send", "day": 1, "at": "10:00", "text": "hi"}]
    )

    assert rule_holds(program(), EXPO)
    assert not rule_holds(nurture, EXPO)
    assert admit(nurture, EntryFacts(EXPO, gate="manual")).enter


def test_old_and_inherited_customers_may_be_nurtured() -> None:
    assert admit(NURTURE, BOUGHT._replace(is_new=False, is_inherited=True)).enter


def test_reentry_is_never_after_the_end_or_after_some_time() -> None:
    never = program()

    assert admit(never, PLAIN._replace(ran_before=True)).reason == "re-entry never"
    assert admit(never, PLAIN._replace(ran_before=True, gate="manual")).reason == "re-entry never"
    assert admit(CARE, PLAIN._replace(ran_before=True)).enter
    assert admit(NURTURE, BOUGHT._replace(ran_before=True, wait_over=False)).reason == "re-entry too soon"


def test_reentry_by_rule_needs_the_rule_to_have_been_false_and_an_add_is_a_change_itself() -> None:
    """SPEC 4; D24: a re-add is the same relation, `reenter` decides."""
    again = {"ran_before": True, "rule_was_false": False}

    assert admit(NURTURE, BOUGHT._replace(**again)).reason == "entry rule true since the last end"
    assert admit(NURTURE, BOUGHT._replace(gate="flow", **again)).enter
    assert admit(CARE, PLAIN._replace(**again)).enter


def test_ten_hops_are_allowed_and_one_more_is_cut() -> None:
    assert admit(CARE, PLAIN._replace(hops=10)).enter
    assert admit(CARE, PLAIN._replace(hops=11)).reason == "chain too long"


@pytest.mark.parametrize(
    ("began_at", "new"), [(10_000, True), (10_999, True), (11_000, True), (9_999, False), (0, False)]
)
def test_a_relation_of_the_same_second_as_the_start_is_new(began_at: int, new: bool) -> None:
    """WeCom gives createtime in whole seconds: the start at 10.4 s must not refuse an add at 10.9 s."""
    assert is_new(began_at, started_at=10_400) is new


def test_the_wait_between_two_runs_is_counted_from_the_end() -> None:
    day = 86_400_000

    assert not wait_is_over(NURTURE, ended_at=0, now=30 * day - 1)
    assert wait_is_over(NURTURE, ended_at=0, now=30 * day)
    assert wait_is_over(CARE, ended_at=0, now=0)


@given(st.sets(st.sampled_from(range(len(REFUSALS)))), st.sampled_from(["own", "flow", "manual"]))
def test_whoever_is_refused_has_a_reason_with_a_text_and_whoever_enters_has_none(faults: set[int], gate: Any) -> None:
    facts = PLAIN._replace(gate=gate)
    for index in faults:
        facts = facts._replace(**REFUSALS[index][1])

    admission = admit(CARE, facts)

    assert admission.enter is (admission.reason == "")
    assert admission.enter or admission.reason in reasons.TEXTS
    assert not (admission.enter and admission.recorded)
