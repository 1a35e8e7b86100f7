"""What the command line tells of a real run, and what an operator does with it while the engine works."""

from __future__ import annotations

import json

import pytest

from sopd.sandbox.config import SandboxConfig
from sopd.sandbox.world import World
from sopd.store import Store
from sopd.store.tables import Audit, Enrollment
from tests.support.factories import all_rows
from tests.support.rig import Rig, at
from tests.support.shell import *  # noqa: F403
from tests.support.shell import Shell

SOP = """
sop: welcome
title: 新客户
kind: new_customer
entry: {when: {source: [expo2026]}}
steps:
  - {id: hello, by: welcome, text: 您好}
  - {id: first, day: 1, at: "10:00", by: mass_send, text: 第一天}
  - {id: late, day: 3, at: "22:30", by: mass_send, text: 第三天, only_if: {not: {tag: [结果/已下单]}}}
  - {id: last, day: 6, at: "10:00", by: mass_send, text: 第六天}
early_end: {when: {tag: [结果/已下单]}, add_tags: [结果/已转化]}
normal_end: {add_tags: [结果/未转化]}
"""
TAGS = ("结果/已下单", "结果/已转化", "结果/未转化")


class Played:
    """Mei and Lin add alice; Mei gets the first step, everybody is confirmed when asked."""

    def __init__(self, store: Store) -> None:
        began = at("2026-03-02 09:00")
        world = World("story", SandboxConfig(), began)
        world.hire("alice")
        for tag in TAGS:
            world.stock_tag(tag, now=began)
        self.rig = Rig(store, world, began)
        self.rig.publish(("welcome.yaml", SOP))
        self.rig.settle()
        for customer, name in (("wmMei", "梅"), ("wmLin", "林")):
            world.customer_adds("alice", customer, state="expo2026", name=name, now=self.rig.now)
        self.rig.run_until(at("2026-03-03 10:30"))

    def confirm(self) -> None:
        for task in list(self.rig.world.tasks.values()):
            for member, assignment in task.assignments.items():
                if assignment.confirmed_at is None and task.cancelled_at is None and task.ready_at <= self.rig.now:
                    self.rig.world.member_confirms(task.msgid, member, now=self.rig.now)


@pytest.fixture
def played(store: Store) -> Played:
    return Played(store)


def run_of(shell: Shell, customer: str) -> int:
    return int(shell.objects("enrollment", "list", "--customer", customer)[0]["id"])


def lines_of(page: str) -> list[str]:
    """The lines of a page, however its columns are spaced."""
    return [" ".join(line.split()) for line in page.splitlines()]


def test_the_story_holds_past_and_future_with_their_instants(played: Played, shell: Shell) -> None:
    played.confirm()
    played.rig.run_until(at("2026-03-04 12:00"))

    told = shell.objects("enrollment", "show", run_of(shell, "wmMei"))[0]

    assert [(line["step"], line["state"], line["due_at"], line["may_send_at"]) for line in told["steps"]] == [
        ("hello", "sent", "2026-03-02T09:00:00+08:00", None),
        ("first", "sent", "2026-03-03T10:00:00+08:00", None),
        ("late", "to come", "2026-03-05T22:30:00+08:00", "2026-03-06T08:00:00+08:00"),
        ("last", "to come", "2026-03-08T10:00:00+08:00", None),
    ]
    assert told["next"] == {"what": "step", "step": "late", "at": "2026-03-05T22:30:00+08:00"}
    assert [event["what"] for event in told["story"]] == [
        "entered", "sent", "fired", "planned", "task created", "sent"
    ]  # fmt: skip
    assert told["steps"][1]["sent_at"] == "2026-03-03T10:30:00+08:00"


def test_the_page_reads_like_a_story_in_both_languages(played: Played, shell: Shell) -> None:
    played.confirm()
    played.rig.run_until(at("2026-03-04 12:00"))
    run = run_of(shell, "wmMei")

    english = lines_of(shell("enrollment", "show", run).stdout)
    chinese = lines_of(shell("--lang", "zh", "enrollment", "show", run).stdout)

    for line in (
        f"#{run} 梅 wmMei",
        "member alice · added 2026-03-02 09:00 · source expo2026",
        "state step 2/4 first",
        "next step step 3/4 late on 2026-03-05 22:30, in 1 d",
        "2026-03-02 09:00:00 entered: added",
        "2026-03-03 10:30:00 step 2/4 first was sent",
        "What is to come, as things stand at 2026-03-04 12:00",
        "2026-03-05 22:30 step 3/4 late, mass send, not before 2026-03-06 08:00, if {not: {tag: [结果/已下单]}}",
        "then the normal end: +结果/未转化",
    ):
        assert line in english
    for line in (
        "下一步 第3/4步 late,2026-03-05 22:30(1 天后)",
        "2026-03-03 10:30:00 第2/4步 first 已发送",
        "然后正常结束:+结果/未转化",
    ):
        assert line in chinese


def test_a_task_that_is_out_is_told_with_the_instant_it_expires(played: Played, shell: Shell) -> None:
    page = lines_of(shell("enrollment", "show", run_of(shell, "wmMei")).stdout)
    listed = shell.objects("dispatch", "list", "--state", "open")[0]

    assert f"push step 2/4 first · requested · task {listed['id']}" in page
    assert f"2026-03-05 00:00 step 2/4 first expires unless alice confirms task {listed['id']}" in page
    assert page.index("then the normal end: +结果/未转化") == len(page) - 1


def test_an_early_end_is_told_with_its_tags_and_what_never_came(played: Played, shell: Shell) -> None:
    played.confirm()
    played.rig.run_until(at("2026-03-04 12:00"))
    played.rig.world.member_tags("alice", "wmMei", "结果/已下单", now=played.rig.now)
    played.rig.run_for(minutes=2)

    page = shell("enrollment", "show", run_of(shell, "wmMei")).stdout
    told = shell.objects("enrollment", "show", run_of(shell, "wmMei"))[0]

    assert [line["state"] for line in told["steps"]] == ["sent", "sent", "never came", "never came"]
    assert told["next"] == {"what": "", "step": None, "at": None}
    assert told["story"][-1]["what"] == "tags" and told["story"][-1]["detail"]["state"] == "done"
    assert "tags written to WeCom: +结果/已转化" in page
    assert "the early-end rule became true" in page and "What is to come" not in page


def test_ending_by_hand_counts_asks_and_keeps_who_and_why(played: Played, shell: Shell, store: Store) -> None:
    refused = shell("enrollment", "end", "--sop", "welcome", "--why", "test", text="n\n", code=1)
    assert "welcome: open runs: 2" in refused.stderr

    done = shell(
        "enrollment", "end", "--sop", "welcome", "--why", "bought in the shop", "--add-tag", "结果/已转化",
        "--as", "mei", "--yes",
    )  # fmt: skip
    played.rig.run_for(minutes=20)

    assert "2 ended by mei" in done.stdout
    assert all_rows(store, Enrollment, "state", "reason", "ended_by") == [
        ("manual_end", "manual end: bought in the shop", "mei")
    ] * 2
    assert played.rig.world.account()["alice", "wmMei"]["tags"] == ["结果/已转化"]
    assert [row[0] for row in all_rows(store, Audit, "verb", where="who = 'mei'")] == ["enrollment end"]
    assert "by mei" in shell("enrollment", "show", run_of(shell, "wmMei")).stdout
    assert "no open run matches" in shell("enrollment", "end", "--sop", "welcome", "--why", "x", "-y", code=3).stderr


def test_ending_refuses_what_does_not_exist_and_changes_nothing(played: Played, shell: Shell, store: Store) -> None:
    run = run_of(shell, "wmMei")

    assert "no enrollment 999" in shell("enrollment", "end", run, 999, "--why", "x", "-y", code=3).stderr
    unknown = shell("enrollment", "end", run, "--why", "x", "--add-tag", "结果/已转", "-y", code=1)
    assert "did you mean 结果/已转化?" in unknown.stderr
    assert "either ids or a filter" in shell("enrollment", "end", "--why", "x", code=2).stderr
    assert {row[0] for row in all_rows(store, Enrollment, "state")} == {"first"}


def test_pause_says_what_is_out_and_resume_skips_what_passed(played: Played, shell: Shell) -> None:
    paused = shell("sop", "pause", "welcome", "--yes", "--as", "mei")
    played.rig.run_until(at("2026-03-06 12:00"))
    run = run_of(shell, "wmMei")
    held = shell("enrollment", "show", run).stdout

    assert "welcome: open runs: 2\n  tasks with members, not confirmed yet: 1, with pushes: 2" in paused.stderr
    assert "nothing until `sopd sop resume welcome`" in held
    assert "2026-03-05 22:30     step 3/4 late, mass send" in held and "skipped when resumed" in held

    shell("sop", "resume", "welcome", "--yes")
    played.rig.run_for(minutes=5)

    told = shell.objects("enrollment", "show", run)[0]
    assert [(line["state"], line["reason"]) for line in told["steps"]] == [
        ("sent", None), ("skipped", "paused"), ("skipped", "paused"), ("to come", None)
    ]  # fmt: skip


def test_a_task_that_the_pause_took_back_stays_in_the_story(played: Played, shell: Shell) -> None:
    task = shell.objects("dispatch", "list", "--state", "open")[0]["id"]
    shell("sop", "pause", "welcome", "--yes")
    played.rig.run_for(minutes=5)

    page = shell("enrollment", "show", run_of(shell, "wmMei")).stdout

    for said in (f"alice was given task {task} (2 in it)", f"task {task} is being withdrawn",
                 f"task {task} was cancelled in WeCom", "step 2/4 first waits: the SOP is paused"):  # fmt: skip
        assert page.count(f"step 2/4 first: {said}" if said[:4] != "step" else said) == 1
    places = [page.index(said) for said in ("was given task", "is being withdrawn", "was cancelled", "first waits:")]
    assert places == sorted(places)


def test_stop_ends_everybody(played: Played, shell: Shell) -> None:
    answer = shell("sop", "stop", "welcome", "--yes")
    played.rig.run_for(minutes=30)

    assert "runs being ended: 2" in answer.stdout
    assert [row["state"] for row in shell.objects("enrollment", "list")] == ["stopped", "stopped"]


def test_preview_of_somebody_inside_and_of_somebody_new(played: Played, shell: Shell, store: Store) -> None:
    inside = shell.objects("sop", "preview", "welcome", "--customer", "wmMei")[0]
    anew = shell.objects("sop", "preview", "welcome", "--customer", "梅", "--at", "2026-03-04T09:00")[0]
    page = shell("sop", "preview", "welcome", "--customer", "wmMei", "--format", "table").stdout

    assert (inside["inside"], [line["step"] for line in inside["steps"]]) == ("first", ["late", "last"])
    assert [(line["step"], line["due_at"]) for line in anew["steps"]] == [
        ("hello", "2026-03-04T09:00:00+08:00"), ("first", "2026-03-05T10:00:00+08:00"),
        ("late", "2026-03-07T22:30:00+08:00"), ("last", "2026-03-10T10:00:00+08:00"),
    ]  # fmt: skip
    assert "is inside, at first" in page and "as things stand now" in page
    assert "可发送" in shell("--lang", "zh", "sop", "preview", "welcome", "--customer", "wmMei").stdout
    assert "did you mean" in shell("sop", "preview", "welcome", "--customer", "wmMej", code=3).stderr


def test_tagging_and_muting_from_the_command_line_work_like_any_other(played: Played, shell: Shell) -> None:
    shell("customer", "mute", "wmLin", "--as", "mei")
    shell("customer", "tag", "梅", "--add", "结果/已下单", "--as", "mei")
    played.rig.run_for(minutes=20)

    assert played.rig.world.account()["alice", "wmMei"]["tags"] == ["结果/已下单", "结果/已转化"]
    states = {row["name"]: row["state"] for row in shell.objects("enrollment", "list")}
    assert states["梅"] == "early_end"
    assert [row["name"] for row in shell.objects("customer", "list", "--muted")] == ["林"]
    assert "nothing to do" in shell("customer", "tag", "梅", code=2).stderr
    assert "did you mean alice?" in shell("customer", "tag", "梅", "--add", "x", "--member", "alic", code=3).stderr


def test_the_page_of_a_sop_counts_pushes_by_step(played: Played, shell: Shell) -> None:
    seen = shell.objects("sop", "show", "welcome")[0]
    page = shell("sop", "show", "welcome").stdout

    assert [(step["step"], step["here"], step["open"], step["sent"]) for step in seen["steps"]] == [
        ("hello", 0, 0, 2), ("first", 2, 2, 0), ("late", 0, 0, 0), ("last", 0, 0, 0)
    ]  # fmt: skip
    assert "entry       {source: [expo2026]}" in page
    assert "{tag: [结果/已下单]} · +结果/已转化" in page
    assert json.dumps(seen["definition"]).count('"id"') == 4
    assert "(2)" in shell("sop", "graph", "welcome").stdout


def test_resume_counts_and_asks_before_it_goes_on(played: Played, shell: Shell) -> None:
    assert "welcome is running, not paused" in shell("sop", "resume", "welcome", code=1).stderr
    shell("sop", "pause", "welcome", "--yes")
    played.rig.world.customer_adds("alice", "wmNew", state="expo2026", now=played.rig.now)
    played.rig.run_until(at("2026-03-06 12:00"))

    refused = shell("sop", "resume", "welcome", text="shift\nno\nn\n", code=1)
    agreed = shell("sop", "resume", "welcome", text="shift\nyes\ny\n")
    played.rig.run_for(minutes=5)

    told = ["open runs: 2", "fell due during the pause: 2", "pushes that wait: ", "would have entered: 1"]
    assert [text for text in told if text not in refused.stderr] == []
    assert "nothing was changed" in refused.stderr
    assert "everybody inside goes on later by the days of the pause" in agreed.stdout
    assert [row["cause"] for row in shell.objects("enrollment", "list")].count("resumed") == 1
