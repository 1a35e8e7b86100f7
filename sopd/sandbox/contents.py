"""Reads and checks what a mass send or welcome shall say: lengths in bytes, fields of attachments, media ids.

Limits: WeCom 5.1 and 5.4 (92135 of 2025-11-17). Used by `api_sends`; raises Refusal, changes nothing.
"""

from __future__ import annotations

from typing import Any

from sopd.sandbox.asks import Ask
from sopd.sandbox.records import Content
from sopd.sandbox.refusals import Refusal
from sopd.sandbox.world import World

_LONGEST_TEXT_BYTES = 4_000
_MOST_ATTACHMENTS = 9

#: Text fields of an attachment: name -> (required, longest in bytes).
_TEXTS: dict[str, dict[str, tuple[bool, int]]] = {
    "image": {},
    "link": {"title": (True, 128), "url": (True, 2048), "picurl": (False, 2048), "desc": (False, 512)},
    "miniprogram": {"title": (True, 64), "appid": (True, 64), "page": (True, 2048)},
    "video": {},
    "file": {},
}
#: The field that names an uploaded file; image may give pic_url instead.
_MEDIA = {"image": "media_id", "miniprogram": "pic_media_id", "video": "media_id", "file": "media_id"}
#: The kinds media/upload must have given the file.
_MEDIA_KIND = {"image": "image", "miniprogram": "image", "video": "video", "file": "file"}


def read_content(world: World, ask: Ask) -> Content:
    """The content of a request; 40063 if there is neither text nor attachment."""
    text = _text(ask.fields.get("text"))
    attachments = ask.fields.get("attachments", [])
    if not isinstance(attachments, list):
        raise Refusal(40035, "invalid attachments")
    if not text and not attachments:
        raise Refusal(40063, "text and attachments are both empty")
    if len(attachments) > _MOST_ATTACHMENTS:
        raise Refusal(41064, "too many attachments")
    for attachment in attachments:
        _check_attachment(world, ask, attachment)
    return Content(text, tuple(attachments))


def shown_attachments(content: Content) -> list[dict[str, Any]]:
    """Attachments as get_groupmsg_list_v2 shows them: without pic_media_id (WeCom 5.1)."""
    return [
        {key: _without(value, "pic_media_id") if isinstance(value, dict) else value for key, value in one.items()}
        for one in content.attachments
    ]


def _text(field: Any) -> str:
    if field is None:
        return ""
    text = field.get("content", "") if isinstance(field, dict) else None
    if not isinstance(text, str):
        raise Refusal(40035, "invalid text.content")
    if len(text.encode()) > _LONGEST_TEXT_BYTES:
        raise Refusal(45002, "content size out of limit")
    return text


def _check_attachment(world: World, ask: Ask, attachment: Any) -> None:
    kind = attachment.get("msgtype") if isinstance(attachment, dict) else None
    if kind not in _TEXTS:
        raise Refusal(41065, "invalid attachments msgtype")
    fields = attachment.get(kind)
    if not isinstance(fields, dict):
        raise Refusal(40035, f"missing {kind} of the attachment")
    for name, (is_required, longest) in _TEXTS[kind].items():
        _check_text(f"{kind}.{name}", fields.get(name), is_required, longest)
    if kind in _MEDIA:
        _check_media(world, ask, kind, fields)


def _check_text(where: str, value: Any, is_required: bool, longest: int) -> None:
    if value is None or value == "":
        if is_required:
            raise Refusal(40058, f"missing {where}")
        return
    if not isinstance(value, str):
        raise Refusal(40035, f"invalid {where}")
    if len(value.encode()) > longest:
        raise Refusal(45002, f"{where} size out of limit")


def _check_media(world: World, ask: Ask, kind: str, fields: dict[str, Any]) -> None:
    """The media id must be known, of the right kind and younger than three days (40007)."""
    media_id = fields.get(_MEDIA[kind])
    if not media_id and kind == "image" and fields.get("pic_url"):
        return
    media = world.media.get(media_id) if isinstance(media_id, str) else None
    is_live = media is not None and ask.now - media.created_at < world.config.media_life_ms
    if media is None or not is_live or media.kind != _MEDIA_KIND[kind]:
        raise Refusal(40007, "invalid media_id")


def _without(fields: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if key != name}
