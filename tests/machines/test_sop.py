"""Definitions: defaults, contradictions, what does not run yet, the program they compile into (SPEC 3-8, D1, D11)."""

from __future__ import annotations

from datetime import date, time, timedelta
from typing import Any

import pytest

from machines.calendar import NO_QUIET_HOURS, QuietHours
from machines.errors import DefinitionError
from machines.facts import Facts
from machines.lateness import Within
from machines.moments import AfterElapsed, AtOnce, NextWeekday, OnDate, OnDay
from machines.rules import evaluate
from machines.sop import (
    CHANNELS,
    STATE_NAMES,
    EndActions,
    Problem,
    Program,
    Reenter,
    Sop,
    check,
    compile_program,
    content_hash,
    not_run_yet,
    tag_names,
    tags_of,
)
from machines.workdays import NO_WORKDAYS

COMPANY = QuietHours(((time(21), time(8)),))


def step(id: str = "a", **given: Any) -> dict[str, Any]:
    fresh = {"id": id, "by": "mass_send", "text": "hello"}
    timed = given.keys() & {"day", "after", "next", "on"} or given.get("by") == "welcome"
    return fresh | ({} if timed else {"day": 1, "at": "10:00"}) | {k: v for k, v in given.items() if v is not None}


def shape(**given: Any) -> dict[str, Any]:
    return {"sop": "care", "title": "Care", "kind": "new_customer", "steps": [step()]} | given


def sop(**given: Any) -> Sop:
    return Sop.model_validate(shape(**given))


def compiled(**given: Any) -> Program:
    made = sop(**given)
    ids = {name: f"id-{name}" for name in tag_names(made)}
    return compile_program(made, zone="Asia/Shanghai", company_quiet=COMPANY, workdays=NO_WORKDAYS, tag_ids=ids)


# -- shape and defaults ----------------------------------------------------------------------------------------------


def test_defaults_are_those_of_d1() -> None:
    bare = compiled()

    assert (bare.priority, bare.members, bare.anchor, bare.pace) == (50, None, "entry", "anchored")
    assert (bare.batch_size, bare.batch_every_ms) == (200, 30 * 60_000)
    assert (bare.late_at_entry, bare.outage_grace, bare.quota_full) == ("skip", "same_day", timedelta(days=3))
    assert (bare.timetable.calendar, bare.timetable.off_day, bare.timetable.quiet) == ("every_day", "next", COMPANY)
    assert (bare.reenter, bare.once_per, bare.owner) == (Reenter("never"), "customer", "first_added")
    assert (bare.early_end_rule, bare.normal_end) == (None, EndActions())


FULL = shape(
    kind="nurture", members=["alice", "bob"], owner="tagged_by", pace="stepwise", anchor={"attribute": "paid_on"},
    entry={"when": {"all": [{"tag": "x"}, {"not": {"silent": "14d"}}]}, "reenter": {"after": "30d"}},
    steps=[
        step("a", by="call", text="call {{customer}}", assign="member:bob", next="monday", at="09:30"),
        step("b", wait="reply", at_most="7d", after="90m", attachments=[
            {"image": "a.png"}, {"link": {"title": "t", "url": "https://example.test/a", "picture": "https://e.test/p"}},
            {"miniprogram": {"title": "m", "appid": "wx1", "page": "p", "cover": "c.jpg"}}, {"video": "v.mp4"},
            {"file": "f.pdf"},
        ], on_reply={"keywords": {"价格": {"add_tags": ["阶段/价格"]}}, "any": {"set": {"answered": True}}}),
        step("c", only_if={"replied": {"since": "b", "none": True}}),
    ],
    batch={"size": 5, "every": "1h"}, late_at_entry={"within": "30m"}, outage_grace="none", quota_full="skip",
    calendar="china_workday", off_day="previous", quiet=["12:00-14:00", "20:00-21:00"],
    early_end={"when": {"any": [{"tag": "y"}, {"attribute": {"level": {"one_of": ["gold", 1]}}}]}, "set": {"n": 1.5},
               "flow_to": "winback"},
    normal_end={"add_tags": "z", "remove_tags": ["x"]}, goal={"when": {"event": "order_paid"}, "within": "7d"},
)


def test_definition_reads_back_from_its_stored_form() -> None:
    whole = Sop.model_validate(FULL)

    assert check(whole) == ()
    assert Sop.model_validate(whole.model_dump(mode="json")) == whole
    assert Sop.model_validate(whole.model_dump(mode="json", exclude_none=True)) == whole
    assert Sop.model_validate_json(whole.model_dump_json()) == whole


# -- contradictions --------------------------------------------------------------------------------------------------

S0, S1 = ("steps", 0), ("steps", 1)
CONTRADICTIONS: list[tuple[str, dict[str, Any], tuple[Any, ...], str]] = [
    ("twice the same id", {"steps": [step("a"), step("a", day=2, at="10:00")]}, (*S1, "id"), "is the id of step 1"),
    ("a state's name", {"steps": [step("lost")]}, (*S0, "id"), "name of a state"),
    ("days backwards", {"steps": [step("a", day=5, at="10:00"), step("b", day=3, at="10:00")]}, (*S1, "day"),
     'day 3 at 10:00 lies before step "a" (day 5 at 10:00)'),
    ("times backwards", {"steps": [step("a", day=5, at="10:00"), step("b", by="call", day=5, at="09:00")]},
     (*S1, "at"), "lies before"),
    ("two mass sends a day", {"steps": [step("a"), step("b", day=1, at="11:00")]}, (*S1, "day"), "one a day"),
    ("timed: two a day", {"kind": "nurture", "strategy": "timed", "steps": [
        step("a", on="2026-12-24", at="10:00"), step("b", on="2026-12-24", at="11:00")]}, (*S1, "on"), "one a day"),
    ("stepwise: two a day", {"pace": "stepwise", "steps": [step("a"), step("b", day=0, at="11:00")]}, (*S1, "day"),
     "day 0 puts two mass sends on one day"),
    ("welcome later", {"steps": [step("a"), step("b", by="welcome")]}, (*S1, "by"), "first step only"),
    ("welcome elsewhere", {"kind": "nurture", "steps": [step(by="welcome")]}, (*S0, "by"), "kind nurture has none"),
    ("welcome with a time", {"steps": [step(by="welcome", at="10:00")]}, (*S0, "at"), "no day and no time"),
    ("group step outside", {"steps": [step(by="group_send")]}, (*S0, "by"), "not possible in a SOP of kind"),
    ("private step in groups", {"kind": "group"}, (*S0, "by"), "allowed here: group_send, remind and webhook"),
    ("relative with a date", {"steps": [step(on="2026-12-24", at="10:00")]}, (*S0, "on"), "a relative SOP counts from"),
    ("timed with a day", {"kind": "nurture", "strategy": "timed"}, (*S0, "day"), "a timed SOP has fixed dates"),
    ("no time at all", {"steps": [{"id": "a", "by": "mass_send", "text": "x"}]}, S0, "says no time"),
    ("two times", {"steps": [step(day=1, next="monday", at="10:00")]}, (*S0, "next"), "keep one of day and next"),
    ("elapsed with a time of day", {"steps": [step(after="2h", at="10:00")]}, (*S0, "at"), "elapsed time"),
    ("a day without a time", {"steps": [step(day=1)]}, S0, "day needs a time of day"),
    ("timed and stepwise", {"kind": "nurture", "strategy": "timed", "pace": "stepwise",
                            "steps": [step(on="2026-12-24", at="10:00")]}, ("pace",), "fixed dates"),
    ("timed with an anchor", {"kind": "nurture", "strategy": "timed", "anchor": "added",
                              "steps": [step(on="2026-12-24", at="10:00")]}, ("anchor",), "counts from no anchor"),
    ("waiting on the clock", {"steps": [step(wait="reply", at_most="7d")]}, (*S0, "wait"), "pace: stepwise"),
    ("endless waiting", {"pace": "stepwise", "steps": [step(wait="reply"), step("b")]}, (*S0, "wait"), "at_most: 7d"),
    ("a limit of nothing", {"pace": "stepwise", "steps": [step(at_most="7d")]}, (*S0, "at_most"), "this step has none"),
    ("waiting for nobody", {"pace": "stepwise", "steps": [step(wait="reply", at_most="7d")]}, (*S0, "wait"),
     "no step follows"),
    ("says nothing", {"steps": [step(text=" ")]}, (*S0, "text"), "says nothing"),
    ("a call without a text", {"steps": [step(by="call", text="")]}, S0, "call needs a text"),
    ("too many bytes", {"steps": [step(text="字" * 1334)]}, (*S0, "text"), "has 4002 bytes; mass_send takes at most"),
    ("too many bytes to remind", {"steps": [step(by="remind", text="x" * 2049)]}, (*S0, "text"), "at most 2048"),
    ("too many characters", {"steps": [step(by="moment", text="x" * 2001)]}, (*S0, "text"), "2001 characters"),
    ("a variable in a mass send", {"steps": [step(text="Dear {{ name }}")]}, (*S0, "text"), "{{name}} would be sent"),
    ("an open variable", {"steps": [step(by="remind", text="Dear {{name")]}, (*S0, "text"), "as {{customer}}"),
    ("an unknown variable", {"steps": [step(by="remind", text="Dear {{custmer}}")]}, (*S0, "text"),
     "{{custmer}} is unknown; allowed are {{customer}}, {{member}} and {{attribute.NAME}}"),
    ("an attribute without a name", {"steps": [step(by="call", text="{{attribute.}}")]}, (*S0, "text"), "is unknown"),
    ("too many bytes with its links", {"steps": [step(by="remind", text="x" * 2000, attachments=[
        {"link": {"title": "Guide", "url": f"https://example.test/{'a' * 40}"}}])]}, (*S0, "text"), "with its links"),
    ("attachments to a call", {"steps": [step(by="call", attachments=[{"image": "a.png"}])]}, (*S0, "attachments", 0),
     "call takes no image"),
    ("a mixed moment", {"steps": [step(by="moment", attachments=[{"image": "a.png"}, {"video": "a.mp4"}])]},
     (*S0, "attachments"), "no mixture"),
    ("a picture file in a link", {"steps": [step(attachments=[
        {"link": {"title": "t", "url": "https://e.test", "picture": "a.png"}}])]},
     (*S0, "attachments", 0, "link", "picture"), "a web address in mass_send"),
    ("a moment's link without one", {"steps": [step(by="moment", attachments=[
        {"link": {"title": "t", "url": "https://e.test"}}])]}, (*S0, "attachments", 0, "link"), "needs a `picture`"),
    ("assigned mass send", {"steps": [step(assign="supervisor")]}, (*S0, "assign"), "always the owner's"),
    ("webhook to nowhere", {"steps": [step(by="webhook")]}, S0, "webhook needs `to`"),
    ("an address for a customer", {"steps": [step(to="crm")]}, (*S0, "to"), "only webhook has an address"),
    ("flow to itself", {"normal_end": {"flow_to": "care"}}, ("normal_end", "flow_to"), "is this SOP itself"),
    ("a tag on and off", {"early_end": {"when": {"lost": True}, "add_tags": ["a"], "remove_tags": ["b", "a"]}},
     ("early_end", "remove_tags", 1), "added and removed at once"),
    ("answer to a later step", {"steps": [
        step(only_if={"not": {"replied": {"since": "b"}}}), step("b", day=2, at="10:00")]},
     (*S0, "only_if", "not", "replied", "since"), "allowed here: none"),
    ("answer before entry", {"entry": {"when": {"replied": "any"}}}, ("entry", "when", "replied"), "inside a run only"),
    ("inside itself", {"early_end": {"when": {"any": [{"lost": True}, {"in_sop": "care"}]}}},
     ("early_end", "when", "any", 1, "in_sop"), "this SOP itself"),
    ("re-entry by rule", {"entry": {"when": {"not": {"ended_sop": "care"}}}}, ("entry", "when", "not"), "`reenter`"),
    ("an anchor without its event", {"anchor": "event"}, ("anchor",), "entry.when asks for none"),
    ("an attribute to count from", {"anchor": {"attribute": "x"}}, ("anchor",), "counts from entry, added or event"),
    ("a stage SOP without a stage", {"kind": "stage"}, (), "needs `stage"),
    ("a stage elsewhere", {"stage": {"journey": "teeth", "one_of": "x"}}, ("stage",), "only a SOP of kind stage"),
    ("an owner rule", {"owner": "last_added"}, ("owner",), "the member who was added"),
    ("once per relation", {"kind": "nurture", "once_per": "relation"}, ("once_per",), "only new_customer"),
    ("never a time to send", {"quiet": ["08:00-21:00"]}, ("quiet",), "whole day"),
]


@pytest.mark.parametrize(
    ("given", "path", "said"), [case[1:] for case in CONTRADICTIONS], ids=[case[0] for case in CONTRADICTIONS]
)
def test_contradiction_is_found_in_its_place(given: dict[str, Any], path: tuple[Any, ...], said: str) -> None:
    problems = check(sop(**given), company_quiet=COMPANY)

    assert any(problem.path == path and said in problem.message for problem in problems), problems


def test_all_contradictions_are_found_at_once() -> None:
    twisted = sop(anchor="event", steps=[step("lost", assign="owner"), step("lost", day=0, at="10:00", text="{{x}}")],
                  normal_end={"flow_to": "care"})

    assert {problem.path for problem in check(twisted)} == {
        ("anchor",), (*S0, "id"), (*S0, "assign"), (*S1, "id"), (*S1, "day"), (*S1, "text"), ("normal_end", "flow_to"),
    }


def test_a_day_may_hold_two_mass_sends_where_the_quota_takes_them() -> None:
    twice = sop(steps=[step("a"), step("b", day=1, at="11:00")])

    assert check(twice, quota_mode="week:7") == ()
    assert len(check(twice)) == 1


def test_step_of_another_channel_may_share_the_day() -> None:
    calls = [step("b", by="call", day=1, at="11:00"), step("c", by="remind", day=1, at="12:00")]

    assert check(sop(steps=[step("a"), *calls])) == ()


@pytest.mark.parametrize("channel", [name for name, kind in CHANNELS.items() if kind.bytes])
def test_text_may_fill_a_channel_to_the_byte(channel: str) -> None:
    limit = CHANNELS[channel].characters or CHANNELS[channel].bytes
    kind = "group" if channel == "group_send" else "new_customer"

    assert check(sop(kind=kind, steps=[step(by=channel, text="x" * limit)])) == ()
    assert len(check(sop(kind=kind, steps=[step(by=channel, text="x" * (limit + 1))]))) == 1


# -- what does not run yet -------------------------------------------------------------------------------------------


def test_new_customer_programme_runs() -> None:
    runs = sop(
        entry={"when": {"all": [
            {"source": {"state": "live", "add_way": 1}}, {"member": "alice"}, {"not": {"tag": "x"}},
        ]}},
        anchor="added", quota_full="skip", calendar="china_workday", off_day="previous", quiet="12:00-14:00",
        once_per="relation", late_at_entry="next_day", outage_grace={"within": "2h"},
        steps=[
            step("a", by="welcome", attachments=[{"link": {"title": "t", "url": "https://e.test"}}]),
            step("b", after="2h"), step("c", next="monday", at="10:00", only_if={"lost": False}),
            step("d", day=30, at="10:00", attachments=[{"image": "https://wework.qpic.cn/x"}]),
        ],
        early_end={"when": {"tag": "bought"}, "add_tags": ["won"], "remove_tags": ["new"]},
    )

    assert check(runs) == ()
    assert not_run_yet(runs) == ()


def test_what_does_not_run_yet_is_listed_by_place() -> None:
    assert check(Sop.model_validate(FULL)) == ()
    assert [problem.path for problem in not_run_yet(Sop.model_validate(FULL))] == [
        ("goal",), *((*S1, "attachments", place) for place in (0, 2, 3, 4)),
    ]
    staged = sop(
        kind="stage", stage={"journey": "care", "one_of": "new"}, quota_full="remind",
        entry={"when": {"not": {"stage": {"journey": "care", "one_of": "lost"}}}}, steps=[step(day=1, at="10:00")],
    )
    assert not_run_yet(staged) == (
        Problem(("kind",), "stage is not run by this version yet; it runs new_customer and nurture"),
        Problem(
            ("entry", "when", "not"), "the condition stage is not run by this version yet; it runs every other one"
        ),
    )


# -- the program -----------------------------------------------------------------------------------------------------


def test_answers_to_a_step_act_by_every_keyword_found_and_as_answers() -> None:
    program = compiled(steps=[
        step(on_reply={
            "keywords": {"价格": {"add_tags": ["阶段/价格"]}, "Price": {"set": {"asked": True}}},
            "any": {"remove_tags": ["silent"]},
        }),
    ])
    rules = program.steps[0].on_reply
    assert rules is not None

    price, asked = EndActions(add_tags=("id-阶段/价格",)), EndActions(set=(("asked", True),))
    anything = EndActions(remove_tags=("id-silent",))
    assert rules.to("价格? PRICE?") == (("价格", "Price"), (price, asked, anything))
    assert rules.to("好的") == ((), (anything,))
    assert hash(program.steps[0]) == hash(program.steps[0])


def test_program_is_bound_to_tag_ids() -> None:
    program = compiled(
        entry={"when": {"tag": "new"}},
        early_end={"when": {"tag": ["won", "lost"]}, "add_tags": ["a"], "set": {"n": 1}},
        normal_end={"remove_tags": ["b"], "flow_to": "next"},
    )

    assert evaluate(program.early_end_rule, Facts(now=0, tags=frozenset({"id-won"})))
    assert not evaluate(program.early_end_rule, Facts(now=0, tags=frozenset({"won"})))
    assert program.early_end == EndActions(("id-a",), (), (("n", 1),), None)
    assert program.normal_end == EndActions((), ("id-b",), (), "next")
    assert program.dependencies.tags == {"id-new", "id-won", "id-lost"}


def test_unbound_tag_name_is_named() -> None:
    with pytest.raises(KeyError, match="won"):
        compile_program(sop(early_end={"when": {"tag": "won"}}), zone="UTC", company_quiet=NO_QUIET_HOURS,
                        workdays=NO_WORKDAYS, tag_ids={})


def test_moments_of_steps() -> None:
    relative = compiled(steps=[
        step("a", by="welcome"), step("b", after="90m"), step("c", day=3, at="10:00"),
        step("d", next="sunday", at="09:05"),
    ])
    timed = compiled(kind="nurture", strategy="timed", steps=[step(on="2026-12-24", at="18:30")])

    assert [one.moment for one in relative.steps] == [
        AtOnce(), AfterElapsed(90 * 60_000), OnDay(3, time(10)), NextWeekday(6, time(9, 5)),
    ]
    assert timed.steps[0].moment == OnDate(date(2026, 12, 24), time(18, 30))
    assert [timed_step.takes_quota for timed_step in relative.timetable.steps] == [False, True, True, True]
    assert relative.step("c").index == 2 and relative.has_step("c") and not relative.has_step("x")


def test_policies_are_ready_for_use() -> None:
    program = compiled(late_at_entry={"within": "30m"}, outage_grace={"within": "2h"}, quota_full={"defer": "5d"},
                       entry={"reenter": {"after": "30d"}}, members=["alice"], quiet="12:00-13:00")

    assert (program.late_at_entry, program.outage_grace) == (Within(30 * 60_000), Within(2 * 3_600_000))
    assert (program.quota_full, program.reenter) == (timedelta(days=5), Reenter("after", 30 * 86_400_000))
    assert program.in_scope("alice") and not program.in_scope("bob") and compiled().in_scope("bob")
    assert program.timetable.quiet == COMPANY.union(QuietHours(((time(12), time(13)),)))


def test_equal_definitions_make_equal_programs() -> None:
    assert compiled() == compiled() and len({compiled(), compiled()}) == 1
    assert compiled() != compiled(title="Other") and compiled() != compiled(quiet="12:00-13:00")
    one, true = (compiled(early_end={"when": {"attribute": {"x": value}}}) for value in (1, True))
    assert one != true


def test_content_hash_follows_text_and_attachments_only() -> None:
    one, moved = (sop(steps=[step(name, day=day, at="10:00")]).steps[0] for name, day in (("a", 1), ("b", 9)))
    other = sop(steps=[step(attachments=[{"image": "a.png"}])]).steps[0]

    assert content_hash(one) == content_hash(moved) != content_hash(other)


def test_quiet_hours_of_company_and_sop_may_not_fill_the_day() -> None:
    with pytest.raises(DefinitionError, match="whole day"):
        compiled(quiet="08:00-21:00")


def test_every_tag_name_is_listed_with_its_place() -> None:
    found = dict(tags_of(Sop.model_validate(FULL)))

    assert found[("entry", "when", "all", 0, "tag", 0)] == "x"
    assert found[("steps", 1, "on_reply", "keywords", "价格", "add_tags", 0)] == "阶段/价格"
    assert found[("normal_end", "remove_tags", 0)] == "x"
    assert tag_names(Sop.model_validate(FULL)) == ("x", "y", "z", "阶段/价格")


def test_state_names_are_those_of_an_enrollment() -> None:
    assert {"enrolled", "settling", "normal_end", "early_end", "manual_end", "lost", "stopped", "merged"} == STATE_NAMES
