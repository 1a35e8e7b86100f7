"""The life of a push and planning's checks: stories first, then every pair, arrow, guard and callback."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from machines import reasons
from machines.errors import IllegalEvent
from machines.events import (
    PushCancelled,
    PushConfirmed,
    PushDelayed,
    PushEvent,
    PushExpired,
    PushOvertaken,
    PushPlanned,
    PushRefused,
    PushRequested,
    PushResolved,
    PushReturned,
    PushSkipped,
    ResultNotFriend,
    ResultQuota,
    ResultSent,
    ResultUnreported,
    RetryWanted,
    WelcomeUsed,
)
from machines.push import (
    CHECKS,
    FINAL,
    OPEN,
    STATES,
    TABLE,
    PlanFacts,
    PushFacts,
    Verdict,
    check,
    decide,
    is_settled,
    mark_of,
)
from tests.support.walking import arrows, grid, illegal_pairs, reached, silent_parts

PLAIN = PushFacts()
ENDED = PushFacts(enrollment_open=False, end_reason=reasons.EARLY_END, ended_at=1_000)
EVENTS: tuple[PushEvent, ...] = (
    PushPlanned(), PushDelayed("quiet hours", 5), PushSkipped("condition"), PushOvertaken(), PushCancelled("early end"),
    PushExpired("capacity"), PushReturned("re-issue", 9), PushRequested(), PushRefused("refused by WeCom 40096"),
    WelcomeUsed(), PushConfirmed(), ResultSent(2_000), ResultNotFriend(), ResultQuota("defer", 7),
    ResultQuota("remind"), ResultQuota("skip"), ResultQuota("give_up"), ResultUnreported(), RetryWanted("op"),
    PushResolved(True, 2_000, "op"), PushResolved(False, 2_000, "op"),
)  # fmt: skip
FACTS = grid(
    PushFacts,
    enrollment_open=(True, False),
    ended_at=(None, 1_000),
    task=("none", "doubtful", "open", "retired"),
    reason=(None, reasons.NOT_REPORTED),
    later_step_fired=(False, True),
)


def story(*events: PushEvent, facts: PushFacts = PLAIN, start: str = "due") -> list[str]:
    """The states a push goes through."""
    states = [start]
    for event in events:
        states.append(decide(states[-1], event, facts).state)
    return states


def contexts(event_name: str) -> list[dict[str, Any]]:
    return [{"event": event, "facts": facts} for event in EVENTS if event.name == event_name for facts in FACTS]


def test_the_plain_way_from_due_to_sent() -> None:
    assert story(PushPlanned(), PushRequested(), PushConfirmed(), ResultSent(5)) == [
        "due", "planned", "requested", "confirmed", "sent",
    ]  # fmt: skip


def test_a_push_waits_with_reason_and_instant_and_is_planned_later() -> None:
    waiting = decide("due", PushDelayed(reasons.QUIET_HOURS, 99), PLAIN)

    assert (waiting.state, waiting.reason, waiting.until, waiting.settled) == ("waiting", "quiet hours", 99, False)
    assert story(PushDelayed("quiet hours", 9), PushDelayed("quota", 10), PushPlanned()) == [
        "due", "waiting", "waiting", "planned",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("event", "state", "reason"),
    [
        (PushSkipped(reasons.CONDITION), "skipped", "condition"),
        (PushOvertaken(), "skipped", "overtaken"),
        (PushExpired(reasons.CAPACITY), "expired", "capacity"),
        (PushCancelled(reasons.EARLY_END), "cancelled", "early end"),
        (PushRefused("refused by WeCom 45002"), "failed", "refused by WeCom 45002"),
        (WelcomeUsed(), "skipped", "welcome already used"),
        (ResultNotFriend(), "failed", "not a friend"),
        (ResultQuota("skip"), "skipped", "quota"),
        (ResultQuota("give_up"), "failed", "quota"),
    ],
)
@pytest.mark.parametrize("start", ["due", "waiting", "planned"])
def test_every_end_before_the_task_has_its_reason(start: str, event: PushEvent, state: str, reason: str) -> None:
    decision = decide(start, event, PLAIN)

    assert (decision.state, decision.reason, decision.settled, decision.mark) == (state, reason, True, None)


def test_a_full_quota_defers_or_hands_over_to_a_reminder() -> None:
    deferred = decide("planned", ResultQuota("defer", 77), PLAIN)
    reminded = decide("due", ResultQuota("remind"), PLAIN)

    assert (deferred.state, deferred.reason, deferred.until) == ("waiting", "quota", 77)
    assert (reminded.state, reminded.reason, reminded.by_reminder) == ("due", "quota", True)


@pytest.mark.parametrize("task", ["doubtful", "open"])
@pytest.mark.parametrize("state", ["planned", "requested"])
@pytest.mark.parametrize(
    "event", [PushCancelled("early end"), PushExpired("not confirmed"), PushReturned("re-issue", 5)]
)
def test_we_do_not_decide_over_a_task_that_may_be_out(state: str, task: Any, event: PushEvent) -> None:
    decision = decide(state, event, replace(PLAIN, task=task))

    assert (decision.state, decision.ignored, decision.reason) == (state, True, "task is out")


@pytest.mark.parametrize(
    ("event", "state", "reason"),
    [
        (PushCancelled(reasons.OPERATOR), "cancelled", "by operator"),
        (PushExpired(reasons.NOT_CONFIRMED), "expired", "not confirmed"),
        (PushReturned(reasons.REISSUE, 5), "waiting", "re-issue"),
    ],
)
def test_a_retired_task_frees_its_pushes(event: PushEvent, state: str, reason: str) -> None:
    decision = decide("requested", event, PushFacts(task="retired"))

    assert (decision.state, decision.reason) == (state, reason)


@pytest.mark.parametrize("event", [PushReturned("re-issue"), PushExpired("not confirmed"), PushReturned("sop paused")])
def test_what_comes_back_after_the_end_of_its_run_is_cancelled_with_the_runs_reason(event: PushEvent) -> None:
    decision = decide("requested", event, replace(ENDED, task="retired"))

    assert (decision.state, decision.reason, decision.mark) == ("cancelled", "early end", None)


def test_a_full_quota_after_the_end_cancels_instead_of_deferring() -> None:
    assert decide("confirmed", ResultQuota("defer", 7), ENDED).state == "cancelled"
    assert decide("due", PushPlanned(), ENDED).state == "cancelled"


@pytest.mark.parametrize(
    ("sent_at", "ended_at", "mark"),
    [(1_001, 1_000, "could not stop"), (1_000, 1_000, None), (999, 1_000, None), (5_000, None, None)],
)
def test_could_not_stop_is_only_what_was_sent_after_the_end(sent_at: int, ended_at: int | None, mark: str) -> None:
    """D22: a send_time not after the end's instant is plain sent; lost and merged runs give no instant."""
    facts = PushFacts(enrollment_open=False, ended_at=ended_at, task="open")

    decision = decide("requested", ResultSent(sent_at), facts)

    assert (decision.state, decision.mark, decision.reason) == ("sent", mark, None)
    assert mark_of(sent_at, ended_at) == mark


def test_confirmed_without_a_report_fails_and_is_never_sent_again() -> None:
    """D18."""
    failed = decide("confirmed", ResultUnreported(), PLAIN)
    retry = decide("failed", RetryWanted("op"), PushFacts(reason=failed.reason))

    assert (failed.state, failed.reason) == ("failed", "not reported")
    assert (retry.state, retry.ignored, retry.reason) == ("failed", True, "not reported")


@pytest.mark.parametrize("state", ["failed", "skipped", "expired", "cancelled"])
def test_an_operator_may_retry_while_the_run_stands_at_this_step(state: str) -> None:
    assert decide(state, RetryWanted("op"), PLAIN).state == "due"
    assert decide(state, RetryWanted("op"), PushFacts(later_step_fired=True)).reason == "a later step has fired"
    assert decide(state, RetryWanted("op"), PushFacts(enrollment_open=False)).reason == "enrollment ended"


def test_a_retry_of_what_was_sent_or_cannot_be_repeated_is_refused_with_the_reason() -> None:
    assert decide("sent", RetryWanted("op"), PLAIN).reason == "already sent"
    assert decide("skipped", RetryWanted("op"), PushFacts(repeatable=False)).reason == "welcome code expired"


@pytest.mark.parametrize("state", ["failed", "expired", "cancelled"])
def test_wecoms_word_corrects_ours(state: str) -> None:
    assert decide(state, ResultSent(5), PLAIN).state == "sent"


def test_an_operator_corrects_a_push_that_nobody_could_look_up() -> None:
    """D20."""
    facts = PushFacts(task="doubtful")

    assert decide("planned", PushResolved(True, 5, "op"), facts).state == "sent"
    assert decide("requested", PushResolved(False, 5, "op"), facts).reason == "not sent"
    assert decide("planned", PushResolved(True, 5, "op"), replace(ENDED, ended_at=1)).mark == "could not stop"


def test_a_task_that_needs_an_operator_counts_as_settled() -> None:
    assert not is_settled("requested")
    assert is_settled("requested", needs_operator=True)
    assert all(is_settled(state) for state in FINAL)


def test_an_unknown_state_is_illegal() -> None:
    with pytest.raises(IllegalEvent):
        decide("gone", PushPlanned(), PLAIN)


def test_the_table_is_total_and_every_arrow_is_taken() -> None:
    assert {event.name for event in EVENTS} == set(TABLE.events)
    assert illegal_pairs(TABLE) == set()
    assert reached(TABLE, contexts) == arrows(TABLE)


def test_every_guard_and_every_callback_speaks() -> None:
    assert silent_parts(TABLE, contexts) == set()


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("event", EVENTS, ids=repr)
def test_a_decision_agrees_with_itself(state: str, event: PushEvent) -> None:
    for facts in FACTS:
        decision = decide(state, event, facts)

        assert decision.state in STATES
        assert decision.settled is (decision.state in FINAL)
        if decision.ignored:
            assert (decision.state, decision.mark, decision.until) == (state, None, None)
        assert decision.mark is None or decision.state == "sent"
        assert decision.until is None or decision.state == "waiting"
        if decision.state in FINAL and decision.state != state and decision.state != "sent":
            assert decision.reason, "every push ends with a reason a person can read"


@given(
    st.sampled_from(STATES), st.lists(st.tuples(st.sampled_from(EVENTS), st.sampled_from(FACTS)), max_size=15)
)
def test_sent_is_forever_and_nothing_leaves_a_final_state_but_a_retry_or_wecoms_word(
    state: str, history: list[tuple[PushEvent, PushFacts]]
) -> None:
    for event, facts in history:
        after = decide(state, event, facts).state
        if state == "sent":
            assert after == "sent"
        if state in FINAL and after in OPEN:
            assert event.name == "retry_wanted"
        if state in FINAL and after in FINAL and after != state:
            assert event.name == "result_sent"
        state = after


@given(st.sampled_from(("planned", "requested", "confirmed")), st.sampled_from(EVENTS), st.sampled_from(FACTS))
def test_nobody_plans_again_what_may_still_be_confirmed(state: str, event: PushEvent, facts: PushFacts) -> None:
    """The heart of "not twice": only WeCom's own word brings a push with a live task back to planning."""
    after = decide(state, event, facts).state

    if after in ("due", "waiting") and facts.task in ("doubtful", "open"):
        assert event.name == "result_quota"


# -- planning's checks

READY = PlanFacts()
FAULTS: list[tuple[str, dict[str, Any], PushEvent]] = [
    ("enrollment open", {"enrollment_open": False, "end_reason": "lost"}, PushCancelled("lost")),
    ("sop running", {"sop_state": "paused"}, PushDelayed("sop paused")),
    ("handed over", {"handover_until": 700}, PushDelayed("handed over", 700)),
    ("only_if", {"only_if": False}, PushSkipped("condition")),
    ("muted", {"muted": True}, PushSkipped("muted")),
    ("owner able", {"owner_able": False}, PushSkipped("member cannot send")),
    ("quiet hours", {"quiet_until": 800}, PushDelayed("quiet hours", 800)),
    ("once_per", {"claim": "held", "claimed_by": "bob"}, PushDelayed("same content via bob")),
    ("quota", {"has_place": False, "full": "defer", "next_try_at": 900}, ResultQuota("defer", 900)),
]


def test_all_checks_passed_means_planned() -> None:
    assert check(READY) == Verdict("ready", PushPlanned())
    assert check(READY).ready


@pytest.mark.parametrize(("name", "fault", "event"), FAULTS, ids=[name for name, _, _ in FAULTS])
def test_each_check_speaks_with_its_reason(name: str, fault: dict[str, Any], event: PushEvent) -> None:
    verdict = check(replace(READY, **fault))

    assert (verdict.check, verdict.event, verdict.ready) == (name, event, False)


@pytest.mark.parametrize("first", range(len(FAULTS)))
def test_the_first_check_in_the_order_of_the_page_decides(first: int) -> None:
    """SPEC 7.2: enrollment open, SOP running, only_if, muted, owner able, quiet hours, once_per, quota; and between
    them, while nobody acts for the customer, the hand-over of SPEC 4."""
    everything = {key: value for _, fault, _ in FAULTS[first:] for key, value in fault.items()}

    assert check(replace(READY, **everything)).check == FAULTS[first][0]
    assert [name for name, _ in CHECKS] == [name for name, _, _ in FAULTS]


def test_the_other_words_of_the_checks() -> None:
    assert check(replace(READY, enrollment_open=False)).event == PushCancelled("enrollment ended")
    assert check(replace(READY, sop_state="ended")).event == PushCancelled("stopped")
    assert check(replace(READY, sop_state="initialising")).event == PushDelayed("sop not running")
    assert check(replace(READY, claim="sent", claimed_by="bob")).event == PushSkipped("same content via bob")


@given(st.sampled_from(["due", "waiting"]), st.sampled_from(FAULTS))
def test_every_verdict_can_be_given_to_the_machine(state: str, fault: tuple[str, dict[str, Any], PushEvent]) -> None:
    facts = replace(READY, **fault[1])

    decision = decide(state, check(facts).event, PushFacts(enrollment_open=facts.enrollment_open))

    assert not decision.ignored
    assert decision.state in ("waiting", "skipped", "cancelled")
