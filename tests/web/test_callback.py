"""The callback's two routes over HTTP: what WeCom may see, and what a stranger may not do (WeCom 2, SPEC 15)."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable
from typing import Any

import pytest
from starlette.testclient import TestClient

from sopd.activity import Activity
from sopd.crypto import CallbackCrypto
from sopd.web import app
from sopd.web.api import Api
from sopd.web.callback import MOST_BYTES, Callback, Gatherer
from sopd.web.health import Health
from sopd.wecom.callbacks import CallbackEvent, parse

CRYPTO = CallbackCrypto("simtoken", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8", "wwsimcorp")
RANDOM = b"0123456789abcdef"
FIRST, SECOND = (parse(f"<xml><ExternalUserID>wm{n}</ExternalUserID></xml>".encode()) for n in (1, 2))


class Door:
    """The web application over an inbox that a test can look into or break."""

    def __init__(self, crypto: CallbackCrypto | None = CRYPTO) -> None:
        self.batches: list[list[CallbackEvent]] = []
        self.fault: Exception | None = None
        self.not_ready: str | None = None
        callback = Callback(crypto, self._accept, gather_ms=5)
        nothing: Any = None  # no test here asks the API for anything that it would need an engine for
        api = Api(nothing, Activity())
        self.web = TestClient(app.build(callback, Health(lambda: self.not_ready, lambda: None), api))

    def _accept(self, events: Iterable[CallbackEvent]) -> None:
        if self.fault is not None:
            raise self.fault
        self.batches.append(list(events))

    def push(self, customer: str = "wmSIM0001", **changes: str):
        xml = (
            "<xml><ToUserName>wwsimcorp</ToUserName><FromUserName>sys</FromUserName><CreateTime>1767225600</CreateTime>"
            "<MsgType>event</MsgType><Event>change_external_contact</Event><ChangeType>edit_external_contact</ChangeType>"
            f"<UserID>alice</UserID><ExternalUserID>{customer}</ExternalUserID></xml>"
        )
        sealed = CRYPTO.seal(xml.encode(), "1767225600", "n1", RANDOM)
        query = {"msg_signature": sealed.signature, "timestamp": "1767225600", "nonce": "n1", **changes}
        return self.web.post(app.CALLBACK_PATH, params=query, content=sealed.body)


def test_the_url_check_answers_the_plain_echo_and_nothing_else() -> None:
    cipher = CRYPTO.encrypt(b"1616140317555161061", RANDOM)
    query = {"msg_signature": CRYPTO.sign("1", "n", cipher), "timestamp": "1", "nonce": "n", "echostr": cipher}

    reply = Door().web.get(app.CALLBACK_PATH, params=query)

    assert (reply.status_code, reply.content) == (200, b"1616140317555161061")


def test_a_plus_that_became_a_blank_on_the_way_is_put_back() -> None:
    cipher = next(c for n in range(99) if "+" in (c := CRYPTO.encrypt(b"echo", bytes([n]) * 16)))
    query = f"msg_signature={CRYPTO.sign('1', 'n', cipher)}&timestamp=1&nonce=n&echostr={cipher}"

    assert Door().web.get(f"{app.CALLBACK_PATH}?{query}").content == b"echo"


def test_a_push_is_answered_with_an_empty_200_once_it_is_stored() -> None:
    door = Door()

    reply = door.push()

    assert (reply.status_code, reply.content) == (200, b"")
    assert [[event.external_user_id for event in batch] for batch in door.batches] == [["wmSIM0001"]]


def test_pushes_that_arrive_together_are_stored_together() -> None:
    door = Door()
    with door.web:  # one event loop for all, as in the daemon
        threads = [threading.Thread(target=door.push, args=(f"wm{n}",)) for n in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert sorted(event.external_user_id for batch in door.batches for event in batch) == sorted(
        f"wm{n}" for n in range(12)
    )


class Turn:
    """An inbox whose transaction begins when the test says so, and fails if it is told to."""

    def __init__(self, fault: Exception | None) -> None:
        self.fault = fault
        self.asked, self.given = threading.Event(), threading.Event()
        self.batches: list[list[CallbackEvent]] = []

    def accept(self, events: Iterable[CallbackEvent]) -> None:
        self.asked.set()
        assert self.given.wait(20)
        if self.fault is not None:
            raise self.fault
        self.batches.append(list(events))

    async def two_come(self) -> list[object]:
        """One callback, and while it waits for its turn another; returns what each is told."""
        gatherer = Gatherer(self.accept, gather_ms=0)
        first = asyncio.create_task(gatherer.put(FIRST))
        await asyncio.to_thread(self.asked.wait, 20)
        second = asyncio.create_task(gatherer.put(SECOND))
        await asyncio.sleep(0)  # it stands in line
        self.given.set()
        return await asyncio.gather(first, second, return_exceptions=True)


def test_who_comes_while_others_wait_for_their_turn_is_stored_with_them() -> None:
    turn = Turn(None)

    assert asyncio.run(turn.two_come()) == [None, None]
    assert turn.batches == [[FIRST, SECOND]]


def test_who_comes_while_others_wait_in_vain_hears_of_it_with_them() -> None:
    fault = OSError("disk full")

    assert asyncio.run(Turn(fault).two_come()) == [fault, fault]


def test_what_could_not_be_stored_is_not_answered_with_200() -> None:
    door = Door()
    door.fault = OSError("disk full")

    assert door.push().status_code == 503
    door.fault = None
    assert door.push().status_code == 200


@pytest.mark.parametrize(
    ("changes", "status"),
    [({"msg_signature": "0" * 40}, 403), ({"nonce": "n2"}, 403), ({"msg_signature": ""}, 403)],
)
def test_a_wrong_signature_changes_nothing_and_says_why(changes: dict[str, str], status: int) -> None:
    door = Door()

    reply = door.push(**changes)

    assert reply.status_code == status
    assert "signature" in reply.text
    assert door.batches == []


def test_a_push_for_another_company_is_refused() -> None:
    door = Door(CallbackCrypto("simtoken", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8", "wwother"))

    assert door.push().status_code == 403
    assert door.batches == []


def test_an_oversized_body_is_refused_without_being_read_whole() -> None:
    door = Door()

    reply = door.web.post(app.CALLBACK_PATH, content=b"x" * (MOST_BYTES + 1))

    assert reply.status_code == 413
    assert str(MOST_BYTES) in reply.text


@pytest.mark.parametrize(
    "body", [b"", b"no xml at all", b"<xml><Encrypt></Encrypt></xml>", b'{"encrypt": 5}', b"\xff\xfe"]
)
def test_an_unreadable_body_is_refused_with_a_reason(body: bytes) -> None:
    door = Door()

    query = {"msg_signature": "0" * 40, "timestamp": "1", "nonce": "n"}
    reply = door.web.post(app.CALLBACK_PATH, params=query, content=body)

    assert reply.status_code in (400, 403)
    assert reply.text
    assert door.batches == []


def test_without_callback_settings_every_call_says_what_to_set() -> None:
    door = Door(crypto=None)

    for reply in (door.web.get(app.CALLBACK_PATH), door.web.post(app.CALLBACK_PATH)):
        assert reply.status_code == 503
        assert "encoding_aes_key" in reply.text


def test_health_readiness_and_metrics() -> None:
    door = Door()
    door.push()

    assert door.web.get("/healthz").text == "ok"
    assert door.web.get("/readyz").status_code == 200
    door.not_ready = "the database does not answer"
    assert (door.web.get("/readyz").status_code, door.web.get("/readyz").text) == (503, door.not_ready)
    assert 'sopd_callbacks_total{outcome="accepted"}' in door.web.get("/metrics").text
