"""The calls about staff, files and addresses (WeCom 2.5, 5.6, 5.7, 14.1).

Members are told by message/send; what exceeds 30 a minute or 1,000 an hour per member vanishes silently.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from email.parser import BytesParser
from email.policy import HTTP
from itertools import takewhile
from typing import Any

from machines.calendar import HOUR_MS, MINUTE_MS, SECOND_MS, Instant
from sopd.sandbox import chance
from sopd.sandbox.asks import Ask, Call, Reply
from sopd.sandbox.cards import BUTTONS
from sopd.sandbox.records import Media, Member, StaffMessage
from sopd.sandbox.refusals import Refusal
from sopd.sandbox.world import World

_MOST_PER_MINUTE, _MOST_PER_HOUR = 30, 1_000
_MOST_ADDRESSEES = 1_000
_MOST_LINES = 6
#: How long the duplicate check looks back, seconds: unless asked otherwise, and at most.
_DUPLICATE_S, _MOST_DUPLICATE_S = 1_800, 4 * 3_600
_TASK_ID = re.compile(r"[A-Za-z0-9_@-]{1,128}")
#: Longest upload per kind, bytes (96484 of 2024-07-22).
_LONGEST_FILE = {"image": 10 << 20, "voice": 2 << 20, "video": 10 << 20, "file": 20 << 20}
_SHORTEST_FILE = 5

#: Text fields of app messages: msgtype -> name -> longest in characters.
_MESSAGES: Mapping[str, Mapping[str, int]] = {
    "text": {"content": 1 << 20},  # longer than 2,048 B is cut, not refused
    "textcard": {"title": 128, "description": 512, "url": 2048},
    "markdown": {"content": 2048},
    "template_card": {},
}


def message_send(world: World, ask: Ask) -> Reply:
    """An app message to members; wrong ids come back lower-cased, none right is 81013."""
    if ask.number("agentid") != world.config.agent_id:
        raise Refusal(301002, "no privilege for this agentid")
    body = _message(ask)
    asked = _addressees(world, ask.text("touser"))
    reached = {userid: world.find_member(userid) for userid in asked}
    good = [member for member in reached.values() if member is not None and member.is_visible]
    bad = [userid for userid, member in reached.items() if member not in good]
    if not good:
        raise Refusal(81013, "user & party & tag all invalid")
    reply: Reply = {"invaliduser": "|".join(bad).lower(), "invalidparty": "", "invalidtag": ""}
    if (msgid := _sent_before(world, ask, good, body)) is not None:
        return {"msgid": msgid, **reply}
    reached_now = [member for member in good if _has_room(world, member, ask.now)]
    card = body.get("template_card")
    if card is not None and card["card_type"] == BUTTONS:
        reply["response_code"] = world.hand_card(card, [member.userid for member in reached_now], now=ask.now)
    msgid = f"app{chance.name(world.seed, 'app message', world.ordinal('app message'), size=10)}"
    for member in reached_now:
        world.staff_messages.append(StaffMessage(msgid, member.userid, ask.now, body))
    return {"msgid": msgid, **reply}


def update_template_card(world: World, ask: Ask) -> Reply:
    """Change a card by a code that works once: buttons into a text, or the whole card (WeCom 5.7)."""
    if ask.number("agentid") != world.config.agent_id:
        raise Refusal(301002, "no privilege for this agentid")
    button, card = ask.fields.get("button"), ask.fields.get("template_card")
    replaced = button.get("replace_name") if isinstance(button, dict) else None
    if (replaced is None) == (card is None):
        raise Refusal(40058, "missing button.replace_name or template_card")
    if card is not None:
        _check_card(card)
    members = ask.ids("userids", most=_MOST_ADDRESSEES)
    world.change_card(ask.text("response_code"), members, replaced=replaced, shown=card, now=ask.now)
    return {"invaliduser": []}


def user_get(world: World, ask: Ask) -> Reply:
    """One member, as an app made after 2022-06-20 sees him; ids compare without case (WeCom 14.1, 14.2)."""
    member = world.find_member(ask.text("userid"))
    if member is None:
        raise Refusal(60111, "userid not found")
    if not member.in_scope:
        raise Refusal(60011, "no privilege to access the user")
    leaders = [member.leader] if member.leader is not None and world.member(member.leader).in_scope else []
    shown: Reply = {"userid": member.userid, "name": member.name, "position": "", "alias": "", "telephone": ""}
    shown |= {"department": [member.department], "order": [0], "is_leader_in_dept": [0], "direct_leader": leaders}
    shown |= {"gender": "0", "main_department": member.department, "status": member.status}
    return {**shown, "extattr": {"attrs": []}}


def media_upload(world: World, ask: Ask) -> Reply:
    """Keep a file for three days; `created_at` is a string here (WeCom 5.6)."""
    kind = ask.query.get("type", "")
    if kind not in _LONGEST_FILE:
        raise Refusal(40004, "invalid media type")
    data = _uploaded(ask)
    if len(data) <= _SHORTEST_FILE:
        raise Refusal(40006, "invalid media size")
    if len(data) > _LONGEST_FILE[kind]:
        raise Refusal(45001, "media size out of limit")
    sha256 = hashlib.sha256(data).hexdigest()
    media_id = f"MEDIA{chance.name(world.seed, 'media', sha256, world.ordinal('media', sha256), size=12)}"
    world.media[media_id] = Media(media_id, kind, len(data), sha256, ask.now)
    return {"type": kind, "media_id": media_id, "created_at": str(ask.now // 1000)}


def getcallbackip(world: World, ask: Ask) -> Reply:
    """Addresses callbacks come from: loopback, plain and with a star as the vendor mixes them."""
    return {"ip_list": ["127.0.0.1", "127.0.0.*"]}


def _message(ask: Ask) -> dict[str, Any]:
    kind = ask.text("msgtype")
    body = ask.fields.get(kind)
    if kind not in _MESSAGES or not isinstance(body, dict):
        raise Refusal(40008, "invalid message type")
    for name, longest in _MESSAGES[kind].items():
        value = body.get(name)
        if not isinstance(value, str) or not value:
            raise Refusal(40058, f"missing {kind}.{name}")
        if len(value) > longest:
            raise Refusal(45002, f"{kind}.{name} size out of limit")
    if kind == "template_card":
        _check_card(body)
    return {"msgtype": kind, kind: body}


def _check_card(card: Any) -> None:
    """What a card with buttons must have (WeCom 5.7)."""
    if not isinstance(card, dict) or not isinstance(card.get("card_type"), str):
        raise Refusal(40058, "missing template_card.card_type")
    if not _TASK_ID.fullmatch(str(card.get("task_id", ""))):
        raise Refusal(42014, "invalid task_id")
    if card["card_type"] != BUTTONS:
        return
    buttons, lines = card.get("button_list"), card.get("horizontal_content_list", [])
    if not isinstance(buttons, list) or not 1 <= len(buttons) <= _MOST_LINES or len(lines) > _MOST_LINES:
        raise Refusal(40035, f"a card has 1 to {_MOST_LINES} buttons and at most {_MOST_LINES} lines")
    if not all(isinstance(one, dict) and one.get("text") and one.get("key") for one in buttons):
        raise Refusal(42017, "a button needs a text and a key")


def _sent_before(world: World, ask: Ask, members: list[Member], body: dict[str, Any]) -> str | None:
    """The message that the duplicate check finds: the very same one to these members, within the interval."""
    if ask.number("enable_duplicate_check", 0) != 1:
        return None
    interval = min(ask.number("duplicate_check_interval", _DUPLICATE_S), _MOST_DUPLICATE_S) * SECOND_MS
    wanted = {member.userid for member in members}
    recent = takewhile(lambda message: ask.now - message.at < interval, reversed(world.staff_messages))
    return next((one.msgid for one in recent if one.member in wanted and one.body == body), None)


def _addressees(world: World, touser: str) -> list[str]:
    if touser == "@all":
        return list(world.members)
    found = list(dict.fromkeys(userid for userid in touser.split("|") if userid))
    if len(found) > _MOST_ADDRESSEES:
        raise Refusal(40032, "invalid touser size")
    return found


def _has_room(world: World, member: Member, now: Instant) -> bool:
    """Whether the app may still reach this member in this minute and hour (WeCom 1.3)."""
    recent = takewhile(lambda message: now - message.at < HOUR_MS, reversed(world.staff_messages))
    ages = [now - message.at for message in recent if message.member == member.userid]
    return sum(age < MINUTE_MS for age in ages) < _MOST_PER_MINUTE and len(ages) < _MOST_PER_HOUR


def _uploaded(ask: Ask) -> bytes:
    """The multipart part named `media`, which must carry a file name."""
    head = f"Content-Type: {ask.content_type}\r\n\r\n".encode()
    message = BytesParser(policy=HTTP).parsebytes(head + ask.body)
    for part in message.iter_parts() if message.is_multipart() else ():
        if part.get_param("name", header="content-disposition") == "media" and part.get_filename():
            content = part.get_payload(decode=True)
            return content if isinstance(content, bytes) else b""
    raise Refusal(40035, "missing the multipart part media with a filename")


_NO_USER: Mapping[str, Any] = {"department": [], "order": [], "is_leader_in_dept": [], "direct_leader": []}
CALLS: Mapping[str, Call] = {
    "/cgi-bin/message/send": Call(message_send),
    "/cgi-bin/message/update_template_card": Call(update_template_card, {"invaliduser": []}),
    "/cgi-bin/user/get": Call(user_get, _NO_USER),
    "/cgi-bin/media/upload": Call(media_upload),
    "/cgi-bin/getcallbackip": Call(getcallbackip, {"ip_list": []}),
}
