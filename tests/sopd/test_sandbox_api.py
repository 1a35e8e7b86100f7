"""The imitated API: token, envelope, permissions, customers and tags (WeCom 1, 4, 9)."""

from __future__ import annotations

import json

import pytest

from tests.support.caller import DAY, HOUR, MINUTE, SECOND, Caller

CONTACT = "/cgi-bin/externalcontact/"


def test_the_same_token_is_given_until_it_expires() -> None:
    caller = Caller()
    first = caller.token()
    caller.pass_time(2 * HOUR - 1)
    assert caller.token() == first

    caller.pass_time(1)
    stale = caller.request(f"{CONTACT}list", {"access_token": first, "userid": "alice"})

    assert stale.fields["errcode"] == 42001
    assert caller.token() != first


def test_a_revoked_token_is_40014_and_replaced() -> None:
    caller = Caller()
    first = caller.token()
    caller.gateway.api.access.revoke()

    refused = caller.request(f"{CONTACT}list", {"access_token": first, "userid": "alice"})

    assert refused.fields["errcode"] == 40014
    assert caller.token() != first


def test_five_wrong_secrets_block_the_address_for_an_hour() -> None:
    caller = Caller()
    wrong = {"corpid": "wwsimcorp", "corpsecret": "guess"}
    codes = [caller.request("/cgi-bin/gettoken", wrong).fields["errcode"] for _ in range(6)]
    right = {"corpid": "wwsimcorp", "corpsecret": "simsecret"}
    still_blocked = caller.request("/cgi-bin/gettoken", right).fields["errcode"]
    caller.pass_time(HOUR)

    assert codes == [40001] * 5 + [45009]
    assert still_blocked == 45009
    assert caller.request("/cgi-bin/gettoken", right).fields["errcode"] == 0


def test_a_token_outside_the_query_is_not_seen() -> None:
    caller = Caller()
    body = json.dumps({"access_token": caller.token(), "msgid": "m"}).encode()

    assert caller.request(f"{CONTACT}get_groupmsg_task", {}, body).fields["errcode"] == 41001


def test_errors_are_http_200_with_hint_and_the_empty_fields_of_the_call() -> None:
    answer = Caller().request(f"{CONTACT}list", {"userid": "alice"})

    assert answer.status == 200
    assert answer.fields["external_userid"] == []
    assert "hint: [" in answer.fields["errmsg"]
    assert answer.fields["errmsg"].endswith("devtool/query?e=41001")


@pytest.mark.parametrize("path", ["/cgi-bin/externalcontact/stop_groupmsg_send", "/", "/cgi-bin/externalcontact"])
def test_an_unknown_path_is_404_with_an_empty_body(path: str) -> None:
    answer = Caller().request(path, {})

    assert (answer.status, answer.body) == (404, b"")


def test_permissions_and_addresses_are_checked() -> None:
    assert Caller(withheld_paths=(CONTACT,)).get("get_follow_user_list")["errcode"] == 48002
    assert Caller(trusted_ips=("10.0.0.1",)).get("get_follow_user_list")["errcode"] == 60020


def test_too_many_calls_block_this_path_only_and_only_for_a_minute() -> None:
    caller = Caller(calls_per_minute=3)
    codes = [caller.get("get_follow_user_list")["errcode"] for _ in range(4)]
    elsewhere = caller.post("get_corp_tag_list")["errcode"]
    caller.pass_time(MINUTE)

    assert codes == [0, 0, 0, 45009]
    assert elsewhere == 0
    assert caller.get("get_follow_user_list")["errcode"] == 0


def test_unicode_escapes_and_broken_json_are_refused() -> None:
    caller = Caller()
    path = f"{CONTACT}get_corp_tag_list"

    assert caller.post_raw(path, b'{"tag_id": ["\\u65b0"]}')["errcode"] == 40033
    assert caller.post_raw(path, b'{"tag_id": ["a\\u0001", "\\\\u65b0"]}')["errcode"] == 40068
    assert "wrong json format" in caller.post_raw(path, b"{")["errmsg"]
    assert caller.post_raw(path, b"[]")["errcode"] == 40035


def test_members_outside_the_scope_or_gone_are_silently_absent() -> None:
    caller = Caller()
    caller.add("alice", "wm1")
    caller.add("bob", "wm1")
    caller.world.members["bob"].in_scope = False

    assert caller.get("get_follow_user_list")["follow_user"] == ["alice"]
    assert [row["userid"] for row in caller.get("get", external_userid="wm1")["follow_user"]] == ["alice"]
    assert caller.post("batch/get_by_user", userid_list=["bob"])["external_contact_list"] == []


def test_a_member_without_customers_is_84061_or_an_empty_list() -> None:
    assert Caller().get("list", userid="alice")["errcode"] == 84061
    assert Caller(empty_list_is_84061=False).get("list", userid="alice")["external_userid"] == []
    assert Caller().get("list", userid="nobody")["errcode"] == 60111


def test_get_shows_the_relation_with_named_tags_and_batch_with_ids_only() -> None:
    caller = Caller()
    caller.add("alice", "wm1", state="expo2026")
    tag = caller.world.stock_tag("stage/new", now=caller.now)
    caller.world.member_tags("alice", "wm1", "stage/new", now=caller.now)
    caller.world.member_tags_privately("alice", "wm1", "mine/hot", now=caller.now)

    (follower,) = caller.get("get", external_userid="wm1")["follow_user"]
    (row,) = caller.post("batch/get_by_user", userid_list=["alice"])["external_contact_list"]

    assert follower["createtime"] == caller.now // 1000
    assert (follower["state"], follower["add_way"], follower["oper_userid"]) == ("expo2026", 1, "wm1")
    assert follower["tags"] == [
        {"group_name": "stage", "tag_name": "new", "tag_id": tag.tag_id, "type": 1},
        {"group_name": "mine", "tag_name": "hot", "type": 2},
    ]
    assert row["follow_info"]["tag_id"] == [tag.tag_id]
    assert "tags" not in row["follow_info"]


def test_unknown_customers_are_40096_and_lost_ones_84061() -> None:
    caller = Caller()
    caller.add("alice", "wm1", "wm2")
    caller.world.customer_deletes("alice", "wm1", now=caller.now)

    assert caller.get("get", external_userid="wmX")["errcode"] == 40096
    assert caller.get("get", external_userid="wm1")["errcode"] == 84061
    assert caller.get("list", userid="alice")["external_userid"] == ["wm2"]


def test_a_half_add_is_no_customer_until_it_is_confirmed() -> None:
    caller = Caller()
    caller.add("alice", "wm1", half=True)
    assert caller.get("get", external_userid="wm1")["errcode"] == 84061

    caller.world.confirm_half("alice", "wm1", now=caller.now)

    assert caller.get("list", userid="alice")["external_userid"] == ["wm1"]


def test_pages_are_followed_to_the_end_while_customers_come_and_go() -> None:
    caller = Caller(page_cap=2)
    caller.add("alice", "wm1", "wm2", "wm3", "wm5")
    first = caller.post("batch/get_by_user", userid_list=["alice"], limit=100)
    caller.world.member_deletes("alice", "wm1", now=caller.now)
    caller.add("alice", "wm4")

    second = caller.post("batch/get_by_user", userid_list=["alice"], limit=100, cursor=first["next_cursor"])
    third = caller.post("batch/get_by_user", userid_list=["alice"], limit=100, cursor=second["next_cursor"])

    pages = [
        [row["external_contact"]["external_userid"] for row in page["external_contact_list"]]
        for page in (first, second, third)
    ]
    assert pages == [["wm1", "wm2"], ["wm3", "wm4"], ["wm5"]]
    assert third["next_cursor"] == ""
    assert caller.post("batch/get_by_user", userid_list=["alice"], cursor="rubbish")["errcode"] == 40035


def test_a_limit_above_the_maximum_falls_back_to_the_default() -> None:
    caller = Caller()
    caller.add("alice", *(f"wm{n:03d}" for n in range(120)))

    sizes = [
        len(caller.post("batch/get_by_user", userid_list=["alice"], limit=limit)["external_contact_list"])
        for limit in (100, 101, 0)
    ]

    assert sizes == [100, 50, 50]


def test_unlicensed_members_are_named_and_nobody_licensed_is_701008() -> None:
    caller = Caller()
    caller.add("alice", "wm1")
    caller.world.members["bob"].licensed = False

    reply = caller.post("batch/get_by_user", userid_list=["alice", "bob"])

    assert reply["fail_info"] == {"unlicensed_userid_list": ["bob"]}
    assert len(reply["external_contact_list"]) == 1
    assert caller.post("batch/get_by_user", userid_list=["bob"])["errcode"] == 701008


def test_tags_are_made_once_renamed_and_deleted_by_the_app_that_made_them() -> None:
    caller = Caller()
    made = caller.post("add_corp_tag", group_name="stage", tag=[{"name": "new"}, {"name": "new"}, {"name": "old"}])
    ids = {tag["name"]: tag["id"] for tag in made["tag_group"]["tag"]}

    assert list(ids) == ["new", "old"]
    assert caller.post("add_corp_tag", group_name="stage", tag=[{"name": "old"}])["errcode"] == 40071
    assert caller.post("add_corp_tag", group_name="stage", tag=[{"name": "x" * 31}])["errcode"] == 40072
    assert caller.post("edit_corp_tag", id=ids["old"], name="new")["errcode"] == 40071
    assert caller.post("edit_corp_tag", id=ids["old"], name="older")["errcode"] == 0
    assert caller.post("del_corp_tag", tag_id=[ids["new"]])["errcode"] == 0
    (group,) = caller.post("get_corp_tag_list")["tag_group"]
    assert [tag["name"] for tag in group["tag"]] == ["older"]


def test_tags_of_the_administrator_cannot_be_changed_by_the_app() -> None:
    caller = Caller()
    tag = caller.world.stock_tag("stage/new", now=caller.now)

    assert caller.post("edit_corp_tag", id=tag.tag_id, name="x")["errcode"] == 81011
    assert caller.post("del_corp_tag", tag_id=[tag.tag_id])["errcode"] == 81011


def test_a_deleted_tag_is_shown_only_by_id_and_leaves_everybody() -> None:
    caller = Caller()
    caller.add("alice", "wm1")
    tag = caller.world.stock_tag("stage/new", now=caller.now)
    caller.world.member_tags("alice", "wm1", "stage/new", now=caller.now)

    caller.world.admin_deletes_tag("stage/new", now=caller.now)

    assert caller.post("get_corp_tag_list")["tag_group"] == []
    (group,) = caller.post("get_corp_tag_list", tag_id=[tag.tag_id])["tag_group"]
    assert (group["deleted"], group["tag"][0]["deleted"]) == (True, True)
    assert caller.get("get", external_userid="wm1")["follow_user"][0]["tags"] == []
    assert caller.post("mark_tag", userid="alice", external_userid="wm1", add_tag=[tag.tag_id])["errcode"] == 40068


def test_mark_tag_is_idempotent_belongs_to_one_relation_and_echoes_only_on_request() -> None:
    for echo in (False, True):
        caller = Caller(echo=echo)
        caller.add("alice", "wm1")
        caller.add("bob", "wm1")
        tag = caller.world.stock_tag("stage/new", now=caller.now)
        caller.world.mailbox.waiting.clear()

        codes = [
            caller.post("mark_tag", userid="alice", external_userid="wm1", add_tag=[tag.tag_id])["errcode"]
            for _ in range(2)
        ]

        assert codes == [0, 0]
        assert caller.world.relations["alice", "wm1"].tag_ids == {tag.tag_id}
        assert caller.world.relations["bob", "wm1"].tag_ids == set()
        assert len(caller.world.mailbox.waiting) == (2 if echo else 0)


def test_mark_tag_refuses_strangers_unknown_tags_and_nothing_to_do() -> None:
    caller = Caller()
    caller.add("alice", "wm1")
    tag = caller.world.stock_tag("stage/new", now=caller.now).tag_id

    def mark(userid: str, customer: str, **tags: list[str]) -> int:
        return int(caller.post("mark_tag", userid=userid, external_userid=customer, **tags)["errcode"])

    assert mark("bob", "wm1", add_tag=[tag]) == 84061
    assert mark("alice", "wm1", add_tag=["etX"]) == 40068
    assert mark("alice", "wm1") == 40063
    assert mark("nobody", "wm1", add_tag=[tag]) == 60111


def test_staff_messages_above_thirty_a_minute_vanish_and_wrong_ids_come_back_lower_cased() -> None:
    caller = Caller()
    body = {"touser": "alice|NoBody", "msgtype": "text", "agentid": 1000002, "text": {"content": "hi"}}

    def send(**changes: object) -> dict[str, object]:
        return caller.post_raw("/cgi-bin/message/send", json.dumps({**body, **changes}).encode())

    replies = [send() for _ in range(31)]

    assert {reply["errcode"] for reply in replies} == {0}
    assert replies[0]["invaliduser"] == "nobody"
    assert len(caller.world.staff_messages) == 30
    assert send(touser="nobody")["errcode"] == 81013
    assert send(agentid=7)["errcode"] == 301002
    caller.pass_time(MINUTE)
    send()
    assert len(caller.world.staff_messages) == 31


def test_user_get_knows_members_without_case_and_says_who_is_unknown_or_out_of_sight() -> None:
    caller = Caller()
    caller.world.hire("carol", leader="bob", in_scope=False)
    caller.world.members["alice"].leader = "carol"

    def get(userid: str) -> dict[str, object]:
        answer = caller.request("/cgi-bin/user/get", {"access_token": caller.token(), "userid": userid})
        return dict(answer.fields)

    assert get("ALICE")["userid"] == "alice"
    assert get("alice")["direct_leader"] == []
    assert get("carol")["errcode"] == 60011
    assert (get("nobody")["errcode"], get("nobody")["department"]) == (60111, [])


def test_uploaded_media_live_three_days() -> None:
    caller = Caller()
    caller.add("alice", "wm1")
    body = (
        b'--b\r\nContent-Disposition: form-data; name="media"; filename="a.png"\r\n'
        b"Content-Type: image/png\r\n\r\n\x89PNG\r\nx\r\n--b--\r\n"
    )
    query = {"access_token": caller.token(), "type": "image"}
    kept = caller.request("/cgi-bin/media/upload", query, body, "multipart/form-data; boundary=b").fields

    def send() -> int:
        image = {"msgtype": "image", "image": {"media_id": kept["media_id"]}}
        reply = caller.post("add_msg_template", sender="alice", external_userid=["wm1"], attachments=[image])
        return int(reply["errcode"])

    assert kept["created_at"] == str(caller.now // 1000)
    assert caller.world.media[kept["media_id"]].size == 7
    assert send() == 0
    caller.pass_time(3 * DAY - SECOND)
    assert send() == 0
    caller.pass_time(SECOND)
    assert send() == 40007


def test_contact_ways_and_callback_addresses_are_answered() -> None:
    caller = Caller()
    way = caller.post("add_contact_way", type=1, scene=2, user=["alice"], state="expo2026")
    addresses = caller.request("/cgi-bin/getcallbackip", {"access_token": caller.token()}).fields

    assert way["config_id"] and way["qr_code"]
    assert caller.post("add_contact_way", type=1, scene=2, state="x" * 31)["errcode"] == 45002
    assert "127.0.0.1" in addresses["ip_list"]
