"""WeCom's HTTP door as a pure function: `Api(world).handle(request) -> Answer`.

Finds the endpoint, checks token and permissions, turns refusals into WeCom's envelope: HTTP 200 with errcode and a
hint, the endpoint's empty fields, 404 with an empty body for unknown paths (WeCom 1.2). Faults are not its business:
they are laid around it by `gateway`.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from machines.calendar import Instant
from sopd.sandbox import api_contacts, api_sends, api_staff, api_tags, chance
from sopd.sandbox.access import Access
from sopd.sandbox.asks import Ask, Call
from sopd.sandbox.refusals import Refusal
from sopd.sandbox.world import World

CALLS: dict[str, Call] = {**api_contacts.CALLS, **api_tags.CALLS, **api_sends.CALLS, **api_staff.CALLS}
TOKEN_PATH = "/cgi-bin/gettoken"

#: `\uXXXX` for a character that raw UTF-8 would carry: refused with 40033 (WeCom 1.2). Escaped control
#: characters are legal, JSON knows no other way to write them.
_ESCAPED = re.compile(rb"(?<!\\)(?:\\\\)*\\u(?!00[01])[0-9a-fA-F]{4}")
WRONG_JSON = "Warning: wrong json format."


@dataclass(frozen=True)
class Request:
    """One HTTP request; `path` begins with /cgi-bin/, `query` is decoded, the token is only looked for there."""

    method: str
    path: str
    query: Mapping[str, str]
    body: bytes = b""
    content_type: str = ""
    source_ip: str = "127.0.0.1"


@dataclass(frozen=True)
class Answer:
    """HTTP status and body; `fields` is the reply before it became JSON, empty for a 404 or 502."""

    status: int
    body: bytes = b""
    fields: Mapping[str, Any] = field(default_factory=dict)


def answer(fields: Mapping[str, Any]) -> Answer:
    """A reply of WeCom: always HTTP 200, raw UTF-8."""
    return Answer(200, json.dumps(fields, ensure_ascii=False).encode(), fields)


class Api:
    """The API of one world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.access = Access(world.seed, world.config)
        self._hints = itertools.count()

    def handle(self, request: Request, now: Instant) -> Answer:
        """Answer one request; the world is changed only when the answer's errcode is 0."""
        if request.path == TOKEN_PATH:
            return self._answer_token(request, now)
        call = CALLS.get(request.path)
        if call is None:
            return Answer(404)
        try:
            self.access.check(request.path, request.query.get("access_token", ""), request.source_ip, now)
            found = call.answer(self.world, _ask(request, now))
        except Refusal as refusal:
            return self.refuse(request, refusal)
        return answer({"errcode": 0, "errmsg": "ok", **found})

    def refuse(self, request: Request, refusal: Refusal) -> Answer:
        """The failed reply of this path: code, message with hint, and the path's empty fields."""
        hint = chance.between(10**18, 10**19 - 1, self.world.seed, "hint", next(self._hints))
        errmsg = (
            f"{refusal.message}, hint: [{hint}], from ip: {request.source_ip}, "
            f"more info at https://open.work.weixin.qq.com/devtool/query?e={refusal.errcode}"
        )
        call = CALLS.get(request.path)
        return answer({"errcode": refusal.errcode, "errmsg": errmsg, **(call.empty if call else {})})

    def half_parsed(self, request: Request) -> Answer:
        """errcode 0 with the warning of WeCom 1.2: nothing was done, nothing may be believed."""
        call = CALLS.get(request.path)
        return answer({"errcode": 0, "errmsg": f"ok. {WRONG_JSON}", **(call.empty if call else {})})

    def _answer_token(self, request: Request, now: Instant) -> Answer:
        query = request.query
        try:
            token, seconds = self.access.token(
                query.get("corpid", ""), query.get("corpsecret", ""), request.source_ip, now
            )
        except Refusal as refusal:
            return self.refuse(request, refusal)
        return answer({"errcode": 0, "errmsg": "ok", "access_token": token, "expires_in": seconds})


def _ask(request: Request, now: Instant) -> Ask:
    is_json = bool(request.body) and not request.content_type.startswith("multipart/")
    fields = _parse(request.body) if is_json else {}
    return Ask(request.query, fields, request.body, request.content_type, now)


def _parse(body: bytes) -> dict[str, Any]:
    if _ESCAPED.search(body):
        raise Refusal(40033, "invalid request, please send utf-8 instead of \\u escapes")
    try:
        fields = json.loads(body)
    except ValueError:
        raise Refusal(40035, f"invalid parameter. {WRONG_JSON}") from None
    if not isinstance(fields, dict):
        raise Refusal(40035, f"invalid parameter. {WRONG_JSON}")
    return fields
