"""A decrypted callback as a value (WeCom 3). The callback door parses with it and stores; it decides nothing.

Every event is accepted, known or not, with all its fields in `raw`: order is not guaranteed and WeCom adds fields, so
an event only says "something changed here" and intake re-reads. The bytes are identified by their own hash, because
CreateTime has whole seconds and distinct events would collide (WeCom 2.5).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from xml.etree.ElementTree import Element

from machines.calendar import SECOND_MS, Instant
from sopd.crypto import BadEnvelope, parse_xml

_DEEPEST = 16  # WeCom nests three levels; an endless nest must not end in a recursion error


@dataclass(frozen=True, slots=True)
class CallbackEvent:
    """One event. Fields WeCom did not send are ''. `raw` holds all of them, nested ones as dicts and lists."""

    event: str  # change_external_contact, change_external_tag, ...; '' for a push that is no event
    change_type: str
    user_id: str  # the member: UserID, else FromUserName unless that is the system
    external_user_id: str
    created_at: Instant | None  # None if WeCom named no usable time
    state: str
    welcome_code: str = field(repr=False)
    source: str
    fail_reason: str
    tag_id: str  # `Id` of change_external_tag: a tag or a tag group, see tag_type
    tag_type: str
    chat_id: str
    raw: Mapping[str, Any] = field(repr=False, hash=False)
    fingerprint: str  # SHA-256 of the decrypted bytes; a repeated push has the same


def parse(plaintext: bytes) -> CallbackEvent:
    """The event in decrypted bytes, XML or (data-zone notices, told by the first byte) JSON. Raises BadEnvelope."""
    raw = _from_json(plaintext) if plaintext.lstrip()[:1] == b"{" else _from_xml(plaintext)
    # Spellings differ between pages (NewUserID, NewUserId), so names are found without regard to case.
    known = {name.casefold(): value for name, value in raw.items() if isinstance(value, str | int)}

    def get(name: str) -> str:
        return str(known.get(name.casefold(), ""))

    event = get("Event") or get("event_type")
    sender = get("FromUserName")
    return CallbackEvent(
        event=event,
        change_type=get("ChangeType"),
        user_id=get("UserID") or ("" if sender == "sys" else sender),
        external_user_id=get("ExternalUserID"),
        created_at=_instant(get("CreateTime") or get("timestamp")),
        state=get("State"),
        welcome_code=get("WelcomeCode"),
        source=get("Source"),
        fail_reason=get("FailReason"),
        tag_id=get("Id") if event == "change_external_tag" else "",
        tag_type=get("TagType"),
        chat_id=get("ChatId"),
        raw=raw,
        fingerprint=hashlib.sha256(plaintext).hexdigest(),
    )


def _from_xml(plaintext: bytes) -> dict[str, Any]:
    content = _content(parse_xml(plaintext), _DEEPEST)
    if not isinstance(content, dict):
        raise BadEnvelope("the decrypted XML has no fields")
    return content


def _content(element: Element, levels: int) -> Any:
    """Text of a leaf; a dict of its children otherwise, where a repeated child becomes a list."""
    if len(element) == 0:
        return (element.text or "").strip()
    if levels == 0:
        raise BadEnvelope(f"the decrypted XML is nested deeper than {_DEEPEST} levels")
    found: dict[str, Any] = {}
    for child in element:
        value = _content(child, levels - 1)
        if child.tag not in found:
            found[child.tag] = value
        elif isinstance(found[child.tag], list):
            found[child.tag].append(value)
        else:
            found[child.tag] = [found[child.tag], value]
    return found


def _from_json(plaintext: bytes) -> dict[str, Any]:
    try:
        found = json.loads(plaintext)
    except (ValueError, RecursionError):
        raise BadEnvelope("the decrypted JSON cannot be read") from None
    if not isinstance(found, dict):
        raise BadEnvelope("the decrypted JSON is not an object")
    return found


def _instant(seconds: str) -> Instant | None:
    return int(seconds) * SECOND_MS if seconds.isascii() and seconds.isdigit() and len(seconds) <= 12 else None
