"""Checks of `sopd doctor` that talk to WeCom and to the daemon: token, permission, members, clock, ticks, URL check."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import httpx

from machines.calendar import MINUTE_MS, SECOND_MS
from sopd.cli.desk import Desk
from sopd.cli.diagnosis import Finding, voice
from sopd.cli.words import Words
from sopd.errors import ConfigError
from sopd.store.errors import StoreError

if TYPE_CHECKING:
    from sopd.config import Settings
    from sopd.crypto import CallbackCrypto

SECONDS = 5.0
MOST_SKEW_MS = 5_000
SILENT_MS = MINUTE_MS
_LAST_TICK = re.compile(r'^sopd_last_progress_timestamp_seconds\{part="tick"\} (\S+)$', re.MULTILINE)


def reach(desk: Desk) -> Iterator[Finding]:
    """Settings complete, a token to be had, customer contact allowed, members in scope.

    Goes through the app, and so respects the back-off windows that all processes share.
    """
    from sopd.wecom.errors import WeComFailure

    say = voice(desk).say
    missing = list(_empty(desk, desk.settings))
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
        what = say("{base} gives a token and {members} members with customer contact", base=base, members=len(members))
        yield Finding("wecom", "ok", what)
    else:
        yield Finding(
            "wecom", "wrong", say("the app sees no member with customer contact"),
            say("in WeCom's console: widen the app's visible scope, and allow members under 客户联系 > 权限配置"),
        )  # fmt: skip


def _empty(desk: Desk, settings: Settings) -> Iterator[Finding]:
    try:
        settings.require_wecom()
    except ConfigError as error:
        for fault in error.faults:
            key, _, fix = fault.partition(": ")
            yield Finding("wecom", "wrong", voice(desk).say("{setting} is empty", setting=key), fix)


def clock(desk: Desk) -> Iterator[Finding]:
    """WeCom's clock, by the Date of any of its answers, held against the database's, which decides when steps fall due.

    Says nothing if WeCom does not answer: `reach` does.
    """
    from sopd.store.queries import views_health

    words, base = voice(desk), desk.settings.wecom.api_base
    try:
        with desk.reading() as tx:
            before = views_health.database_time(tx)
        dated = _date_of(base, desk.settings.wecom.is_local)
        with desk.reading() as tx:
            after = views_health.database_time(tx)
    except (httpx.HTTPError, StoreError):
        return
    if dated is None:
        return
    span = words.span(max(before - dated, dated - after))
    fix = words.say("let the machine of the database follow a time server; steps come early or late by as much")
    if before - dated - SECOND_MS > MOST_SKEW_MS:  # a Date says whole seconds, cut off
        yield Finding("clock", "wrong", words.say("the database's clock is {span} ahead of WeCom's", span=span), fix)
    elif dated - after > MOST_SKEW_MS:
        yield Finding("clock", "wrong", words.say("the database's clock is {span} behind WeCom's", span=span), fix)


def _date_of(base: str, is_local: bool) -> int | None:
    """When WeCom says that it answered, None if it does not say. Uses no token and counts towards no limit."""
    said = httpx.get(f"{base}/", timeout=SECONDS, trust_env=not is_local).headers.get("date", "")
    try:
        return round(parsedate_to_datetime(said).timestamp() * SECOND_MS)
    except ValueError:
        return None


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
    words, web = voice(desk), desk.settings.web
    host = f"[{web.host}]" if ":" in web.host else web.host
    if web.port:
        yield from _daemon(words, f"http://{_reachable(host)}:{web.port}", crypto, CALLBACK_PATH)
    if url is not None:
        yield _check(words, url, crypto, "callback URL")


def _reachable(host: str) -> str:
    """An address to call: a daemon that listens on every address listens on loopback too."""
    return {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}.get(host, host)


def _daemon(words: Words, base: str, crypto: CallbackCrypto, path: str) -> Iterator[Finding]:
    say = words.say
    try:
        ready = httpx.get(f"{base}/readyz", timeout=SECONDS, trust_env=False)
    except httpx.HTTPError:
        what, fix = say("no daemon answers on {base}", base=base), say("start it: `sopd run`, or systemctl start sopd")
        yield Finding("daemon", "note", what, fix)
        return
    if ready.status_code == 200:
        yield Finding("daemon", "ok", say("ready on {base}", base=base))
    else:
        reason = ready.text.strip()[:200]
        yield Finding("daemon", "wrong", say("not ready: {reason}", reason=reason), say("see its log"))
    yield from _ticking(words, base)
    yield _check(words, f"{base}{path}", crypto, "callback")


def _ticking(words: Words, base: str) -> Iterator[Finding]:
    """A ticker that hangs does not fail its ticks, so it thinks itself ready; its last tick tells."""
    try:
        shown = httpx.get(f"{base}/metrics", timeout=SECONDS, trust_env=False).text
    except httpx.HTTPError:
        return  # the process answers /readyz and not this: the next call tells better
    found = _LAST_TICK.search(shown)
    silent_ms = round((time.time() - float(found[1])) * SECOND_MS) if found else 0
    if silent_ms > SILENT_MS:
        yield Finding(
            "daemon", "wrong",
            words.say("the daemon on {base} has not ticked for {age}", base=base, age=words.span(silent_ms)),
            words.say("it hangs: start it again, and keep its log for whoever looks for the cause"),
        )  # fmt: skip


def _check(words: Words, url: str, crypto: CallbackCrypto, name: str) -> Finding:
    """The URL check as WeCom makes it: an encrypted word that must come back in clear (WeCom 2.1)."""
    say, word = words.say, os.urandom(8).hex()
    try:
        answer = httpx.get(url, params=echo_query(crypto, word), timeout=SECONDS, trust_env=False)
    except httpx.HTTPError as error:
        what = say("{url} does not answer: {error}", url=url, error=error)
        return Finding(name, "wrong", what, say("check the address, the proxy and the firewall"))
    if answer.status_code == 200 and answer.text == word:
        return Finding(name, "ok", say("{url} passes the URL check", url=url))
    what = say("{url} answers {status} instead of the echo", url=url, status=answer.status_code)
    fix = say("the daemon there must have the same token, encoding_aes_key and corp_id, and answer the bare path")
    return Finding(name, "wrong", what, fix)


def echo_query(crypto: CallbackCrypto, word: str) -> dict[str, str]:
    """The query of a URL check that asks for `word`."""
    timestamp, nonce = str(int(time.time())), os.urandom(8).hex()
    echo = crypto.encrypt(word.encode(), os.urandom(16))
    signature = crypto.sign(timestamp, nonce, echo)
    return {"msg_signature": signature, "timestamp": timestamp, "nonce": nonce, "echostr": echo}
