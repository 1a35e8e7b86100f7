"""The life of a task and the verdicts on readings: stories first, then every pair, arrow, guard and callback."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from machines import push, reasons
from machines.dispatch import (
    ABSENT_AFTER_MS,
    FINAL,
    GATHER_MS,
    STATES,
    TABLE,
    DispatchDecision,
    DispatchFacts,
    Match,
    cancel_is_overdue,
    decide,
    lookup_verdict,
    reissue_at,
    summary_of,
    verdict_of_reread,
)
from machines.effects import (
    AlertOperator,
    CancelTask,
    ForgetStop,
    LookUp,
    NoteStop,
    ReadResults,
    ReissuePushes,
    RereadRelations,
    TellPushes,
)
from machines.errors import IllegalEvent
from machines.events import (
    CancelAnswered,
    Claimed,
    CodeUsed,
    Created,
    Delivered,
    DispatchEvent,
    Doubtful,
    Emptied,
    ExpireDue,
    LookedUp,
    Polled,
    PushCancelled,
    PushConfirmed,
    PushExpired,
    PushRefused,
    PushRequested,
    PushResolved,
    PushReturned,
    Reading,
    Reread,
    Resolved,
    ResultSent,
    ResultUnreported,
    StopWanted,
    TaskRefused,
    Throttled,
    WelcomeUsed,
)
from tests.support.walking import arrows, grid, illegal_pairs, reached, silent_parts

MINUTE = 60_000
PLAIN = DispatchFacts()
NONE_SENT, ONE_SENT = Reading(frozenset({0})), Reading(frozenset({0, 1}))
ODD, GONE = Reading(frozenset({0, 3})), Reading(gone=True)
UNCONFIRMED = Reread(NONE_SENT, NONE_SENT)
EVENTS: tuple[DispatchEvent, ...] = (
    Claimed(), Created("m1"), Created("m1", fail_list=True), Delivered(5), CodeUsed(5),
    TaskRefused("permanent", "refused by WeCom 45002"), TaskRefused("nobody"), TaskRefused("not_created"),
    Throttled(), Doubtful(), LookedUp("found", "m1"), LookedUp("absent_once"), LookedUp("absent_twice"),
    LookedUp("unequal_recipients"), LookedUp("lookup_timeout"), Polled("waiting"), Polled("confirmed"),
    Polled("settled"), Polled("overdue"), Polled("cancelled"), StopWanted("end"), StopWanted("pause"),
    StopWanted("operator"), ExpireDue(), CancelAnswered("ok"), CancelAnswered("busy"), CancelAnswered("gone"),
    CancelAnswered("refused"), UNCONFIRMED, Reread(NONE_SENT, ONE_SENT), Reread(NONE_SENT, ODD), Emptied(),
    Resolved(True, 5, "op"), Resolved(False, 5, "op"),
)  # fmt: skip
FACTS = grid(
    DispatchFacts,
    looks_up=(True, False),
    doubted=(False, True),
    stop=(None, "end", "pause", "expiry", "operator"),
    reissue=(False, True),
    cancel_overdue=(False, True),
)


def contexts(event_name: str) -> list[dict[str, Any]]:
    return [{"event": event, "facts": facts} for event in EVENTS if event.name == event_name for facts in FACTS]


def story(*events: DispatchEvent, facts: DispatchFacts = PLAIN, start: str = "planned") -> list[str]:
    """The states a dispatch goes through."""
    states = [start]
    for event in events:
        states.append(decide(states[-1], event, facts).state)
    return states


def test_the_plain_way_from_planned_to_settled() -> None:
    assert story(Claimed(), Created("m1"), Polled("waiting"), Polled("confirmed"), Polled("settled")) == [
        "planned", "sending", "requested", "requested", "confirmed", "settled",
    ]  # fmt: skip


def test_a_created_task_tells_its_pushes_and_rereads_who_was_refused_at_once() -> None:
    """D8: fail_list."""
    assert decide("sending", Created("m1"), PLAIN).effects == (TellPushes(PushRequested()),)
    assert decide("sending", Created("m1", fail_list=True), PLAIN).effects == (
        TellPushes(PushRequested()),
        RereadRelations(),
    )


def test_a_lost_answer_is_looked_up_before_anything_else() -> None:
    """D16, SPEC 7.5."""
    assert decide("sending", Doubtful(), PLAIN) == DispatchDecision("uncertain", (LookUp(),), "answer lost")
    assert decide("uncertain", Claimed(), PLAIN) == DispatchDecision("uncertain")
    assert decide("uncertain", LookedUp("absent_once"), PLAIN) == DispatchDecision("uncertain", (LookUp(),))
    assert decide("uncertain", LookedUp("absent_twice"), PLAIN) == DispatchDecision("planned", (), "not created")
    assert decide("uncertain", LookedUp("found", "m1"), PLAIN).state == "requested"


@pytest.mark.parametrize("verdict", ["unequal_recipients", "lookup_timeout"])
def test_what_the_lookup_cannot_tell_needs_an_operator_and_moves_only_by_one(verdict: Any) -> None:
    decision = decide("uncertain", LookedUp(verdict), PLAIN)

    assert decision.state == "needs_operator"
    assert decision.effects == (AlertOperator(decision.reason or ""),)
    for event in EVENTS:
        after = decide("needs_operator", event, PLAIN).state
        assert after == ("settled" if event.name == "resolved" else "needs_operator")


@pytest.mark.parametrize("sent", [True, False])
def test_resolve_only_corrects_the_pushes(sent: bool) -> None:
    """D20."""
    decision = decide("needs_operator", Resolved(sent, 5, "op"), PLAIN)

    assert decision == DispatchDecision("settled", (TellPushes(PushResolved(sent, 5, "op")),), "by operator")


def test_a_clear_refusal_fails_the_pushes_or_rereads_their_relations_or_is_sent_again() -> None:
    permanent = decide("sending", TaskRefused("permanent", "refused by WeCom 45002"), PLAIN)

    assert permanent == DispatchDecision(
        "failed", (TellPushes(PushRefused("refused by WeCom 45002")),), "refused by WeCom 45002"
    )
    assert decide("sending", TaskRefused("nobody"), PLAIN) == DispatchDecision(
        "failed", (RereadRelations(),), "nobody can be sent to"
    )
    assert decide("sending", TaskRefused("not_created"), PLAIN).state == "planned"
    assert decide("sending", Throttled(), PLAIN) == DispatchDecision("planned", (), "throttled")


def test_a_stop_that_comes_while_the_task_is_unknown_acts_once_it_is_known() -> None:
    noted = decide("uncertain", StopWanted("end"), PLAIN)

    assert noted == DispatchDecision("uncertain", (NoteStop("end"),))
    for event, state in ((Created("m1"), "sending"), (LookedUp("found", "m1"), "uncertain")):
        decision = decide(state, event, DispatchFacts(stop="end"))
        assert (decision.state, decision.effects[-1]) == ("stopping", CancelTask())
    assert decide("uncertain", LookedUp("absent_twice"), DispatchFacts(stop="end")).effects == (ForgetStop(),)


def test_an_early_end_cancels_rereads_and_reissues_for_those_still_inside() -> None:
    """SPEC 7.7, D15, D17."""
    facts = DispatchFacts(stop="end")

    stopping = decide("requested", StopWanted("end"), PLAIN)
    rereading = decide("cancelling", CancelAnswered("ok"), facts)
    cancelled = decide("rereading", UNCONFIRMED, facts)

    assert stopping == DispatchDecision("stopping", (NoteStop("end"), CancelTask()))
    assert decide("stopping", Claimed(), facts).state == "cancelling"
    assert rereading == DispatchDecision("rereading", (ReadResults(),))
    assert cancelled == DispatchDecision("cancelled", (TellPushes(PushReturned("re-issue")), ReissuePushes()))


@pytest.mark.parametrize("state", ["stopping", "cancelling", "rereading"])
def test_an_operators_word_outranks_an_end_that_is_being_carried_out(state: str) -> None:
    facts = DispatchFacts(stop="end")

    assert decide(state, StopWanted("operator"), facts) == DispatchDecision(state, (NoteStop("operator"),))
    assert decide(state, StopWanted("end"), facts) == DispatchDecision(state, ignored=True)


def test_a_reissued_task_is_left_alone_by_later_ends_but_not_by_pause_or_expiry() -> None:
    """D17."""
    facts = DispatchFacts(reissue=True)

    assert decide("requested", StopWanted("end"), facts) == DispatchDecision("requested")
    assert decide("uncertain", StopWanted("end"), facts) == DispatchDecision("uncertain")
    assert decide("requested", StopWanted("pause"), facts).state == "stopping"
    assert decide("requested", ExpireDue(), facts).state == "stopping"


@pytest.mark.parametrize(
    ("purpose", "word"),
    [
        ("expiry", PushExpired("not confirmed")),
        ("pause", PushReturned("sop paused")),
        ("operator", PushCancelled("by operator")),
    ],
)
def test_an_unconfirmed_task_releases_its_pushes_by_the_purpose_of_the_stop(purpose: Any, word: Any) -> None:
    assert decide("rereading", UNCONFIRMED, DispatchFacts(stop=purpose)).effects == (TellPushes(word),)


def test_a_task_confirmed_before_the_cancellation_is_never_reissued() -> None:
    decision = decide("rereading", Reread(NONE_SENT, ONE_SENT), DispatchFacts(stop="end"))

    assert decision == DispatchDecision("confirmed", (TellPushes(PushConfirmed()),))
    assert decide("stopping", Polled("confirmed"), PLAIN).state == "confirmed"


def test_unclear_results_after_the_cancellation_need_an_operator() -> None:
    decision = decide("rereading", Reread(ODD, ODD), DispatchFacts(stop="end"))

    assert (decision.state, decision.reason) == ("needs_operator", "results unclear")


def test_a_busy_cancellation_is_repeated_for_ten_minutes() -> None:
    """D15."""
    assert decide("cancelling", CancelAnswered("busy"), PLAIN) == DispatchDecision("stopping", (CancelTask(),))
    assert decide("cancelling", CancelAnswered("busy"), DispatchFacts(cancel_overdue=True)).state == "needs_operator"
    assert not cancel_is_overdue(0, 10 * MINUTE)
    assert cancel_is_overdue(0, 10 * MINUTE + 1)


@pytest.mark.parametrize("event", [Doubtful(), Throttled()])
def test_a_cancellation_whose_answer_is_lost_is_simply_repeated(event: DispatchEvent) -> None:
    assert decide("cancelling", event, PLAIN) == DispatchDecision("stopping", (CancelTask(),))


def test_a_confirmed_task_can_no_longer_be_stopped() -> None:
    for event in (StopWanted("end"), StopWanted("pause"), ExpireDue(), CancelAnswered("ok")):
        assert decide("confirmed", event, PLAIN).ignored


def test_confirmed_rows_that_stay_zero_for_a_day_end_unreported() -> None:
    """D18."""
    assert decide("confirmed", Polled("overdue"), PLAIN) == DispatchDecision(
        "settled", (TellPushes(ResultUnreported()),)
    )


def test_a_task_that_expires_before_any_call_was_a_matter_of_capacity() -> None:
    assert decide("planned", ExpireDue(), PLAIN) == DispatchDecision(
        "cancelled", (TellPushes(PushExpired("capacity")),), "capacity"
    )


def test_a_planned_task_is_withdrawn_by_a_pause_and_loses_only_the_ended_by_an_end() -> None:
    assert decide("planned", StopWanted("end"), PLAIN) == DispatchDecision("planned")
    assert decide("planned", StopWanted("pause"), PLAIN).effects == (TellPushes(PushReturned("sop paused")),)
    assert decide("planned", Emptied(), PLAIN).state == "cancelled"


def test_somebody_cancelling_in_wecom_fails_the_pushes_with_that_reason() -> None:
    assert decide("requested", Polled("cancelled"), PLAIN).effects == (
        TellPushes(PushRefused("task cancelled in WeCom")),
    )
    assert decide("stopping", Polled("cancelled"), PLAIN).state == "rereading"


def test_a_used_welcome_code_is_ours_only_after_our_own_doubtful_attempt() -> None:
    """D21."""
    welcome, doubted = DispatchFacts(looks_up=False), DispatchFacts(looks_up=False, doubted=True)

    assert story(Claimed(), Doubtful(), Claimed(), facts=welcome) == ["planned", "sending", "uncertain", "sending"]
    assert decide("sending", CodeUsed(5), doubted) == DispatchDecision("settled", (TellPushes(ResultSent(5)),))
    assert decide("sending", CodeUsed(5), welcome).effects == (TellPushes(WelcomeUsed()),)
    assert decide("sending", Delivered(5), welcome).state == "settled"
    assert decide("sending", Doubtful(), welcome).effects == ()
    assert decide("uncertain", ExpireDue(), doubted).state == "needs_operator"


def test_an_unknown_state_is_illegal() -> None:
    with pytest.raises(IllegalEvent):
        decide("lost", Claimed(), PLAIN)


def test_the_table_is_total_and_every_arrow_is_taken() -> None:
    assert {event.name for event in EVENTS} == set(TABLE.events)
    assert illegal_pairs(TABLE) == set()
    assert reached(TABLE, contexts) == arrows(TABLE)


def test_every_guard_and_every_callback_speaks() -> None:
    assert silent_parts(TABLE, contexts) == set()


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("event", EVENTS, ids=repr)
def test_every_word_to_the_pushes_is_understood_in_every_state(state: str, event: DispatchEvent) -> None:
    for facts in FACTS:
        decision = decide(state, event, facts)

        assert decision.state in STATES
        assert not decision.ignored or (decision.state, decision.effects, decision.reason) == (state, (), None)
        for effect in decision.effects:
            if isinstance(effect, TellPushes):
                push.decide("requested", effect.event, push.PushFacts(task="retired"))


@given(st.lists(st.tuples(st.sampled_from(EVENTS), st.sampled_from(FACTS)), max_size=20))
def test_final_is_final_and_a_second_call_needs_proof(history: list[tuple[DispatchEvent, DispatchFacts]]) -> None:
    state = "planned"
    for event, facts in history:
        after = decide(state, event, facts).state
        if state in FINAL:
            assert after == state
        if after == "planned" and state != "planned":
            assert event.name in ("absent_twice", "refused", "throttled")
            assert state in ("sending", "uncertain")
        if after == "sending" and state == "uncertain":
            assert not facts.looks_up
        if after == "cancelled" and state not in ("planned", "cancelled"):
            assert state == "rereading" or event == Polled("cancelled")
        state = after


# -- verdicts


def test_one_absent_read_proves_nothing_and_two_too_early_neither() -> None:
    first, early, late = MINUTE, 5 * MINUTE, ABSENT_AFTER_MS

    assert lookup_verdict(0, [], [], now=MINUTE) is None
    assert lookup_verdict(0, [first], [], now=first) == LookedUp("absent_once")
    assert lookup_verdict(0, [first, early], [], now=early) == LookedUp("absent_once")
    assert lookup_verdict(0, [late], [], now=late) == LookedUp("absent_once")
    assert lookup_verdict(0, [first, late - 1], [], now=late) == LookedUp("absent_once")
    assert lookup_verdict(0, [first, late], [], now=late) == LookedUp("absent_twice")


def test_a_read_before_the_attempt_does_not_count() -> None:
    assert lookup_verdict(1_000, [0, ABSENT_AFTER_MS + 1_000], [], now=ABSENT_AFTER_MS + 1_000) == LookedUp(
        "absent_once"
    )


def test_exactly_one_equal_match_is_ours() -> None:
    assert lookup_verdict(0, [], [Match("m1", "equal")], now=1) == LookedUp("found", "m1")
    assert lookup_verdict(0, [], [Match("m1", "equal"), Match("m2", "unequal")], now=1) == LookedUp("found", "m1")
    assert lookup_verdict(0, [], [Match("m1", "unequal")], now=1) == LookedUp("unequal_recipients")
    assert lookup_verdict(0, [], [Match("m1", "equal"), Match("m2", "equal")], now=1) == LookedUp("unequal_recipients")


def test_a_busy_match_is_waited_for_ten_minutes() -> None:
    busy = [Match("m1", "busy")]

    assert lookup_verdict(0, [], busy, now=10 * MINUTE) is None
    assert lookup_verdict(0, [], busy, now=10 * MINUTE + 1) == LookedUp("lookup_timeout")
    assert lookup_verdict(0, [], [*busy, Match("m2", "equal")], now=10 * MINUTE) is None
    assert lookup_verdict(0, [], [*busy, Match("m2", "equal")], now=10 * MINUTE + 1) == LookedUp("found", "m2")


@pytest.mark.parametrize(
    ("first", "second", "verdict"),
    [
        (NONE_SENT, NONE_SENT, "unconfirmed"),
        (GONE, NONE_SENT, "unconfirmed"),
        (GONE, GONE, "unconfirmed"),
        (ONE_SENT, NONE_SENT, "confirmed"),
        (NONE_SENT, ONE_SENT, "confirmed"),
        (ONE_SENT, GONE, "confirmed"),
        (NONE_SENT, ODD, "unclear"),
        (ODD, GONE, "unclear"),
        (Reading(), NONE_SENT, "unclear"),
        (Reading(frozenset({2})), Reading(frozenset({2})), "unclear"),
    ],
)
def test_two_readings_after_a_cancellation(first: Reading, second: Reading, verdict: str) -> None:
    """D15: any 1, confirmed; all 0 or 41093 in both, unconfirmed; anything else, a person."""
    assert verdict_of_reread(first, second) == verdict


@pytest.mark.parametrize(
    ("task", "rows", "confirmed_at", "summary"),
    [
        (0, [0, 0], None, "waiting"),
        (2, [0, 0], None, "confirmed"),
        (0, [1, 0], None, "confirmed"),
        (2, [0, 0], 0, "overdue"),
        (2, [0, 0], 1, "confirmed"),
        (2, [1, 2, 3], None, "settled"),
        (2, [], None, "settled"),
        (0, [], None, "waiting"),
        (None, [0, 0], None, "cancelled"),
        (None, [1, 0], None, "confirmed"),
    ],
)
def test_a_polling_in_one_word(task: int | None, rows: list[int], confirmed_at: int | None, summary: str) -> None:
    assert summary_of(task, rows, confirmed_at, now=24 * 60 * MINUTE) == summary


def test_ends_are_gathered_for_ten_minutes_and_never_into_the_past() -> None:
    assert reissue_at(1_000, now=2_000) == 1_000 + GATHER_MS
    assert reissue_at(1_000, now=GATHER_MS * 2) == GATHER_MS * 2


def test_the_reasons_of_decisions_have_texts_in_both_languages() -> None:
    for state in STATES:
        for event in EVENTS:
            for facts in FACTS:
                reason = decide(state, event, facts).reason
                assert reason is None or reasons.family(reason) in reasons.TEXTS
