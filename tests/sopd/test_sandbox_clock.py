"""The coordinated clock: it jumps only when everybody is idle, twice, and nothing is under way (ARCHITECTURE 7)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sopd.sandbox.clock import SILENCE_S, CoordinatedClock, Report, Surroundings, UnknownParticipant


class Town:
    """Surroundings a test sets by hand."""

    def __init__(self) -> None:
        self.served = 0
        self.busy = False
        self.stirs_at: int | None = None

    def clock(self, until: int | None = None) -> CoordinatedClock:
        around = Surroundings(lambda: self.served, lambda now: self.busy, lambda: self.stirs_at)
        return CoordinatedClock(100, around, until=until)


def _say(clock: CoordinatedClock, name: str = "a", *, idle: bool = True, due: int | None = None, epoch: int = 0) -> int:
    return clock.report(name, Report(idle, due, epoch), real_s=0.0)


def test_time_jumps_to_the_next_due_instant_after_two_equal_rounds() -> None:
    clock = Town().clock()
    clock.register("a", real_s=0.0)

    assert [_say(clock, due=500), _say(clock, due=500)] == [100, 500]
    assert [_say(clock, due=500), _say(clock, due=500)] == [500, 500], "what is due now must be done first"
    assert [_say(clock, due=900, epoch=1), _say(clock, due=900, epoch=1)] == [500, 900]


def test_after_a_jump_everybody_must_have_reported_before_they_are_said_to_know() -> None:
    clock = Town().clock()
    clock.register("a", real_s=0.0)
    clock.register("b", real_s=0.0)
    for name in ("a", "b", "a", "b"):
        _say(clock, name, due=500)

    assert (clock.now(), clock.everybody_knows) == (500, False)
    _say(clock, "a", due=500)
    assert not clock.everybody_knows, "b may still live in the past"
    _say(clock, "b", due=500)
    assert clock.everybody_knows


def test_it_jumps_to_the_earliest_of_processes_and_town() -> None:
    town = Town()
    clock = town.clock()
    clock.register("a", real_s=0.0)
    clock.register("b", real_s=0.0)
    town.stirs_at = 300
    for _ in range(2):
        _say(clock, "a", due=500)
        _say(clock, "b", due=None)

    assert clock.now() == 300


def test_work_between_two_rounds_holds_the_clock() -> None:
    clock = Town().clock()
    clock.register("a", real_s=0.0)

    assert [_say(clock, due=500, epoch=epoch) for epoch in (1, 2, 3)] == [100, 100, 100]
    assert _say(clock, due=500, epoch=3) == 500


def test_a_request_between_two_rounds_holds_the_clock() -> None:
    town = Town()
    clock = town.clock()
    clock.register("a", real_s=0.0)
    _say(clock, due=500)
    town.served += 1

    assert [_say(clock, due=500), _say(clock, due=500)] == [100, 500]


@pytest.mark.parametrize("hindrance", ["not idle", "town busy", "no report of b"])
def test_anybody_at_work_holds_the_clock(hindrance: str) -> None:
    town = Town()
    clock = town.clock()
    clock.register("a", real_s=0.0)
    if hindrance == "no report of b":
        clock.register("b", real_s=0.0)
    town.busy = hindrance == "town busy"

    for _ in range(5):
        _say(clock, idle=hindrance != "not idle", due=500)

    assert clock.now() == 100


def test_nobody_registered_means_nobody_moves_the_clock() -> None:
    clock = Town().clock()
    clock.register("a", real_s=0.0)
    clock.deregister("a")

    assert clock.now() == 100
    with pytest.raises(UnknownParticipant):
        _say(clock, due=500)


def test_a_silent_process_is_deregistered_after_real_seconds_and_the_others_go_on() -> None:
    clock = Town().clock()
    clock.register("a", real_s=0.0)
    clock.register("b", real_s=0.0)
    clock.report("a", Report(True, 500, 0), real_s=SILENCE_S)

    assert clock.expire(real_s=SILENCE_S + 1) == ["b"]
    assert clock.participants == ("a",)
    for _ in range(2):
        _say(clock, due=500)
    assert clock.now() == 500


def test_whoever_registers_anew_must_report_twice_before_a_jump() -> None:
    clock = Town().clock()
    clock.register("a", real_s=0.0)
    _say(clock, due=500)
    clock.register("a", real_s=0.0)

    assert [_say(clock, due=500), _say(clock, due=500)] == [100, 500]


def test_time_stops_at_the_end_and_says_so() -> None:
    clock = Town().clock(until=400)
    clock.register("a", real_s=0.0)

    assert [_say(clock, due=400), _say(clock, due=400)] == [100, 400]
    assert not clock.finished
    assert [_say(clock, due=900), _say(clock, due=900)] == [400, 400]
    assert clock.finished


def test_a_clock_without_end_has_finished_when_nothing_is_due_any_more() -> None:
    clock = Town().clock()
    clock.register("a", real_s=0.0)
    _say(clock)
    assert not clock.finished
    _say(clock)

    assert (clock.now(), clock.finished) == (100, True)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a", "b"]),
            st.booleans(),
            st.none() | st.integers(50, 900),
            st.integers(0, 1),
            st.booleans(),
        ),
        max_size=60,
    )
)
def test_time_never_passes_anything_that_is_due(said: list[tuple[str, bool, int | None, int, bool]]) -> None:
    town = Town()
    clock = town.clock(until=700)
    latest: dict[str, Report | None] = {"a": None, "b": None}
    for name in latest:
        clock.register(name, real_s=0.0)

    for name, idle, due, epoch, busy in said:
        town.busy = busy
        before = clock.now()
        latest[name] = Report(idle, due, epoch)
        after = clock.report(name, Report(idle, due, epoch), real_s=0.0)

        assert before <= after <= 700
        if after > before:
            assert all(report is not None and report.idle for report in latest.values())
            assert not busy
            dues = [report.next_due for report in latest.values() if report is not None and report.next_due is not None]
            assert all(before < due for due in dues)
            assert all(after <= due for due in dues)
