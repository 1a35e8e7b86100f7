"""One customer's run through a SOP: stories first, then the whole table, then whole histories."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from machines import reasons
from machines.effects import (
    CancelPushes,
    FirePush,
    FlowTo,
    RetirePush,
    SetAttributes,
    SettlePush,
    SkipPush,
    WaitForPush,
    WriteTags,
)
from machines.enrollment import ENDS, STEPS_DONE, Decision, Due, Facts, begin, decide, due_after, machine_for
from machines.errors import IllegalEvent, MachinesError
from machines.events import (
    EarlyEnd,
    EnrollmentEvent,
    Lost,
    ManualEnd,
    Merged,
    PushesSettled,
    StepDue,
    Stopped,
    Timeliness,
    due_name,
)
from machines.sop import STATE_NAMES
from tests.support.programs import program
from tests.support.walking import arrows, grid, illegal_pairs, reached, silent_parts

CARE = program(
    early_end={
        "when": {"tag": ["已复购"]}, "add_tags": ["结果/已复购"], "set": {"repurchased": True}, "flow_to": "thanks",
    },
    normal_end={"add_tags": ["结果/未复购"], "remove_tags": ["进行中"], "flow_to": "winback"},
)
SHORT = program(steps=[{"id": "hi", "by": "mass_send", "day": 0, "at": "10:00", "text": "hi"}])
PATH = ("enrolled", "hello", "guide", "coupon")
STEP_IDS = PATH[1:]
NEXT = dict(zip(PATH, STEP_IDS, strict=False))
LATENESS: tuple[Timeliness, ...] = ("on_time", "before_entry", "late", "paused")
END_EVENTS: tuple[EnrollmentEvent, ...] = (
    EarlyEnd("tag 已复购"), ManualEnd("wang", "asked", ("a",), ("b",), "thanks"), ManualEnd("wang"), Lost("customer"),
    Stopped("wang"), Merged("run 7"),
)  # fmt: skip
EVENTS: tuple[EnrollmentEvent, ...] = (
    *(StepDue(step, timeliness) for step in STEP_IDS for timeliness in LATENESS),
    PushesSettled(),
    *END_EVENTS,
)
FACTS = grid(
    Facts,
    open_push=("none", "unrequested", "unconfirmed", "doubtful"),
    others_open=(False, True),
    sop_paused=(False, True),
)
TABLE = machine_for(STEP_IDS)


def contexts(event_name: str) -> list[dict[str, Any]]:
    events = [event for event in EVENTS if event.name == event_name] or [PushesSettled()]
    return [{"event": event, "facts": facts, "program": CARE} for event in events for facts in FACTS]


# -- stories


def test_a_run_begins_enrolled_with_its_first_step_due() -> None:
    assert begin(CARE) == Decision("enrolled", Due("hello", "anchor"), visited=("enrolled",))


def test_a_due_step_fires_and_names_the_next() -> None:
    assert decide("hello", StepDue("guide"), CARE) == Decision(
        "guide", Due("coupon", "anchor"), (FirePush("guide"),), "fired", ("guide",)
    )


def test_an_open_welcome_does_not_hold_up_the_first_mass_send() -> None:
    assert decide("hello", StepDue("guide"), CARE, Facts(others_open=True)).effects == (FirePush("guide"),)


def test_an_unrequested_predecessor_is_overtaken() -> None:
    decision = decide("guide", StepDue("coupon"), CARE, Facts("unrequested"))

    assert decision.effects == (SettlePush("skipped", "overtaken"), FirePush("coupon"))


def test_an_unconfirmed_predecessor_is_retired_and_waited_for() -> None:
    """SPEC 5 and 7.6: it expires at the next step's due; it is settled only after cancellation and re-reading."""
    decision = decide("guide", StepDue("coupon"), CARE, Facts("unconfirmed"))

    assert decision == Decision(
        "guide", Due("coupon"), (RetirePush("not confirmed"), WaitForPush("coupon")), "waits for the open push"
    )


def test_a_predecessor_in_doubt_is_waited_for() -> None:
    """D18, D20."""
    decision = decide("guide", StepDue("coupon"), CARE, Facts("doubtful"))

    assert decision == Decision("guide", Due("coupon"), (WaitForPush("coupon"),), "waits for the open push")


@pytest.mark.parametrize(
    ("timeliness", "reason"), [("before_entry", "before entry"), ("late", "late"), ("paused", "paused")]
)
def test_a_missed_step_is_passed_over_and_counts_as_done(timeliness: Timeliness, reason: str) -> None:
    assert decide("hello", StepDue("guide", timeliness), CARE) == Decision(
        "guide", Due("coupon"), (SkipPush("guide", reason),), reason, ("guide",)
    )


def test_passing_over_a_step_waits_for_nothing_but_still_settles_or_retires_the_predecessor() -> None:
    def effects(facts: Facts, timeliness: Timeliness = "late") -> tuple[Any, ...]:
        decision = decide("hello", StepDue("guide", timeliness), CARE, facts)
        assert decision.state == "guide"
        return decision.effects

    assert effects(Facts("unrequested")) == (SettlePush("skipped", "overtaken"), SkipPush("guide", "late"))
    assert effects(Facts("unrequested"), "paused") == (SettlePush("skipped", "paused"), SkipPush("guide", "paused"))
    assert effects(Facts("unconfirmed")) == (RetirePush("not confirmed"), SkipPush("guide", "late"))
    assert effects(Facts("doubtful")) == (SkipPush("guide", "late"),)


def test_the_last_step_passes_into_settling_and_its_push_keeps_it_there() -> None:
    decision = decide("guide", StepDue("coupon"), CARE)

    assert (decision.state, decision.due, decision.visited) == ("settling", None, ("coupon", "settling"))
    assert decision.effects == (FirePush("coupon"),)


def test_a_last_step_that_is_passed_over_ends_the_run_at_once_if_nothing_is_open() -> None:
    decision = decide("guide", StepDue("coupon", "late"), CARE, Facts("unrequested"))

    assert (decision.state, decision.visited) == ("normal_end", ("coupon", "settling", "normal_end"))
    assert decision.effects == (
        SettlePush("skipped", "overtaken"),
        SkipPush("coupon", "late"),
        WriteTags(("结果/未复购",), ("进行中",)),
        FlowTo("winback"),
    )


@pytest.mark.parametrize("facts", [Facts("unconfirmed"), Facts("doubtful"), Facts(others_open=True)])
def test_a_last_step_that_is_passed_over_still_waits_for_what_is_open(facts: Facts) -> None:
    assert decide("guide", StepDue("coupon", "late"), CARE, facts).state == "settling"


def test_the_normal_end_comes_when_every_push_has_settled() -> None:
    decision = decide("settling", PushesSettled(), CARE)

    assert decision == Decision(
        "normal_end", None, (WriteTags(("结果/未复购",), ("进行中",)), FlowTo("winback")), "normal end", ("normal_end",)
    )
    assert decide("guide", PushesSettled(), CARE).ignored


def test_a_sop_of_one_step_runs_from_entry_to_its_end() -> None:
    fired = decide("enrolled", StepDue("hi"), SHORT)

    assert fired.visited == ("hi", "settling")
    assert decide(fired.state, PushesSettled(), SHORT) == Decision(
        "normal_end", None, (), "normal end", ("normal_end",)
    )


def test_an_early_end_cancels_and_writes_tags_attributes_and_flow_in_this_order() -> None:
    decision = decide("guide", EarlyEnd("tag 已复购"), CARE)

    assert decision == Decision(
        "early_end",
        None,
        (
            CancelPushes("early end", stop_tasks=True),
            WriteTags(("结果/已复购",), ()),
            SetAttributes((("repurchased", True),)),
            FlowTo("thanks"),
        ),
        "early end: tag 已复购",
        ("early_end",),
    )


def test_a_manual_end_brings_its_own_tags_and_flow() -> None:
    """SPEC 8: a transfer is a manual end with a flow."""
    plain = decide("hello", ManualEnd("wang", "customer asked"), CARE)
    transfer = decide("hello", ManualEnd("wang", "", ("vip",), (), "thanks"), CARE)

    assert (plain.reason, plain.effects) == (
        "manual end: customer asked", (CancelPushes("manual end", stop_tasks=True),)
    )  # fmt: skip
    assert transfer.effects == (
        CancelPushes("manual end", stop_tasks=True), WriteTags(("vip",), ()), FlowTo("thanks")
    )  # fmt: skip


@pytest.mark.parametrize(
    ("event", "stop_tasks"), [(Lost("customer"), False), (Merged("run 7"), False), (Stopped("wang"), True)]
)
def test_lost_merged_and_stopped_write_no_tags_and_do_not_flow(event: EnrollmentEvent, stop_tasks: bool) -> None:
    """SPEC 8, D22: lost and merged leave an open task to WeCom's result."""
    decision = decide("guide", event, CARE)

    assert (decision.state, decision.reason) == (event.name, event.name)
    assert decision.effects == (CancelPushes(event.name, stop_tasks),)


def test_while_paused_nothing_fires_and_nothing_ends_normally_but_ends_act() -> None:
    """D23."""
    paused = Facts(sop_paused=True)

    held = decide("hello", StepDue("guide"), CARE, paused)
    assert held == Decision("hello", Due("guide"), (), "sop paused")
    assert decide("settling", PushesSettled(), CARE, paused).state == "settling"
    assert decide("guide", EarlyEnd("tag"), CARE, paused).state == "early_end"
    assert decide("guide", Lost("customer"), CARE, paused).state == "lost"


def test_resume_with_skip_passes_over_what_the_pause_swallowed() -> None:
    decision = decide("hello", StepDue("guide", "paused"), CARE, Facts(sop_paused=True))

    assert (decision.state, decision.effects) == ("guide", (SkipPush("guide", "paused"),))


@pytest.mark.parametrize(
    ("changes", "bases"),
    [
        ({}, ["anchor", "anchor", "anchor"]),
        ({"pace": "stepwise"}, ["anchor", "settlement", "settlement"]),
        (
            {
                "strategy": "timed",
                "steps": [
                    {"id": step, "by": "mass_send", "on": f"2026-12-0{n}", "at": "10:00", "text": "x"}
                    for n, step in enumerate(STEP_IDS, start=1)
                ],
            },
            [None, None, None],
        ),
    ],
)
def test_due_says_from_what_the_next_step_counts(changes: dict[str, Any], bases: list[str | None]) -> None:
    running = program(**changes)

    assert [due_after(state, running) for state in PATH] == [
        *(Due(step, basis) for step, basis in zip(STEP_IDS, bases, strict=True)),
        None,
    ]
    assert all(due_after(state, running) is None for state in ("settling", *ENDS))


# -- the whole table


def test_only_a_step_out_of_order_is_illegal() -> None:
    later = {
        (state, due_name(step))
        for place, state in enumerate(PATH)
        for step in STEP_IDS[place + 1 :]
    }  # fmt: skip

    assert illegal_pairs(TABLE) == later
    with pytest.raises(IllegalEvent) as raised:
        decide("enrolled", StepDue("coupon"), CARE)
    assert (raised.value.machine, raised.value.state) == ("enrollment", "enrolled")


@pytest.mark.parametrize(("state", "event"), [("gone", StepDue("guide")), ("hello", StepDue("gone"))])
def test_a_state_or_a_step_of_another_version_is_illegal(state: str, event: EnrollmentEvent) -> None:
    with pytest.raises(IllegalEvent):
        decide(state, event, CARE)


def test_every_arrow_is_taken_and_every_guard_and_callback_speaks() -> None:
    assert {event.name for event in EVENTS} | {STEPS_DONE} == set(TABLE.events)
    assert reached(TABLE, contexts) == arrows(TABLE)
    assert silent_parts(TABLE, contexts) == set()


def test_the_states_are_those_the_definitions_keep_free() -> None:
    """D25."""
    assert set(TABLE.states) - set(STEP_IDS) == STATE_NAMES


@pytest.mark.parametrize("step_ids", [(), ("a", "a"), ("a", "settling"), ("enrolled",)])
def test_steps_that_are_none_twice_or_called_like_a_state_are_refused(step_ids: tuple[str, ...]) -> None:
    with pytest.raises(MachinesError):
        machine_for(step_ids)


def test_one_table_serves_every_version_with_the_same_steps() -> None:
    assert machine_for(STEP_IDS) is TABLE


@pytest.mark.parametrize("state", [*PATH, "settling", *ENDS])
@pytest.mark.parametrize("event", EVENTS, ids=repr)
def test_a_decision_agrees_with_itself(state: str, event: EnrollmentEvent) -> None:
    for facts in FACTS:
        if (state, event.name) in illegal_pairs(TABLE):
            continue
        decision = decide(state, event, CARE, facts)

        assert decision.due == due_after(decision.state, CARE)
        assert (decision.visited[-1] if decision.visited else state) == decision.state
        if decision.ignored:
            assert (decision.state, decision.effects, decision.visited, decision.reason) == (state, (), (), "")
        if state in ENDS:
            assert decision.ignored, "ended is ended"
        if decision.reason:
            assert reasons.family(decision.reason) in reasons.TEXTS
        assert hash(decision) == hash(decide(state, event, CARE, facts))


# -- whole histories


@dataclass
class Life:
    """A small world around one run: it obeys the effects and says what is open, like the shell does."""

    state: str = "enrolled"
    quota_push: str = "none"
    others: int = 0
    paused: bool = False
    waiting_for: str | None = None
    fired: list[str] = field(default_factory=list)
    settled: list[str] = field(default_factory=list)

    def facts(self) -> Facts:
        return Facts(self.quota_push, self.others > 0, self.paused)  # type: ignore[arg-type]

    def happen(self, event: EnrollmentEvent) -> Decision:
        decision = decide(self.state, event, CARE, self.facts())
        for effect in decision.effects:
            self._obey(effect)
        self.state = decision.state
        return decision

    def _obey(self, effect: object) -> None:
        match effect:
            case SettlePush():
                assert self.quota_push == "unrequested"
                self.quota_push = "none"
            case RetirePush():
                assert self.quota_push == "unconfirmed"
                self.quota_push = "doubtful"
            case WaitForPush(step_id):
                self.waiting_for = step_id
            case FirePush(step_id):
                self.fired.append(step_id)
                if CARE.step(step_id).takes_quota:
                    assert self.quota_push == "none", "never two unsettled quota pushes"
                    self.quota_push = "unrequested"
                else:
                    self.others += 1
            case SkipPush(step_id):
                self.settled.append(step_id)
            case CancelPushes(stop_tasks=stops):
                still_out = self.quota_push in ("unconfirmed", "doubtful")
                self.quota_push = "doubtful" if still_out and stops else self.quota_push if still_out else "none"

    def settle(self) -> None:
        """Everything open settles; a waiting step is due again, and `settling` hears of it."""
        self.quota_push, self.others = "none", 0
        if self.waiting_for and due_after(self.state, CARE) == Due(self.waiting_for):
            step, self.waiting_for = self.waiting_for, None
            self.happen(StepDue(step))
        self.happen(PushesSettled())


MOVES = st.sampled_from(
    ["due", "due", "due", "late", "repeat", "request", "doubt", "settle", "settle", "pause", "resume", "end"]
)


@given(st.lists(st.tuples(MOVES, st.sampled_from(END_EVENTS)), max_size=25))
def test_whatever_happens_order_is_kept_and_never_two_quota_pushes_are_open(
    history: list[tuple[str, EnrollmentEvent]],
) -> None:
    life, ended = Life(), ""
    for move, end in history:
        due = due_after(life.state, CARE)
        if move in ("due", "late") and due:
            life.happen(StepDue(due.step_id, "on_time" if move == "due" else "late"))
        elif move == "repeat" and life.state in STEP_IDS:
            assert life.happen(StepDue(life.state)).ignored
        elif move == "request" and life.quota_push == "unrequested":
            life.quota_push = "unconfirmed"
        elif move == "doubt" and life.quota_push == "unconfirmed":
            life.quota_push = "doubtful"
        elif move == "settle":
            life.settle()
        elif move in ("pause", "resume"):
            life.paused = move == "pause"
        elif move == "end":
            life.happen(end)
        assert not ended or life.state == ended, "ended is ended"
        ended = life.state if life.state in ENDS else ""

    done = life.fired + life.settled
    assert len(done) == len(set(done)), "no step twice"
    assert set(done) == set(STEP_IDS[: len(done)]), "no step left out"
    assert life.fired == sorted(life.fired, key=STEP_IDS.index)
    if life.state == "normal_end":
        assert set(done) == set(STEP_IDS)
        assert life.quota_push == "none"


@given(st.lists(st.sampled_from(["request", "doubt", "settle"]), max_size=6))
def test_a_run_that_is_only_led_on_reaches_its_normal_end(detours: list[str]) -> None:
    life = Life()
    for _ in range(10):
        due = due_after(life.state, CARE)
        if due:
            life.happen(StepDue(due.step_id))
        if detours and detours.pop() == "request" and life.quota_push == "unrequested":
            life.quota_push = "unconfirmed"
            continue
        life.settle()

    assert life.state == "normal_end"
    assert life.fired == list(STEP_IDS)
