"""What a mass send or a welcome contains: text and attachments, WeCom's limits on them, and the content's identity.

Limits are those of WeCom 5.1 and 5.4 and are checked here, before anything is sent. `content_hash` is how a task is
recognised in WeCom's own list after a lost answer (D16).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

from sopd.wecom.errors import ContentTooLong, InvalidContent

TEXT_BYTES = 4000
ATTACHMENTS = 9
_URL_BYTES = 2048


@dataclass(frozen=True, slots=True)
class Image:
    """A picture by media id, or by the URL of a permanent image; the media id wins."""

    msgtype: ClassVar[str] = "image"
    limits: ClassVar[Mapping[str, int]] = {}
    required: ClassVar[tuple[tuple[str, ...], ...]] = (("media_id", "pic_url"),)
    media_id: str = ""
    pic_url: str = ""


@dataclass(frozen=True, slots=True)
class Link:
    """A web page with its card."""

    msgtype: ClassVar[str] = "link"
    limits: ClassVar[Mapping[str, int]] = {"title": 128, "url": _URL_BYTES, "picurl": _URL_BYTES, "desc": 512}
    required: ClassVar[tuple[tuple[str, ...], ...]] = (("title",), ("url",))
    title: str
    url: str
    picurl: str = ""
    desc: str = ""


@dataclass(frozen=True, slots=True)
class MiniProgram:
    """A page of a mini program linked to the enterprise."""

    msgtype: ClassVar[str] = "miniprogram"
    limits: ClassVar[Mapping[str, int]] = {"title": 64}
    required: ClassVar[tuple[tuple[str, ...], ...]] = (("title",), ("pic_media_id",), ("appid",), ("page",))
    title: str
    pic_media_id: str
    appid: str
    page: str


@dataclass(frozen=True, slots=True)
class Video:
    """An uploaded MP4."""

    msgtype: ClassVar[str] = "video"
    limits: ClassVar[Mapping[str, int]] = {}
    required: ClassVar[tuple[tuple[str, ...], ...]] = (("media_id",),)
    media_id: str


@dataclass(frozen=True, slots=True)
class File:
    """An uploaded file."""

    msgtype: ClassVar[str] = "file"
    limits: ClassVar[Mapping[str, int]] = {}
    required: ClassVar[tuple[tuple[str, ...], ...]] = (("media_id",),)
    media_id: str


Attachment = Image | Link | MiniProgram | Video | File


@dataclass(frozen=True, slots=True)
class MassSend:
    """A task for one member: `sender` always stands in it, so that it is known who must act (WeCom 5.1)."""

    sender: str
    recipients: tuple[str, ...]  # external user ids
    text: str = field(repr=False)
    attachments: tuple[Attachment, ...] = field(default=(), repr=False)


def wire(attachment: Attachment) -> dict[str, Any]:
    """The attachment as WeCom takes it; empty fields are left out."""
    names = [each.name for each in fields(attachment)]
    filled = {name: getattr(attachment, name) for name in names if getattr(attachment, name)}
    return {"msgtype": attachment.msgtype, attachment.msgtype: filled}


def message(text: str, attachments: Sequence[Attachment]) -> dict[str, Any]:
    """The `text` and `attachments` members of a request body; the one that is empty is left out."""
    body: dict[str, Any] = {"text": {"content": text}} if text else {}
    if attachments:
        body["attachments"] = [wire(attachment) for attachment in attachments]
    return body


def check_content(path: str, text: str, attachments: Sequence[Attachment]) -> None:
    """Raise InvalidContent or ContentTooLong, naming the field, if WeCom's `path` would refuse this content."""
    if not text.strip() and not attachments:
        raise InvalidContent(path, "text and attachments are both empty", "give it one of them")
    within(path, "text", text, TEXT_BYTES)
    if len(attachments) > ATTACHMENTS:
        raise ContentTooLong(path, "the list of attachments", len(attachments), ATTACHMENTS, "entries")
    for place, attachment in enumerate(attachments, start=1):
        _check_attachment(path, f"attachment {place} ({attachment.msgtype})", attachment)


def within(path: str, name: str, text: str, limit: int) -> None:
    """Raise ContentTooLong if the text has more than `limit` bytes of UTF-8, InvalidContent if it cannot be UTF-8."""
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise InvalidContent(path, f"{name} has a character that is none (half of a pair)", "remove it") from None
    if size > limit:
        raise ContentTooLong(path, name, size, limit)


def content_hash(text: str, attachments: Iterable[Attachment | Mapping[str, Any]] = ()) -> str:
    """Identity of a content, the same before sending and when read back with get_groupmsg_list_v2 (D14, D16).

    Attachments are ours or WeCom's wire form. Media ids and picture addresses are left out: they are renewed every
    three days and not all are echoed (WeCom 5.1). So two contents that differ only in a picture are one; that makes a
    look-up doubtful at worst, never a second send.
    """
    known = [_identity(item if isinstance(item, Mapping) else wire(item)) for item in attachments]
    plain = "\n".join(text.splitlines()).strip()
    canonical = json.dumps([plain, known], ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


_IDENTITY = {"link": ("title", "url", "desc"), "miniprogram": ("title", "appid", "page")}


def _identity(attachment: Mapping[str, Any]) -> list[Any]:
    kind = str(attachment.get("msgtype", ""))
    inner = attachment.get(kind)
    filled = inner if isinstance(inner, Mapping) else {}
    return [kind, *(str(filled.get(name) or "") for name in _IDENTITY.get(kind, ()))]


def _check_attachment(path: str, where: str, attachment: Attachment) -> None:
    for alternatives in attachment.required:
        if not any(getattr(attachment, name) for name in alternatives):
            raise InvalidContent(path, f"{where} has no {' or '.join(alternatives)}", "fill it in")
    for name, limit in attachment.limits.items():
        within(path, f"{where} {name}", getattr(attachment, name), limit)
