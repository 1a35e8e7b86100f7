"""The life of a SOP: every state and command, and what the refusals say."""

from __future__ import annotations

from itertools import product
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from machines.effects import (
    Initialise,
    OpenEntry,
    PublishVersion,
    ResumePushes,
    StopEnrollments,
    StopTasks,
)
from machines.lifecycle import REFUSALS, STATES, TABLE, Command, decide
from tests.support.walking import arrows, illegal_pairs, reached

COMMANDS = get_args(Command)
MOVES = {
    ("draft", "apply"): ("draft", PublishVersion()),
    ("running", "apply"): ("running", PublishVersion()),
    ("paused", "apply"): ("paused", PublishVersion()),
    ("draft", "start"): ("initialising", Initialise()),
    ("initialising", "initialised"): ("running", OpenEntry()),
    ("running", "pause"): ("paused", StopTasks()),
    ("paused", "resume"): ("running", ResumePushes("skip")),
    ("initialising", "stop"): ("ended", StopEnrollments()),
    ("running", "stop"): ("ended", StopEnrollments()),
    ("paused", "stop"): ("ended", StopEnrollments()),
}


@pytest.mark.parametrize(("state", "command"), list(product(STATES, COMMANDS)))
def test_every_command_in_every_state_moves_is_refused_with_words_or_is_a_late_report(
    state: str, command: Command
) -> None:
    decision = decide(state, command, "sunscreen-care")

    if (state, command) in MOVES:
        assert (decision.state, *decision.effects, decision.refused) == (*MOVES[state, command], None)
    else:
        assert (decision.state, decision.effects) == (state, ())
        assert (decision.refused is None) is (command == "initialised")
        assert decision.refused is None or "sunscreen-care" in decision.refused


def test_the_table_is_total_and_every_arrow_is_taken() -> None:
    assert illegal_pairs(TABLE) == set()
    assert set(TABLE.events) == set(COMMANDS)
    assert reached(TABLE, lambda event: [{"policy": "skip"}]) == arrows(TABLE)


def test_a_refusal_says_what_to_do_instead() -> None:
    assert decide("paused", "start", "welcome").refused == "welcome is paused; use `sopd sop resume welcome`"
    assert all("{sop}" in text for text in REFUSALS.values())


def test_resume_hands_on_what_the_operator_chose() -> None:
    assert decide("paused", "resume", policy="shift").effects == (ResumePushes("shift"),)


@given(st.lists(st.sampled_from(COMMANDS), max_size=12))
def test_once_ended_always_ended(commands: list[Command]) -> None:
    state, seen = "draft", ["draft"]
    for command in commands:
        state = decide(state, command).state
        seen.append(state)

    if "ended" in seen:
        assert set(seen[seen.index("ended") :]) == {"ended"}
