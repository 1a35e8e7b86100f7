"""The client and the imitation of WeCom were written apart from one description: here they meet."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from machines.calendar import Instant
from sopd.crypto import CallbackCrypto
from sopd.sandbox.config import SandboxConfig
from sopd.sandbox.faults import Fault, Faults
from sopd.sandbox.stage import Stage
from sopd.sandbox.transport import SandboxTransport
from sopd.sandbox.world import World
from sopd.wecom import WeCom
from sopd.wecom.callbacks import CallbackEvent, parse
from sopd.wecom.content import Link, MassSend, content_hash
from sopd.wecom.errors import ConfigurationError, WeComError, WeComFailure
from sopd.wecom.notices import Button, ButtonNotice, TextNotice
from sopd.wecom.sends import CreateType, SendStatus

T0 = 1_767_225_600_000
LINK = Link("Guide", "https://example.test/g")
SEND = MassSend("alice", ("wmSIM0000", "wmSIM0001", "wmNobody"), "第一天", (LINK,))


class Meeting:
    """An enterprise of two members and five customers, a client, and the events that came in; pages of two rows."""

    def __init__(self, secret: str = "simsecret") -> None:
        self.now: Instant = T0
        self.events: list[CallbackEvent] = []
        config = SandboxConfig(page_cap=2)
        self.crypto = CallbackCrypto(config.callback_token, config.encoding_aes_key, config.corp_id)
        self.world = World("meeting", config, T0)
        self.faults = Faults("meeting")
        self.stage = Stage(self.world, deliver=self._deliver, faults=self.faults)
        self.client = WeCom(
            "http://127.0.0.1:1",
            config.corp_id,
            secret,
            config.agent_id,
            now=lambda: self.now,
            transport=SandboxTransport(self.stage.gateway, lambda: self.now),
        )
        self.world.hire("alice", "Alice")
        self.world.hire("bob", "Bob")
        for nth in range(5):
            self.world.customer_adds("alice", f"wmSIM{nth:04}", now=T0, state="expo")
        self.world.customer_adds("bob", "wmSIM0000", now=T0)
        self.stage.step(T0)

    def _deliver(self, query: Mapping[str, str], body: bytes) -> int:
        plaintext = self.crypto.open(query["msg_signature"], query["timestamp"], query["nonce"], body)
        self.events.append(parse(plaintext))
        return 200


@pytest.fixture
def meeting() -> Meeting:
    return Meeting()


def test_callbacks_arrive_whole(meeting: Meeting) -> None:
    first = meeting.events[0]

    assert len({event.fingerprint for event in meeting.events}) == 6
    assert (first.change_type, first.user_id, first.external_user_id, first.state, first.created_at) == (
        "add_external_contact", "alice", "wmSIM0000", "expo", T0
    )  # fmt: skip
    meeting.client.send_welcome(first.welcome_code, "hello")
    with pytest.raises(WeComError, match="41051") as caught:
        meeting.client.send_welcome(first.welcome_code, "hello")
    assert caught.value.klass == "state"


def test_contacts_and_tags_agree_from_both_sides(meeting: Meeting) -> None:
    client = meeting.client

    rows = [contact for page in client.iter_contacts(client.follow_users()) for contact in page.contacts]
    group = client.add_tags("stage", ["new"])
    client.mark_tags("alice", "wmSIM0000", add=[group.tags[0].tag_id])

    assert sorted((row.follows[0].user_id, row.profile.external_user_id) for row in rows) == [
        *(("alice", f"wmSIM{nth:04}") for nth in range(5)), ("bob", "wmSIM0000")
    ]  # fmt: skip
    assert client.customers_of("bob") == ("wmSIM0000",)
    tags = {follow.user_id: follow.tag_ids for follow in client.contact("wmSIM0000").follows}
    assert tags == {"alice": (group.tags[0].tag_id,), "bob": ()}
    assert client.tag_library() == (group,)


def test_the_life_of_a_mass_send(meeting: Meeting) -> None:
    client = meeting.client
    created = client.create_mass_send(SEND)
    assert created.fail_list == ("wmNobody",)
    with pytest.raises(WeComError, match="41063"):
        client.mass_send_tasks(created.msgid)

    meeting.now += 30_000
    assert [task.confirmed for task in client.mass_send_tasks(created.msgid)] == [False]
    meeting.world.member_confirms(created.msgid, "alice", now=meeting.now)

    assert [task.sent_at for task in client.mass_send_tasks(created.msgid)] == [meeting.now]
    results = client.mass_send_results(created.msgid, "alice")
    assert [result.status for result in results] == [SendStatus.SENT, SendStatus.SENT]


def test_a_cancelled_mass_send_says_so(meeting: Meeting) -> None:
    created = meeting.client.create_mass_send(SEND)
    meeting.now += 30_000
    meeting.client.cancel_mass_send(created.msgid)
    meeting.client.cancel_mass_send(created.msgid)

    with pytest.raises(WeComError, match="41093") as caught:
        meeting.client.mass_send_tasks(created.msgid)
    assert caught.value.klass == "state"


@pytest.mark.parametrize(
    ("fault", "doubtful", "exists"),
    [
        (Fault("drop"), False, False),
        (Fault("drop", after=True), True, True),
        (Fault("http_502"), True, False),
        (Fault("http_502", after=True), True, True),
        (Fault("errcode", -1), True, False),
        (Fault("errcode", -1, after=True), True, True),
        (Fault("errcode", 45033), False, False),
        (Fault("wrong_json"), True, False),
    ],
)
def test_what_became_of_a_creating_call_is_never_told_wrongly_and_can_be_looked_up(
    meeting: Meeting, fault: Fault, doubtful: bool, exists: bool
) -> None:
    meeting.faults.plan("add_msg_template", fault)

    with pytest.raises(WeComFailure) as caught:
        meeting.client.create_mass_send(SEND)

    found = list(meeting.client.iter_mass_sends(T0, T0 + 60_000, CreateType.ENTERPRISE))
    assert caught.value.may_have_happened is doubtful
    assert [record.content_hash for record in found] == [content_hash(SEND.text, SEND.attachments)] * exists


def test_members_are_told_and_files_uploaded(meeting: Meeting) -> None:
    assert meeting.client.send_app_message(["alice", "Ghost"], TextNotice("due")).invalid == ("Ghost",)
    assert meeting.client.upload_media("image", "护肤.png", b"\x89PNG..").expires_at > T0
    assert meeting.client.member("alice").is_active


def test_a_wrong_secret_is_tried_once() -> None:
    meeting = Meeting(secret="wrong")
    served = meeting.stage.gateway.served

    for _ in range(10):
        with pytest.raises(ConfigurationError, match="40001"):
            meeting.client.follow_users()

    assert meeting.stage.gateway.served == served + 1, "five wrong tries would block the whole address for an hour"


def test_a_card_is_pressed_changed_once_and_not_sent_twice(meeting: Meeting) -> None:
    card = ButtonNotice("sopd-1-1", "Follow up Mei", (Button("Done", "done"),), "Care", (("By", "18:00"),), "Hello")
    first = meeting.client.send_app_message(["alice"], card, once_in_ms=4 * 3_600_000)
    again = meeting.client.send_app_message(["alice"], card, once_in_ms=4 * 3_600_000)

    meeting.world.member_clicks("alice", "sopd-1-1", "done", now=T0)
    meeting.stage.step(T0)
    click = meeting.events[-1]
    meeting.client.update_card("alice", click.raw["ResponseCode"], "Done")

    assert first.msgid == again.msgid
    assert (click.event, click.user_id, click.raw["TaskId"]) == ("template_card_event", "alice", "sopd-1-1")
    assert meeting.world.cards["sopd-1-1", "alice"].replaced == "Done"
    with pytest.raises(WeComError) as used:
        meeting.client.update_card("alice", click.raw["ResponseCode"], card)
    assert used.value.errcode == 42016
