"""The oracle on stepwise and timed SOPs, answers, resuming and hand-overs, against SPEC examples worked out by hand."""

from __future__ import annotations

import pytest

from tests.support.oracle.history import at
from tests.support.telling import nurture, outcome, refused, run, sop, told

ADDED = ("09-14 15:00", "add alice mei")


def stepwise(*steps: str, **more: str) -> str:
    return sop("care", *steps, pace="stepwise", **more)


def test_each_step_counts_from_the_sending_of_the_one_before() -> None:
    steps = ('first day: 1, at: "10:00"', 'second day: 2, at: "10:00"')
    company = told(stepwise(*steps), deeds=[ADDED], habits={"alice": (16 * 60,)})

    assert outcome(run(company)) == ["first sent 09-16 02:01", "second sent 09-19 02:01"]


def test_a_step_that_was_skipped_lets_the_clock_go_on() -> None:
    steps = ('first day: 1, at: "10:00", only_if: {tag: [r/bought]}', 'second day: 2, at: "10:00"')
    company = told(stepwise(*steps), deeds=[ADDED])

    assert outcome(run(company)) == ["first skipped condition", "second sent 09-17 10:11"]


def test_an_answer_is_waited_for_at_most_so_long() -> None:
    steps = ('first day: 1, at: "10:00", wait: reply, at_most: 4d', "second after: 2h")
    silent = told(stepwise(*steps), deeds=[ADDED])
    answered = told(stepwise(*steps), deeds=[ADDED, ("09-16 12:00", "reply alice mei yes")])

    assert outcome(run(silent)) == ["first sent 09-15 10:11", "second sent 09-19 12:21"]
    assert outcome(run(answered)) == ["first sent 09-15 10:11", "second sent 09-16 14:11"]


def test_an_answer_acts_by_its_keywords_for_the_latest_step_that_asks() -> None:
    actions = "{keywords: {price: {add_tags: [r/price]}}, any: {set: {answers: true}}}"
    first = f'first day: 1, at: "10:00", on_reply: {actions}'
    deeds = [ADDED, ("09-14 16:00", "reply alice mei price"), ("09-15 12:00", "reply alice mei the PRICE please")]
    company = told(sop("care", first, 'second day: 2, at: "10:00"'), deeds=deeds)
    before = told(sop("care", first, 'second day: 2, at: "10:00"'), deeds=deeds[:2])

    assert company.relations["alice", "mei"].tags == {"r/price"}
    assert company.customers["mei"].attributes == {"answers": True}
    assert before.relations["alice", "mei"].tags == set()


def test_whether_somebody_replied_since_a_step_is_false_while_it_was_not_sent() -> None:
    steps = ('first day: 1, at: "10:00", only_if: {tag: [r/bought]}',
             'second day: 2, at: "10:00", only_if: {replied: {since: first, none: true}}',
             'third day: 3, at: "10:00", only_if: {replied: any}')  # fmt: skip
    company = told(sop("care", *steps), deeds=[ADDED, ("09-16 12:00", "reply alice mei hello")])

    assert outcome(run(company)) == ["first skipped condition", "second skipped condition", "third sent 09-17 10:11"]


def test_a_timed_sop_has_its_dates_and_what_is_past_at_entry_is_done() -> None:
    dates = ('first on: 2026-09-15, at: "10:00"', 'second on: 2026-09-18, at: "10:00"')
    company = told(
        nurture("sale", *dates, strategy="timed", when="{tag: [r/bought]}"),
        deeds=[ADDED, ("09-16 12:00", "tag alice mei r/bought")],
    )

    assert outcome(run(company, "sale")) == ["first skipped before entry", "second sent 09-18 10:11"]


def test_steps_may_count_from_a_date_of_the_customer() -> None:
    gift = nurture("gift", 'first day: 3, at: "10:00"', when="{tag: [r/bought]}", anchor="{attribute: paid_on}")
    deeds = [ADDED, ("09-14 16:00", "tag alice mei r/bought"), ("09-14 17:00", "attribute - mei paid_on='2026-09-13'"),
             ("09-14 18:00", "untag alice mei r/bought"), ("09-14 19:00", "tag alice mei r/bought")]  # fmt: skip
    company = told(gift, deeds=deeds)

    assert refused(company) == [("gift", "mei", {"no date to count from"})]
    assert outcome(run(company, "gift")) == ["first sent 09-16 10:11"]


PAUSED = [ADDED, ("09-15 10:05", "pause care"), ("09-16 09:00", "add alice lan"), ("09-17 09:00", "resume care")]


@pytest.mark.parametrize(
    ("missed", "expected"),
    [
        ("skip", ["first skipped paused", "second skipped paused", "third sent 09-18 10:11"]),
        ("catch_up", ["first skipped paused", "second sent 09-17 09:11", "third sent 09-18 10:11"]),
        ("shift", ["first sent 09-17 09:11", "second sent 09-18 10:11", "third sent 09-20 10:11"]),
    ],
)
def test_resume_skips_catches_up_or_shifts(missed: str, expected: list[str]) -> None:
    steps = ('first day: 1, at: "10:00"', 'second day: 2, at: "10:00"', 'third day: 4, at: "10:00"')
    company = told(sop("care", *steps), deeds=[*PAUSED[:3], ("09-17 09:00", f"resume care {missed}")])

    assert outcome(run(company)) == expected


def test_resume_admits_those_recorded_while_the_sop_was_paused() -> None:
    steps = ('first day: 0, at: "20:00"', 'second day: 2, at: "10:00"')
    company = told(sop("care", *steps), deeds=[*PAUSED[:3], ("09-17 09:00", "resume care admit")])

    assert run(company, customer="lan").cause == "resumed"
    assert outcome(run(company, customer="lan")) == ["first skipped before entry", "second sent 09-18 10:11"]


def test_runs_go_to_the_member_who_takes_the_customer_over() -> None:
    steps = ('first day: 1, at: "10:00"', 'second day: 3, at: "10:00"')
    company = told(sop("care", *steps), deeds=[ADDED, ("09-16 12:00", "transfer alice mei bob")])

    assert outcome(run(company, member="bob")) == ["first sent 09-15 10:11", "second sent 09-17 10:11"]


def test_a_run_that_nobody_takes_over_within_a_day_and_one_out_of_scope_are_lost() -> None:
    nobody = told(
        sop("care", 'first day: 1, at: "10:00"'),
        deeds=[ADDED, ("09-14 16:00", "add bob mei"), ("09-14 17:00", "transfer alice mei bob")],
    )
    outside = told(
        sop("care", 'first day: 1, at: "10:00"', members="[alice]"),
        deeds=[ADDED, ("09-14 17:00", "transfer alice mei bob")],
    )

    assert (run(nobody).state, run(nobody).closed) == ("lost", at("2026-09-15 17:00"))
    assert (run(outside).state, run(outside).closed) == ("lost", at("2026-09-14 17:00"))


def test_a_run_that_meets_one_of_the_same_sop_there_is_merged() -> None:
    deeds = [ADDED, ("09-14 16:00", "add carol mei"), ("09-14 17:00", "transfer alice mei bob"),
             ("09-14 18:00", "transfer carol mei bob")]  # fmt: skip
    company = told(sop("care", 'first day: 1, at: "10:00"'), deeds=deeds, habits={"carol": (10,)})

    assert outcome(run(company, member="bob")) == ["first sent 09-15 10:11"]
    assert (run(company, member="carol").state, outcome(run(company, member="carol"))) == ("merged", [])


def test_pushes_wait_for_whoever_takes_over() -> None:
    deeds = [ADDED, ("09-14 15:30", "add bob mei"), ("09-14 17:00", "transfer alice mei bob")]
    company = told(nurture("one", 'first day: 0, at: "18:00"', when="{added: {older_than: 0m}}"), deeds=deeds)

    assert run(company, "one", member="bob").pushes[0].sent_at > at("2026-09-15 17:00")
