"""Mermaid text of every machine: whole, with counts, deterministic, and nothing in it that Mermaid would misread."""

from __future__ import annotations

import re

import pytest

from machines import dispatch, lifecycle, push
from machines.diagram import mermaid
from machines.enrollment import machine_for
from machines.fsm import Table

CARE = machine_for(("hello", "guide"))
TABLES = [CARE, lifecycle.TABLE, push.TABLE, dispatch.TABLE]
LINE = re.compile(
    r"stateDiagram-v2|state open \{|\}|state \"[^\"\n]+\" as s\d+"
    r"|(\[\*\]|open|s\d+) --> (\[\*\]|open|s\d+)( : [^\n\"]+)?"
)


def test_a_run_is_drawn_with_its_steps_counts_and_common_ends() -> None:
    text = mermaid(CARE, {"hello": 12, "normal_end": 3})

    assert text.splitlines() == [
        "stateDiagram-v2",
        "  state open {",
        '    state "enrolled (0)" as s0',
        '    state "hello (12)" as s1',
        '    state "guide (0)" as s2',
        '    state "settling (0)" as s3',
        "    [*] --> s0",
        "    s0 --> s1 : due hello",
        "    s1 --> s2 : due guide",
        "    s2 --> s3 : steps_done",
        "  }",
        "  [*] --> open",
        '  state "normal_end (3)" as s4',
        '  state "early_end (0)" as s5',
        '  state "manual_end (0)" as s6',
        '  state "lost (0)" as s7',
        '  state "stopped (0)" as s8',
        '  state "merged (0)" as s9',
        "  s3 --> s4 : pushes_settled",
        "  open --> s5 : early_end",
        "  open --> s6 : manual_end",
        "  open --> s7 : lost",
        "  open --> s8 : stopped",
        "  open --> s9 : merged",
        *(f"  s{number} --> [*]" for number in range(4, 10)),
    ]


def test_without_counts_the_names_stand_alone_and_labels_replace_them() -> None:
    text = mermaid(CARE, labels={"guide": "step 2/2 guide"})

    assert 'state "step 2/2 guide" as s2' in text
    assert 'state "hello" as s1' in text


def test_several_events_between_two_states_share_an_arrow() -> None:
    assert "s2 --> s3 : pause" in mermaid(lifecycle.TABLE)
    assert "s0 --> s7 : skipped, overtaken, welcome_used, result_quota" in mermaid(push.TABLE)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_state_and_every_moving_arrow_is_drawn_once(table: Table) -> None:
    text = mermaid(table)

    lines = text.splitlines()
    assert len(lines) == len(set(lines))
    assert all(LINE.fullmatch(line.strip()) for line in lines)
    for number, state in enumerate(table.states):
        assert f'state "{state}" as s{number}' in text
    drawn = {event for line in lines if " : " in line for event in line.split(" : ")[1].split(", ")}
    assert drawn == {row.event for row in table.transitions if row.source != row.dest}


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_the_same_input_gives_the_same_text(table: Table) -> None:
    assert mermaid(table, {"due": 1}) == mermaid(table, {"due": 1})


def test_step_ids_cannot_break_the_syntax() -> None:
    text = mermaid(machine_for(('say "hi"; now', "a --> b\n[*]: x", "第一步", "end")))

    assert all(LINE.fullmatch(line.strip()) for line in text.splitlines())
    assert 'state "say #34;hi#34;#59; now" as s1' in text
    assert 'state "第一步" as s3' in text
    assert 'state "end" as s4' in text
