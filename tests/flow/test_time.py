"""Time through the whole engine on both databases: what the calendar decides is what customers receive (SPEC 5, 12)."""

from __future__ import annotations

import datetime as dt

import pytest

from machines.calendar import Instant
from sopd.commands import PauseSop, ResumeSop
from sopd.handlers import signals, sops
from sopd.incoming.conversation import Message
from sopd.sandbox.config import SandboxConfig
from sopd.sandbox.world import World
from sopd.store import Store
from tests.support.rig import SHANGHAI, WHO, Rig, at

HEAD = "sop: care\ntitle: Care\nkind: new_customer\n"
TAGS = ("level/vip", "result/done")


class Story:
    """Alice and the customers who add her. She confirms whatever she is given, as soon as she sees it."""

    def __init__(self, store: Store, began: str, definition: str, *, confirms: bool = True) -> None:
        self.world = World("time", SandboxConfig(), at(began))
        self.world.hire("alice")
        for tag in TAGS:
            self.world.stock_tag(tag, now=at(began))
        self.rig = Rig(store, self.world, at(began))
        if confirms:
            self.rig.watch = lambda rig: self.confirm()
        self.rig.publish(("care.yaml", HEAD + definition))
        self.rig.settle()

    def adds(self, customer: str = "wmMei", when: str | None = None) -> None:
        if when is not None:
            self.rig.run_until(at(when))
        self.world.customer_adds("alice", customer, now=self.rig.now)

    def until(self, when: str) -> None:
        self.rig.run_until(at(when))

    def confirm(self) -> None:
        for task in list(self.world.tasks.values()):
            for member, assignment in task.assignments.items():
                if assignment.confirmed_at is None and task.cancelled_at is None and task.ready_at <= self.rig.now:
                    self.world.member_confirms(task.msgid, member, now=self.rig.now)

    def says(self, customer: str = "wmMei") -> None:
        said = {"ref": f"{customer}/{self.rig.now}", "from": customer, "to": "alice", "text": "?"}
        signals.take_messages(self.rig.app, [(0, Message.model_validate(said))])

    def pushes(self, customer: str = "wmMei") -> dict[str, str]:
        with self.rig.store.reading() as tx:
            rows = tx.rows(
                "select p.step_id, p.state, p.reason from push p join customer c on c.id = p.customer_id"
                " where c.external_userid = ? order by p.id",
                (customer,),
            )
        return {step: f"{state} {reason}" if reason else state for step, state, reason in rows}

    def received(self, customer: str = "wmMei") -> list[tuple[str, str]]:
        """(text, hour of arrival) of mass sends by WeCom's account; tasks are made a minute or two late."""
        messages = self.world.account()[("alice", customer)]["messages"]
        return [(one["text"], hour(one["at"])) for one in messages]

    def state(self, customer: str = "wmMei") -> str:
        with self.rig.store.reading() as tx:
            return tx.value(
                "select e.state from enrollment e join customer c on c.id = e.customer_id where c.external_userid = ?",
                (customer,),
            )


def hour(instant: Instant) -> str:
    """Rounded down to ten minutes: the minute within a slot is not the calendar's business."""
    local = dt.datetime.fromtimestamp(instant / 1000, SHANGHAI)
    return f"{local:%m-%d %H}:{local.minute // 10}0"


calendar = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
"""The calendar knows no database: its stories are told on one of them."""


# -- workdays ----------------------------------------------------------------------------------------------------------


@calendar
@pytest.mark.parametrize(("off_day", "holiday"), [("next", "09-28 10:00"), ("previous", "09-24 10:00"),
                                                  ("keep", "09-25 10:00")])  # fmt: skip
def test_a_make_up_sunday_is_a_workday_and_a_holiday_is_treated_as_the_definition_says(
    store: Store, off_day: str, holiday: str
) -> None:
    """20 September 2026 is a Sunday to be worked, 25 September a Friday off."""
    story = Story(store, "2026-09-16 09:00", f"calendar: china_workday\noff_day: {off_day}\nsteps:\n"
        '  - {id: one, day: 4, at: "10:00", by: mass_send, text: sunday}\n'
        '  - {id: two, day: 9, at: "10:00", by: mass_send, text: holiday}\n')  # fmt: skip
    story.adds()

    story.until("2026-09-29 09:00")

    assert story.received() == [("sunday", "09-20 10:00"), ("holiday", holiday)]
    assert story.state() == "normal_end"


@calendar
def test_a_shift_never_brings_two_mass_sends_together_nor_one_before_the_entry(store: Store) -> None:
    """The long holiday of October pushes three steps to the workdays after it; the first one may not go before it."""
    story = Story(store, "2026-09-30 15:00", "calendar: china_workday\noff_day: previous\nsteps:\n"
        '  - {id: one, day: 1, at: "10:00", by: mass_send, text: one}\n'
        '  - {id: two, day: 3, at: "10:00", by: mass_send, text: two}\n'
        '  - {id: three, day: 5, at: "10:00", by: mass_send, text: three}\n')  # fmt: skip
    story.adds()

    story.until("2026-10-12 09:00")

    assert story.received() == [("one", "10-08 10:00"), ("two", "10-09 10:00"), ("three", "10-10 10:00")]


@calendar
def test_a_year_nobody_has_data_of_has_plain_weekdays(store: Store) -> None:
    story = Story(store, "2027-09-29 09:00", "calendar: china_workday\nsteps:\n"
        '  - {id: one, day: 2, at: "10:00", by: mass_send, text: friday}\n'
        '  - {id: two, day: 3, at: "10:00", by: mass_send, text: saturday}\n')  # fmt: skip
    story.adds()

    story.until("2027-10-05 09:00")

    assert story.received() == [("friday", "10-01 10:00"), ("saturday", "10-04 10:00")]


# -- quiet hours -------------------------------------------------------------------------------------------------------


@calendar
def test_quiet_hours_of_company_and_sop_are_one(store: Store) -> None:
    story = Story(store, "2026-03-02 09:00", 'quiet: ["12:00-14:00", "20:00-21:30"]\nsteps:\n'
        '  - {id: noon, day: 1, at: "12:30", by: mass_send, text: noon}\n'
        '  - {id: evening, day: 2, at: "20:30", by: mass_send, text: evening}\n'
        '  - {id: night, day: 5, at: "03:00", by: mass_send, text: night}\n')  # fmt: skip
    story.adds()

    story.until("2026-03-08 09:00")

    assert story.received() == [("noon", "03-03 14:00"), ("evening", "03-05 08:00"), ("night", "03-07 08:00")]


@calendar
@pytest.mark.parametrize(("off_day", "when"), [("next", "03-09 08:00"), ("keep", "03-07 08:00")])
def test_quiet_hours_that_end_on_an_off_day(store: Store, off_day: str, when: str) -> None:
    story = Story(store, "2026-03-05 09:00", f"calendar: weekdays\noff_day: {off_day}\nsteps:\n"
        '  - {id: late, day: 1, at: "22:00", by: mass_send, text: friday night}\n')  # fmt: skip
    story.adds()

    story.until("2026-03-10 09:00")

    assert story.received() == [("friday night", when)]


# -- only_if -----------------------------------------------------------------------------------------------------------

UNLESS_VIP = (
    '  - {id: one, day: 1, at: "10:00", by: mass_send, text: one, only_if: {not: {tag: [level/vip]}}}\n'
    '  - {id: two, day: 3, at: "10:00", by: mass_send, text: two}\n'
)


@pytest.mark.parametrize("tagged", ["2026-03-03 09:30:00", "2026-03-03 10:00:20"])
def test_a_condition_is_judged_at_planning_and_once_more_at_the_claim_and_false_is_final(
    store: Store, tagged: str
) -> None:
    story = Story(store, "2026-03-02 09:00", "steps:\n" + UNLESS_VIP)
    story.adds()
    story.until(tagged)
    planned = dict(story.pushes())
    story.world.member_tags("alice", "wmMei", "level/vip", now=story.rig.now)
    story.until("2026-03-03 10:30")
    skipped = dict(story.pushes())
    story.world.member_untags("alice", "wmMei", "level/vip", now=story.rig.now)

    story.until("2026-03-05 12:00")

    assert planned == ({} if "09:30" in tagged else {"one": "planned"})
    assert skipped == {"one": "skipped condition"}
    assert story.received() == [("two", "03-05 10:00")]


def test_a_false_condition_lets_the_stepwise_clock_go_on(store: Store) -> None:
    story = Story(store, "2026-03-02 09:00", "pace: stepwise\nsteps:\n" + UNLESS_VIP)
    story.adds()
    story.until("2026-03-02 12:00")
    story.world.member_tags("alice", "wmMei", "level/vip", now=story.rig.now)

    story.until("2026-03-07 12:00")

    assert story.pushes() == {"one": "skipped condition", "two": "sent"}
    assert story.received() == [("two", "03-06 10:00")]


# -- fixed dates -------------------------------------------------------------------------------------------------------

DATES = (
    '  - {id: eve, on: 2026-03-04, at: "10:00", by: mass_send, text: eve}\n'
    '  - {id: day, on: 2026-03-05, at: "10:00", by: mass_send, text: day}\n'
    '  - {id: thanks, on: 2026-03-08, at: "10:00", by: mass_send, text: thanks}\n'
)


@calendar
def test_fixed_dates_are_the_same_for_everybody(store: Store) -> None:
    story = Story(store, "2026-03-02 09:00", "strategy: timed\nsteps:\n" + DATES)
    story.adds("wmMei")
    story.adds("wmLin", "2026-03-04 18:00")

    story.until("2026-03-08 12:00")

    assert story.received("wmMei") == [("eve", "03-04 10:00"), ("day", "03-05 10:00"), ("thanks", "03-08 10:00")]
    assert story.pushes("wmLin") == {"eve": "skipped before entry", "day": "sent", "thanks": "sent"}
    assert {story.state("wmMei"), story.state("wmLin")} == {"normal_end"}


@calendar
def test_a_fixed_date_missed_at_entry_may_move_to_the_next_day(store: Store) -> None:
    story = Story(store, "2026-03-02 09:00", "strategy: timed\nlate_at_entry: next_day\nsteps:\n" + DATES)
    story.adds("wmLin", "2026-03-05 18:00")

    story.until("2026-03-09 09:00")

    assert story.pushes("wmLin")["eve"] == "skipped before entry"
    assert story.received("wmLin") == [("day", "03-06 10:00"), ("thanks", "03-08 10:00")]


@calendar
def test_whoever_enters_after_the_last_date_is_done_at_once(store: Store) -> None:
    story = Story(store, "2026-03-02 09:00", "strategy: timed\nsteps:\n" + DATES)
    story.adds("wmLin", "2026-03-09 18:00")

    story.until("2026-03-09 19:00")

    assert set(story.pushes("wmLin").values()) == {"skipped before entry"}
    assert story.state("wmLin") == "normal_end"


@calendar
def test_fixed_dates_keep_to_workdays_and_to_their_order(store: Store) -> None:
    weekend = DATES.replace("2026-03-04", "2026-03-07").replace("2026-03-05", "2026-03-08")
    story = Story(store, "2026-03-02 09:00", "strategy: timed\ncalendar: weekdays\nsteps:\n" + weekend.replace(
        "thanks, on: 2026-03-08", "thanks, on: 2026-03-09"))  # fmt: skip
    story.adds()

    story.until("2026-03-12 09:00")

    assert story.received() == [("eve", "03-09 10:00"), ("day", "03-10 10:00"), ("thanks", "03-11 10:00")]


# -- one step at a time ------------------------------------------------------------------------------------------------

STEPS = (
    "pace: stepwise\nsteps:\n"
    "  - {id: hi, by: welcome, text: hi}\n"
    '  - {id: ask, day: 1, at: "10:00", by: mass_send, text: ask, wait: reply, at_most: 3d}\n'
    "  - {id: tell, after: 1d, by: mass_send, text: tell}\n"
    '  - {id: last, next: monday, at: "10:00", by: mass_send, text: last}\n'
    "normal_end: {add_tags: [result/done]}\n"
)


def test_each_step_counts_from_the_one_before_and_an_answer_hurries_it(store: Store) -> None:
    story = Story(store, "2026-03-02 09:00", STEPS)
    story.adds("wmMei")
    story.adds("wmLin")
    story.until("2026-03-04 15:00")
    story.says("wmMei")

    story.until("2026-03-17 09:00")

    assert story.received("wmMei") == [("ask", "03-03 10:00"), ("tell", "03-05 15:00"), ("last", "03-09 10:00")]
    assert story.received("wmLin") == [("ask", "03-03 10:00"), ("tell", "03-07 10:00"), ("last", "03-09 10:00")]
    assert {story.state("wmMei"), story.state("wmLin")} == {"normal_end"}


def test_a_member_who_confirms_late_moves_the_next_step_and_one_who_does_not_is_passed_over(store: Store) -> None:
    story = Story(store, "2026-03-02 09:00", "pace: stepwise\nsteps:\n"
        '  - {id: one, day: 1, at: "10:00", by: mass_send, text: one}\n'
        '  - {id: two, day: 1, at: "10:00", by: mass_send, text: two}\n'
        '  - {id: three, day: 1, at: "10:00", by: mass_send, text: three}\n', confirms=False)  # fmt: skip
    story.adds()
    story.until("2026-03-04 17:00")
    story.confirm()
    story.until("2026-03-05 12:00")
    asked = story.pushes()
    story.until("2026-03-07 00:30")

    story.until("2026-03-08 10:30")

    assert asked == {"one": "sent", "two": "requested"}
    assert story.pushes() == {"one": "sent", "two": "expired not confirmed", "three": "requested"}


def test_an_early_end_stops_a_stepwise_run_that_waits_for_an_answer(store: Store) -> None:
    story = Story(store, "2026-03-02 09:00", STEPS + "early_end: {when: {tag: [level/vip]}}\n")
    story.adds()
    story.until("2026-03-04 12:00")
    story.world.member_tags("alice", "wmMei", "level/vip", now=story.rig.now)
    story.until("2026-03-04 12:30")
    story.says()

    story.until("2026-03-10 12:00")

    assert story.state() == "early_end"
    assert [text for text, _ in story.received()] == ["ask"]


# -- a pause and what comes of it --------------------------------------------------------------------------------------

PAUSED = (
    '  - {id: one, day: 1, at: "10:00", by: mass_send, text: one}\n'
    '  - {id: two, day: 2, at: "10:00", by: mass_send, text: two}\n'
    '  - {id: three, day: 6, at: "10:00", by: mass_send, text: three}\n'
)


@pytest.mark.parametrize(
    ("missed", "received"),
    [
        ("skip", [("three", "03-08 10:00")]),
        ("catch_up", [("two", "03-06 12:00"), ("three", "03-08 10:00")]),
        ("shift", [("one", "03-06 12:00"), ("two", "03-07 10:00"), ("three", "03-11 10:00")]),
    ],
)
def test_three_ways_to_go_on_after_a_pause_during_which_a_task_was_out(
    store: Store, missed: str, received: list[tuple[str, str]]
) -> None:
    story = Story(store, "2026-03-02 09:00", "steps:\n" + PAUSED)
    story.rig.watch = None
    story.adds()
    story.until("2026-03-03 10:30")
    assert story.pushes() == {"one": "requested"}
    sops.pause(story.rig.app, PauseSop("care", WHO))
    story.until("2026-03-06 12:00")
    assert story.pushes() == {"one": "waiting sop paused"}
    story.rig.watch = lambda rig: story.confirm()

    sops.resume(story.rig.app, ResumeSop("care", WHO, missed))
    story.until("2026-03-12 12:00")

    assert story.received() == received
    assert story.state() == "normal_end"


def test_whoever_came_during_the_pause_is_let_in_at_its_end(store: Store) -> None:
    story = Story(store, "2026-03-02 09:00", "steps:\n" + PAUSED)
    sops.pause(story.rig.app, PauseSop("care", WHO))
    story.adds(when="2026-03-03 12:00")
    story.until("2026-03-05 09:00")

    sops.resume(story.rig.app, ResumeSop("care", WHO, "skip", admit=True))
    story.until("2026-03-10 12:00")

    assert story.pushes() == {"one": "skipped before entry", "two": "sent", "three": "sent"}
    assert story.received() == [("two", "03-05 10:00"), ("three", "03-09 10:00")]
