"""`sopd doctor`: what is wrong and what to do about it, one line each, and the exit code by which a script learns."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import dramatiq
import pytest

from sopd.broker import open_broker
from sopd.cli import checks_ground
from sopd.config import Broker
from sopd.crypto import CallbackCrypto, CallbackRejected
from sopd.sandbox.config import SandboxConfig
from sopd.sandbox.people import Plan, Population
from sopd.sandbox.server import SandboxServer, serve
from sopd.sandbox.world import World
from sopd.store import Store
from sopd.store.migrate import migrate
from sopd.store.tables import Dirty, Dispatch, Inbox, Job, Outbox, SetAside, Signal, Tag, WecomWindow
from tests.support.factories import T0, add, befriend, publish
from tests.support.servers import Valkey
from tests.support.shell import *  # noqa: F403
from tests.support.shell import SETTINGS, Shell
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

    assert {each["verdict"] for each in found if each["check"] != "broker"} == {"ok"}
    assert [each["check"] for each in found] == [
        "settings", "calendar", "broker", "database", "clock", "sops", "work", "inbox",
    ]  # fmt: skip
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
        ("signals", "1 signal not judged, the oldest for 1 d", "sopd run",
         lambda store: add(store, Signal, received_at=T0)),
        ("task", "WeCom's answer was lost 1 d ago", "a look-up takes ten minutes",
         lambda store: dispatch(store, "uncertain", attempted_at=T0)),
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


def test_a_year_without_days_off_is_a_note(shell: Shell, store: Store) -> None:
    store.set_clock(T0 + 20 * 365 * DAY)

    told = {each["check"]: each for each in findings(shell, "--offline")}["calendar"]

    assert told["verdict"] == "note" and "are known for 2046" in told["what"]
    assert "company.holidays_file" in told["fix"]


def test_a_database_of_a_newer_program_is_left_alone(bare_url: str, tmp_path: Path) -> None:
    newer = Store.open(bare_url)
    migrate(newer)
    with newer.transaction() as tx:
        tx.run("insert into schema_migration (number, name, applied_at) values (99, 'later', 0)")
    newer.close()
    (tmp_path / "sopd.toml").write_text(SETTINGS.format(url=bare_url), encoding="utf-8")

    last = wrong(Shell(tmp_path))[-1]

    assert last["what"].startswith("the database is at schema 99") and "run the newer sopd" in last["fix"]


def test_a_disk_that_is_nearly_full_is_wrong(
    tmp_path: Path, migrated_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No test can fill a disk: the line is drawn above what any disk has."""
    monkeypatch.setattr(checks_ground, "LEAST_FREE_BYTES", 1 << 80)
    url = f"sqlite:///{shutil.copy(migrated_file, tmp_path / 'store.db')}"
    (tmp_path / "sopd.toml").write_text(SETTINGS.format(url=url), encoding="utf-8")

    told = [(each["check"], each["fix"]) for each in wrong(Shell(tmp_path))]

    assert told == [("disk", "make room before it is full")]


# -- the broker --------------------------------------------------------------------------------------------------------


def with_redis(shell: Shell, url: str) -> dict[str, str]:
    """What is found about a broker at this address, by verdict."""
    text = (shell.folder / "sopd.toml").read_text(encoding="utf-8")
    (shell.folder / "sopd.toml").write_text(f'{text}\n[broker]\nurl = "{url}"\n', encoding="utf-8")
    lines = shell("doctor", "--offline", "--json", code=None).stdout.splitlines()
    return {each["verdict"]: each["what"] for each in map(json.loads, lines) if each["check"] == "broker"}


def test_a_redis_that_does_not_answer_is_wrong_and_its_password_is_not_shown(shell: Shell) -> None:
    told = with_redis(shell, "redis://:hush@127.0.0.1:1/0")

    assert told["wrong"] == "Redis does not answer on 127.0.0.1:1"


def test_a_redis_that_answers_is_well_until_wake_ups_pile_up(shell: Shell, valkey: Valkey) -> None:
    url = valkey.fresh_url()
    assert with_redis(shell, url)["ok"].endswith(", 0 wake-ups wait")

    queue, _ = open_broker(Broker(url=url))
    ring = dramatiq.actor(lambda: None, broker=queue, actor_name="fire", queue_name="work")
    for _ in range(checks_ground.MOST_WAKE_UPS + 1):
        ring.send()
    queue.close()

    said = {each["what"]: each["fix"] for each in wrong(shell)}
    assert any("201 wake-ups wait in Redis" in what and "sopd worker" in fix for what, fix in said.items())


def test_database_and_broker_that_do_not_fit_are_noted(shell: Shell, store: Store) -> None:
    told = [(each["verdict"], each["what"]) for each in findings(shell, "--offline") if each["check"] == "broker"]

    if store.dialect.name == "sqlite":
        assert told == [("ok", "inside this process")]
        assert "exactly one daemon" in with_redis(shell, "redis://127.0.0.1:1/0")["note"]
    else:
        assert [verdict for verdict, _ in told] == ["note"] and "memory:// wakes nobody" in told[0][1]


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
    """A callback that knows the keys, behind which no daemon is ready. It ticked last at `ticked_s`."""

    ticked_s = 0.0

    crypto = CallbackCrypto(KEYS.callback_token, KEYS.encoding_aes_key, KEYS.corp_id)

    def do_GET(self) -> None:
        query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        if self.path == "/metrics":
            self.answer(200, f'# HELP x\nsopd_last_progress_timestamp_seconds{{part="tick"}} {self.ticked_s!r}\n')
            return
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
    yield from serving(type("Ticking", (Echo,), {"ticked_s": time.time()}))


def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[int]:
    server = HTTPServer(("127.0.0.1", 0), handler)
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


def test_a_ticker_that_hangs_is_found_by_its_last_tick(shell: Shell, wecom: SandboxServer) -> None:
    for port in serving(type("Hanging", (Echo,), {"ticked_s": time.time() - 300})):
        connected(shell, wecom, port)
        told = [each["what"] for each in findings(shell, code=1) if each["check"] == "daemon"]

    assert told[-1] == f"the daemon on http://127.0.0.1:{port} has not ticked for 5 min"


@pytest.mark.parametrize(("off_s", "said"), [(12600, "behind"), (-12600, "ahead of"), (0, None)])
def test_wecoms_clock_is_held_against_the_databases(shell: Shell, off_s: int, said: str | None) -> None:
    class Dated(Echo):
        def date_time_string(self, timestamp: float | None = None) -> str:
            return super().date_time_string(time.time() + off_s)

    for port in serving(Dated):
        with (shell.folder / "sopd.toml").open("r+", encoding="utf-8") as file:
            text = file.read().replace("http://127.0.0.1:1", f"http://127.0.0.1:{port}")
            file.seek(0)
            file.write(text)
        told = [each["what"] for each in findings(shell, code=1) if "WeCom's" in each["what"]]

    assert told == ([] if said is None else [f"the database's clock is 3 h {said} WeCom's"])


def test_doctor_speaks_chinese_where_it_is_asked_to(shell: Shell, store: Store) -> None:
    store.set_clock(T0 + DAY)
    dispatch(store, "needs_operator", reason="results unclear")
    add(store, Inbox, state="set_aside", reason="not XML")

    page = shell("--lang", "zh", "doctor", "--offline", "--format", "table", code=1).stdout
    lines = shell("--lang", "zh", "doctor", "--offline", "--json", code=1).stdout.splitlines()
    rows = [json.loads(line) for line in lines]
    told = {row["what"]: row["fix"] for row in rows if row["verdict"] == "wrong"}

    assert "发现 2 个问题" in page and "无偏差" in page
    assert "1 条回调无法处理,已搁置" in told
    assert any("7 位客户):取消后的结果不明确" in what and "--not-sent" in fix for what, fix in told.items())
    assert {row["verdict"] for row in rows} <= {"ok", "note", "wrong"}, "words for programs stay as they are"
