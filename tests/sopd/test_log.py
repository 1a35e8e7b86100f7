"""Log lines: one JSON object each, and nothing in them that a stranger must not read."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from sopd.log import HIDDEN_KEYS, configure
from tests.support.logs import own_logging


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def untouched_logging() -> Iterator[None]:
    with own_logging():
        yield


@pytest.fixture
def lines() -> Any:
    stream = io.StringIO()
    configure("info", stream=stream)
    return lambda: [json.loads(line) for line in stream.getvalue().splitlines()]


def test_line_has_time_level_logger_and_what_was_said(lines: Any) -> None:
    structlog.get_logger("sopd.planner").info("planned", rows=12, duration_ms=31)

    (line,) = lines()
    assert line.pop("time").endswith("Z")
    assert line == {"event": "planned", "rows": 12, "duration_ms": 31, "level": "info", "logger": "sopd.planner"}


def test_chinese_stays_readable() -> None:
    stream = io.StringIO()
    configure(stream=stream)

    structlog.get_logger("sopd.sops").info("started", sop="防晒正装回访")

    assert "防晒正装回访" in stream.getvalue()


def test_libraries_write_the_same_lines_and_carry_the_context(lines: Any) -> None:
    structlog.contextvars.bind_contextvars(actor="plan")
    logging.getLogger("somebody.else").warning("odd %s", "thing", extra={"rows": 3})

    (line,) = lines()
    assert (line["event"], line["logger"], line["actor"], line["rows"]) == ("odd thing", "somebody.else", "plan", 3)


def test_requests_and_messages_of_libraries_are_not_lines(lines: Any) -> None:
    for chatty in ("httpx", "dramatiq", "uvicorn.access"):
        logging.getLogger(chatty).info("one more")

    assert lines() == []


def test_level_is_obeyed(lines: Any) -> None:
    structlog.get_logger("sopd.x").debug("detail")

    assert lines() == []


@pytest.mark.parametrize("key", sorted(HIDDEN_KEYS))
def test_value_of_a_telling_key_is_hidden_at_any_depth(lines: Any, key: str) -> None:
    structlog.get_logger("sopd.x").info("said", **{key: "hush"}, inner={"list": [{key.upper(): "hush"}]})

    assert "hush" not in json.dumps(lines())


@pytest.mark.parametrize(
    "text",
    [
        "GET https://example.test/cgi-bin/user/get?access_token=hush&userid=a",
        "GET https://example.test/cgi-bin/gettoken?corpid=ww1&corpsecret=hush",
        "{'token': 'hush', 'a': 1}",
        '{"access_token":"hush"}',
        "cannot connect to postgresql://sopd:hush@db.test/sopd",
        "redis://:hush@redis.test/1",
    ],
)
def test_secret_inside_text_is_hidden(lines: Any, text: str) -> None:
    structlog.get_logger("sopd.x").info("said", error=text)
    logging.getLogger("somebody.else").error("said %s", text)

    assert len(lines()) == 2
    assert "hush" not in json.dumps(lines())


def test_body_given_as_bytes_shows_its_length_only(lines: Any) -> None:
    structlog.get_logger("sopd.x").info("said", raw=b"hush")

    assert lines()[0]["raw"] == "(4 bytes)"


def fail_with_secret() -> None:
    password = "hush"  # what a traceback with locals would show
    raise ValueError(f"https://example.test?access_token={password}")


@pytest.mark.parametrize("stream", [io.StringIO(), Terminal()], ids=["json", "terminal"])
def test_traceback_shows_the_place_but_no_locals_and_no_secrets(stream: io.StringIO) -> None:
    configure("info", stream=stream)
    try:
        fail_with_secret()
    except ValueError:
        structlog.get_logger("sopd.x").exception("broke")
        logging.getLogger("somebody.else").exception("broke")

    shown = stream.getvalue()
    assert shown.count("fail_with_secret") >= 2
    assert "password = 'hush'" not in shown and "token=hush" not in shown


def test_configuring_again_replaces_the_stream(lines: Any) -> None:
    second = io.StringIO()
    structlog.get_logger("sopd.x").info("first")
    configure("warning", stream=second)
    structlog.get_logger("sopd.x").warning("second")

    assert [line["event"] for line in lines()] == ["first"]
    assert json.loads(second.getvalue())["event"] == "second"
