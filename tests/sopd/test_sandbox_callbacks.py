"""Events and their delivery: exact XML, real encryption, retries, and everything a receiver must bear (WeCom 2, 3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from sopd.crypto import BadReceiver, BadSignature, CallbackCrypto, CallbackRejected, parse_xml
from sopd.sandbox.letters import PostHabits
from sopd.sandbox.postman import Postman
from sopd.sandbox.refusals import ImpossibleDeed
from tests.support.caller import DAY, MINUTE, NEW_YEAR, SECOND, Caller


class Receiver:
    """A callback URL that opens what it gets and answers with the statuses it is told, then 200."""

    def __init__(self, *statuses: int) -> None:
        self.crypto = CallbackCrypto("simtoken", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8", "wwsimcorp")
        self.statuses = list(statuses)
        self.opened: list[bytes] = []
        self.bodies: list[bytes] = []
        self.rejected: list[CallbackRejected] = []

    def deliver(self, query: Mapping[str, str], body: bytes) -> int:
        self.bodies.append(body)
        try:
            opened = self.crypto.open(query["msg_signature"], query["timestamp"], query["nonce"], body)
        except CallbackRejected as rejected:
            self.rejected.append(rejected)
            return 403
        self.opened.append(opened)
        return self.statuses.pop(0) if self.statuses else 200

    def events(self) -> list[dict[str, str | None]]:
        return [{child.tag: child.text for child in parse_xml(xml)} for xml in self.opened]


def _post(caller: Caller, receiver: Receiver, **how: Any) -> Postman:
    return Postman(caller.gateway, receiver.deliver, **how)


def _changes(caller: Caller) -> list[dict[str, str | None]]:
    """What is delivered now, without the fields every event has."""
    receiver = Receiver()
    _post(caller, receiver).run_once(caller.now)
    common = {"ToUserName", "FromUserName", "CreateTime", "MsgType", "Event", "WelcomeCode"}
    return [{name: value for name, value in event.items() if name not in common} for event in receiver.events()]


def test_an_add_event_reads_exactly_as_documented() -> None:
    caller = Caller()
    caller.add("alice", "wmSIM0001", state="expo2026")
    receiver = Receiver()
    code = caller.world.relations["alice", "wmSIM0001"].welcome_code

    _post(caller, receiver).run_once(caller.now)

    assert receiver.opened[0].replace(b" ", b"").decode() == (
        "<xml><ToUserName><![CDATA[wwsimcorp]]></ToUserName><FromUserName><![CDATA[sys]]></FromUserName>"
        "<CreateTime>1767225600</CreateTime><MsgType><![CDATA[event]]></MsgType>"
        "<Event><![CDATA[change_external_contact]]></Event><ChangeType><![CDATA[add_external_contact]]></ChangeType>"
        "<UserID><![CDATA[alice]]></UserID><ExternalUserID><![CDATA[wmSIM0001]]></ExternalUserID>"
        f"<State><![CDATA[expo2026]]></State><WelcomeCode><![CDATA[{code}]]></WelcomeCode></xml>"
    )


def test_every_deed_raises_its_event_and_edits_carry_no_diff() -> None:
    caller = Caller()
    world, now = caller.world, caller.now
    world.stock_tag("stage/new", now=now)
    caller.add("alice", "wm1", half=True)
    world.confirm_half("alice", "wm1", now=now)
    world.member_tags("alice", "wm1", "stage/new", now=now)
    world.member_untags("alice", "wm1", "stage/new", now=now)
    world.member_remarks("alice", "wm1", "Mei", now=now)
    world.transfer("alice", "bob", "wm1", now=now)
    world.customer_deletes("bob", "wm1", now=now)
    caller.add("alice", "wm2")
    world.member_deletes("alice", "wm2", now=now)

    pair = {"UserID": "alice", "ExternalUserID": "wm1"}
    edit = {"ChangeType": "edit_external_contact", **pair}
    taken = {"UserID": "bob", "ExternalUserID": "wm1"}
    other = {"UserID": "alice", "ExternalUserID": "wm2"}
    assert _changes(caller) == [
        {"ChangeType": "add_half_external_contact", **pair},
        {"ChangeType": "add_external_contact", **pair},
        edit,
        edit,
        edit,
        {"ChangeType": "del_external_contact", **pair, "Source": "DELETE_BY_TRANSFER"},
        {"ChangeType": "add_external_contact", **taken},
        {"ChangeType": "del_follow_user", **taken},
        {"ChangeType": "add_external_contact", **other},
        {"ChangeType": "del_external_contact", **other},
    ]
    assert world.relations["bob", "wm1"].add_way == 202


def test_changes_of_the_library_raise_one_event_even_when_a_group_goes() -> None:
    caller = Caller()
    world, now = caller.world, caller.now
    tag = world.admin_makes_tag("stage/new", now=now)
    world.stock_tag("stage/old", now=now)
    world.admin_renames_tag("stage/new", "newer", now=now)
    group = world.tag_groups[tag.group_id]
    world.admin_deletes_group("stage", now=now)

    assert _changes(caller) == [
        {"Id": tag.tag_id, "TagType": "tag", "ChangeType": "create"},
        {"Id": tag.tag_id, "TagType": "tag", "ChangeType": "update"},
        {"Id": group.group_id, "TagType": "tag_group", "ChangeType": "delete"},
    ]
    assert group.deleted and tag.deleted


def test_no_welcome_code_where_wecom_gives_none() -> None:
    caller = Caller()
    caller.world.members["bob"].console_welcome = True
    caller.add("alice", "wm1")
    caller.add("alice", "wo1", kind=2)
    caller.add("bob", "wm1")
    receiver = Receiver()

    _post(caller, receiver).run_once(caller.now)

    assert [b"WelcomeCode" in xml for xml in receiver.opened] == [True, False, False]


def test_members_outside_the_scope_raise_no_events() -> None:
    caller = Caller()
    caller.world.members["bob"].in_scope = False
    caller.add("bob", "wm1")

    assert _changes(caller) == []


@pytest.mark.parametrize(
    "deed",
    [
        lambda world: world.customer_adds("alice", "wm1", now=NEW_YEAR),
        lambda world: world.customer_adds("nobody", "wm9", now=NEW_YEAR),
        lambda world: world.confirm_half("alice", "wm1", now=NEW_YEAR),
        lambda world: world.member_tags("alice", "wm1", "no/tag", now=NEW_YEAR),
        lambda world: world.customer_deletes("bob", "wm1", now=NEW_YEAR),
        lambda world: world.member_confirms("msgX", "alice", now=NEW_YEAR),
        lambda world: world.hire("Alice"),
        lambda world: world.transfer("alice", "alice", "wm1", now=NEW_YEAR),
        lambda world: world.transfer_refused("alice", "bob", "wm1", now=NEW_YEAR, reason="no time"),
    ],
)
def test_impossible_deeds_change_nothing(deed: Any) -> None:
    caller = Caller()
    caller.add("alice", "wm1")
    before = (caller.world.census(), caller.world.account())

    with pytest.raises(ImpossibleDeed):
        deed(caller.world)

    assert (caller.world.census(), caller.world.account()) == before


def test_a_refused_transfer_names_the_taker_and_changes_nothing() -> None:
    caller = Caller()
    world, now = caller.world, caller.now
    caller.add("alice", "wm1")
    world.transfer_refused("alice", "bob", "wm1", now=now)

    assert _changes(caller)[-1] == {
        "ChangeType": "transfer_fail", "UserID": "bob", "ExternalUserID": "wm1", "FailReason": "customer_refused"
    }  # fmt: skip
    assert world.relations["alice", "wm1"].is_open and ("bob", "wm1") not in world.relations


def test_a_transfer_to_a_friend_is_told_to_the_first_member_only() -> None:
    caller = Caller()
    caller.add("alice", "wm1")
    caller.add("bob", "wm1")
    _changes(caller)
    caller.world.transfer("alice", "bob", "wm1", now=caller.now)

    assert [(one["ChangeType"], one["UserID"]) for one in _changes(caller)] == [
        ("del_external_contact", "alice")
    ]
    assert caller.world.relations["bob", "wm1"].add_way == 1


def test_of_a_member_who_has_left_only_the_taker_is_told() -> None:
    caller = Caller()
    caller.add("alice", "wm1")
    _changes(caller)
    caller.world.members["alice"].status = 5
    caller.world.transfer("alice", "bob", "wm1", now=caller.now)

    assert [(one["ChangeType"], one["UserID"]) for one in _changes(caller)] == [("add_external_contact", "bob")]


def test_pads_of_every_length_are_sent_and_nonces_vary() -> None:
    caller = Caller()
    caller.add("alice", *(f"wm{n}" for n in range(400)))
    receiver = Receiver()
    nonces = set()

    def deliver(query: Mapping[str, str], body: bytes) -> int:
        nonces.add(query["nonce"])
        return receiver.deliver(query, body)

    Postman(caller.gateway, deliver).run_once(caller.now)

    pads = {32 - (20 + len(xml) + len("wwsimcorp")) % 32 for xml in receiver.opened}
    assert pads == set(range(1, 33))
    assert len(nonces) > 390
    assert {len(nonce) for nonce in nonces} == {5, 6, 7, 8, 9, 10}


def test_anything_but_200_is_repeated_three_times_with_the_same_plaintext() -> None:
    caller = Caller()
    caller.add("alice", "wm1")
    receiver = Receiver(500, 0, 404, 503)
    postman = _post(caller, receiver)

    attempts = []
    while (at := caller.world.mailbox.next_at()) is not None:
        attempts.append((at - NEW_YEAR) // SECOND)
        postman.run_once(at)

    assert attempts == [0, 5, 10, 15]
    assert len(set(receiver.opened)) == 1
    assert len(set(receiver.bodies)) == 4
    assert len(caller.world.mailbox.given_up) == 1


def test_letters_may_be_lost_or_doubled() -> None:
    lost, doubled = Caller(habits=PostHabits(lost=1.0)), Caller(habits=PostHabits(duplicated=1.0))
    lost.add("alice", "wm1")
    doubled.add("alice", "wm1")
    receiver = Receiver()

    _post(lost, receiver).run_once(lost.now)
    assert receiver.opened == []
    _post(doubled, receiver).run_once(doubled.now + MINUTE)
    assert len(receiver.opened) == 2
    assert len(set(receiver.opened)) == 1


def test_letters_may_be_overtaken_by_younger_ones() -> None:
    caller = Caller(habits=PostHabits(overtaken=0.5))
    receiver = Receiver()
    postman = _post(caller, receiver)
    for n in range(20):
        caller.add("alice", f"wm{n:02d}")
        postman.run_once(caller.now)
        caller.pass_time(SECOND)
    postman.run_once(caller.now + 20 * SECOND)

    order = [str(event["ExternalUserID"]) for event in receiver.events()]
    assert sorted(order) == [f"wm{n:02d}" for n in range(20)]
    assert order != sorted(order)


def test_what_is_lost_does_not_depend_on_other_events() -> None:
    def lost(noise: bool) -> set[str]:
        caller = Caller(habits=PostHabits(lost=0.5))
        caller.world.stock_tag("stage/new", now=caller.now)
        for n in range(30):
            caller.add("alice", f"wm{n}")
            if noise:
                caller.world.admin_renames_tag("stage/new", "new", now=caller.now)
        return {letter.key for letter in caller.world.mailbox.lost if "wm" in letter.key}

    assert lost(noise=False) == lost(noise=True)


def test_two_edits_in_one_second_are_two_letters() -> None:
    caller = Caller()
    caller.add("alice", "wm1")
    caller.world.mailbox.waiting.clear()
    caller.world.member_remarks("alice", "wm1", "a", now=caller.now)
    caller.world.member_remarks("alice", "wm1", "b", now=caller.now)
    receiver = Receiver()

    assert _post(caller, receiver).run_once(caller.now) == 2


def test_forgeries_are_recognised_and_true_copies_accepted() -> None:
    caller = Caller()
    caller.add("alice", "wm1")
    xml = caller.world.mailbox.waiting[0].xml
    receiver = Receiver()
    postman = _post(caller, receiver)

    statuses = [
        postman.send(xml, caller.now, forgery="signature"),
        postman.send(xml, caller.now, forgery="receive_id"),
        postman.send(xml, caller.now),
        postman.send(xml, caller.now, as_json=True),
    ]

    assert statuses == [403, 403, 200, 200]
    assert [type(rejected) for rejected in receiver.rejected] == [BadSignature, BadReceiver]
    assert receiver.opened == [xml, xml]
    assert receiver.bodies[-1].startswith(b'{"tousername"')


def test_a_postman_may_use_json_envelopes_and_several_hands() -> None:
    caller = Caller()
    caller.add("alice", *(f"wm{n}" for n in range(50)))
    receiver = Receiver()
    postman = _post(caller, receiver, as_json=True, parallel=4)

    assert postman.run_once(caller.now) == 50
    postman.close()

    assert sorted(str(event["ExternalUserID"]) for event in receiver.events()) == sorted(f"wm{n}" for n in range(50))
    assert all(body.startswith(b"{") for body in receiver.bodies)


def test_the_url_check_wants_the_exact_plaintext() -> None:
    caller = Caller()
    receiver = Receiver()
    postman = _post(caller, receiver)

    def right(query: Mapping[str, str]) -> tuple[int, bytes]:
        fields = (query["msg_signature"], query["timestamp"], query["nonce"], query["echostr"])
        return 200, receiver.crypto.verify_url(*fields).encode()

    def quoted(query: Mapping[str, str]) -> tuple[int, bytes]:
        return 200, b'"' + right(query)[1] + b'"'

    assert postman.check_url(right, caller.now)
    assert not postman.check_url(quoted, caller.now)
    assert not postman.check_url(lambda query: (0, b""), caller.now)


def test_a_re_add_is_a_new_beginning_of_the_same_pair() -> None:
    caller = Caller()
    caller.add("alice", "wm1", state="expo2026")
    caller.world.customer_deletes("alice", "wm1", now=caller.now)
    caller.pass_time(DAY)
    caller.add("alice", "wm1", state="live")

    account = caller.world.account()["alice", "wm1"]
    assert [add["state"] for add in account["adds"]] == ["expo2026", "live"]
    assert [delete["by"] for delete in account["deletes"]] == ["customer"]
    assert account["friends"]
    assert caller.world.relations["alice", "wm1"].created_at == caller.now
