"""The life of a card: stories first, then every pair, arrow, guard and callback."""

from __future__ import annotations

from datetime import datetime, time
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from machines import push, reasons
from machines.calendar import QuietHours
from machines.cards import (
    DUPLICATE_CHECK_MS,
    FINAL,
    OUT,
    STATES,
    TABLE,
    CardAnswered,
    CardDecision,
    CardEvent,
    CardFacts,
    CardPutOff,
    DoubtOver,
    decide,
    may_repeat,
    next_morning,
)
from machines.effects import AlertOperator, TellPushes
from machines.errors import IllegalEvent
from machines.events import (
    Claimed,
    Created,
    Doubtful,
    Emptied,
    ExpireDue,
    PushExpired,
    PushRefused,
    PushRequested,
    ResultSent,
    TaskRefused,
    Throttled,
)
from machines.timetable import Timetable
from tests.support.walking import arrows, grid, illegal_pairs, reached, silent_parts

ZONE = "Asia/Shanghai"
OPEN = Timetable(zone=ZONE, steps=())
WORKDAYS = Timetable(zone=ZONE, steps=(), quiet=QuietHours(((time(21), time(9, 15)),)), calendar="weekdays")
PLAIN, DOUBTED, ASKED = CardFacts(), CardFacts(doubted=True), CardFacts(asked=True)
FACTS = grid(CardFacts, doubted=(False, True), asked=(False, True))
EVENTS: tuple[CardEvent, ...] = (
    Claimed(), Created("app1"), TaskRefused("permanent", "refused by WeCom 81013"), TaskRefused("permanent"),
    TaskRefused("not_created"), Throttled(), Doubtful(), DoubtOver(), ExpireDue(), Emptied(),
    CardAnswered("done", 5), CardAnswered("reached", 5), CardAnswered("not_reached", 5), CardPutOff(),
)  # fmt: skip


def at(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(ZONE)).timestamp() * 1000)


def live(*events: CardEvent, facts: CardFacts = PLAIN, state: str = "planned") -> CardDecision:
    """One event after the other; the last decision."""
    decision = CardDecision(state)
    for event in events:
        decision = decide(decision.state, event, facts)
    return decision


def contexts(event_name: str) -> list[dict[str, Any]]:
    return [{"event": event, "facts": facts} for event in EVENTS if event.name == event_name for facts in FACTS]


def test_the_plain_way_from_planned_to_done() -> None:
    assert live(Claimed(), Created("app1")) == CardDecision("handed", (TellPushes(PushRequested()),))
    assert live(Claimed(), Created("app1"), CardAnswered("done", 5)) == CardDecision(
        "settled", (TellPushes(ResultSent(5)),)
    )


@pytest.mark.parametrize(("outcome", "reason"), [("reached", "reached"), ("not_reached", "not reached")])
def test_a_phone_call_settles_whether_somebody_was_reached_or_not(outcome: Any, reason: str) -> None:
    decision = live(CardAnswered(outcome, 5), state="handed")

    assert (decision.state, decision.reason) == ("settled", reason)
    assert decision.effects == (TellPushes(ResultSent(5)),)


def test_who_says_later_is_asked_again_with_a_new_card() -> None:
    assert live(Claimed(), Created("a"), CardPutOff()) == CardDecision("handed", (), reasons.PUT_OFF)
    assert live(CardPutOff(), Claimed(), state="handed").state == "handing"
    assert live(Claimed(), TaskRefused("not_created"), state="handed", facts=ASKED).state == "handed"


def test_a_lost_answer_lets_the_same_card_go_out_once_more() -> None:
    assert live(Claimed(), Doubtful()) == CardDecision("unsure", (), reasons.DOUBTFUL)
    assert live(Claimed(), Created("a"), state="unsure", facts=DOUBTED).state == "handed"


@pytest.mark.parametrize("event", [TaskRefused("not_created"), Throttled()])
def test_a_refusal_after_a_lost_answer_proves_nothing(event: CardEvent) -> None:
    assert live(Claimed(), event, state="unsure", facts=DOUBTED).state == "unsure"
    assert live(Claimed(), event).state == "planned"


@pytest.mark.parametrize("event", [DoubtOver(), ExpireDue()])
def test_a_card_nobody_knows_of_needs_an_operator_or_the_members_word(event: CardEvent) -> None:
    decision = live(event, state="unsure", facts=DOUBTED)

    assert decision == CardDecision("needs_operator", (AlertOperator("card unknown"),), "card unknown")
    assert live(CardAnswered("done", 5), state="needs_operator").state == "settled"


def test_a_refusal_for_good_fails_the_pushes_but_not_after_a_lost_answer() -> None:
    no = TaskRefused("permanent", "refused by WeCom 81013")

    assert live(Claimed(), no) == CardDecision("failed", (TellPushes(PushRefused(no.reason)),), no.reason)
    assert live(Claimed(), no, state="unsure", facts=DOUBTED).state == "needs_operator"


@pytest.mark.parametrize("state", OUT)
def test_a_click_proves_that_the_card_is_there(state: str) -> None:
    assert live(CardAnswered("done", 5), state=state).state == "settled"
    assert live(CardPutOff(), state=state).state == "handed"


def test_a_card_expires_and_is_closed_when_nobody_is_left() -> None:
    expired = live(ExpireDue(), state="handed")

    assert expired.effects == (TellPushes(PushExpired(reasons.NOT_CONFIRMED)),)
    assert (expired.state, live(Emptied(), state="handed").reason) == ("cancelled", reasons.NOT_NEEDED)


def test_the_same_card_is_repeated_only_while_wecom_knows_the_first() -> None:
    assert may_repeat(0, DUPLICATE_CHECK_MS // 2)
    assert not may_repeat(0, DUPLICATE_CHECK_MS - 1)


@pytest.mark.parametrize(
    ("now", "timetable", "morning"),
    [
        ("2026-03-03 10:20", OPEN, "2026-03-04 08:01"),
        ("2026-03-03 23:59", OPEN, "2026-03-04 08:01"),
        ("2026-03-04 00:10", OPEN, "2026-03-05 08:01"),
        ("2026-03-06 10:20", WORKDAYS, "2026-03-09 09:15"),
    ],
)
def test_who_puts_off_is_asked_the_next_allowed_morning(now: str, timetable: Timetable, morning: str) -> None:
    assert next_morning(at(now), timetable) == at(morning)


def test_an_unknown_state_is_illegal() -> None:
    with pytest.raises(IllegalEvent):
        decide("requested", Claimed(), PLAIN)


def test_the_table_is_total_and_every_arrow_is_taken() -> None:
    assert illegal_pairs(TABLE) == set()
    assert reached(TABLE, contexts) == arrows(TABLE)


def test_every_guard_and_every_callback_speaks() -> None:
    assert silent_parts(TABLE, contexts) == set()


@pytest.mark.parametrize("state", push.STATES)
@pytest.mark.parametrize("event", EVENTS, ids=str)
def test_every_word_to_the_pushes_is_understood_in_every_state(state: str, event: CardEvent) -> None:
    words = {
        effect.event
        for source in STATES
        for facts in FACTS
        for effect in decide(source, event, facts).effects
        if isinstance(effect, TellPushes)
    }
    for word in words:
        push.decide(state, word, push.PushFacts())


@given(st.lists(st.tuples(st.sampled_from(EVENTS), st.sampled_from(FACTS)), max_size=12))
def test_final_is_final_and_nothing_is_sent_again_by_itself(history: list[tuple[CardEvent, CardFacts]]) -> None:
    state = "planned"
    for event, facts in history:
        after = decide(state, event, facts).state
        if state in FINAL:
            assert after == state
        if after == "handing" and state != "handing":
            assert event == Claimed()
        if state == "handing" and after == "planned":
            assert not facts.doubted
        state = after
