"""Every errcode of WeCom 9 is read as its class, and every failure says what may be done about it."""

from __future__ import annotations

import pytest

from sopd.errors import SopdError
from sopd.wecom.codes import CODES, Klass
from sopd.wecom.endpoints import ENDPOINTS
from sopd.wecom.errors import (
    BackedOff,
    ConfigurationError,
    ContentTooLong,
    Unreachable,
    WeComError,
    WeComFailure,
    WrongAddress,
    refusal,
    trace_of,
)
from tests.support.scripted_wecom import T0, ScriptedWeCom, client_of

# Restated from the vendor's table, apart from the code under test.
EXPECTED = {
    "retryable": {-1, 6000, 41063, 41079, 41096, 45033, 45035},
    "token": {40014, 42001},
    "backoff": {45009, 41078},
    "configuration": {
        40001, 40013, 41002, 41004, 50003, 41054, 48001, 48002, 48004, 48005, 48009, 60011, 50002, 60020, 301042,
        81011, 301002, 610016, 701008,
    },
    "state": {41048, 41051, 41062, 41093, 84061},
    "permanent": {
        0, 40003, 60111, 40004, 40005, 40006, 40009, 40011, 45001, 40007, 40008, 40035, 40058, 40063, 44004, 40031,
        40032, 40066, 40068, 40071, 40072, 40096, 40097, 40098, 40099, 40100, 40129, 41001, 41035, 41046, 41047, 41049,
        41050, 41053, 41055, 41058, 41056, 41059, 41060, 41061, 41064, 41065, 41067, 41089, 42014, 42015, 42016, 42017,
        42018, 45002, 81013, 81017, 84074, 84084, 86001, 86003, 40050, 90206, 90207, 90208, 90500, 90501, 90502, 301021,
        610004,
    },
}  # fmt: skip
ALL = sorted((code, klass) for klass, codes in EXPECTED.items() for code in codes)


def test_the_table_holds_the_vendors_codes_and_no_others() -> None:
    assert {code: str(rule.klass) for code, rule in CODES.items()} == dict(ALL)


@pytest.mark.parametrize(("code", "klass"), [row for row in ALL if row[0] != 0])
def test_an_errcode_in_a_reply_is_raised_with_its_class_and_words_for_a_person(code: int, klass: str) -> None:
    script = ScriptedWeCom()
    script.on("externalcontact/remind_groupmsg_send", code)

    with pytest.raises(WeComError) as caught:
        client_of(script).remind_mass_send("msg1")

    error = caught.value
    assert (error.errcode, error.klass) == (code, klass)
    assert isinstance(error, ConfigurationError) is (klass == "configuration")
    assert error.path == "/cgi-bin/externalcontact/remind_groupmsg_send"
    assert error.action and error.action in str(error) and str(code) in str(error)
    assert error.trace == f"1767225600000000{code}"


@pytest.mark.parametrize(("code", "wait_ms"), [(-1, 2_000), (41063, 30_000), (45033, 5_000), (40100, 86_400_000)])
def test_an_error_that_passes_names_when_to_try_again(code: int, wait_ms: int) -> None:
    assert refusal("/p", code, "", T0).retry_at == T0 + wait_ms


def test_an_error_that_stays_names_no_time() -> None:
    assert refusal("/p", 40068, "", T0).retry_at is None


def test_an_unknown_code_is_permanent_and_shows_the_vendors_words_without_addresses() -> None:
    error = refusal("/p", 99999, "strange thing, hint: [77], from ip: 192.0.2.1, more info at https://x", T0)

    assert error.klass is Klass.PERMANENT
    assert "99999" in str(error) and "strange thing" in str(error)
    assert "192.0.2.1" not in str(error)
    assert error.trace == "77"


def test_a_trace_number_is_found_only_where_there_is_one() -> None:
    assert trace_of("invalid corpid, hint: [1789_5_abc], from ip: 1.2.3.4") == "1789_5_abc"
    assert trace_of("ok") == ""


def test_every_failure_has_one_root_a_class_and_an_answer_to_may_it_have_happened() -> None:
    failures: list[WeComFailure] = [
        WeComError("/p", 40068),
        Unreachable("/p", "no answer", may_have_happened=True),
        BackedOff("/p", T0),
        WrongAddress("/p", "HTTP 404"),
        ContentTooLong("/p", "text", 4001, 4000),
    ]

    assert [failure.klass for failure in failures] == [
        "permanent", "retryable", "backoff", "configuration", "permanent"
    ]  # fmt: skip
    assert [failure.may_have_happened for failure in failures] == [False, True, False, False, False]
    assert all(isinstance(failure, SopdError) for failure in failures)
    assert isinstance(failures[-1], ValueError)


def test_every_endpoint_has_a_path_of_its_own_and_a_deadline() -> None:
    paths = [endpoint.path for endpoint in ENDPOINTS.values()]

    assert len(paths) == len(set(paths))
    assert all(0 < endpoint.deadline_seconds <= 60 for endpoint in ENDPOINTS.values())
