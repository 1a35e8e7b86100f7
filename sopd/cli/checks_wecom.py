"""Checks of `sopd doctor` that talk to WeCom and to the callback: token, permission, members, URL check."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import httpx

from sopd.cli.checks import Finding
from sopd.cli.desk import Desk
from sopd.errors import ConfigError

if TYPE_CHECKING:
    from sopd.config import Settings
    from sopd.crypto import CallbackCrypto

SECONDS = 5.0


def reach(desk: Desk) -> Iterator[Finding]:
    """Settings complete, a token to be had, customer contact allowed, members in scope.

    Goes through the app, and so respects the back-off windows that all processes share.
    """
    from sopd.wecom.errors import WeComFailure

    missing = list(_empty(desk.settings))
    yield from missing
    if missing:
        return
    try:
        members = desk.app.wecom.follow_users()
    except WeComFailure as error:
        yield Finding("wecom", "wrong", error.message, error.hint)
        return
    base = desk.settings.wecom.api_base
    if members:
        yield Finding("wecom", "ok", f"{base} gives a token and {len(members)} members with customer contact")
    else:
        yield Finding(
            "wecom", "wrong", "the app sees no member with customer contact",
            "in WeCom's console: widen the app's visible scope, and allow members under 客户联系 > 权限配置",
        )  # fmt: skip


def _empty(settings: Settings) -> Iterator[Finding]:
    try:
        settings.require_wecom()
    except ConfigError as error:
        for fault in error.faults:
            key, _, fix = fault.partition(": ")
            yield Finding("wecom", "wrong", f"{key} is empty", fix)


def callback(desk: Desk, url: str | None) -> Iterator[Finding]:
    """The callback answers the URL check with our keys: on this machine, and at `url` if one is given."""
    from sopd.crypto import CallbackCrypto
    from sopd.web.app import CALLBACK_PATH

    chosen = desk.settings.wecom
    if not (chosen.token and chosen.encoding_aes_key and chosen.corp_id):
        return
    try:
        crypto = CallbackCrypto(chosen.token, chosen.encoding_aes_key, chosen.corp_id)
    except ConfigError as error:
        yield Finding("callback", "wrong", error.message, error.hint)
        return
    web = desk.settings.web
    host = f"[{web.host}]" if ":" in web.host else web.host
    if web.port:
        yield from _daemon(f"http://{_reachable(host)}:{web.port}", crypto, CALLBACK_PATH)
    if url is not None:
        yield _check(url, crypto, "callback URL")


def _reachable(host: str) -> str:
    """An address to call: a daemon that listens on every address listens on loopback too."""
    return {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}.get(host, host)


def _daemon(base: str, crypto: CallbackCrypto, path: str) -> Iterator[Finding]:
    try:
        ready = httpx.get(f"{base}/readyz", timeout=SECONDS, trust_env=False)
    except httpx.HTTPError:
        yield Finding("daemon", "note", f"no daemon answers on {base}", "start it: `sopd run`, or systemctl start sopd")
        return
    if ready.status_code == 200:
        yield Finding("daemon", "ok", f"ready on {base}")
    else:
        yield Finding("daemon", "wrong", f"not ready: {ready.text.strip()[:200]}", "see its log")
    yield _check(f"{base}{path}", crypto, "callback")


def _check(url: str, crypto: CallbackCrypto, name: str) -> Finding:
    """The URL check as WeCom makes it: an encrypted word that must come back in clear (WeCom 2.1)."""
    word = os.urandom(8).hex()
    try:
        answer = httpx.get(url, params=echo_query(crypto, word), timeout=SECONDS, trust_env=False)
    except httpx.HTTPError as error:
        what = f"{url} does not answer: {error}"
        return Finding(name, "wrong", what, "check the address, the proxy and the firewall")
    if answer.status_code == 200 and answer.text == word:
        return Finding(name, "ok", f"{url} passes the URL check")
    fix = "the daemon there must have the same token, encoding_aes_key and corp_id, and answer the bare path"
    return Finding(name, "wrong", f"{url} answers {answer.status_code} instead of the echo", fix)


def echo_query(crypto: CallbackCrypto, word: str) -> dict[str, str]:
    """The query of a URL check that asks for `word`."""
    timestamp, nonce = str(int(time.time())), os.urandom(8).hex()
    echo = crypto.encrypt(word.encode(), os.urandom(16))
    signature = crypto.sign(timestamp, nonce, echo)
    return {"msg_signature": signature, "timestamp": timestamp, "nonce": nonce, "echostr": echo}
