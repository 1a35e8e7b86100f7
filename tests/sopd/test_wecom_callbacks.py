"""Decrypted callbacks become values; unknown ones too, and no two different ones get one fingerprint."""

from __future__ import annotations

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sopd.crypto import BadEnvelope
from sopd.wecom.callbacks import parse


def xml(*fields: str, sender: str = "sys", created: str = "1767225600") -> bytes:
    return (
        "<xml><ToUserName><![CDATA[wwsimcorp]]></ToUserName>"
        f"<FromUserName><![CDATA[{sender}]]></FromUserName><CreateTime>{created}</CreateTime>"
        f"<MsgType><![CDATA[event]]></MsgType>{''.join(fields)}</xml>"
    ).encode()


def field(name: str, value: str) -> str:
    return f"<{name}><![CDATA[{value}]]></{name}>"


PAIR = (field("UserID", "alice"), field("ExternalUserID", "wmSIM0001"))
CONTACT = field("Event", "change_external_contact")


def test_an_added_customer() -> None:
    plaintext = xml(
        CONTACT, field("ChangeType", "add_external_contact"), *PAIR, field("State", "expo2026"),
        field("WelcomeCode", "WC-abc"),
    )  # fmt: skip

    event = parse(plaintext)

    assert (event.event, event.change_type) == ("change_external_contact", "add_external_contact")
    assert (event.user_id, event.external_user_id) == ("alice", "wmSIM0001")
    assert (event.state, event.welcome_code) == ("expo2026", "WC-abc")
    assert event.created_at == 1_767_225_600_000
    assert event.fingerprint == hashlib.sha256(plaintext).hexdigest()
    assert event.raw["MsgType"] == "event"
    assert (event.source, event.fail_reason, event.tag_id, event.chat_id) == ("", "", "", "")


def test_deletion_by_transfer_and_a_failed_transfer() -> None:
    deletion = field("ChangeType", "del_external_contact")
    deleted = parse(xml(CONTACT, deletion, *PAIR, field("Source", "DELETE_BY_TRANSFER")))
    failed = parse(xml(CONTACT, field("ChangeType", "transfer_fail"), *PAIR, field("FailReason", "customer_refused")))

    assert deleted.source == "DELETE_BY_TRANSFER"
    assert failed.fail_reason == "customer_refused"


def test_a_tag_of_the_library() -> None:
    event = parse(
        xml(field("Event", "change_external_tag"), field("Id", "et1"), field("TagType", "tag_group"),
            field("ChangeType", "delete"))
    )  # fmt: skip

    assert (event.tag_id, event.tag_type, event.change_type) == ("et1", "tag_group", "delete")
    assert event.user_id == ""


def test_the_id_of_another_event_is_no_tag() -> None:
    assert parse(xml(field("Event", "change_contact"), field("Id", "2"))).tag_id == ""


def test_a_group_keeps_its_list_of_members() -> None:
    event = parse(
        xml(field("Event", "change_external_chat"), field("ChatId", "wrSIM01"), field("ChangeType", "update"),
            "<MemChangeList><Item>wm1</Item><Item>wm2</Item><Item>wm3</Item></MemChangeList><Empty/>")
    )  # fmt: skip

    assert event.chat_id == "wrSIM01"
    assert event.raw["MemChangeList"] == {"Item": ["wm1", "wm2", "wm3"]}
    assert event.raw["Empty"] == ""


def test_a_card_click_comes_from_the_member() -> None:
    event = parse(xml(field("Event", "template_card_event"), field("EventKey", "done"), sender="alice"))

    assert (event.user_id, event.raw["EventKey"]) == ("alice", "done")


def test_an_unknown_event_with_unknown_fields_is_accepted() -> None:
    event = parse(xml(field("Event", "made_up_in_2030"), "<A><B><C>1</C></B></A>", field("Userid", "alice")))

    assert event.event == "made_up_in_2030"
    assert event.raw["A"] == {"B": {"C": "1"}}
    assert event.user_id == "alice", "spellings differ between pages"


def test_a_push_that_is_no_event_is_accepted() -> None:
    assert parse(b"<xml><MsgType>text</MsgType><Content>hi</Content></xml>").event == ""


@pytest.mark.parametrize("created", ["", "soon", "-1", "1e9", "١٢٣", "9" * 400])
def test_an_unusable_time_is_none_and_never_an_error(created: str) -> None:
    assert parse(xml(CONTACT, created=created)).created_at is None


def test_a_zone_notice_is_json() -> None:
    notice = {"event_type": "hit_keyword", "timestamp": 1767225600, "hit_keyword": {"token": "t"}}

    event = parse(b" " + json.dumps(notice).encode())

    assert (event.event, event.created_at) == ("hit_keyword", 1_767_225_600_000)
    assert event.raw == notice


@pytest.mark.parametrize(
    "plaintext",
    [
        b"", b"hello", b"<xml>", b"<xml/>", b"<xml>text</xml>", b"{", b"{" * 100_000, b'[{"Event": 1}]',
        b'<!DOCTYPE xml [<!ENTITY a "b">]><xml><Event>&a;</Event></xml>',
        b"<xml>" + b"<a>" * 20 + b"</a>" * 20 + b"</xml>",
        b"<a>" * 50_000 + b"</a>" * 50_000,
    ],
)  # fmt: skip
def test_what_is_no_event_at_all_is_refused(plaintext: bytes) -> None:
    with pytest.raises(BadEnvelope):
        parse(plaintext)


def test_two_edits_in_one_second_differ_and_a_repeated_push_does_not() -> None:
    first = xml(CONTACT, field("ChangeType", "edit_external_contact"), *PAIR)
    second = xml(CONTACT, field("ChangeType", "edit_external_contact"), field("UserID", "bob"), PAIR[1])

    assert parse(first).fingerprint == parse(first).fingerprint
    assert parse(first) == parse(first) and hash(parse(first)) == hash(parse(first))
    assert parse(first).fingerprint != parse(second).fingerprint


def test_the_repr_holds_neither_the_welcome_code_nor_the_raw_fields() -> None:
    shown = repr(parse(xml(CONTACT, field("WelcomeCode", "WC-abc"), field("Other", "private"))))

    assert "WC-abc" not in shown and "private" not in shown


@given(
    state=st.text(st.characters(codec="utf-8", exclude_characters="\r", exclude_categories=["Cc", "Cs"]), max_size=30)
)
def test_any_channel_string_survives(state: str) -> None:
    safe = state.replace("]]>", "").strip()

    assert parse(xml(CONTACT, field("State", safe))).state == safe
