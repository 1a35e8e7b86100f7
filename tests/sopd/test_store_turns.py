"""Turns of the threads of one process: nobody who waits is overtaken, except by who is urgent."""

from __future__ import annotations

import threading

import pytest

from sopd.store.turns import PRESSED_SECONDS, Turns

LONG = 20.0


class Line:
    """Threads that wait for a turn one after the other, and note who was called when."""

    def __init__(self, turns: Turns) -> None:
        self.turns = turns
        self.called: list[str] = []
        self._threads: list[threading.Thread] = []

    def join(self, name: str, *, urgent: bool = False) -> None:
        """Stand in line; returns once it does."""
        stood = len(self.turns._urgent) + len(self.turns._waiting)
        thread = threading.Thread(target=self._wait, args=(name, urgent))
        thread.start()
        self._threads.append(thread)
        while len(self.turns._urgent) + len(self.turns._waiting) == stood:
            thread.join(0.001)

    def wait(self) -> list[str]:
        """The order in which they were called, once all have been."""
        for thread in self._threads:
            thread.join(LONG)
        return self.called

    def _wait(self, name: str, urgent: bool) -> None:
        assert self.turns.take(LONG, urgent=urgent)
        self.called.append(name)
        self.turns.give()


@pytest.fixture
def line() -> Line:
    """A line before a turn that is taken."""
    turns = Turns()
    assert turns.take(0)
    return Line(turns)


def test_who_has_waited_longest_is_called_first(line: Line) -> None:
    for name in "abc":
        line.join(name)
    line.turns.give()
    assert line.wait() == ["a", "b", "c"]


def test_who_asks_again_at_once_does_not_overtake_who_waits(line: Line) -> None:
    line.join("waits")
    line.turns.give()
    assert line.turns.take(LONG)
    assert line.called == ["waits"]


def test_an_urgent_one_goes_before_all_others(line: Line) -> None:
    line.join("a")
    line.join("b")
    line.join("urgent", urgent=True)
    line.turns.give()
    assert line.wait() == ["urgent", "a", "b"]


def test_who_gave_up_is_not_called(line: Line) -> None:
    assert not line.turns.take(0.01)
    line.turns.give()
    assert line.turns.take(0)


def test_turns_are_pressed_for_a_while_after_an_urgent_one_had_to_wait() -> None:
    now_s = 100.0
    turns = Turns(lambda: now_s)
    assert turns.take(0, urgent=True)
    assert not turns.are_pressed()
    assert not turns.take(0.01)
    assert not turns.are_pressed()
    assert not turns.take(0.01, urgent=True)
    assert turns.are_pressed()
    now_s += PRESSED_SECONDS
    assert not turns.are_pressed()


def test_a_turn_nobody_waits_for_is_free_at_once() -> None:
    turns = Turns()
    for _ in range(3):
        assert turns.take(0)
        turns.give()
