"""Mass sends and welcomes: what the client is told, and what really arrives (WeCom 5)."""

from __future__ import annotations

import pytest

from sopd.sandbox.refusals import ImpossibleDeed
from tests.support.caller import DAY, HOUR, MINUTE, SECOND, Caller


def _task(caller: Caller, *customers: str, sender: str = "alice", text: str = "hello") -> str:
    reply = caller.post("add_msg_template", sender=sender, external_userid=list(customers), text={"content": text})
    assert reply["errcode"] == 0, reply
    return str(reply["msgid"])


def _confirm(caller: Caller, msgid: str, member: str = "alice") -> dict[str, int]:
    caller.now = max(caller.now, caller.world.tasks[msgid].ready_at)
    return caller.world.member_confirms(msgid, member, now=caller.now)


def test_nothing_arrives_before_the_member_confirms() -> None:
    caller = Caller()
    caller.add("alice", "wm1")
    msgid = _task(caller, "wm1")
    caller.pass_time(DAY)
    unsent = caller.post("get_groupmsg_send_result", msgid=msgid, userid="alice")["send_list"]
    assert caller.world.account()["alice", "wm1"]["messages"] == []

    _confirm(caller, msgid)

    assert [row["status"] for row in unsent] == [0]
    (row,) = caller.post("get_groupmsg_send_result", msgid=msgid, userid="alice")["send_list"]
    assert row == {"external_userid": "wm1", "userid": "alice", "status": 1, "send_time": caller.now // 1000}
    (member,) = caller.post("get_groupmsg_task", msgid=msgid)["task_list"]
    assert member == {"userid": "alice", "status": 2, "send_time": caller.now // 1000}
    (message,) = caller.world.account()["alice", "wm1"]["messages"]
    assert (message["msgid"], message["text"], message["kind"]) == (msgid, "hello", "enterprise")


def test_a_new_task_is_dispatched_for_a_while() -> None:
    caller = Caller(dispatch_ms=20 * SECOND)
    caller.add("alice", "wm1")
    msgid = _task(caller, "wm1")

    def codes() -> list[int]:
        names = ("get_groupmsg_task", "get_groupmsg_send_result", "remind_groupmsg_send", "cancel_groupmsg_send")
        return [caller.post(name, msgid=msgid, userid="alice")["errcode"] for name in names]

    assert codes() == [41063] * 4
    with pytest.raises(ImpossibleDeed):
        caller.world.member_confirms(msgid, "alice", now=caller.now)
    caller.pass_time(20 * SECOND)
    assert codes() == [0] * 4


def test_strangers_are_in_the_fail_list_and_nobody_left_is_41048_without_a_task() -> None:
    caller = Caller()
    caller.add("alice", "wm1")
    caller.add("bob", "wm2")

    reply = caller.post(
        "add_msg_template", sender="alice", external_userid=["wm1", "wm2", "wmX"], text={"content": "hello"}
    )
    nobody = caller.post("add_msg_template", sender="alice", external_userid=["wm2"], text={"content": "hello"})

    assert reply["fail_list"] == ["wm2", "wmX"]
    assert list(caller.world.tasks[reply["msgid"]].assignments["alice"].recipients) == ["wm1"]
    assert (nobody["errcode"], nobody["fail_list"]) == (41048, [])
    assert len(caller.world.tasks) == 1


@pytest.mark.parametrize(
    ("fields", "errcode"),
    [
        ({"sender": "", "external_userid": ["wm1"], "text": {"content": "x"}}, 40058),
        ({"text": {"content": "x"}}, 40063),
        ({"sender": "alice", "external_userid": ["wm1"]}, 40063),
        ({"sender": "alice", "external_userid": ["wm1"], "text": {"content": "好" * 1334}}, 45002),
        ({"sender": "nobody", "external_userid": ["wm1"], "text": {"content": "x"}}, 40003),
        ({"sender": "alice", "external_userid": ["wm"] * 10_001, "text": {"content": "x"}}, 40032),
        ({"sender": "alice", "external_userid": "wm1", "text": {"content": "x"}}, 40031),
        ({"sender": "alice", "text": {"content": "x"}, "attachments": [{"msgtype": "link", "link": {}}] * 10}, 41064),
        ({"sender": "alice", "attachments": [{"msgtype": "voice", "voice": {}}]}, 41065),
        ({"sender": "alice", "attachments": [{"msgtype": "link", "link": {"title": "t"}}]}, 40058),
        ({"sender": "alice", "attachments": [{"msgtype": "link", "link": {"title": "好" * 43, "url": "u"}}]}, 45002),
        ({"sender": "alice", "attachments": [{"msgtype": "file", "file": {"media_id": "M"}}]}, 40007),
        ({"tag_filter": {"group_list": [{"tag_list": ["etX"]}]}, "text": {"content": "x"}}, 40068),
    ],
)
def test_bad_parameters_are_refused_with_their_code(fields: dict[str, object], errcode: int) -> None:
    caller = Caller()
    caller.add("alice", "wm1")

    assert caller.post("add_msg_template", **fields)["errcode"] == errcode
    assert caller.world.tasks == {}


def test_without_a_sender_the_member_who_chatted_last_gets_the_task() -> None:
    caller = Caller()
    caller.add("alice", "wm1", "wm2")
    caller.pass_time(HOUR)
    caller.add("bob", "wm1", "wm2")
    caller.pass_time(HOUR)
    caller.world.chat("alice", "wm1", now=caller.now)

    reply = caller.post("add_msg_template", external_userid=["wm1", "wm2"], text={"content": "x"})

    shares = caller.world.tasks[reply["msgid"]].assignments
    assert {member: list(share.recipients) for member, share in shares.items()} == {"alice": ["wm1"], "bob": ["wm2"]}


def test_a_tag_filter_is_or_inside_and_and_between() -> None:
    caller = Caller()
    caller.add("alice", "wm1", "wm2", "wm3")
    ids = {path: caller.world.stock_tag(path, now=caller.now).tag_id for path in ("g/a", "g/b", "g/c")}
    for customer, path in (("wm1", "g/a"), ("wm1", "g/c"), ("wm2", "g/b"), ("wm3", "g/c"), ("wm3", "g/b")):
        caller.world.member_tags("alice", customer, path, now=caller.now)
    groups = [{"tag_list": [ids["g/a"], ids["g/b"]]}, {"tag_list": [ids["g/c"]]}]

    reply = caller.post("add_msg_template", sender="alice", tag_filter={"group_list": groups}, text={"content": "x"})

    assert list(caller.world.tasks[reply["msgid"]].assignments["alice"].recipients) == ["wm1", "wm3"]


def test_who_left_is_status_2_and_a_full_window_status_3() -> None:
    caller = Caller()
    caller.add("alice", "wm1", "wm2", "wm3")
    _confirm(caller, _task(caller, "wm1"))
    msgid = _task(caller, "wm1", "wm2", "wm3")
    caller.world.customer_deletes("alice", "wm2", now=caller.now)

    assert _confirm(caller, msgid) == {"wm1": 3, "wm2": 2, "wm3": 1}

    account = caller.world.account()
    assert [failed["status"] for failed in account["alice", "wm1"]["failed"]] == [3]
    assert [failed["status"] for failed in account["alice", "wm2"]["failed"]] == [2]
    assert len(account["alice", "wm1"]["messages"]) == 1


@pytest.mark.parametrize(
    ("mode", "days", "arrive"),
    [
        # New Year 2026 is a Thursday: its week ends on Sunday the 4th.
        ("day:1", [0, 0, 1], [1, 3, 1]),
        ("week:7", [0] * 7 + [3, 4], [1] * 7 + [3, 1]),
        ("month:days", [0] * 31 + [30, 31], [1] * 31 + [3, 1]),
    ],
)
def test_windows_are_days_weeks_and_months_of_shanghai(mode: str, days: list[int], arrive: list[int]) -> None:
    caller = Caller(quota=mode, dispatch_ms=0)
    caller.add("alice", "wm1")
    start = caller.now
    statuses = []
    for day in days:
        caller.now = start + day * DAY
        statuses.append(_confirm(caller, _task(caller, "wm1"))["wm1"])

    assert statuses == arrive


def test_a_day_begins_at_midnight_in_shanghai() -> None:
    caller = Caller(dispatch_ms=0)
    caller.add("alice", "wm1")
    midnight = caller.now + 16 * HOUR
    caller.now = midnight - 2
    before = _confirm(caller, _task(caller, "wm1"))
    caller.now = midnight - 1
    just_before = _confirm(caller, _task(caller, "wm1"))
    caller.now = midnight

    assert (before, just_before, _confirm(caller, _task(caller, "wm1"))) == ({"wm1": 1}, {"wm1": 3}, {"wm1": 1})


def test_sends_of_other_members_and_personal_sends_use_up_the_same_window() -> None:
    caller = Caller()
    caller.add("alice", "wm1", "wm2")
    caller.add("bob", "wm1", "wm2")
    own = caller.world.member_sends_own("bob", ["wm1"], "mine", now=caller.now)

    assert _confirm(caller, _task(caller, "wm1", "wm2")) == {"wm1": 3, "wm2": 1}
    assert _confirm(caller, _task(caller, "wm2", sender="bob"), "bob") == {"wm2": 3}
    assert caller.world.account()["bob", "wm1"]["messages"][0]["kind"] == "personal"

    span = {"chat_type": "single", "start_time": caller.now // 1000 - 60, "end_time": caller.now // 1000}
    personal = caller.post("get_groupmsg_list_v2", **span, filter_type=1)["group_msg_list"]
    made = caller.post("get_groupmsg_list_v2", **span, filter_type=0)["group_msg_list"]
    assert [(row["msgid"], row["creator"], row["create_type"]) for row in personal] == [(own.msgid, "bob", 1)]
    assert len(made) == 2
    assert all("creator" not in row for row in made)
    assert caller.post("get_groupmsg_list_v2", **span, creator="bob")["group_msg_list"] == personal


def test_with_the_old_rule_full_windows_are_refused_at_creation() -> None:
    caller = Caller(quota_at_creation=True)
    caller.add("alice", "wm1", "wm2")
    _confirm(caller, _task(caller, "wm1"))

    both = caller.post("add_msg_template", sender="alice", external_userid=["wm1", "wm2"], text={"content": "x"})
    one = caller.post("add_msg_template", sender="alice", external_userid=["wm1"], text={"content": "x"})

    assert both["fail_list"] == ["wm1"]
    assert one["errcode"] == 41048


def test_a_cancelled_task_is_41093_never_arrives_and_cancelling_again_is_fine() -> None:
    caller = Caller()
    caller.add("alice", "wm1")
    msgid = _task(caller, "wm1")
    caller.pass_time(MINUTE)

    codes = [caller.post("cancel_groupmsg_send", msgid=msgid)["errcode"] for _ in range(2)]

    assert codes == [0, 0]
    assert caller.post("get_groupmsg_task", msgid=msgid)["errcode"] == 41093
    assert caller.post("get_groupmsg_send_result", msgid=msgid, userid="alice")["errcode"] == 41093
    assert caller.post("remind_groupmsg_send", msgid=msgid)["errcode"] == 41093
    with pytest.raises(ImpossibleDeed):
        _confirm(caller, msgid)
    assert caller.world.account()["alice", "wm1"]["cancelled"] == [msgid]


def test_what_was_confirmed_before_the_cancellation_stays() -> None:
    caller = Caller()
    caller.add("alice", "wm1")
    msgid = _task(caller, "wm1")
    _confirm(caller, msgid)

    caller.post("cancel_groupmsg_send", msgid=msgid)

    (row,) = caller.post("get_groupmsg_send_result", msgid=msgid, userid="alice")["send_list"]
    assert row["status"] == 1
    assert caller.world.account()["alice", "wm1"]["cancelled"] == []


def test_a_task_may_be_reminded_three_times_a_day() -> None:
    caller = Caller(dispatch_ms=0)
    caller.add("alice", "wm1")
    msgid = _task(caller, "wm1")

    codes = [caller.post("remind_groupmsg_send", msgid=msgid)["errcode"] for _ in range(4)]
    caller.pass_time(DAY)

    assert codes == [0, 0, 0, 45009]
    assert caller.post("remind_groupmsg_send", msgid=msgid)["errcode"] == 0


def test_rows_may_lag_behind_the_confirmation() -> None:
    caller = Caller(report_lag_ms=HOUR)
    caller.add("alice", "wm1")
    msgid = _task(caller, "wm1")
    _confirm(caller, msgid)

    def row() -> dict[str, object]:
        return dict(caller.post("get_groupmsg_send_result", msgid=msgid, userid="alice")["send_list"][0])

    assert row()["status"] == 0
    assert caller.post("get_groupmsg_task", msgid=msgid)["task_list"][0]["status"] == 2
    caller.pass_time(HOUR)
    assert row()["status"] == 1


def test_with_allow_select_the_member_may_leave_customers_out() -> None:
    caller = Caller(dispatch_ms=0)
    caller.add("alice", "wm1", "wm2")
    fixed = _task(caller, "wm1", "wm2")
    with pytest.raises(ImpossibleDeed):
        caller.world.member_confirms(fixed, "alice", now=caller.now, only=["wm1"])
    free = caller.post(
        "add_msg_template", sender="alice", external_userid=["wm1", "wm2"], allow_select=True, text={"content": "x"}
    )["msgid"]

    assert caller.world.member_confirms(free, "alice", now=caller.now, only=["wm2"]) == {"wm2": 1}


def test_the_list_is_paged_and_spans_at_most_a_month() -> None:
    caller = Caller(page_cap=2)
    caller.add("alice", *(f"wm{n}" for n in range(5)))
    made = []
    for n in range(5):
        made.append(_task(caller, f"wm{n}"))
        caller.pass_time(SECOND)
    span = {"chat_type": "single", "start_time": caller.now // 1000 - 60, "end_time": caller.now // 1000}

    found, cursor = [], ""
    while True:
        page = caller.post("get_groupmsg_list_v2", **span, cursor=cursor)
        found += [row["msgid"] for row in page["group_msg_list"]]
        cursor = page["next_cursor"]
        if not cursor:
            break

    assert found == made
    too_long = {**span, "start_time": span["end_time"] - 32 * 86_400}
    assert caller.post("get_groupmsg_list_v2", **too_long)["errcode"] == 40035
    assert caller.post("get_groupmsg_task", msgid="msgX")["errcode"] == 41047
    assert caller.post("get_groupmsg_task")["errcode"] == 41046


def _code(caller: Caller, customer: str = "wm1") -> str:
    return caller.world.relations["alice", customer].welcome_code


def _welcome(caller: Caller, code: str) -> int:
    return int(caller.post("send_welcome_msg", welcome_code=code, text={"content": "welcome"})["errcode"])


@pytest.mark.parametrize(("seconds", "errcode"), [(19, 0), (20, 0), (21, 41050)])
def test_a_welcome_code_lives_twenty_seconds(seconds: int, errcode: int) -> None:
    caller = Caller()
    caller.add("alice", "wm1")
    caller.pass_time(seconds * SECOND)

    assert _welcome(caller, _code(caller)) == errcode
    assert len(caller.world.account()["alice", "wm1"]["welcomes"]) == (errcode == 0)


def test_a_welcome_code_works_once_and_not_when_the_two_already_chat() -> None:
    caller = Caller()
    caller.add("alice", "wm1", "wm2")
    caller.world.chat("alice", "wm2", now=caller.now)

    assert [_welcome(caller, _code(caller)) for _ in range(2)] == [0, 41051]
    assert _welcome(caller, _code(caller, "wm2")) == 41051
    assert _welcome(caller, "WC-unknown") == 41050
    assert caller.post("send_welcome_msg", text={"content": "x"})["errcode"] == 41049


def test_there_is_no_second_code_after_the_one_of_the_half_add_was_used() -> None:
    caller = Caller()
    caller.add("alice", "wm1", "wm2", half=True)
    _welcome(caller, _code(caller))
    caller.world.mailbox.waiting.clear()

    caller.world.confirm_half("alice", "wm1", now=caller.now)
    caller.world.confirm_half("alice", "wm2", now=caller.now)

    first, second = (letter.xml for letter in caller.world.mailbox.waiting)
    assert b"WelcomeCode" not in first
    assert b"WelcomeCode" in second
