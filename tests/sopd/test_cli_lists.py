"""Lists of the command line on both databases: filters, pages, and what people and programs get to read."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner
from rich.cells import cell_len

from sopd.cli.root import root
from sopd.store import Store
from sopd.store.tables import Customer, Dispatch, Inbox, Push, RelationTag, Tag
from tests.support.factories import T0, add, befriend, enrol, publish
from tests.support.logs import own_logging
from tests.support.shell import *  # noqa: F403
from tests.support.shell import Shell
from tests.support.stores import *  # noqa: F403

DAY = 86_400_000
PROGRAM = json.dumps(
    {"sop": {"priority": 50, "steps": [{"id": "hello"}, {"id": "coupon"}, {"id": "last"}]}, "tag_ids": {}}
)


class Town:
    """A SOP with three runs: two open ones of alice, and an ended one of bob."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.sop = publish(store, PROGRAM, key="welcome-30d", title="新客户")
        first = befriend(store, "alice", "wmMei")
        second = befriend(store, "alice", "wmLong")
        third = befriend(store, "bob", "wmTab")
        with store.transaction() as tx:
            tx.run("update customer set name = '王小雨' where external_userid = 'wmMei'")
            tx.run("update customer set name = 'Bartholomew the Third' where external_userid = 'wmLong'")
            tx.run("update customer set name = ? where external_userid = 'wmTab'", ("a\tb\nc\x1b[31m\\",))
        self.mei = enrol(store, self.sop, first, state="coupon", due_at=T0 + DAY)
        self.long = enrol(store, self.sop, second, state="hello", due_at=T0 + DAY, entered_at=T0 + 1)
        self.tab = enrol(
            store, self.sop, third, state="early_end", closed_at=T0 + DAY, reason="early end: tag 结果/已下单",
            entered_at=T0 - 30 * DAY,
        )  # fmt: skip

    def push(self, run: object, step: str, state: str, **columns: object) -> int:
        known = {
            "enrollment_id": run.id, "step_id": step, "sop_id": run.sop_id, "version_id": run.version_id,
            "customer_id": run.customer_id, "relation_id": run.relation_id, "member_id": run.member_id,
            "channel": "mass_send", "state": state,
        }  # fmt: skip
        return add(self.store, Push, **{**known, **columns}).id


@pytest.fixture
def town(store: Store) -> Town:
    return Town(store)


def ids(shell: Shell, *words: object) -> list[int]:
    return [row["id"] for row in shell.objects(*words)]


def test_runs_are_listed_with_the_place_of_their_step(town: Town, shell: Shell) -> None:
    rows = shell.objects("enrollment", "list")

    assert [row["id"] for row in rows] == [town.tab.id, town.long.id, town.mei.id]
    assert rows[2] == {
        "id": town.mei.id, "sop": "welcome-30d", "version": 1, "customer": "wmMei", "name": "王小雨",
        "member": "alice", "state": "coupon", "step": "2/3", "entered_at": "2026-11-18T19:06:40+08:00",
        "due_at": "2026-11-19T19:06:40+08:00", "closed_at": None, "reason": None, "cause": "added", "run_no": 1,
        "ended_by": None, "parked_at": None,
    }  # fmt: skip


def test_filters_narrow_a_list_together(town: Town, shell: Shell) -> None:
    assert ids(shell, "enrollment", "list", "--state", "open") == [town.long.id, town.mei.id]
    assert ids(shell, "enrollment", "list", "--state", "ended") == [town.tab.id]
    assert ids(shell, "enrollment", "list", "--state", "coupon", "--state", "ended") == [town.tab.id, town.mei.id]
    assert ids(shell, "enrollment", "list", "--member", "alice", "--state", "hello") == [town.long.id]
    assert ids(shell, "enrollment", "list", "--customer", "王小雨") == [town.mei.id]
    assert ids(shell, "enrollment", "list", "--since", "2026-11-18") == [town.long.id, town.mei.id]
    assert ids(shell, "enrollment", "list", "--sop", "welcome-30d", "--member", "bob", "--state", "open") == []


def test_pages_follow_each_other_whatever_comes_in_between(town: Town, shell: Shell, store: Store) -> None:
    first = shell("enrollment", "list", "--limit", 1, "--json")
    enrol(store, town.sop, befriend(store, "carol"))

    assert f"--before {town.tab.id}" in first.stderr
    assert ids(shell, "enrollment", "list", "--limit", 1, "--before", town.tab.id) == [town.long.id]
    assert len(ids(shell, "enrollment", "list", "--limit", 0)) == 4


def test_fields_for_programs_are_whole_and_harmless(town: Town, shell: Shell) -> None:
    rows = shell.rows("enrollment", "list")

    assert rows[0]["name"] == r"a\tb\nc\x1b[31m" + r"\\"
    assert rows[1]["name"] == "Bartholomew the Third"
    assert rows[2]["entered_at"] == "2026-11-18T19:06:40+08:00"


def test_chinese_stands_in_straight_columns(town: Town, shell: Shell) -> None:
    lines = shell("--lang", "zh", "enrollment", "list", "--format", "table").stdout.splitlines()
    heading, *rows = lines

    assert "\x1b" not in "".join(rows), "a name must not steer the terminal"
    at = cell_len(heading[: heading.index("成员")])
    for row, member in zip(rows, ("bob", "alice", "alice"), strict=True):
        assert cell_len(row[: row.index(f"  {member}")]) + 2 == at
    assert "满足提前结束条件: 标签 结果/已下单" in rows[0]


def test_no_name_steers_a_terminal_from_a_page_or_an_answer(town: Town, shell: Shell) -> None:
    for words in (("customer", "show", "wmTab"), ("customer", "mute", "wmTab"), ("enrollment", "show", town.tab.id)):
        answer = shell(*words, code=1 if words[0] == "enrollment" else 0)

        assert "\x1b" not in answer.output and "\x07" not in answer.output


def test_json_is_the_same_in_every_language(town: Town, shell: Shell) -> None:
    assert shell("--lang", "zh", "enrollment", "list", "--json").stdout == shell("enrollment", "list", "--json").stdout


def test_headings_of_a_pipe_are_chinese_only_if_asked_for(town: Town, shell: Shell) -> None:
    assert shell("--lang", "zh", "sop", "list").stdout.splitlines() == [
        "标识\t名称\t类型\t状态\t版本\t执行中\t已结束\t启动时间\t暂停时间\t结束时间",
        "welcome-30d\t新客户\t新客户SOP\t运行中\t1\t2\t1\t2026-11-18T19:06:40+08:00\t\t",
    ]


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("enrollment", "list", "--sop", "welcom-30d"), 3, 'there is no SOP "welcom-30d"\n  did you mean welcome-30d?'),
        (("enrollment", "list", "--member", "alise"), 3, 'there is no member "alise"\n  did you mean alice?'),
        (("customer", "show", "wmMej"), 3, 'there is no customer "wmMej"\n  did you mean wmMei?'),
        (("customer", "show", "王小"), 3, "did you mean 王小雨?"),
        (("enrollment", "list", "--state", "cupon"), 2, 'there is no state "cupon"; did you mean coupon?'),
        (("push", "list", "--step", "cupon"), 3, "did you mean coupon?"),
        (("push", "list", "--state", "failing"), 2, "'failing' is not one of"),
        (("customer", "list", "--tag", "结果/已下"), 3, "did you mean 结果/已下单?"),
        (("enrollment", "show", "999999"), 3, "there is no enrollment 999999"),
        (("push", "show", "999999"), 3, "there is no push 999999"),
        (("dispatch", "show", "999999"), 3, "there is no dispatch 999999"),
        (("sop", "show", "welcome-30d", "--version", "7"), 3, "has no version 7\n  it has 1"),
    ],
)
def test_a_name_that_means_nothing_is_answered_with_what_was_meant(
    town: Town, shell: Shell, store: Store, words: tuple[str, ...], code: int, told: str
) -> None:
    add(store, Tag, tag_id="et1", group_name="结果", name="已下单")

    answer = shell(*words, code=code)

    assert told in answer.stderr
    assert answer.stdout == ""


def test_a_name_of_several_customers_is_refused(town: Town, shell: Shell, store: Store) -> None:
    add(store, Customer, external_userid="wmMei2", name="王小雨")

    answer = shell("customer", "show", "王小雨", code=1)

    assert "wmMei, wmMei2" in answer.stderr


def test_pushes_are_filtered_by_state_and_by_reason_with_its_details(town: Town, shell: Shell) -> None:
    sent = town.push(town.mei, "hello", "sent", sent_at=T0, settled_at=T0)
    same = town.push(town.mei, "coupon", "skipped", reason="same content via bob", settled_at=T0)
    open_ = town.push(town.long, "hello", "waiting", reason="quota", plan_at=T0 + DAY)

    assert ids(shell, "push", "list") == [open_, same, sent]
    assert ids(shell, "push", "list", "--state", "open") == [open_]
    assert ids(shell, "push", "list", "--reason", "same content via") == [same]
    assert ids(shell, "push", "list", "--step", "hello", "--customer", "wmMei") == [sent]


def test_a_task_in_doubt_shows_on_its_pushes(town: Town, shell: Shell, store: Store) -> None:
    task = add(
        store, Dispatch, member_id=town.mei.member_id, sop_id=town.sop.id, version_id=town.sop.version_id,
        step_id="hello", channel="mass_send", state="needs_operator", reason="results unclear", size=1, memory=None,
        lease_until=None, act_at=None,
    )  # fmt: skip
    push = town.push(town.mei, "hello", "requested", dispatch_id=task.id, settled_at=T0)

    assert shell.objects("push", "list")[0]["reason"] == "needs operator"
    assert [row["id"] for row in shell.objects("dispatch", "list", "--state", "open")] == [task.id]
    page = shell("--lang", "zh", "dispatch", "show", task.id).stdout
    assert "需人工处理 · 取消后的结果不明确" in page and "王小雨" in page
    assert shell.objects("dispatch", "show", task.id)[0]["pushes"][0]["id"] == push


def test_customers_are_found_by_name_tag_and_mute(town: Town, shell: Shell, store: Store) -> None:
    add(store, Tag, tag_id="et1", group_name="结果", name="已下单")
    add(store, RelationTag, relation_id=town.mei.relation_id, tag_id="et1", in_wecom=False, wanted=1)
    add(store, RelationTag, relation_id=town.long.relation_id, tag_id="et1", in_wecom=True, wanted=0)

    def found(*words: str) -> list[str]:
        return [row["external_userid"] for row in shell.objects("customer", "list", *words)]

    assert found("--name", "小雨") == ["wmMei"]
    assert found("--name", "BARTHOLOMEW") == ["wmLong"]
    assert found("--name", "%") == []
    assert found("--tag", "已下单") == ["wmMei"]
    assert found("--member", "bob") == ["wmTab"]
    assert found("--muted") == []
    assert len(found("--not-muted")) == 3


def test_a_customers_page_tells_what_is_pending(town: Town, shell: Shell, store: Store) -> None:
    add(store, Tag, tag_id="et1", group_name="结果", name="已下单")
    add(store, RelationTag, relation_id=town.mei.relation_id, tag_id="et1", in_wecom=False, wanted=1)

    seen = shell.objects("customer", "show", "wmMei")[0]

    assert seen["relations"][0]["tags"] == ["结果/已下单 (+)"]
    assert [run["id"] for run in seen["enrollments"]] == [town.mei.id]
    assert "王小雨  wmMei" in shell("customer", "show", "wmMei").stdout


def test_the_shell_completes_keys_of_sops(town: Town, shell: Shell, store: Store) -> None:
    publish(store, PROGRAM, key="other")

    def offered(words: str) -> str:
        settings = f"--config {shell.folder / 'sopd.toml'}"
        line = f"sopd {settings} {words}"
        environ = {"_SOPD_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1)}
        with own_logging():
            return CliRunner().invoke(root, [], prog_name="sopd", env=environ).stdout

    assert offered("sop show wel") == "plain,welcome-30d\n"
    assert offered("enrollment list --sop ") == "plain,other\nplain,welcome-30d\n"
    (shell.folder / "sopd.toml").write_text("[broken", encoding="utf-8")
    assert offered("sop show wel").strip() == ""


def test_set_aside_callbacks_are_listed_and_replayed(shell: Shell, store: Store) -> None:
    add(store, Inbox, change_type="add_external_contact", userid="alice", external_userid="wmMei", fingerprint="1")
    aside = add(store, Inbox, state="set_aside", reason="not XML", fingerprint="2", body="<xml/>")

    assert ids(shell, "inbox", "list", "--state", "set_aside") == [aside.id]
    assert "body" not in shell.objects("inbox", "list")[0]
    assert "to be handled once more: 1" in shell("inbox", "replay", "--set-aside").stdout
    assert [row["state"] for row in shell.objects("inbox", "list")] == ["new", "new"]
    assert "no callback is set aside" in shell("inbox", "replay", "--set-aside", code=3).stderr
    assert "999" in shell("inbox", "replay", 999, code=3).stderr
    shell("inbox", "replay", code=2)
