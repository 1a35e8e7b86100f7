"""The access token: fetched once for all threads, early enough, dropped only by who used it, never in a loop."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from sopd.wecom.errors import BackedOff, ConfigurationError, Unreachable, WeComError
from sopd.wecom.token import Fetched, TokenSource
from sopd.wecom.windows import InMemoryWindows
from tests.support.scripted_wecom import T0, ScriptedWeCom, SettableClock, client_of

LIST = "externalcontact/get_follow_user_list"
CREATE = "externalcontact/remind_groupmsg_send"
NOBODY = {"follow_user": []}
MINUTE, HOUR = 60_000, 3_600_000


def tokens_used(script: ScriptedWeCom, path: str = LIST) -> list[str]:
    return [asked.params["access_token"] for asked in script.asked[path]]


def test_the_token_is_fetched_once_and_travels_in_the_query() -> None:
    script = ScriptedWeCom()
    script.on(LIST, NOBODY)
    client = client_of(script)

    client.follow_users()
    client.follow_users()

    assert script.asked["gettoken"][0].params == {"corpid": "wwsimcorp", "corpsecret": "app-secret"}
    assert script.times("gettoken") == 1
    assert tokens_used(script) == ["tok-1", "tok-1"]


def test_it_is_renewed_five_minutes_before_it_expires() -> None:
    script, clock = ScriptedWeCom(), SettableClock()
    script.on(LIST, NOBODY)
    client = client_of(script, clock)
    client.follow_users()

    clock.now = T0 + 2 * HOUR - 5 * MINUTE - 1
    client.follow_users()
    clock.now += 1
    client.follow_users()

    assert tokens_used(script) == ["tok-1", "tok-1", "tok-2"]


def test_a_token_of_short_life_is_used_for_half_of_it() -> None:
    script, clock = ScriptedWeCom(), SettableClock()
    script.on(LIST, NOBODY)
    script.on("gettoken", {"access_token": "brief", "expires_in": 60})
    client = client_of(script, clock)
    client.follow_users()

    clock.now = T0 + 29_999
    client.follow_users()
    assert script.times("gettoken") == 1
    clock.now += 1
    client.follow_users()
    assert script.times("gettoken") == 2


def test_many_threads_in_need_of_a_token_fetch_it_once() -> None:
    script = ScriptedWeCom()
    script.on(LIST, NOBODY)
    started, arrived = threading.Barrier(7), threading.Event()

    def slow_token(request: httpx.Request) -> dict[str, object]:
        assert arrived.wait(10)
        return {"access_token": "tok-1", "expires_in": 7200}

    script.on("gettoken", slow_token)
    client = client_of(script)

    def work() -> None:
        started.wait(10)
        client.follow_users()

    with ThreadPoolExecutor(6) as pool:
        futures = [pool.submit(work) for _ in range(6)]
        started.wait(10)
        arrived.set()
        for future in futures:
            future.result()

    assert script.times("gettoken") == 1
    assert tokens_used(script) == ["tok-1"] * 6


@pytest.mark.parametrize("fails", [False, True])
def test_a_thread_that_waited_for_a_fetch_shares_its_outcome_instead_of_repeating_it(fails: bool) -> None:
    fetching, second_came, fetches = threading.Event(), threading.Event(), []

    def fetch(now: int, seconds_left: float) -> Fetched:
        fetches.append(now)
        fetching.set()
        assert second_came.wait(10)
        if fails:
            raise Unreachable("/cgi-bin/gettoken", "no answer")
        return Fetched("tok-1", 7_200_000)

    def second_looks() -> float:
        second_came.set()
        return 10.0

    def outcome(seconds_left: Callable[[], float]) -> str:
        try:
            return source.get(T0, seconds_left)
        except Unreachable as failure:
            return failure.message

    source = TokenSource(fetch)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(outcome, lambda: 10.0)
        assert fetching.wait(10)
        second = pool.submit(outcome, second_looks)

    assert first.result() == second.result() == ("/cgi-bin/gettoken: no answer" if fails else "tok-1")
    assert fetches == [T0]


def test_a_thread_whose_time_is_over_does_not_wait_for_anothers_fetch() -> None:
    fetching, leave = threading.Event(), threading.Event()

    def fetch(now: int, seconds_left: float) -> Fetched:
        fetching.set()
        assert leave.wait(10)
        return Fetched("tok-1", 7_200_000)

    source = TokenSource(fetch)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(source.get, T0, lambda: 10.0)
        assert fetching.wait(10)
        with pytest.raises(Unreachable, match="within the deadline"):
            source.get(T0, lambda: 0.0)
        leave.set()
        assert first.result() == "tok-1"


@pytest.mark.parametrize("code", [40014, 42001])
def test_a_refused_token_is_renewed_and_the_call_repeated_once(code: int) -> None:
    script = ScriptedWeCom()
    script.on(LIST, code, NOBODY)

    assert client_of(script).follow_users() == ()

    assert tokens_used(script) == ["tok-1", "tok-2"]


def test_even_a_creating_call_is_repeated_after_a_refused_token_since_nothing_happened() -> None:
    script = ScriptedWeCom()
    script.on(CREATE, 42001, {})

    client_of(script).remind_mass_send("msg1")

    assert tokens_used(script, CREATE) == ["tok-1", "tok-2"]


def test_a_second_refusal_ends_the_call() -> None:
    script = ScriptedWeCom()
    script.on(LIST, 40014)

    with pytest.raises(WeComError) as caught:
        client_of(script).follow_users()

    assert caught.value.klass == "token"
    assert tokens_used(script) == ["tok-1", "tok-2"]


def test_calls_refused_at_the_same_time_renew_the_token_once() -> None:
    script, both_refused = ScriptedWeCom(), threading.Barrier(2)

    def refuse_the_old(request: httpx.Request) -> object:
        if request.url.params["access_token"] == "tok-1":
            both_refused.wait(10)
            return 40014
        return NOBODY

    script.on(LIST, refuse_the_old)
    client = client_of(script)
    with ThreadPoolExecutor(2) as pool:
        futures = [pool.submit(client.follow_users) for _ in range(2)]
        assert [future.result() for future in futures] == [(), ()]

    assert script.times("gettoken") == 2


def test_a_bad_secret_on_a_call_is_refreshed_once_and_then_a_matter_of_configuration() -> None:
    script = ScriptedWeCom()
    script.on(LIST, 40001)
    client = client_of(script)

    for _ in range(3):
        with pytest.raises(ConfigurationError, match="40001"):
            client.follow_users()

    assert script.times("gettoken") == 2, "further calls must not fetch token after token"


def test_an_old_style_40001_is_cured_by_a_fresh_token() -> None:
    script = ScriptedWeCom()
    script.on(LIST, 40001, NOBODY)

    assert client_of(script).follow_users() == ()


@pytest.mark.parametrize("code", [40001, 40013, 41002, 41004, 50003])
def test_a_refused_secret_is_not_tried_again_for_an_hour(code: int) -> None:
    script, clock = ScriptedWeCom(), SettableClock()
    script.on("gettoken", code, {"access_token": "tok-9", "expires_in": 7200})
    script.on(LIST, NOBODY)
    client = client_of(script, clock)

    for clock.now in (T0, T0 + 1, T0 + HOUR - 1):
        with pytest.raises(ConfigurationError):
            client.follow_users()
    assert script.times("gettoken") == 1
    assert script.times(LIST) == 0

    clock.now = T0 + HOUR
    assert client.follow_users() == ()


def test_an_untrusted_address_is_tried_again_after_a_minute_and_a_half() -> None:
    script, clock = ScriptedWeCom(), SettableClock()
    script.on("gettoken", 60020, {"access_token": "tok-9", "expires_in": 7200})
    script.on(LIST, NOBODY)
    client = client_of(script, clock)
    with pytest.raises(ConfigurationError):
        client.follow_users()

    clock.now = T0 + 90_000
    assert client.follow_users() == ()


def test_too_many_token_requests_stop_everything_for_an_hour() -> None:
    script, clock, windows = ScriptedWeCom(), SettableClock(), InMemoryWindows()
    script.on("gettoken", 45009, {"access_token": "tok-9", "expires_in": 7200})
    script.on(LIST, NOBODY)
    client = client_of(script, clock, windows)
    with pytest.raises(WeComError):
        client.follow_users()

    clock.now = T0 + HOUR - 1
    with pytest.raises(BackedOff) as caught:
        client.follow_users()

    assert (caught.value.path, caught.value.until) == ("/cgi-bin/gettoken", T0 + HOUR)
    assert script.times("gettoken") == 1
    clock.now = T0 + HOUR
    assert client.follow_users() == ()


@pytest.mark.parametrize(
    "reply", [{}, {"access_token": ""}, {"access_token": "t"}, {"access_token": "t", "expires_in": 0}]
)
def test_a_token_reply_without_a_token_is_no_answer(reply: dict[str, object]) -> None:
    script = ScriptedWeCom()
    script.on("gettoken", reply)

    with pytest.raises(Unreachable) as caught:
        client_of(script).remind_mass_send("msg1")

    assert not caught.value.may_have_happened, "the call itself was never sent"
    assert script.times(CREATE) == 0
