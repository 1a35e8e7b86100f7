"""What a step says: text and attachments, with WeCom's limits in bytes or characters per channel (SPEC 6, WeCom 5.1).

Shapes only: files are named here and uploaded elsewhere. `CHANNELS` is the one table of what a channel takes; the
checks of `machines.sop.checks` and the not-yet list read it. WeCom's figures as documented on 2025-11-17.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, Discriminator, Field, model_validator
from pydantic import Tag as Kind

from machines.rules.scalars import Block, Text, refuse, shown

ChannelName = Literal["welcome", "mass_send", "remind", "call", "moment", "group_send", "webhook"]
MOST_ATTACHMENTS = 9
URL = re.compile(r"https?://[^\s/]+\S*")
VARIABLE = re.compile(r"\{\{\s*([^{}]*?)\s*\}\}")


@dataclass(frozen=True, slots=True)
class Channel:
    """What one channel takes: most bytes and characters of text (None: no limit), kinds of attachments, and so on.

    `takes_quota`: WeCom counts it against what a customer or group may receive. `variables`: `{{name}}` is filled in
    per customer. `assigned`: a member of the definition's choice acts. `must_speak`: text alone is required.
    """

    bytes: int | None
    characters: int | None = None
    attachments: tuple[str, ...] = ("image", "link", "miniprogram", "video", "file")
    takes_quota: bool = False
    variables: bool = False
    assigned: bool = False
    must_speak: bool = False


CHANNELS: dict[ChannelName, Channel] = {
    "welcome": Channel(4_000),
    "mass_send": Channel(4_000, takes_quota=True),
    "remind": Channel(2_048, variables=True, assigned=True, must_speak=True),
    "call": Channel(2_048, attachments=(), variables=True, assigned=True, must_speak=True),
    "moment": Channel(4_000, 2_000, attachments=("image", "video", "link")),
    "group_send": Channel(4_000, takes_quota=True),
    "webhook": Channel(None, attachments=(), variables=True),
}


def at_most_bytes(limit: int) -> Callable[[str], str]:
    """A validator for texts that WeCom limits in bytes of UTF-8; a Chinese character has three."""

    def check(value: str) -> str:
        size = len(value.encode())
        if size > limit:
            raise refuse(f"has {size} bytes; at most {limit} are allowed (a Chinese character counts three)")
        return value

    return check


def _spoken(value: str) -> str:
    if not value.strip():
        raise refuse("must not be empty")
    return value


def _is_url(value: str) -> str:
    if not URL.fullmatch(value):
        raise refuse(f"{shown(value)} is not a web address; it begins with https:// or http:// and has no blanks")
    return value


def _is_path(value: str) -> str:
    if not value.strip() or "\0" in value:
        raise refuse("names no file; write its path, relative to the definition")
    if URL.match(value):
        raise refuse(f"{shown(value)} is a web address; name a file, relative to the definition")
    return value


def _ends_in(*suffixes: str) -> Callable[[str], str]:
    def check(value: str) -> str:
        if not value.lower().endswith(suffixes):
            raise refuse(f"{shown(value)} is of no kind that WeCom takes; allowed are {', '.join(suffixes)}")
        return value

    return check


Url = Annotated[Text, AfterValidator(_is_url), AfterValidator(at_most_bytes(2_048))]
FilePath = Annotated[Text, Field(max_length=500), AfterValidator(_is_path)]
PicturePath = Annotated[FilePath, AfterValidator(_ends_in(".jpg", ".jpeg", ".png"))]
VideoPath = Annotated[FilePath, AfterValidator(_ends_in(".mp4"))]


class Picture(Block):
    """A picture by file (uploaded when needed) or by address; for an image of its own WeCom takes only an address
    that its own `uploadimg` gave."""

    file: PicturePath | None = None
    url: Url | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Picture:
        if (self.file is None) == (self.url is None):
            raise refuse("needs exactly one of `file` and `url`")
        return self


def _to_picture(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return {"url": value} if URL.match(value) else {"file": value}


PictureField = Annotated[Picture, BeforeValidator(_to_picture, Text | Picture)]


class ImageAttachment(Block):
    """A picture."""

    image: PictureField


class Link(Block):
    title: Annotated[Text, AfterValidator(_spoken), AfterValidator(at_most_bytes(128))]
    url: Url
    desc: Annotated[Text, AfterValidator(at_most_bytes(512))] | None = None
    picture: PictureField | None = None


class LinkAttachment(Block):
    """A card that opens a web page."""

    link: Link


class Miniprogram(Block):
    title: Annotated[Text, AfterValidator(_spoken), AfterValidator(at_most_bytes(64))]
    appid: Annotated[Text, Field(min_length=1, max_length=64)]
    page: Annotated[Text, Field(min_length=1, max_length=1024)]
    cover: PicturePath


class MiniprogramAttachment(Block):
    """A card that opens a mini program linked to the company."""

    miniprogram: Miniprogram


class VideoAttachment(Block):
    """An MP4 file of at most 10 MB."""

    video: VideoPath


class FileAttachment(Block):
    """A file of at most 20 MB."""

    file: FilePath


ATTACHMENTS: dict[str, type[Block]] = {
    "image": ImageAttachment, "link": LinkAttachment, "miniprogram": MiniprogramAttachment, "video": VideoAttachment,
    "file": FileAttachment,
}


def _kind(value: Any) -> str | None:
    if isinstance(value, BaseModel):
        return f"<{type(value).__name__}>"
    keys = list(value) if isinstance(value, dict) else []
    block = ATTACHMENTS.get(str(keys[0])) if len(keys) == 1 else None
    return None if block is None else f"<{block.__name__}>"


Attachment = Annotated[
    Annotated[ImageAttachment, Kind("<ImageAttachment>")]
    | Annotated[LinkAttachment, Kind("<LinkAttachment>")]
    | Annotated[MiniprogramAttachment, Kind("<MiniprogramAttachment>")]
    | Annotated[VideoAttachment, Kind("<VideoAttachment>")]
    | Annotated[FileAttachment, Kind("<FileAttachment>")],
    Discriminator(_kind, custom_error_type="not_an_attachment", custom_error_message="is not an attachment"),
]


def kind_of(attachment: Attachment) -> str:
    """`image`, `link`, `miniprogram`, `video` or `file`: the one key it has in a file."""
    return next(iter(type(attachment).model_fields))


def files_of(attachment: Attachment) -> Iterator[str]:
    """The files an attachment needs uploaded, as written in the definition."""
    match attachment:
        case ImageAttachment(image=picture) if picture.file:
            yield picture.file
        case LinkAttachment(link=link) if link.picture and link.picture.file:
            yield link.picture.file
        case MiniprogramAttachment(miniprogram=miniprogram):
            yield miniprogram.cover
        case VideoAttachment(video=path) | FileAttachment(file=path):
            yield path


def link_lines(attachments: Iterable[Attachment]) -> tuple[str, ...]:
    """Links and pictures with an address as lines of text: so they go with a reminder to a member (SPEC 6)."""
    lines = []
    for one in attachments:
        if isinstance(one, LinkAttachment):
            lines.append(f"{one.link.title}: {one.link.url}")
        elif isinstance(one, ImageAttachment) and one.image.url is not None:
            lines.append(one.image.url)
    return tuple(lines)


def variables_in(text: str) -> tuple[str, ...]:
    """The names between `{{` and `}}`, in order."""
    return tuple(VARIABLE.findall(text))
