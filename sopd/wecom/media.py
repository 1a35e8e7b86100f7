"""Uploaded files: what WeCom takes (WeCom 5.6), and when an upload is no longer to be relied on. Only values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from machines.calendar import HOUR_MS, Instant
from sopd.wecom import fields
from sopd.wecom.errors import ContentTooLong, InvalidContent
from sopd.wecom.fields import Row

Kind = Literal["image", "voice", "video", "file"]

_MB = 1024 * 1024
#: Images may have 10 MB by one page and 5 MB by the text of error 45001; the smaller holds (WeCom 10).
MAX_BYTES: dict[Kind, int] = {"image": 5 * _MB, "voice": 2 * _MB, "video": 10 * _MB, "file": 20 * _MB}
_MIN_BYTES = 5
#: WeCom keeps media for 3 days; ours count as expired a little before.
LIFE_MS = 70 * HOUR_MS


@dataclass(frozen=True, slots=True)
class Media:
    """An uploaded file; it counts as expired from `expires_at` on."""

    media_id: str
    expires_at: Instant


def check_media(path: str, kind: Kind, data: bytes) -> None:
    """Raise InvalidContent or ContentTooLong if WeCom would refuse the file for its size."""
    if len(data) <= _MIN_BYTES:
        raise InvalidContent(path, f"the {kind} has {len(data)} bytes, more than {_MIN_BYTES} are needed")
    if len(data) > MAX_BYTES[kind]:
        raise ContentTooLong(path, f"the {kind}", len(data), MAX_BYTES[kind])


def read_media(reply: Row) -> Media:
    return Media(fields.identity(reply, "media_id"), fields.required_instant(reply, "created_at") + LIFE_MS)
