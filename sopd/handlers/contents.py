"""A step's content as WeCom takes it: the words of a definition become the client's attachments.

Used where a task or a welcome is sent and where a task is looked for. It uploads nothing: attachments that need a file
are not run by this version (`machines.sop.not_run_yet`), so a step that has one cannot get here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

from machines.sop import ProgramStep
from machines.sop.content import Attachment, ImageAttachment, LinkAttachment, Picture
from sopd.errors import Refused
from sopd.wecom import content


@dataclass(frozen=True)
class Content:
    """What is said. `identity` is what WeCom's own list of tasks is searched for (D16)."""

    text: str = field(repr=False)
    attachments: tuple[content.Attachment, ...] = field(repr=False)
    identity: str


@lru_cache(maxsize=1024)
def of_step(step: ProgramStep) -> Content:
    """The content of a step. Raises Refused for what would have to be uploaded first."""
    attachments = tuple(_wired(step, one) for one in step.attachments)
    return Content(step.text, attachments, content.content_hash(step.text, attachments))


def _wired(step: ProgramStep, attachment: Attachment) -> content.Attachment:
    match attachment:
        case LinkAttachment(link=link):
            return content.Link(link.title, link.url, _address(step, link.picture), link.desc or "")
        case ImageAttachment(image=picture):
            return content.Image(pic_url=_address(step, picture))
    raise _unsent(step)


def _address(step: ProgramStep, picture: Picture | None) -> str:
    if picture is None:
        return ""
    if picture.url is None:
        raise _unsent(step)
    return picture.url


def _unsent(step: ProgramStep) -> Refused:
    return Refused(
        f"step {step.id!r} has an attachment that needs a file uploaded, which this version does not do",
        "use links, and pictures by their address",
    )
