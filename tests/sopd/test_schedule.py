"""From what a run counts, and when its steps fall due: anchors, fixed dates, one step at a time (SPEC 3, 5, D13)."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from machines.calendar import Instant
from machines.facts import Attribute
from machines.sop import Program
from sopd.handlers import schedule
from tests.support.company import at, local
from tests.support.programs import program as build

NOW = at("2026-03-02 12:00")
ONE = {"id": "one", "day": 1, "at": "10:00", "by": "mass_send", "text": "one"}
TWO = {"id": "two", "day": 2, "at": "10:00", "by": "mass_send", "text": "two"}


def program(first: dict[str, Any] = ONE, second: dict[str, Any] = TWO, **changes: Any) -> Program:
    return build(kind="nurture", steps=[first, second], **changes)


def stepwise(first: dict[str, Any] = ONE, second: dict[str, Any] = TWO, **changes: Any) -> Program:
    return program(first, second, pace="stepwise", **changes)


def test_a_run_counts_from_its_entry_unless_the_definition_says_otherwise() -> None:
    assert schedule.anchor_of(program(), NOW, began_at=5, event_at=7) == NOW


def test_a_run_counts_from_the_adding_of_its_owner() -> None:
    added = program(anchor="added")

    assert schedule.anchor_of(added, NOW, began_at=at("2026-01-05 09:00")) == at("2026-01-05 09:00")


def test_a_run_counts_from_the_event_that_let_somebody_in_and_without_one_from_the_entry() -> None:
    event = program(anchor="event", entry={"when": {"event": "paid"}})

    assert schedule.anchor_of(event, NOW, event_at=at("2026-03-01 23:00")) == at("2026-03-01 23:00")
    assert schedule.anchor_of(event, NOW) == NOW


@pytest.mark.parametrize("value", [Attribute("paid_on", "date", date(2026, 2, 20)),
                                   Attribute("paid_on", "text", "2026-02-20")])  # fmt: skip
def test_a_run_counts_from_the_first_minute_of_the_date_in_an_attribute(value: Attribute) -> None:
    paid = program(anchor={"attribute": "paid_on"})

    assert local(schedule.anchor_of(paid, NOW, attribute=value)) == "2026-02-20 00:00"


@pytest.mark.parametrize("value", [None, Attribute("paid_on", "text", "soon"), Attribute("paid_on", "number", 20260220),
                                   Attribute("paid_on", "date", date(9999, 12, 31))])  # fmt: skip
def test_an_attribute_without_a_date_is_no_anchor(value: Attribute | None) -> None:
    assert schedule.anchor_of(program(anchor={"attribute": "paid_on"}), NOW, attribute=value) is None


def test_only_the_first_step_of_a_stepwise_run_has_a_due_at_entry() -> None:
    times = schedule.of(stepwise(), NOW, NOW)

    assert [local(due) for due in times.dues] == ["2026-03-03 10:00", None]
    with pytest.raises(LookupError):
        times.due(1)


def test_a_first_step_that_was_past_at_entry_is_missed_in_a_stepwise_run_too() -> None:
    assert schedule.of(stepwise({**ONE, "day": 0}), NOW, NOW).missed == {0}


def test_the_next_stepwise_step_counts_from_the_settlement_and_never_on_a_day_with_a_mass_send() -> None:
    soon = stepwise(second={"id": "two", "after": "1h", "by": "mass_send", "text": "two"})
    settled = at("2026-03-05 10:30")

    assert local(schedule.after(soon, 1, settled, None)) == "2026-03-05 11:30"
    assert local(schedule.after(soon, 1, settled, date(2026, 3, 5))) == "2026-03-06 11:30"


def test_an_answer_is_waited_for_until_the_longest_time_is_over() -> None:
    asks = stepwise({**ONE, "wait": "reply", "at_most": "7d"})

    assert local(schedule.after(asks, 1, NOW, None, waits=True)) == "2026-03-11 10:00"
    assert local(schedule.after(asks, 1, NOW, None)) == "2026-03-04 10:00"


def test_what_was_due_before_its_predecessor_was_known_to_have_settled_goes_out_on_an_allowed_day() -> None:
    weekdays = stepwise(calendar="weekdays")
    saturday = at("2026-03-07 11:00")

    def due(settled: str, known: Instant) -> str | None:
        return local(schedule.counted(weekdays, 1, at(settled), None, known).due_at)

    assert due("2026-03-04 09:00", at("2026-03-06 18:00")) == "2026-03-06 18:00"
    assert due("2026-03-04 09:00", saturday) == "2026-03-09 11:00"
    assert due("2026-03-06 09:00", saturday) == "2026-03-09 10:00"
