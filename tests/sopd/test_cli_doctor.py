"""`sopd doctor`: what is wrong and what to do about it, one line each, and the exit code by which a script learns."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from sopd.crypto import CallbackCrypto, CallbackRejected
from sopd.sandbox.config import SandboxConfig
from sopd.sandbox.people import Plan, Population
from sopd.sandbox.server import SandboxServer, serve
from sopd.sandbox.world import World
from sopd.store import Store
from sopd.store.tables import Dirty, Dispatch, Inbox, Job, Outbox, SetAside, Tag, WecomWindow
from tests.support.factories import T0, add, befriend, publish
from tests.support.shell import *  # noqa: F403
from tests.support.shell import Shell
from tests.support.stores import *  # noqa: F403

MINUTE, DAY = 60_000, 86_400_000
KEYS = SandboxConfig()
ASKED = ("msg_signature", "timestamp", "nonce", "echostr")


def findings(shell: Shell, *words: str, code: int = 0) -> list[dict[str, str]]:
    lines = shell("doctor", *words, code=code).stdout.splitlines()
    return [dict(zip(("check", "verdict", "what", "fix"), line.split("\t"), strict=True)) for line in lines[1:]]


def wrong(shell: Shell) -> list[dict[str, str]]:
    return [each for each in findings(shell, "--offline", code=1) if each["verdict"] == "wrong"]


def test_a_new_installation_is_well(shell: Shell) -> None:
    found = findings(shell, "--offline")

    assert {each["verdict"] for each in found} == {"ok"}
    assert [each["check"] for each in found] == ["settings", "calendar", "database", "clock", "sops", "work", "inbox"]
    page = shell("doctor", "--offline", "--format", "table").stdout
    assert page.startswith("✓ settings") and page.endswith("nothing is wrong\n")


def test_every_faulty_setting_is_a_finding(tmp_path: Path) -> None:
    (tmp_path / "sopd.toml").write_text('[web]\nport = 99999\n[engine]\ntick = 5\n', encoding="utf-8")

    found = findings(Shell(tmp_path), code=1)

    assert len(found) == 2 and {each["verdict"] for each in found} == {"wrong"}
    assert "sopd.toml:2: web.port" in found[0]["what"]
    assert "did you mean tick_ms" in found[1]["what"]


def test_a_database_that_is_not_there_is_told_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "sopd.toml").write_text("", encoding="utf-8")

    last = findings(Shell(tmp_path), "--offline", code=1)[-1]

    assert last["check"] == "database" and last["fix"] == "run `sopd db migrate`"
    assert not (tmp_path / "sopd.db").exists()


def dispatch(store: Store, state: str, **columns: Any) -> None:
    relation = befriend(store, "alice")
    sop = publish(store, '{"sop": {"steps": []}, "tag_ids": {}}', key=f"sop-{state}")
    known = {"member_id": relation.member_id, "sop_id": sop.id, "version_id": sop.version_id, "size": 7}
    add(store, Dispatch, **{**known, "state": state, "reason": None, "memory": None, **columns})


@pytest.mark.parametrize(
    ("check", "what", "fix", "break_it"),
    [
        ("task", "7 customers): results after the cancellation are not clear", "--not-sent",
         lambda store: dispatch(store, "needs_operator", reason="results unclear")),
        ("inbox", "1 callback could not be handled", "sopd inbox replay --set-aside",
         lambda store: add(store, Inbox, state="set_aside", reason="not XML")),
        ("inbox", "1 callback not handled", "sopd run", lambda store: add(store, Inbox, received_at=T0)),
        ("set aside", "push 7, 2026-11-18 19:06: TypeError: x", "sopd db retry",
         lambda store: add(store, SetAside, kind="push", row_key="7", reason="TypeError: x", at=T0)),
        ("reconciliation", "1 of 1 customers of alice are missing", "sopd member accept alice",
         lambda store: befriend(store, "alice", missing_at=T0)),
        ("reading", "1 relation could not be read", "wecom",
         lambda store: add(store, Dirty, attempts=6, reason="84061", act_at=2 * T0)),
        ("job", "reconcile is failed: no permission", "log",
         lambda store: add(store, Job, kind="reconcile", key="", state="failed", reason="no permission")),
        ("work", "(collect)", "sopd run", lambda store: dispatch(store, "requested", act_at=T0)),
    ],
)  # fmt: skip
def test_what_waits_for_a_person_is_wrong_and_says_what_to_do(
    shell: Shell, store: Store, check: str, what: str, fix: str, break_it: Any
) -> None:
    store.set_clock(T0 + DAY)
    break_it(store)

    found = [each for each in wrong(shell) if each["check"] == check and what in each["what"]]

    assert len(found) == 1 and fix in found[0]["fix"], wrong(shell)


def test_what_passes_by_itself_is_a_note(shell: Shell, store: Store) -> None:
    store.set_clock(T0)
    add(store, WecomWindow, path="/cgi-bin/externalcontact/get", until_at=T0 + MINUTE, reason="45033")
    dispatch(store, "uncertain", act_at=T0 + MINUTE)
    add(store, Outbox, kind="mark_tag", state="failed", reason="40068", done_at=T0, payload="{}", act_at=None)
    befriend(store, "bob")
    with store.transaction() as tx:
        tx.run("update member set can_send = ? where userid = 'bob'", (False,))

    notes = {each["check"]: each["what"] for each in findings(shell, "--offline") if each["verdict"] == "note"}

    assert notes["back-off"].startswith("/cgi-bin/externalcontact/get rests until 2026-11-18 19:07:40")
    assert "WeCom's answer was lost" in notes["task"]
    assert notes["tags"].startswith("1 tag write failed within a day")
    assert notes["members"].startswith("1 of 2 members cannot send")


def test_a_rehearsals_clock_on_the_way_to_the_real_wecom_is_wrong(shell: Shell, store: Store) -> None:
    store.set_clock(T0)
    (shell.folder / "sopd.toml").write_text(
        (shell.folder / "sopd.toml").read_text(encoding="utf-8").replace("http://127.0.0.1:1", "https://example.com"),
        encoding="utf-8",
    )

    told = "time stands at 2026-11-18 19:06: a rehearsal's clock was left here"
    assert [each["what"] for each in wrong(shell)] == [told]


def test_a_tag_that_a_sop_needs_and_that_is_gone_is_shown(shell: Shell, store: Store) -> None:
    publish(store, '{"sop": {"steps": []}, "tag_ids": {"结果/已下单": "et1"}}', key="care")
    add(store, Tag, tag_id="et1", group_name="结果", name="已下单", deleted_at=T0)

    assert wrong(shell)[0]["what"] == "SOP care uses the tag 结果/已下单, which was deleted in WeCom"


def test_settings_are_shown_with_their_origin_and_without_secrets(shell: Shell) -> None:
    with (shell.folder / "sopd.toml").open("a", encoding="utf-8") as file:
        file.write('secret = "verysecret"\n')

    rows = {row["setting"]: row for row in shell.rows("doctor", "--settings")}

    assert rows["wecom.secret"]["value"] == "(set)"
    assert rows["wecom.secret"]["origin"].endswith("sopd.toml:6")
    assert rows["company.zone"] == {"setting": "company.zone", "value": "Asia/Shanghai", "origin": "default"}


# -- with a WeCom and a callback that answer ---------------------------------------------------------------------------


@pytest.fixture
def wecom() -> Iterator[SandboxServer]:
    world = World("doctor", SandboxConfig(), T0)
    server = serve(world, Population(world, Plan(members=("alice", "bob"))), "http://127.0.0.1:1/").start()
    yield server
    server.stop()


class Echo(BaseHTTPRequestHandler):
    """A callback that knows the keys, behind which no daemon is ready."""

    crypto = CallbackCrypto(KEYS.callback_token, KEYS.encoding_aes_key, KEYS.corp_id)

    def do_GET(self) -> None:
        query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        if "echostr" not in query:
            self.answer(503, "starting")
            return
        try:
            self.answer(200, self.crypto.verify_url(*(query[name] for name in ASKED)))
        except CallbackRejected:
            self.answer(403, "not from WeCom")

    def answer(self, status: int, text: str) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def callback() -> Iterator[int]:
    server = HTTPServer(("127.0.0.1", 0), Echo)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def connected(shell: Shell, wecom: SandboxServer, port: int, **changed: object) -> Shell:
    chosen = {
        "corp_id": KEYS.corp_id, "agent_id": KEYS.agent_id, "secret": KEYS.secret, "token": KEYS.callback_token,
        "encoding_aes_key": KEYS.encoding_aes_key, "api_base": wecom.url, **changed,
    }  # fmt: skip
    store = (shell.folder / "sopd.toml").read_text(encoding="utf-8").partition("[wecom]")[0]
    lines = [f"{name} = {value if isinstance(value, int) else repr(value)}" for name, value in chosen.items()]
    text = "\n".join([store, "[web]", f"port = {port}", "[wecom]", *lines])
    (shell.folder / "sopd.toml").write_text(text.replace("'", '"'), encoding="utf-8")
    return shell


def test_wecom_and_callback_are_tried_for_real(shell: Shell, wecom: SandboxServer, callback: int) -> None:
    connected(shell, wecom, callback)

    url = f"http://127.0.0.1:{callback}/elsewhere"
    found = {each["check"]: each for each in findings(shell, "--callback-url", url, code=1)}

    assert found["wecom"]["what"] == f"{wecom.url} gives a token and 2 members with customer contact"
    assert found["callback"]["what"].endswith("/wecom/callback passes the URL check")
    assert found["callback URL"]["what"] == f"{url} passes the URL check"
    assert (found["daemon"]["verdict"], found["daemon"]["what"]) == ("wrong", "not ready: starting")


def test_a_wrong_secret_and_a_wrong_token_are_told_apart(shell: Shell, wecom: SandboxServer, callback: int) -> None:
    connected(shell, wecom, callback, secret="nonsense", token="other")

    found = {each["check"]: each for each in findings(shell, code=1)}

    assert "40001" in found["wecom"]["what"] and found["wecom"]["fix"]
    assert found["callback"]["verdict"] == "wrong" and "same token" in found["callback"]["fix"]


def test_what_is_not_connected_yet_is_named_setting_by_setting(shell: Shell) -> None:
    empty = [each["what"] for each in findings(shell, code=1) if each["check"] == "wecom"]

    names = ("corp_id", "agent_id", "secret", "token", "encoding_aes_key")
    assert empty == [f"wecom.{name} is empty" for name in names]
