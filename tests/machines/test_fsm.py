"""The shared table: what it refuses to be built from, what a firing changes, and that threads may share it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from machines.errors import IllegalEvent, MachinesError
from machines.fsm import Run, Table, Transition, build, each


def note(run: Run) -> None:
    run.effects.append((run.context["what"], run.state))


def is_allowed(run: Run) -> bool:
    allowed: bool = run.context["allowed"]
    return allowed


def fail(run: Run) -> None:
    run.effects.append("half done")
    raise ValueError("a callback failed")


def door() -> Table:
    return build(
        ("shut", "open", "broken"),
        (
            Transition("push", "shut", "open", (note,), (is_allowed,)),
            Transition("push", "open", "open", (note,)),
            Transition("kick", "shut", "broken", (fail,)),
            *each(("shut", "open"), "smash", "broken", note, note),
        ),
        initial="shut",
        ignored={("broken", "push"), ("broken", "smash")},
        name="door",
    )


def test_firing_moves_and_collects_the_effects_in_order() -> None:
    fired = door().fire("shut", "smash", what="axe")

    assert (fired.state, fired.effects, fired.ignored) == ("broken", (("axe", "shut"), ("axe", "shut")), False)


def test_an_event_may_be_accepted_without_moving() -> None:
    fired = door().fire("open", "push", what="hand")

    assert (fired.state, fired.effects, fired.ignored) == ("open", (("hand", "open"),), False)


def test_an_ignored_event_changes_nothing() -> None:
    fired = door().fire("broken", "push", what="hand")

    assert (fired.state, fired.effects, fired.ignored) == ("broken", (), True)


@pytest.mark.parametrize(
    ("state", "event"), [("open", "kick"), ("broken", "kick"), ("ajar", "push"), ("shut", "sing")]
)
def test_a_pair_that_nobody_foresaw_is_illegal_and_named(state: str, event: str) -> None:
    with pytest.raises(IllegalEvent) as raised:
        door().fire(state, event, what="hand")

    assert (raised.value.state, raised.value.event, raised.value.machine) == (state, event, "door")


def test_no_guard_that_holds_is_illegal_and_not_silence() -> None:
    with pytest.raises(IllegalEvent):
        door().fire("shut", "push", what="hand", allowed=False)


def test_the_first_arrow_whose_guards_hold_is_taken() -> None:
    table = build(
        ("a", "b", "c"),
        (Transition("go", "a", "b", (), (is_allowed,)), Transition("go", "a", "c")),
        initial="a",
        ignored=(),
    )

    assert [table.fire("a", "go", allowed=allowed).state for allowed in (True, False)] == ["b", "c"]


def test_a_failing_callback_changes_nothing_that_lasts() -> None:
    table = door()

    with pytest.raises(ValueError, match="a callback failed"):
        table.fire("shut", "kick")

    assert table.fire("shut", "smash", what="axe").effects == (("axe", "shut"), ("axe", "shut"))


def test_a_wrong_table_names_all_its_faults_at_once() -> None:
    with pytest.raises(MachinesError) as raised:
        build(
            ("a", "b", "a"),
            (Transition("go", "a", "nowhere"), Transition("go", "b", "a")),
            initial="start",
            ignored={("b", "go")},
            name="muddle",
        )

    text = str(raised.value)
    assert text.startswith("muddle: ")
    for fault in ("'a' is named twice", "'nowhere' is used", "'start' is used", "'go' in state 'b' is both"):
        assert fault in text


def test_the_table_can_be_read_for_drawing() -> None:
    table = door()

    assert table.states == ("shut", "open", "broken")
    assert table.events == ("push", "kick", "smash")
    assert table.initial == "shut"
    assert {(row.source, row.dest) for row in table.transitions if row.event == "smash"} == {
        ("shut", "broken"),
        ("open", "broken"),
    }


def test_threads_share_one_table_and_never_each_others_effects() -> None:
    table = door()

    def fire(number: int) -> bool:
        return table.fire("shut", "push", what=number, allowed=True).effects == ((number, "shut"),)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(fire, range(4_000)))
