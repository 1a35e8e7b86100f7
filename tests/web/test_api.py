"""The HTTP API: who may bring what, what is refused and how, and what a log never gets to see (SPEC 10, 12, 15)."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import jsonschema
import pytest
from starlette.testclient import TestClient

from sopd import log
from sopd.activity import Activity
from sopd.commands import CreateToken, RevokeToken
from sopd.errors import NotFound, Refused
from sopd.handlers import signals, tokens
from sopd.handlers.app import App
from sopd.store import Store
from sopd.web import app
from sopd.web.api import Api
from sopd.web.api.bodies import MOST_BYTES, MOST_ITEMS
from sopd.web.callback import Callback
from sopd.web.health import Health
from tests.support.company import TestCompany
from tests.support.logs import own_logging

EVENTS, MESSAGES, CUSTOMERS = "/api/v1/events", "/api/v1/messages", "/api/v1/customers"
ALL = tuple(tokens.SCOPES)


class Door:
    """The web application over a company, and a token that may do everything."""

    def __init__(self, store: Store) -> None:
        self.company = TestCompany(store)
        self.token = self.make_token("crm", *ALL)
        self.web = self.over(self.company.app)

    def over(self, engine: App) -> TestClient:
        callback = Callback(None, lambda events: None, gather_ms=5)
        return TestClient(app.build(callback, Health(lambda: None, lambda: None), Api(engine, Activity())))

    def make_token(self, name: str, *scopes: str) -> str:
        return tokens.create(self.company.app, CreateToken(name, scopes, "tester"))

    def headers(self, token: str | None = None) -> dict[str, str]:
        return {"authorization": f"Bearer {token or self.token}"}

    def post(self, path: str, body: object, token: str | None = None):
        return self.web.post(path, json=body, headers=self.headers(token))


@pytest.fixture
def door(store: Store) -> Door:
    return Door(store)


def event(ref: str = "o-1", customer: object = "wmMei", **more: object) -> dict[str, object]:
    return {"ref": ref, "name": "order_paid", "customer": customer, **more}


def problem(reply) -> tuple[int, str]:
    assert reply.headers["content-type"] == "application/problem+json"
    body = reply.json()
    assert body["status"] == reply.status_code and body["detail"]
    return reply.status_code, body["type"].removeprefix("urn:sopd:problem:")


# -- bringing --------------------------------------------------------------------------------------------------------


def test_one_event_or_many_are_taken_once_each(door: Door) -> None:
    door.company.customer("wmMei")

    one = door.post(EVENTS, event("o-1", at="2026-03-02T08:59:00+08:00", properties={"amount": 99}))
    many = door.post(EVENTS, [event("o-1"), event("o-2")])

    assert (one.status_code, one.json()) == (202, {"accepted": 1, "repeated": 0, "refused": []})
    assert many.json() == {"accepted": 1, "repeated": 1, "refused": []}
    assert door.company.rows("select ref, properties from signal order by id") == [
        ("event/o-1", '{"amount": 99}'), ("event/o-2", "{}"),
    ]  # fmt: skip


def test_unknown_customers_are_refused_by_index_and_the_others_are_taken(door: Door) -> None:
    door.company.customer("wmMei")

    some = door.post(EVENTS, [event("a"), event("b", "wmNobody")])
    none = door.post(EVENTS, event("c", {"crm_id": "42"}))

    reason = "no customer has external_userid wmNobody"
    assert some.json() == {"accepted": 1, "repeated": 0, "refused": [{"index": 1, "reason": reason}]}
    assert problem(none) == (422, "refused") and none.json()["detail"] == "no customer has crm_id 42"


def test_messages_come_in_our_own_shape_and_as_archive_records(door: Door) -> None:
    door.company.befriend("alice", "wmMei")
    record = {
        "msgid": "m1_external", "action": "send", "from": "wmMei", "tolist": ["alice"], "roomid": "",
        "msgtime": 1_767_225_612_345, "msgtype": "text", "text": {"content": "how much is it?"},
    }  # fmt: skip

    own = {"ref": "1", "from": "alice", "to": "wmMei", "text": "hello"}
    picture = {**record, "msgid": "m2", "msgtype": "image", "image": {"sdkfileid": "x"}}
    reply = door.post(MESSAGES, [own, record, picture, {**record, "roomid": "wr1"}, {**record, "action": "recall"}])

    assert reply.json() == {"accepted": 3, "repeated": 0, "refused": [], "ignored": 2}
    assert door.company.rows("select kind, at, text from signal order by id") == [
        ("message", door.company.now, None), ("reply", 1_767_225_612_345, "how much is it?"),
        ("reply", 1_767_225_612_345, ""),
    ]  # fmt: skip


def test_attributes_are_set_and_taken_away(door: Door) -> None:
    door.company.customer("wmMei", attributes='{"level": "gold", "old": 1}')

    body = [
        {"customer": "wmMei", "attributes": {"level": "silver", "old": None}, "crm_id": "42", "phone": "13800138000"},
        {"customer": "wmNobody", "attributes": {"level": "gold"}},
    ]
    first, again = door.post(CUSTOMERS, body), door.post(CUSTOMERS, {**body[0], "customer": {"crm_id": "42"}})
    twice = door.post(CUSTOMERS, [{"customer": "wmMei"}, {"customer": {"crm_id": "42"}}])

    refused = [{"index": 1, "reason": "no customer has external_userid wmNobody"}]
    assert first.json() == {"accepted": 1, "repeated": 0, "refused": refused, "changed": 1}
    assert again.json()["changed"] == 0
    assert twice.json()["errors"] == [
        {"index": 1, "field": "", "reason": "crm_id 42 is the customer of item 0 too"}
    ]
    assert door.company.rows("select attributes, crm_id from customer") == [('{"level": "silver"}', "42")]
    assert problem(door.post(CUSTOMERS, {"customer": "wmMei", "phone": "SECRET"})) == (422, "invalid")


# -- refusing --------------------------------------------------------------------------------------------------------


def test_every_fault_is_told_with_its_place_and_nothing_is_taken(door: Door) -> None:
    door.company.customer("wmMei")

    reply = door.post(EVENTS, [event("ok"), {"ref": "", "name": "x", "colour": 1}, event("b", at="yesterday")])

    assert problem(reply) == (422, "invalid")
    told = [(one["index"], one["field"], one["reason"]) for one in reply.json()["errors"]]
    assert told == [
        (1, "colour", "is unknown; allowed here: ref, name, customer, at, properties"),
        (1, "customer", "is missing"),
        (1, "ref", "must not be empty"),
        (2, "at", "is no time; write 2026-03-01T10:00:00+08:00"),
    ]
    assert door.company.rows("select count(*) from signal") == [(0,)]


def test_who_has_no_token_learns_how_to_send_one(door: Door) -> None:
    without = door.web.post(EVENTS, content=b"x" * 10)
    strange = door.post(EVENTS, event(), token="sopd_" + "x" * 43)

    assert problem(without) == (401, "no-token") and problem(strange) == (401, "bad-token")
    assert without.headers["www-authenticate"] == 'Bearer realm="sopd"'
    assert 'error="invalid_token"' in strange.headers["www-authenticate"]


def test_a_token_does_only_what_its_scopes_say(door: Door) -> None:
    narrow = door.make_token("archive", "messages:write")

    reply = door.post(EVENTS, event(), token=narrow)

    assert problem(reply) == (403, "scope")
    assert 'error="insufficient_scope", scope="events:write"' in reply.headers["www-authenticate"]


def test_a_revoked_token_opens_nothing(door: Door) -> None:
    tokens.revoke(door.company.app, RevokeToken("crm", "tester"))

    assert problem(door.post(EVENTS, event())) == (401, "bad-token")


def test_only_a_hash_of_a_token_is_kept(door: Door) -> None:
    rows = door.company.rows("select * from token")

    assert door.token not in repr(rows) and tokens.hash_of(door.token) in repr(rows)
    assert door.token not in repr(door.company.rows("select * from audit"))


def test_a_token_needs_a_name_of_its_own_and_scopes_that_exist(door: Door) -> None:
    with pytest.raises(Refused, match="named"):
        door.make_token("crm", "events:write")
    with pytest.raises(Refused, match="everything:write"):
        door.make_token("other", "everything:write")
    with pytest.raises(NotFound):
        tokens.revoke(door.company.app, RevokeToken("nobody", "tester"))


@pytest.mark.parametrize(
    ("body", "kind", "expected"),
    [
        (b"{", "application/json", (400, "not-json")),
        (b"\xff", "application/json", (400, "not-json")),
        (b"[" * 100_000, "application/json", (400, "not-json")),
        (b"{}", "text/plain", (415, "not-json")),
        (b" " * (MOST_BYTES + 1), "application/json", (413, "too-large")),
        (json.dumps([{}] * (MOST_ITEMS + 1)).encode(), "application/json", (413, "too-many")),
        (b"7", "application/json", (422, "invalid")),
        (b'{"ref": "a", "name": "\\ud800", "customer": "wmMei"}', "application/json", (422, "invalid")),
        (b'{"ref": "a", "name": "x", "customer": "wmMei", "properties": {"a": NaN}}', "application/json",
         (422, "invalid")),
    ],
    ids=["broken", "no utf-8", "too deep", "another type", "too large", "too many", "a number", "half a letter", "NaN"],
)  # fmt: skip
def test_a_body_that_is_none_is_refused(door: Door, body: bytes, kind: str, expected: tuple[int, str]) -> None:
    headers = {"authorization": f"Bearer {door.token}", "content-type": kind}

    assert problem(door.web.post(EVENTS, content=body, headers=headers)) == expected


def test_what_does_not_exist_is_a_problem_too(door: Door) -> None:
    assert problem(door.web.get("/api/v1/nothing"))[0] == 404
    assert problem(door.web.get(EVENTS))[0] == 405
    assert door.web.get("/nothing").headers["content-type"].startswith("text/plain")


def test_a_database_that_is_away_is_told_so_and_nothing_more(door: Door) -> None:
    away = Store.open("postgresql://someone:hidden@127.0.0.1:1/nothing", pool=1)

    reply = door.over(replace(door.company.app, store=away)).post(EVENTS, json=event(), headers=door.headers())

    assert problem(reply) == (503, "not-stored") and reply.headers["retry-after"] == "5"
    assert "hidden" not in reply.text and "127.0.0.1" not in reply.text


# -- the document ----------------------------------------------------------------------------------------------------


def test_the_document_describes_what_is_checked(door: Door) -> None:
    found = door.web.get("/api/v1/openapi.json").json()

    assert found["openapi"].startswith("3.") and set(found["paths"]) >= {EVENTS, MESSAGES}
    assert "/wecom/callback" not in found["paths"]
    schema = found["paths"][EVENTS]["post"]["requestBody"]["content"]["application/json"]["schema"]
    jsonschema.validate(event(customer={"crm_id": "42"}, properties={"a": 1}), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(event(customer={"crm_id": "42", "phone": "1"}), schema)
    assert found["paths"][EVENTS]["post"]["security"] == [{"bearer": []}]
    assert found["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    assert set(found["paths"][MESSAGES]["post"]["responses"]) >= {"202", "401", "403", "413", "422"}


# -- what nobody gets to see -----------------------------------------------------------------------------------------


@contextmanager
def listened() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    with own_logging():
        log.configure("debug", stream=stream)
        yield stream


def test_no_body_name_phone_or_token_reaches_the_log(door: Door) -> None:
    door.company.befriend("alice", "wmMei")
    with door.company.store.transaction() as tx:
        tx.run("update customer set name = '王小雨'")
    said = {"ref": "1", "from": "wmMei", "to": "alice", "text": "SECRETWORDS"}

    with listened() as stream:
        door.post(MESSAGES, said)
        door.post(EVENTS, [event("a", {"phone": "13800138000"}), {"text": "SECRETWORDS"}])
        door.post(EVENTS, event(), token="sopd_WRONGTOKEN")
        signals.digest(door.company.app)
        nothing: Any = None
        broken = door.over(replace(door.company.app, store=nothing))
        assert broken.post(MESSAGES, json=said, headers=door.headers()).status_code == 500

    written = stream.getvalue()
    assert "request refused" in written and "request failed" in written
    for hidden in ("SECRETWORDS", "13800138000", "WRONGTOKEN", door.token, "王小雨"):
        assert not re.search(hidden, written), hidden
