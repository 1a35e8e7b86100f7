"""Each method of the client: what goes over the wire, what comes back, page by page."""

from __future__ import annotations

import pytest

from sopd.wecom.client import WeCom
from sopd.wecom.content import File, Image, Link, MassSend, MiniProgram, Video, content_hash
from sopd.wecom.errors import ContentTooLong, InvalidContent, Unreachable, WeComError
from sopd.wecom.media import Media
from sopd.wecom.notices import Button, ButtonNotice, LinkNotice, Notice, Receipt, TextNotice
from sopd.wecom.parallel import read_many
from sopd.wecom.people import Contact, ContactPage, Follow, Member, Profile, Tag, TagGroup
from sopd.wecom.sends import Created, CreateType, MassSendRecord, MemberTask, SendResult, SendStatus
from tests.support.scripted_wecom import T0, ScriptedWeCom, client_of

SECONDS = T0 // 1000
HOUR, DAY = 3_600_000, 86_400_000

MEI = {"external_userid": "wmSIM0001", "name": "Mei", "type": 1, "gender": 2, "unionid": "u1"}
ALICE_FOLLOWS = {
    "userid": "alice", "remark": "Mei (expo)", "description": "", "createtime": SECONDS,
    "tags": [
        {"group_name": "stage", "tag_name": "new", "tag_id": "etSIM_new", "type": 1},
        {"group_name": "mine", "tag_name": "hot", "type": 2},
        {"group_name": "rule", "tag_name": "vip", "tag_id": "etSIM_a", "type": 3},
    ],
    "remark_mobiles": ["13800000000"], "add_way": 1, "state": "expo2026", "oper_userid": "wmSIM0001", "later": {"x": 1},
}  # fmt: skip
ALICE = Follow(
    "alice", "wmSIM0001", T0, 1, "expo2026", ("etSIM_a", "etSIM_new"), "Mei (expo)", "", ("13800000000",), "wmSIM0001"
)


@pytest.fixture
def script() -> ScriptedWeCom:
    return ScriptedWeCom()


@pytest.fixture
def client(script: ScriptedWeCom) -> WeCom:
    return client_of(script)


# --- customers ------------------------------------------------------------------------------------------------------


def test_a_contact_is_read_with_its_relations_and_without_personal_tags(script: ScriptedWeCom, client: WeCom) -> None:
    reply = {"external_contact": MEI, "follow_user": [ALICE_FOLLOWS], "next_cursor": ""}
    script.on("externalcontact/get", reply)

    assert client.contact("wmSIM0001") == Contact(Profile("wmSIM0001", "Mei", 1, 2, "u1"), (ALICE,))
    (asked,) = script.asked["externalcontact/get"]
    assert (asked.method, asked.params) == ("GET", {"external_userid": "wmSIM0001", "access_token": "tok-1"})


def test_a_contact_with_many_followers_is_read_page_by_page(script: ScriptedWeCom, client: WeCom) -> None:
    bob = {"userid": "bob", "createtime": SECONDS}
    script.on(
        "externalcontact/get",
        {"external_contact": MEI, "follow_user": [ALICE_FOLLOWS], "next_cursor": "c1"},
        {"external_contact": MEI, "follow_user": [bob]},
    )

    contact = client.contact("wmSIM0001")

    assert contact.follows == (ALICE, Follow("bob", "wmSIM0001", T0))
    assert [asked.params.get("cursor") for asked in script.asked["externalcontact/get"]] == [None, "c1"]


def test_names_and_remarks_stay_out_of_the_repr() -> None:
    shown = repr(Contact(Profile("wmSIM0001", "Mei"), (ALICE,))) + repr(Member("alice", "Alice Wang"))

    for private in ("Mei", "expo)", "13800000000", "Wang"):
        assert private not in shown


def test_a_page_of_contacts_has_one_row_per_relation_and_names_unlicensed_members(
    script: ScriptedWeCom, client: WeCom
) -> None:
    info = {"userid": "alice", "createtime": SECONDS, "tag_id": ["etSIM_new", "etSIM_a"], "add_way": 999}
    script.on(
        "externalcontact/batch/get_by_user",
        {
            "external_contact_list": [{"external_contact": MEI, "follow_info": info}],
            "next_cursor": "c1",
            "fail_info": {"unlicensed_userid_list": ["carol"]},
        },
    )

    page = client.contacts_of(["alice", "carol"])

    follow = Follow("alice", "wmSIM0001", T0, 999, "", ("etSIM_a", "etSIM_new"))
    assert page == ContactPage((Contact(Profile("wmSIM0001", "Mei", 1, 2, "u1"), (follow,)),), "c1", ("carol",))
    assert script.bodies("externalcontact/batch/get_by_user") == [{"userid_list": ["alice", "carol"], "limit": 100}]


def test_all_contacts_are_read_in_chunks_of_a_hundred_members_until_no_cursor_is_left(
    script: ScriptedWeCom, client: WeCom
) -> None:
    empty = {"external_contact_list": []}
    script.on("externalcontact/batch/get_by_user", {**empty, "next_cursor": "c1"}, {**empty, "next_cursor": ""}, empty)

    pages = list(client.iter_contacts(f"m{nth}" for nth in range(150)))

    assert len(pages) == 3
    asked = script.bodies("externalcontact/batch/get_by_user")
    assert [(len(body["userid_list"]), body.get("cursor")) for body in asked] == [(100, None), (100, "c1"), (50, None)]


def test_a_read_that_breaks_off_is_never_taken_for_a_whole_one(script: ScriptedWeCom, client: WeCom) -> None:
    script.on("externalcontact/batch/get_by_user", {"external_contact_list": [], "next_cursor": "c1"}, 45033)

    pages = client.iter_contacts(["alice"])

    next(pages)
    with pytest.raises(WeComError):
        next(pages)


def test_a_cursor_that_repeats_ends_the_read_with_an_error(script: ScriptedWeCom, client: WeCom) -> None:
    script.on("externalcontact/batch/get_by_user", {"external_contact_list": [], "next_cursor": "c1"})

    with pytest.raises(Unreachable, match="repeats"):
        list(client.iter_contacts(["alice"]))
    assert script.times("externalcontact/batch/get_by_user") == 2


@pytest.mark.parametrize("members", [[], ["m"] * 101])
def test_a_list_of_members_outside_one_to_a_hundred_is_refused_unsent(
    script: ScriptedWeCom, client: WeCom, members: list[str]
) -> None:
    with pytest.raises(InvalidContent):
        client.contacts_of(members)
    assert not script.asked


def test_a_member_without_customers_has_none_instead_of_an_error(script: ScriptedWeCom, client: WeCom) -> None:
    script.on("externalcontact/list", {"external_userid": ["wm1"]}, 84061, 60111)

    assert client.customers_of("alice") == ("wm1",)
    assert client.customers_of("bob") == ()
    with pytest.raises(WeComError, match="60111"):
        client.customers_of("gone")


def test_84061_on_a_pair_is_a_state_and_not_nothing(script: ScriptedWeCom, client: WeCom) -> None:
    script.on("externalcontact/mark_tag", 84061)

    with pytest.raises(WeComError) as caught:
        client.mark_tags("alice", "wm1", add=["et1"])
    assert caught.value.klass == "state"


@pytest.mark.parametrize(
    "row", [{"userid": "alice"}, {"userid": "", "createtime": 1}, {"userid": "a", "createtime": "soon"}]
)
def test_a_relation_without_member_or_time_is_no_answer(
    script: ScriptedWeCom, client: WeCom, row: dict[str, object]
) -> None:
    script.on("externalcontact/get", {"external_contact": MEI, "follow_user": [row]})

    with pytest.raises(Unreachable):
        client.contact("wmSIM0001")


def test_a_member_is_read_with_status_and_leaders(script: ScriptedWeCom, client: WeCom) -> None:
    reply = {
        "userid": "alice", "name": "Alice", "department": [2, 5], "order": [0, 0], "is_leader_in_dept": [0, 1],
        "direct_leader": ["bob"], "main_department": 2, "status": 4,
    }  # fmt: skip
    script.on("user/get", reply)

    member = client.member("alice")

    assert member == Member("alice", "Alice", 4, (2, 5), 2, (5,), ("bob",))
    assert not member.is_active


def test_simple_lists_are_read(script: ScriptedWeCom, client: WeCom) -> None:
    script.on("getcallbackip", {"ip_list": ["192.0.2.*"]})
    script.on("externalcontact/get_follow_user_list", {"follow_user": ["alice", "bob"]})

    assert client.callback_ips() == ("192.0.2.*",)
    assert client.follow_users() == ("alice", "bob")


# --- tags -----------------------------------------------------------------------------------------------------------

STAGE = {
    "group_id": "etG", "group_name": "stage", "create_time": SECONDS, "order": 1,
    "tag": [
        {"id": "et1", "name": "new", "create_time": SECONDS, "order": 2},
        {"id": "et2", "name": "old", "deleted": True},
    ],
}  # fmt: skip


def test_the_tag_library_is_read_whole_or_by_id(script: ScriptedWeCom, client: WeCom) -> None:
    script.on("externalcontact/get_corp_tag_list", {"tag_group": [STAGE]})

    group = TagGroup("etG", "stage", (Tag("et1", "new", 2), Tag("et2", "old", deleted=True)), 1)
    assert client.tag_library() == (group,)
    assert client.tag_library(["et1"]) == (group,)
    assert script.bodies("externalcontact/get_corp_tag_list") == [{}, {"tag_id": ["et1"]}]


def test_new_tags_come_back_with_their_ids(script: ScriptedWeCom, client: WeCom) -> None:
    script.on("externalcontact/add_corp_tag", {"tag_group": STAGE})

    assert client.add_tags("stage", ["new", "old"]).tags[0] == Tag("et1", "new", 2)
    assert script.bodies("externalcontact/add_corp_tag") == [
        {"group_name": "stage", "tag": [{"name": "new"}, {"name": "old"}]}
    ]
    with pytest.raises(ContentTooLong, match="31 characters"):
        client.add_tags("stage", ["标" * 31])


def test_tags_are_marked_on_one_relation(script: ScriptedWeCom, client: WeCom) -> None:
    client.mark_tags("alice", "wm1", add=["et1"], remove=["et2"])
    client.mark_tags("alice", "wm1", remove=["et2"])

    assert script.bodies("externalcontact/mark_tag") == [
        {"userid": "alice", "external_userid": "wm1", "add_tag": ["et1"], "remove_tag": ["et2"]},
        {"userid": "alice", "external_userid": "wm1", "remove_tag": ["et2"]},
    ]
    with pytest.raises(InvalidContent):
        client.mark_tags("alice", "wm1")


# --- mass sends -----------------------------------------------------------------------------------------------------


def test_a_mass_send_names_its_sender_and_surfaces_who_cannot_be_sent_to(script: ScriptedWeCom, client: WeCom) -> None:
    script.on("externalcontact/add_msg_template", {"fail_list": ["wm2"], "msgid": "msg1"})
    attachments = (
        Image(media_id="M1"),
        Link("Guide", "https://example.test/g", desc="two minutes"),
        MiniProgram("Shop", "M2", "wxapp", "/index"),
        Video("M3"),
        File("M4"),
    )

    assert client.create_mass_send(MassSend("alice", ("wm1", "wm2"), "Day 3", attachments)) == Created("msg1", ("wm2",))
    assert script.bodies("externalcontact/add_msg_template") == [
        {
            "chat_type": "single",
            "sender": "alice",
            "external_userid": ["wm1", "wm2"],
            "text": {"content": "Day 3"},
            "attachments": [
                {"msgtype": "image", "image": {"media_id": "M1"}},
                {"msgtype": "link", "link": {"title": "Guide", "url": "https://example.test/g", "desc": "two minutes"}},
                {
                    "msgtype": "miniprogram",
                    "miniprogram": {"title": "Shop", "pic_media_id": "M2", "appid": "wxapp", "page": "/index"},
                },
                {"msgtype": "video", "video": {"media_id": "M3"}},
                {"msgtype": "file", "file": {"media_id": "M4"}},
            ],
        }
    ]


def test_a_send_without_text_leaves_the_field_out(script: ScriptedWeCom, client: WeCom) -> None:
    script.on("externalcontact/add_msg_template", {"msgid": "msg1"})

    client.create_mass_send(MassSend("alice", ("wm1",), "", (Video("M3"),)))

    assert "text" not in script.bodies("externalcontact/add_msg_template")[0]


@pytest.mark.parametrize(
    "send",
    [
        MassSend("", ("wm1",), "x"),
        MassSend("alice", (), "x"),
        MassSend("alice", ("wm1",) * 10_001, "x"),
        MassSend("alice", ("wm1",), ""),
        MassSend("alice", ("wm1",), "é" * 2001),
    ],
)
def test_a_mass_send_wecom_would_refuse_is_not_sent(script: ScriptedWeCom, client: WeCom, send: MassSend) -> None:
    with pytest.raises(InvalidContent):
        client.create_mass_send(send)
    assert not script.asked


def test_a_task_is_recognised_in_wecoms_list_by_its_content(script: ScriptedWeCom, client: WeCom) -> None:
    listed = {
        "msgid": "msg1", "create_time": SECONDS, "create_type": 0, "text": {"content": "Day 3"},
        "attachments": [
            {"msgtype": "link", "link": {"title": "Guide", "url": "https://example.test/g", "picurl": "", "desc": ""}},
            {"msgtype": "miniprogram", "miniprogram": {"title": "Shop", "appid": "wxapp", "page": "/index"}},
        ],
    }  # fmt: skip
    own = {"msgid": "msg2", "creator": "bob", "create_time": str(SECONDS), "create_type": 1}
    script.on(
        "externalcontact/get_groupmsg_list_v2",
        {"group_msg_list": [listed], "next_cursor": "c1"},
        {"group_msg_list": [own], "next_cursor": ""},
    )

    records = list(client.iter_mass_sends(T0 + 1, T0 + DAY + 1, CreateType.ENTERPRISE))

    sent = (Link("Guide", "https://example.test/g", picurl="https://p"), MiniProgram("Shop", "M2", "wxapp", "/index"))
    assert records == [
        MassSendRecord("msg1", T0, 0, content_hash("Day 3", sent), "", "Day 3"),
        MassSendRecord("msg2", T0, 1, content_hash(""), "bob"),
    ]
    first = {
        "chat_type": "single", "start_time": SECONDS, "end_time": SECONDS + 86_401, "filter_type": 0, "limit": 100
    }  # fmt: skip
    assert script.bodies("externalcontact/get_groupmsg_list_v2") == [first, {**first, "cursor": "c1"}]


def test_one_page_of_tasks_goes_on_at_a_cursor(script: ScriptedWeCom, client: WeCom) -> None:
    script.on("externalcontact/get_groupmsg_list_v2", {"group_msg_list": [], "next_cursor": "c2"})

    assert client.mass_sends(T0, T0 + HOUR, "c1").next_cursor == "c2"
    (body,) = script.bodies("externalcontact/get_groupmsg_list_v2")
    assert (body["cursor"], body["filter_type"]) == ("c1", 2)


@pytest.mark.parametrize("end", [T0 - 1, T0 + 30 * DAY + 1])
def test_a_span_backwards_or_above_a_month_is_refused_unsent(script: ScriptedWeCom, client: WeCom, end: int) -> None:
    with pytest.raises(InvalidContent):
        client.mass_sends(T0, end)
    assert not script.asked


def test_tasks_of_members_are_read_and_any_status_but_zero_is_a_confirmation(
    script: ScriptedWeCom, client: WeCom
) -> None:
    script.on(
        "externalcontact/get_groupmsg_task",
        {"task_list": [{"userid": "alice", "status": 2, "send_time": SECONDS}], "next_cursor": "c1"},
        {"task_list": [{"userid": "bob", "status": 1, "send_time": 0}, {"userid": "carol", "status": 0}]},
    )

    tasks = client.mass_send_tasks("msg1")

    assert tasks == (MemberTask("alice", 2, T0), MemberTask("bob", 1), MemberTask("carol", 0))
    assert [task.confirmed for task in tasks] == [True, True, False]
    assert script.bodies("externalcontact/get_groupmsg_task")[0] == {"msgid": "msg1", "limit": 1000}


def test_results_are_read_page_by_page(script: ScriptedWeCom, client: WeCom) -> None:
    def row(customer: str, status: int, **more: int) -> dict[str, object]:
        return {"external_userid": customer, "userid": "alice", "status": status, **more}

    script.on(
        "externalcontact/get_groupmsg_send_result",
        {"send_list": [row("wm1", 1, send_time=SECONDS), row("wm2", 2)], "next_cursor": "c1"},
        {"send_list": [row("wm3", 3), row("wm4", 7)]},
    )

    results = client.mass_send_results("msg1", "alice")

    assert results == (
        SendResult("alice", "wm1", SendStatus.SENT, T0),
        SendResult("alice", "wm2", SendStatus.NOT_FRIEND),
        SendResult("alice", "wm3", SendStatus.WINDOW_FULL),
        SendResult("alice", "wm4", 7),
    )
    assert script.bodies("externalcontact/get_groupmsg_send_result") == [
        {"msgid": "msg1", "userid": "alice", "limit": 1000},
        {"msgid": "msg1", "userid": "alice", "limit": 1000, "cursor": "c1"},
    ]


def test_reminding_and_cancelling_name_the_task(script: ScriptedWeCom, client: WeCom) -> None:
    client.remind_mass_send("msg1")
    client.cancel_mass_send("msg1")

    assert script.bodies("externalcontact/remind_groupmsg_send") == [{"msgid": "msg1"}]
    assert script.bodies("externalcontact/cancel_groupmsg_send") == [{"msgid": "msg1"}]


# --- other messages -------------------------------------------------------------------------------------------------


def test_a_welcome_goes_out_with_its_code(script: ScriptedWeCom, client: WeCom) -> None:
    client.send_welcome("WC-abc", "Hello", (Image(pic_url="https://p"),))

    assert script.bodies("externalcontact/send_welcome_msg") == [
        {
            "welcome_code": "WC-abc",
            "text": {"content": "Hello"},
            "attachments": [{"msgtype": "image", "image": {"pic_url": "https://p"}}],
        }
    ]


def test_an_app_message_gives_back_ids_as_they_were_given(script: ScriptedWeCom, client: WeCom) -> None:
    script.on(
        "message/send",
        {"invaliduser": "zhangsan|ghost", "unlicenseduser": "bob", "msgid": "m1", "response_code": "RC"},
    )

    receipt = client.send_app_message(["ZhangSan", "Bob", "alice"], TextNotice("due today"))

    assert receipt == Receipt("m1", ("ZhangSan", "ghost"), ("Bob",), "RC")
    assert script.bodies("message/send") == [
        {
            "touser": "ZhangSan|Bob|alice",
            "agentid": 1000002,
            "msgtype": "text",
            "text": {"content": "due today"},
        }
    ]


def test_cards_take_the_documented_form(script: ScriptedWeCom, client: WeCom) -> None:
    done = Button("Done", "done")
    client.send_app_message(["alice"], LinkNotice("Due", "3 customers", "https://sopd.test/m", "Open"))
    client.send_app_message(["alice"], ButtonNotice("sop-42-alice", "Mei", (done,), "Day 3", (("Due", "18:00"),)))

    link, card = script.bodies("message/send")
    assert link["textcard"] == {
        "title": "Due", "description": "3 customers", "url": "https://sopd.test/m", "btntxt": "Open"
    }  # fmt: skip
    assert card["msgtype"] == "template_card"
    assert card["template_card"] == {
        "card_type": "button_interaction",
        "task_id": "sop-42-alice",
        "main_title": {"title": "Mei", "desc": "Day 3"},
        "horizontal_content_list": [{"keyname": "Due", "value": "18:00"}],
        "button_list": [{"text": "Done", "style": 1, "key": "done"}],
    }


@pytest.mark.parametrize(
    "notice",
    [
        TextNotice("x" * 2049),
        LinkNotice("t" * 129, "d", "https://x"),
        LinkNotice("t", "d" * 513, "https://x"),
        LinkNotice("t", "d", "https://x", "five!"),
        LinkNotice("t", "d", "x.test"),
        LinkNotice("t", "d", "https://" + "x" * 2048),
        LinkNotice("", "d", "https://x"),
        ButtonNotice("bad id", "t", (Button("a", "b"),)),
        ButtonNotice("x" * 129, "t", (Button("a", "b"),)),
        ButtonNotice("id", "t", ()),
        ButtonNotice("id", "t", (Button("a", "b"),) * 7),
        ButtonNotice("id", "t", (Button("a", "b" * 1025),)),
        ButtonNotice("id", "t", (Button("a", "b"),), lines=(("k", "v"),) * 7),
    ],
)
def test_a_notice_wecom_would_refuse_or_cut_is_not_sent(script: ScriptedWeCom, client: WeCom, notice: Notice) -> None:
    with pytest.raises(InvalidContent):
        client.send_app_message(["alice"], notice)
    assert not script.asked


@pytest.mark.parametrize("members", [[], ["m"] * 1001])
def test_an_app_message_goes_to_one_to_a_thousand_members(
    script: ScriptedWeCom, client: WeCom, members: list[str]
) -> None:
    with pytest.raises(InvalidContent):
        client.send_app_message(members, TextNotice("x"))
    assert not script.asked


@pytest.mark.parametrize("created_at", [SECONDS, str(SECONDS)])
def test_an_upload_expires_two_hours_before_wecom_forgets_it(
    script: ScriptedWeCom, client: WeCom, created_at: int | str
) -> None:
    script.on("media/upload", {"type": "image", "media_id": "M1", "created_at": created_at})

    assert client.upload_media("image", "护肤.png", b"\x89PNG..") == Media("M1", T0 + 70 * HOUR)
    (asked,) = script.asked["media/upload"]
    assert asked.params == {"type": "image", "access_token": "tok-1"}
    assert asked.headers["content-type"].startswith("multipart/form-data")
    assert b'name="media"; filename="' in asked.raw and b"\x89PNG.." in asked.raw


@pytest.mark.parametrize("data", [b"12345", b"x" * (5 * 1024 * 1024 + 1)])
def test_an_image_of_a_size_wecom_refuses_is_not_uploaded(script: ScriptedWeCom, client: WeCom, data: bytes) -> None:
    with pytest.raises(InvalidContent):
        client.upload_media("image", "a.png", data)
    assert not script.asked


# --- many at once ---------------------------------------------------------------------------------------------------


def test_many_reads_keep_each_answer_and_each_failure_with_its_key(script: ScriptedWeCom, client: WeCom) -> None:
    script.on("externalcontact/list", lambda request: {
        "ok": {"external_userid": ["wm1"]}, "none": 84061, "gone": 60111, "busy": -1
    }[request.url.params["userid"]])  # fmt: skip

    outcomes = read_many(client.customers_of, ["ok", "gone", "none", "ok", "busy"], parallel=3)

    assert outcomes.values == {"ok": ("wm1",), "none": ()}
    assert {key: failure.klass for key, failure in outcomes.failures.items()} == {
        "gone": "permanent", "busy": "retryable"
    }  # fmt: skip
    assert script.times("externalcontact/list") == 4


def test_a_fault_of_ours_is_raised_and_not_kept() -> None:
    def broken(key: str) -> str:
        raise KeyError(key)

    with pytest.raises(KeyError):
        read_many(broken, ["a", "b"])


def test_no_keys_give_no_outcomes() -> None:
    outcomes = read_many(str, [])

    assert (outcomes.values, outcomes.failures) == ({}, {})
