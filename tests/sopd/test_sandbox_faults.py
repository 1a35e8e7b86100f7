"""Faults around the API, seen through the real HTTP client: refusals and dropped connections, never delays."""

from __future__ import annotations

import json
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

import httpx
import pytest

from sopd.sandbox.faults import BAD_DAY, Fault, Rate
from sopd.sandbox.transport import SandboxTransport
from tests.support.caller import Caller

TEMPLATE = "/cgi-bin/externalcontact/add_msg_template"


def _client(caller: Caller) -> httpx.Client:
    transport = SandboxTransport(caller.gateway, lambda: caller.now)
    return httpx.Client(transport=transport, base_url="http://sandbox.test", params={"access_token": caller.token()})


def _create(client: httpx.Client) -> httpx.Response:
    return client.post(TEMPLATE, json={"sender": "alice", "external_userid": ["wm1"], "text": {"content": "hello"}})


def _befriended(**how: object) -> Caller:
    caller = Caller(**how)
    caller.add("alice", "wm1")
    return caller


def test_the_client_reaches_the_world_without_a_socket() -> None:
    caller = _befriended()

    assert _create(_client(caller)).json()["errcode"] == 0
    assert len(caller.world.tasks) == 1
    unknown = _client(caller).get("/cgi-bin/nothing")
    assert (unknown.status_code, unknown.content) == (404, b"")


def test_a_planned_fault_hits_its_path_so_many_times_and_no_other() -> None:
    caller = _befriended()
    caller.gateway.faults.plan("add_msg_template", Fault("errcode", -1), times=2)

    assert caller.get("get_follow_user_list")["errcode"] == 0
    assert [_create(_client(caller)).json()["errcode"] for _ in range(3)] == [-1, -1, 0]
    assert len(caller.world.tasks) == 1
    assert caller.gateway.faults.happened == {f"{TEMPLATE} errcode": 2}


@pytest.mark.parametrize(("after", "tasks", "error"), [(False, 0, httpx.ConnectError), (True, 1, httpx.ReadError)])
def test_a_connection_drops_before_or_after_the_effect(after: bool, tasks: int, error: type[Exception]) -> None:
    caller = _befriended()
    caller.gateway.faults.plan(TEMPLATE, Fault("drop", after=after))

    with pytest.raises(error):
        _create(_client(caller))

    assert len(caller.world.tasks) == tasks


@pytest.mark.parametrize("after", [False, True])
def test_a_refusal_or_bad_gateway_may_come_after_the_effect_too(after: bool) -> None:
    caller = _befriended()
    client = _client(caller)
    caller.gateway.faults.plan(TEMPLATE, Fault("http_502", after=after))
    caller.gateway.faults.plan(TEMPLATE, Fault("errcode", -1, after=after))

    assert _create(client).status_code == 502
    assert _create(client).json()["errcode"] == -1
    assert len(caller.world.tasks) == (2 if after else 0)


def test_half_parsed_json_is_a_zero_that_means_nothing() -> None:
    caller = _befriended()
    caller.gateway.faults.plan(TEMPLATE, Fault("wrong_json"))

    reply = _create(_client(caller)).json()

    assert reply["errcode"] == 0
    assert "Warning: wrong json format." in reply["errmsg"]
    assert "msgid" not in reply
    assert caller.world.tasks == {}


def test_chance_depends_on_the_call_and_its_repetition_not_on_other_calls() -> None:
    rates = (Rate(Fault("errcode", -1), 0.3),)

    def codes(noise: bool) -> list[int]:
        caller = Caller(rates=rates)
        caller.add("alice", *(f"wm{n}" for n in range(40)))
        token = caller.token()
        found = []
        for n in range(80):
            if noise:
                caller.request("/cgi-bin/externalcontact/list", {"access_token": token, "userid": "alice"})
            query = {"access_token": token, "external_userid": f"wm{n % 40}"}
            found.append(int(caller.request("/cgi-bin/externalcontact/get", query).fields["errcode"]))
        return found

    quiet = codes(noise=False)
    assert quiet == codes(noise=True)
    assert quiet[:40] != quiet[40:]
    assert 10 < quiet.count(-1) < 40


def test_the_token_call_is_spared_by_chance() -> None:
    caller = Caller(rates=(Rate(Fault("errcode", 45009), 1.0),))

    assert caller.token()
    assert caller.get("get_follow_user_list")["errcode"] == 45009


def test_a_bad_day_hits_a_few_calls_and_ends_when_cleared() -> None:
    caller = Caller(rates=BAD_DAY)
    odds = sum(rate.odds for rate in BAD_DAY)
    assert 0.02 < odds < 0.05

    caller.gateway.faults.clear()

    assert all(caller.get("get_follow_user_list")["errcode"] == 0 for _ in range(100))


@pytest.mark.parametrize(
    "wrong",
    [{"kind": "late"}, {"kind": "errcode"}, {"kind": "drop", "errcode": 7}, {"kind": "wrong_json", "after": True}],
)
def test_faults_that_cannot_be_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="fault"):
        Fault(**wrong)  # type: ignore[arg-type]


def test_two_overlapping_writes_to_one_relation_are_45035() -> None:
    caller = _befriended()
    tag = caller.world.stock_tag("stage/new", now=caller.now).tag_id
    client = _client(caller)
    fields = {"userid": "alice", "external_userid": "wm1", "add_tag": [tag]}

    def mark() -> int:
        return int(client.post("/cgi-bin/externalcontact/mark_tag", json=fields).json()["errcode"])

    with ThreadPoolExecutor(2) as pool:
        with caller.gateway.lock:
            calls = [pool.submit(mark) for _ in range(2)]
            done, _ = wait(calls, return_when=FIRST_COMPLETED)
            assert [call.result() for call in done] == [45035]
        assert sorted(call.result() for call in calls) == [0, 45035]
    assert mark() == 0


def test_requests_travel_as_raw_utf8() -> None:
    caller = _befriended()
    client = _client(caller)
    body = json.dumps({"sender": "alice", "external_userid": ["wm1"], "text": {"content": "你好"}})

    assert client.post(TEMPLATE, content=body).json()["errcode"] == 40033
    assert client.post(TEMPLATE, content=json.dumps(json.loads(body), ensure_ascii=False)).json()["errcode"] == 0
