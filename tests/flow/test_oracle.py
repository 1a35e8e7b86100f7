"""The oracle against SPEC examples worked out by hand: what it says of short histories whose outcome is plain."""

from __future__ import annotations

import pytest

from tests.support.oracle.history import at
from tests.support.telling import outcome, refused, run, sop, told

TWO_STEPS = ('first day: 1, at: "10:00"', 'second day: 3, at: "10:00"')


def test_a_customer_gets_every_step_on_its_day_and_reaches_the_normal_end() -> None:
    company = told(sop("care", *TWO_STEPS, normal_end="{add_tags: [r/done]}"), deeds=[("09-14 15:00", "add alice mei")])

    assert outcome(run(company)) == ["first sent 09-15 10:11", "second sent 09-17 10:11"]
    assert run(company).state == "normal_end"
    assert company.relations["alice", "mei"].tags == {"r/done"}


def test_moments_before_the_entry_are_skipped_or_the_latest_moves_to_the_next_day() -> None:
    steps = ('early day: 0, at: "09:00"', 'noon after: 2h', 'late day: 2, at: "10:00"')
    skipped = told(sop("care", *steps), deeds=[("09-14 15:00", "add alice mei")])
    moved = told(sop("care", *steps, late_at_entry="next_day"), deeds=[("09-14 15:00", "add alice mei")])

    assert outcome(run(skipped)) == ["early skipped before entry", "noon sent 09-14 17:11", "late sent 09-16 10:11"]
    assert outcome(run(moved))[0] == "early sent 09-15 09:11"


def test_an_unconfirmed_task_expires_with_the_next_local_day() -> None:
    company = told(sop("care", *TWO_STEPS), deeds=[("09-14 15:00", "add alice mei")], habits={"alice": (None,)})

    assert outcome(run(company)) == ["first expired not confirmed", "second expired not confirmed"]
    assert run(company).pushes[0].settled_at == at("2026-09-17 00:01")
    assert run(company).state == "normal_end"


def test_the_next_due_caps_the_expiry_and_waits_for_the_predecessor_to_be_read() -> None:
    steps = ('first day: 1, at: "10:00"', 'second day: 2, at: "10:00"')
    company = told(sop("care", *steps), deeds=[("09-14 15:00", "add alice mei")], habits={"alice": (None,)})

    first, second = run(company).pushes
    assert (first.state, first.settled_at) == ("expired", at("2026-09-16 10:01"))
    assert second.planned_at == at("2026-09-16 10:01")


def test_an_early_end_cancels_the_task_and_those_still_inside_get_a_new_one() -> None:
    early = sop("care", *TWO_STEPS, early_end="{when: {tag: [r/bought]}, add_tags: [r/thanks]}")
    deeds = [
        ("09-14 15:00", "add alice mei"),
        ("09-14 16:00", "add alice lan"),
        ("09-15 10:20", "tag alice mei r/bought"),
    ]
    company = told(early, deeds=deeds, habits={"alice": (60,)})

    assert outcome(run(company)) == ["first cancelled early end"]
    assert company.relations["alice", "mei"].tags == {"r/bought", "r/thanks"}
    assert outcome(run(company, customer="lan"))[0] == "first sent 09-15 11:31"


def test_a_task_confirmed_before_the_end_was_heard_of_is_plainly_sent() -> None:
    early = sop("care", *TWO_STEPS, early_end="{when: {tag: [r/bought]}}")
    deeds = [("09-14 15:00", "add alice mei"), ("09-15 10:12", "tag alice mei r/bought")]
    company = told(early, deeds=deeds)

    assert outcome(run(company)) == ["first sent 09-15 10:11"]
    assert not run(company).pushes[0].could_not_stop
    assert run(company).state == "early_end"


def test_the_higher_priority_has_the_day_and_the_other_comes_on_the_next() -> None:
    low = sop("low", 'first day: 1, at: "10:00"')
    high = sop("high", 'first day: 1, at: "18:00"', priority="60")
    company = told(low, high, deeds=[("09-14 15:00", "add alice mei")])

    assert outcome(run(company, "high")) == ["first sent 09-15 18:11"]
    assert outcome(run(company, "low")) == ["first sent 09-16 10:11"]


def test_a_confirmation_after_midnight_books_the_day_of_the_sending() -> None:
    one = sop("one", 'first day: 1, at: "20:00"', priority="60")
    two = sop("two", 'first day: 2, at: "10:00"')
    company = told(one, two, deeds=[("09-14 15:00", "add alice mei")], habits={"alice": (14 * 60, 14 * 60)})

    assert outcome(run(company, "one")) == ["first sent 09-16 10:01"]
    assert outcome(run(company, "two"))[0].startswith("first sent 09-1")
    assert run(company, "two").pushes[0].sent_at >= at("2026-09-17 00:00")


def test_the_same_step_reaches_a_customer_once_through_the_older_relation() -> None:
    deeds = [("09-14 15:00", "add alice mei"), ("09-14 15:30", "add bob mei")]
    company = told(sop("care", 'first day: 1, at: "10:00"'), deeds=deeds)

    assert outcome(run(company)) == ["first sent 09-15 10:11"]
    assert outcome(run(company, member="bob")) == ["first skipped same content via"]


def test_a_full_slot_hands_on_to_the_next() -> None:
    deeds = [(f"09-14 15:{minute}", f"add alice c{minute}") for minute in (10, 20, 30)]
    company = told(sop("care", 'first day: 1, at: "10:00"', batch="{size: 2, every: 30m}"), deeds=deeds)

    assert sorted(task.created for task in company.tasks) == [at("2026-09-15 10:01"), at("2026-09-15 10:31")]
    assert outcome(run(company, customer="c30")) == ["first sent 09-15 10:41"]


def test_a_pause_cancels_open_tasks_and_resume_skips_what_is_past() -> None:
    steps = ('first day: 1, at: "10:00"', 'second day: 2, at: "10:00"', 'third day: 4, at: "10:00"')
    deeds = [
        ("09-14 15:00", "add alice mei"),
        ("09-15 10:05", "pause care"),
        ("09-16 09:00", "add alice lan"),
        ("09-17 09:00", "resume care"),
    ]
    company = told(sop("care", *steps), deeds=deeds)

    assert outcome(run(company)) == ["first skipped paused", "second skipped paused", "third sent 09-18 10:11"]
    assert refused(company) == [("care", "lan", {"sop paused"})]


def test_a_lost_customer_keeps_the_task_and_wecom_says_what_became_of_it() -> None:
    deeds = [("09-14 15:00", "add alice mei"), ("09-15 10:05", "customer_delete alice mei")]
    company = told(sop("care", *TWO_STEPS), deeds=deeds)

    assert (run(company).state, outcome(run(company))) == ("lost", ["first failed not a friend"])


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("skip", "first skipped quota"),
        ("{defer: 3d}", "first sent 09-16 10:11"),
        ("{defer: 1d}", "first sent 09-16 10:11"),
    ],
)
def test_a_members_own_send_fills_the_window_and_the_push_takes_quota_full(policy: str, expected: str) -> None:
    deeds = [("09-14 15:00", "add alice mei"), ("09-15 09:00", "own_send alice mei")]
    company = told(sop("care", 'first day: 1, at: "10:00"', quota_full=policy), deeds=deeds)

    assert outcome(run(company)) == [expected]


def test_a_members_own_send_that_was_read_in_time_costs_nobody_a_task() -> None:
    deeds = [("09-14 15:00", "add alice mei"), ("09-15 09:00", "own_send alice mei")]
    company = told(sop("care", 'first day: 1, at: "14:30"'), deeds=deeds)

    assert outcome(run(company)) == ["first sent 09-16 14:41"]
    assert [task.created for task in company.tasks] == [at("2026-09-16 14:31")]
