"""The running daemon as a process: a foreign implementation of the callback's crypto talks to it, systemd hears it."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from wechatpy.enterprise.crypto import WeChatCrypto

from sopd.rehearsal.process import DaemonProcess
from sopd.store import Store
from sopd.web.app import CALLBACK_PATH
from tests.support.systemd import managing

TOKEN, KEY, CORP = "QDG6eK", "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C", "wx5823bf96d3bd56c7"
ECHO = "P9nAzCzyDtyTWESHep1vC5X9xho/qYX3Zpb4yKa9SKld1DsH3Iyt3tP3zNdtp+4RPcs8TgAE7OaBO+FZXvnaqQ=="
EDIT = (
    f"<xml><ToUserName><![CDATA[{CORP}]]></ToUserName><FromUserName><![CDATA[sys]]></FromUserName>"
    "<CreateTime>1767225600</CreateTime><MsgType><![CDATA[event]]></MsgType>"
    "<Event><![CDATA[change_external_contact]]></Event><ChangeType><![CDATA[edit_external_contact]]></ChangeType>"
    "<UserID><![CDATA[alice]]></UserID><ExternalUserID><![CDATA[wm{n:04}]]></ExternalUserID></xml>"
)


class Place:
    """A folder with the settings of a daemon whose WeCom does not answer."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.database = f"sqlite:///{folder / 'sopd.db'}"
        self.config = folder / "sopd.toml"
        self.config.write_text(
            f'[wecom]\ncorp_id = "{CORP}"\nagent_id = 1\nsecret = "s"\ntoken = "{TOKEN}"\n'
            f'encoding_aes_key = "{KEY}"\napi_base = "http://127.0.0.1:9"\n'
            f'[store]\nurl = "{self.database}"\n[web]\nport = {self.port}\n',
            encoding="utf-8",
        )
        self.daemon = DaemonProcess(self.config, self.url, folder / "daemon.log")

    def inbox(self) -> list[tuple[str, str, int]]:
        store = Store.open(self.database)
        with store.reading() as tx:
            rows = tx.rows("select userid, external_userid, times from inbox order by external_userid")
        store.close()
        return rows


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    made.daemon.stop()


def sopd(place: Place, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sopd", "--config", str(place.config), *words]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)


def test_a_foreign_implementation_of_the_crypto_talks_to_the_running_daemon(place: Place) -> None:
    place.daemon.start()
    foreign = WeChatCrypto(TOKEN, KEY, CORP)
    # The vendor's own sample of the URL check.
    signature = "5c45ff5e21c57e6ad56bac8758b79b1d9ac89fd3"
    query = {"msg_signature": signature, "timestamp": "1409659589", "nonce": "263014780"}
    checked = httpx.get(place.url + CALLBACK_PATH, params={**query, "echostr": ECHO}, trust_env=False)
    assert (checked.status_code, checked.content) == (200, b"1616140317555161061")

    for n in range(40):  # lengths, and so paddings, of all kinds
        xml = EDIT.replace("{n:04}", f"{n:04}") + " " * n
        sealed = foreign.encrypt_message(xml, f"nonce{n}", "1767225600")
        signed = re.search(r"<MsgSignature><!\[CDATA\[(\w+)", sealed)
        assert signed is not None
        asked = {"msg_signature": signed[1], "timestamp": "1767225600", "nonce": f"nonce{n}"}
        reply = httpx.post(place.url + CALLBACK_PATH, params=asked, content=sealed.encode(), trust_env=False)
        assert (reply.status_code, reply.content) == (200, b"")
        spoiled = httpx.post(
            place.url + CALLBACK_PATH, params={**asked, "nonce": "other"}, content=sealed.encode(), trust_env=False
        )
        assert spoiled.status_code == 403

    assert place.inbox() == [("alice", f"wm{n:04}", 1) for n in range(40)]


def test_a_second_daemon_on_one_sqlite_file_is_refused_and_the_first_goes_on(place: Place) -> None:
    place.daemon.start()

    second = sopd(place, "run")

    assert second.returncode == 1
    assert f"process {place.daemon.pid} already runs sopd on" in second.stderr
    assert httpx.get(f"{place.url}/readyz", trust_env=False).status_code == 200


def test_a_newer_schema_is_refused_and_left_alone(place: Place) -> None:
    assert sopd(place, "db", "migrate").returncode == 0
    store = Store.open(place.database)
    with store.transaction() as tx:
        tx.run("insert into schema_migration (number, name, applied_at) values (9999, 'future', 0)")
    store.close()

    refused = sopd(place, "run")

    assert refused.returncode == 1
    assert "schema 9999" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_taken_port_is_one_clear_error(place: Place) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", place.port))
        taken.listen()

        refused = sopd(place, "run")

    assert refused.returncode == 1
    assert f"cannot listen on 127.0.0.1:{place.port}" in refused.stderr


def test_it_stops_within_seconds_of_sigterm_with_exit_code_0(place: Place) -> None:
    place.daemon.start()
    begun = time.monotonic()

    assert place.daemon.stop() == 0
    assert time.monotonic() - begun < 15


def test_systemd_hears_ready_watchdog_and_stopping(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with managing(tmp_path, monkeypatch) as systemd:
        place.daemon.start()
        systemd.hear(2)
        place.daemon.stop()
        systemd.hear_stopping()

    assert systemd.heard[0].startswith("READY=1\nSTATUS=")
    assert set(systemd.heard[1:-1]) == {"WATCHDOG=1"}
