"""One call: what is repeated and what never is, resting paths, deadlines, what reaches the logs."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from structlog.testing import capture_logs

from sopd.errors import ConfigError
from sopd.metrics import REGISTRY
from sopd.wecom.client import WeCom
from sopd.wecom.content import MassSend
from sopd.wecom.errors import BackedOff, Unreachable, WeComError, WeComFailure, WrongAddress
from sopd.wecom.notices import TextNotice
from sopd.wecom.redact import redacted
from sopd.wecom.windows import InMemoryWindows
from tests.support.scripted_wecom import T0, ScriptedWeCom, SettableClock, client_of

LIST = "externalcontact/get_follow_user_list"
CREATE = "externalcontact/add_msg_template"
MARK = "externalcontact/mark_tag"
NOBODY = {"follow_user": []}
MINUTE, HOUR = 60_000, 3_600_000
SEND = MassSend("alice", ("wm1",), "你好")

CREATING: dict[str, Callable[[WeCom], object]] = {
    CREATE: lambda client: client.create_mass_send(SEND),
    "externalcontact/add_corp_tag": lambda client: client.add_tags("stage", ["new"]),
    "externalcontact/remind_groupmsg_send": lambda client: client.remind_mass_send("msg1"),
    "externalcontact/send_welcome_msg": lambda client: client.send_welcome("WC", "welcome"),
    "message/send": lambda client: client.send_app_message(["alice"], TextNotice("due")),
}
REPEATABLE: dict[str, Callable[[WeCom], object]] = {
    MARK: lambda client: client.mark_tags("alice", "wm1", add=["et1"]),
    "externalcontact/cancel_groupmsg_send": lambda client: client.cancel_mass_send("msg1"),
    "media/upload": lambda client: client.upload_media("file", "a.txt", b"123456"),
}

DROPPED = httpx.RemoteProtocolError("Server disconnected without sending a response.")
REFUSED = httpx.ConnectError("connection refused")


# --- what is repeated -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault", [DROPPED, REFUSED, httpx.ReadTimeout("late"), httpx.Response(502), httpx.Response(200)]
)
def test_a_read_without_an_answer_is_repeated_once_at_once(fault: Exception | httpx.Response) -> None:
    script = ScriptedWeCom()
    script.on(LIST, fault, NOBODY)

    assert client_of(script).follow_users() == ()
    assert script.times(LIST) == 2


def test_a_read_that_fails_twice_says_when_to_try_again() -> None:
    script = ScriptedWeCom()
    script.on(LIST, DROPPED)

    with pytest.raises(Unreachable) as caught:
        client_of(script).follow_users()

    assert script.times(LIST) == 2
    assert caught.value.retry_at == T0 + 5_000
    assert not caught.value.may_have_happened


@pytest.mark.parametrize("path", CREATING)
@pytest.mark.parametrize(
    ("fault", "may_have_happened"),
    [
        (REFUSED, False),
        (httpx.ConnectTimeout("no route"), False),
        (DROPPED, True),
        (httpx.ReadTimeout("late"), True),
        (httpx.WriteError("reset"), True),
        (httpx.Response(502), True),
        (httpx.Response(200, html="<html>maintenance</html>"), True),
        (httpx.Response(200, content=b""), True),
        (httpx.Response(200, json=[]), True),
        (httpx.Response(200, json={"errcode": "x"}), True),
        (httpx.Response(200, content=b"[" * 100_000), True),
        (-1, True),
        ({"errmsg": "ok. Warning: wrong json format. "}, True),
        (45009, False),
        (45033, False),
        (41048, False),
        (40058, False),
    ],
)
def test_a_creating_call_is_never_repeated_and_tells_whether_it_may_have_happened(
    path: str, fault: Exception | httpx.Response | int, may_have_happened: bool
) -> None:
    script = ScriptedWeCom()
    script.on(path, fault)

    with pytest.raises((Unreachable, WeComError)) as caught:
        CREATING[path](client_of(script))

    assert caught.value.may_have_happened is may_have_happened
    assert script.times(path) == 1


def test_an_answer_to_a_creating_call_that_lacks_the_id_is_doubtful() -> None:
    script = ScriptedWeCom()
    script.on(CREATE, {"fail_list": []})

    with pytest.raises(Unreachable, match="msgid") as caught:
        client_of(script).create_mass_send(SEND)

    assert caught.value.may_have_happened


@pytest.mark.parametrize("path", REPEATABLE)
def test_an_idempotent_write_is_left_to_its_due_column(path: str) -> None:
    script = ScriptedWeCom()
    script.on(path, DROPPED)

    with pytest.raises(Unreachable) as caught:
        REPEATABLE[path](client_of(script))

    assert caught.value.retry_at == T0 + 5_000
    assert script.times(path) == 1


@pytest.mark.parametrize("response", [httpx.Response(404), httpx.Response(301, headers={"Location": "https://x/"})])
def test_an_address_that_is_not_wecoms_is_a_matter_of_configuration(response: httpx.Response) -> None:
    script = ScriptedWeCom()
    script.on(CREATE, response)

    with pytest.raises(WrongAddress) as caught:
        client_of(script).create_mass_send(SEND)

    assert caught.value.klass == "configuration"
    assert not caught.value.may_have_happened


# --- envelope -------------------------------------------------------------------------------------------------------


def test_a_missing_errcode_means_success() -> None:
    script = ScriptedWeCom()
    script.on(LIST, httpx.Response(200, json={"follow_user": ["alice"]}))

    assert client_of(script).follow_users() == ("alice",)


def test_the_empty_list_of_a_failed_reply_is_not_read_as_nobody() -> None:
    script = ScriptedWeCom()
    script.on(LIST, {"errcode": 60011, "follow_user": []})

    with pytest.raises(WeComError):
        client_of(script).follow_users()


@pytest.mark.parametrize("reply", [{}, {"follow_user": None}, {"follow_user": "alice"}, {"follow_user": [1]}])
def test_a_list_missing_from_a_success_is_not_read_as_nobody(reply: dict[str, object]) -> None:
    script = ScriptedWeCom()
    script.on(LIST, reply)

    with pytest.raises(Unreachable, match="follow_user"):
        client_of(script).follow_users()


def test_bodies_are_raw_utf8_and_the_token_is_in_the_query_only() -> None:
    script = ScriptedWeCom()
    script.on(CREATE, {"msgid": "msg1"})

    client_of(script).create_mass_send(SEND)

    asked = script.asked[CREATE][0]
    assert "你好".encode() in asked.raw and b"\\u" not in asked.raw
    assert asked.params == {"access_token": "tok-1"}
    assert "tok-1" not in asked.raw.decode() + str(asked.headers)


# --- resting paths --------------------------------------------------------------------------------------------------


def test_a_frequency_limit_rests_that_path_alone_for_a_minute() -> None:
    script, clock = ScriptedWeCom(), SettableClock()
    script.on(LIST, 45009, NOBODY)
    script.on("getcallbackip", {"ip_list": ["192.0.2.1"]})
    client = client_of(script, clock)

    with pytest.raises(WeComError) as hit:
        client.follow_users()
    assert (hit.value.klass, hit.value.retry_at) == ("backoff", T0 + MINUTE)

    clock.now = T0 + MINUTE - 1
    with pytest.raises(BackedOff) as resting:
        client.follow_users()
    assert resting.value.until == resting.value.retry_at == T0 + MINUTE
    assert not resting.value.may_have_happened
    assert script.times(LIST) == 1, "a resting path does not touch the network"
    assert client.callback_ips() == ("192.0.2.1",)

    clock.now = T0 + MINUTE
    assert client.follow_users() == ()


@pytest.mark.parametrize(("gap", "rest"), [(HOUR - 1, HOUR), (HOUR, MINUTE)])
def test_a_second_hit_within_the_hour_rests_the_path_for_an_hour(gap: int, rest: int) -> None:
    script, clock, windows = ScriptedWeCom(), SettableClock(), InMemoryWindows()
    script.on(LIST, 45009)
    client = client_of(script, clock, windows)

    for clock.now in (T0, T0 + gap):
        with pytest.raises(WeComError):
            client.follow_users()

    path = "/cgi-bin/" + LIST
    assert windows.blocked_until(path, clock.now) == T0 + gap + rest
    assert windows.blocked_until(path, T0 + gap + rest) is None


def test_a_second_hit_may_be_another_processs() -> None:
    script, clock, windows = ScriptedWeCom(), SettableClock(), InMemoryWindows()
    script.on(LIST, 45009)

    for clock.now in (T0, T0 + 30 * MINUTE):
        with pytest.raises(WeComError):
            client_of(script, clock, windows).follow_users()

    assert windows.blocked_until("/cgi-bin/" + LIST, clock.now) == clock.now + HOUR


def test_refusals_of_calls_that_were_under_way_together_are_one_hit() -> None:
    script, windows, together = ScriptedWeCom(), InMemoryWindows(), threading.Barrier(4)

    def refuse(request: httpx.Request) -> int:
        together.wait(10)
        return 45009

    script.on(LIST, refuse)
    client = client_of(script, windows=windows)

    def retry_at(_: int) -> int | None:
        with pytest.raises(WeComError) as caught:
            client.follow_users()
        return caught.value.retry_at

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(retry_at, range(4))) == [T0 + MINUTE] * 4


def test_a_window_is_never_shortened() -> None:
    windows = InMemoryWindows()
    windows.block("/p", 2_000, "first", 0)
    windows.block("/p", 1_000, "second", 1)

    assert windows.blocked_until("/p", 1_500) == 2_000
    assert windows.blocked_until("/q", 1_500) is None


# --- time and parallel calls ----------------------------------------------------------------------------------------


class Dripping(httpx.SyncByteStream):
    """A body of a hundred pieces, each of which takes a second."""

    def __init__(self, clock: SettableClock) -> None:
        self.clock, self.given = clock, 0

    def __iter__(self) -> Iterator[bytes]:
        for self.given in range(1, 101):
            self.clock.seconds += 1
            yield b" "


def test_a_dripping_body_ends_with_the_deadline() -> None:
    script, clock = ScriptedWeCom(), SettableClock()
    body = Dripping(clock)
    script.on(CREATE, httpx.Response(200, stream=body))

    with pytest.raises(Unreachable, match="deadline") as caught:
        client_of(script, clock).create_mass_send(SEND)

    assert body.given == 21
    assert caught.value.may_have_happened


def test_a_whole_answer_that_came_late_is_taken() -> None:
    script, clock = ScriptedWeCom(), SettableClock()

    def late(request: httpx.Request) -> dict[str, object]:
        clock.seconds += 21
        return {"msgid": "msg1"}

    script.on(CREATE, late)

    assert client_of(script, clock).create_mass_send(SEND).msgid == "msg1"


def test_the_phases_of_a_call_fit_into_its_deadline_and_the_token_counts() -> None:
    script, clock = ScriptedWeCom(), SettableClock()
    script.on(LIST, NOBODY)

    def slow_token(request: httpx.Request) -> dict[str, object]:
        clock.seconds += 4
        return {"access_token": "tok-1", "expires_in": 7200}

    script.on("gettoken", slow_token)
    client_of(script, clock).follow_users()

    timeout = script.asked[LIST][0].timeout
    assert 2 * timeout["connect"] + timeout["write"] + timeout["read"] == pytest.approx(10 - 4)


def test_a_read_is_not_repeated_when_its_time_is_over() -> None:
    script, clock = ScriptedWeCom(), SettableClock()

    def late(request: httpx.Request) -> Exception:
        clock.seconds += 10
        return httpx.ReadTimeout("late")

    script.on(LIST, late)
    with pytest.raises(Unreachable, match="ReadTimeout"):
        client_of(script, clock).follow_users()

    assert script.times(LIST) == 1


def test_an_endless_body_is_cut_off() -> None:
    script = ScriptedWeCom()
    pieces = httpx.Response(200, content=(b"x" * 1_000_000 for _ in range(1_000)))
    script.on(CREATE, pieces)

    with pytest.raises(Unreachable, match="more than"):
        client_of(script).create_mass_send(SEND)


def test_at_most_six_calls_of_a_path_are_under_way_and_a_seventh_waits_no_longer_than_its_deadline() -> None:
    script, clock = ScriptedWeCom(), SettableClock()
    entered, leave = threading.Semaphore(0), threading.Event()

    def held(request: httpx.Request) -> dict[str, object]:
        entered.release()
        assert leave.wait(10)
        return NOBODY

    script.on(LIST, held)
    client = client_of(script, clock)
    with ThreadPoolExecutor(6) as pool:
        futures = [pool.submit(client.follow_users) for _ in range(6)]
        for _ in range(6):
            assert entered.acquire(timeout=10)
        clock.step = 20.0  # each look at the clock is later than any deadline

        with pytest.raises(Unreachable, match="under way"):
            client.follow_users()

        clock.step = 0.0
        leave.set()
        assert [future.result() for future in futures] == [()] * 6
    assert script.times(LIST) == 6


def test_writes_on_one_relation_follow_each_other() -> None:
    script, meeting, overlaps = ScriptedWeCom(), threading.Barrier(2), []

    def mark(request: httpx.Request) -> dict[str, object]:
        try:
            meeting.wait(0.05)  # opens only if a second write is inside at the same time
            overlaps.append(request)
        except threading.BrokenBarrierError:
            meeting.reset()
        return {}

    script.on(MARK, mark)
    client = client_of(script)
    with ThreadPoolExecutor(4) as pool:
        for future in [pool.submit(client.mark_tags, "alice", "wm1", [f"et{nth}"]) for nth in range(4)]:
            future.result()

    assert script.times(MARK) == 4
    assert not overlaps


# --- secrets --------------------------------------------------------------------------------------------------------


def test_a_failed_call_writes_one_line_with_code_and_trace_and_no_secret() -> None:
    script = ScriptedWeCom()
    script.on(CREATE, 40058)

    with capture_logs() as lines, pytest.raises(WeComError):
        client_of(script).create_mass_send(SEND)

    (line,) = lines
    assert (line["event"], line["log_level"]) == ("wecom_call_failed", "warning")
    assert (line["call"], line["errcode"], line["klass"]) == ("create_mass_send", 40058, "permanent")
    assert line["trace"] == "176722560000000040058"
    for secret in ("tok-1", "app-secret", "你好", "wm1"):
        assert secret not in str(line)


@pytest.mark.parametrize(("code", "level"), [(41048, "info"), (48002, "error"), (45033, "warning")])
def test_states_are_told_quietly_and_configuration_loudly(code: int, level: str) -> None:
    script = ScriptedWeCom()
    script.on(CREATE, code)

    with capture_logs() as lines, pytest.raises(WeComError):
        client_of(script).create_mass_send(SEND)

    assert [line["log_level"] for line in lines] == [level]


def test_calls_and_their_failures_are_counted() -> None:
    script = ScriptedWeCom()
    script.on(CREATE, 40058, DROPPED)
    client, path = client_of(script), "/cgi-bin/" + CREATE

    def counted() -> list[float]:
        samples = [
            ("sopd_wecom_seconds_count", {"path": path}),
            ("sopd_wecom_errors_total", {"path": path, "code": "40058"}),
            ("sopd_wecom_errors_total", {"path": path, "code": "Unreachable"}),
            ("sopd_wecom_calls_total", {"path": path, "outcome": "refused"}),
            ("sopd_wecom_calls_total", {"path": path, "outcome": "doubtful"}),
        ]
        return [REGISTRY.get_sample_value(name, labels) or 0 for name, labels in samples]

    before = counted()
    for _ in range(2):
        with pytest.raises(WeComFailure):
            client.create_mass_send(SEND)

    assert [now - then for now, then in zip(counted(), before, strict=True)] == [2, 1, 1, 1, 1]


@pytest.mark.parametrize(
    ("reply", "outcome", "code"),
    [
        (41048, "state", "41048"), (48002, "configuration", "48002"), (45033, "throttled", "45033"),
        (45009, "throttled", "45009"), (6000, "busy", "6000"), (-1, "doubtful", "-1"), (987654, "refused", "unknown"),
    ],
)  # fmt: skip
def test_what_came_of_a_call_is_one_of_a_few_words(reply: int, outcome: str, code: str) -> None:
    script = ScriptedWeCom()
    script.on(CREATE, reply)
    path = "/cgi-bin/" + CREATE
    asked = (("sopd_wecom_calls_total", "outcome", outcome), ("sopd_wecom_errors_total", "code", code))

    def counted() -> list[float]:
        return [REGISTRY.get_sample_value(name, {"path": path, label: value}) or 0 for name, label, value in asked]

    before = counted()
    with pytest.raises(WeComFailure):
        client_of(script).create_mass_send(SEND)

    assert [now - then for now, then in zip(counted(), before, strict=True)] == [1, 1]


def test_calls_that_work_and_calls_that_rest_are_counted_too() -> None:
    windows, path = InMemoryWindows(), "/cgi-bin/" + LIST

    def counted() -> list[float]:
        labels = [(path, "ok"), ("/cgi-bin/gettoken", "ok"), (path, "resting")]
        return [
            REGISTRY.get_sample_value("sopd_wecom_calls_total", {"path": at, "outcome": outcome}) or 0
            for at, outcome in labels
        ]

    script = ScriptedWeCom()
    script.on(LIST, NOBODY)
    client = client_of(script, windows=windows)
    before = counted()
    client.follow_users()
    windows.block(path, T0 + 1, "test", T0)
    with pytest.raises(BackedOff):
        client.follow_users()

    assert [now - then for now, then in zip(counted(), before, strict=True)] == [1, 1, 1]


def test_a_call_on_a_resting_path_writes_no_line() -> None:
    windows = InMemoryWindows()
    windows.block("/cgi-bin/" + LIST, T0 + 1, "test", T0)

    with capture_logs() as lines, pytest.raises(BackedOff):
        client_of(ScriptedWeCom(), windows=windows).follow_users()

    assert lines == []


def test_the_http_librarys_own_lines_hold_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    script = ScriptedWeCom()
    script.on(LIST, NOBODY)

    with caplog.at_level(logging.DEBUG):
        client_of(script).follow_users()

    assert "get_follow_user_list" in caplog.text, "the library logs every URL"
    assert "tok-1" not in caplog.text and "app-secret" not in caplog.text
    assert redacted("GET https://x/y?a=1&access_token=abc&b=2") == "GET https://x/y?a=1&access_token=***&b=2"


def test_neither_errors_nor_reprs_hold_a_secret() -> None:
    script = ScriptedWeCom()
    script.on(LIST, DROPPED)
    client = client_of(script)

    with pytest.raises(Unreachable) as caught:
        client.follow_users()

    chain = [caught.value, caught.value.__cause__, caught.value.__cause__ and caught.value.__cause__.__cause__]
    shown = "".join(f"{each!r} {each}" for each in chain) + repr(client) + repr(SEND)
    for secret in ("tok-1", "app-secret", "你好"):
        assert secret not in shown


@pytest.mark.parametrize(
    "url", ["http://qyapi.weixin.qq.com", "qyapi.weixin.qq.com", "ftp://x", "https://", "https://x:y", ""]
)
def test_an_address_that_would_carry_the_secret_in_the_clear_is_refused(url: str) -> None:
    with pytest.raises(ConfigError):
        WeCom(url, "wwsimcorp", "app-secret", 1, now=lambda: T0)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8800", "http://localhost:8800/", "http://[::1]:8800"])
def test_plain_http_is_for_a_sandbox_on_this_machine(url: str) -> None:
    WeCom(url, "wwsimcorp", "app-secret", 1, now=lambda: T0).close()
