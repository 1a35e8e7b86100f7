"""App messages to members: text, card with a link, card with buttons (WeCom 5.7), and what WeCom says of them.

Only values and their limits. Members are told what is due with them; customers never see them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sopd.wecom import fields
from sopd.wecom.content import within
from sopd.wecom.errors import ContentTooLong, InvalidContent
from sopd.wecom.fields import Row

TEXT_BYTES = 2048
_URL_BYTES = 2048
_MOST_LINES = 6  # of a card: lines and buttons alike


@dataclass(frozen=True, slots=True)
class TextNotice:
    """Plain text; WeCom would cut it silently above the limit, so it is refused instead."""

    content: str = field(repr=False)

    def check(self, path: str) -> None:
        within(path, "text", self.content, TEXT_BYTES)

    def wire(self) -> dict[str, Any]:
        return {"msgtype": "text", "text": {"content": self.content}}


@dataclass(frozen=True, slots=True)
class LinkNotice:
    """A card that opens `url` in the client's browser."""

    title: str = field(repr=False)
    description: str = field(repr=False)
    url: str
    button: str = ""

    def check(self, path: str) -> None:
        for name, limit in (("title", 128), ("description", 512), ("button", 4)):
            if len(getattr(self, name)) > limit:
                raise ContentTooLong(path, name, len(getattr(self, name)), limit, "characters")
        if not self.title or not self.description:
            raise InvalidContent(path, "title and description are both needed")
        if not re.match(r"https?://", self.url):
            raise InvalidContent(path, "the url has no http:// or https:// in front")
        within(path, "url", self.url, _URL_BYTES)

    def wire(self) -> dict[str, Any]:
        card = {"title": self.title, "description": self.description, "url": self.url}
        return {"msgtype": "textcard", "textcard": card | ({"btntxt": self.button} if self.button else {})}


@dataclass(frozen=True, slots=True)
class Button:
    """A button that calls back with `key`. Style 1 blue, 2 pale, 3 red, 4 grey."""

    text: str
    key: str
    style: int = 1


@dataclass(frozen=True, slots=True)
class ButtonNotice:
    """A card with buttons; a click comes back as template_card_event with `task_id`, unique per app.

    `text` stands below the title (`sub_title_text`), `lines` are names with values.
    """

    task_id: str
    title: str = field(repr=False)
    buttons: tuple[Button, ...]
    description: str = field(default="", repr=False)
    lines: tuple[tuple[str, str], ...] = field(default=(), repr=False)  # (name, value)
    text: str = field(default="", repr=False)

    def check(self, path: str) -> None:
        if not re.fullmatch(r"[A-Za-z0-9_@-]{1,128}", self.task_id):
            raise InvalidContent(path, "the task id must be 1 to 128 of letters, digits, _, @ and -")
        if not self.buttons:
            raise InvalidContent(path, "the card has no button")
        for name, entries in (("buttons", self.buttons), ("lines", self.lines)):
            if len(entries) > _MOST_LINES:
                raise ContentTooLong(path, f"the list of {name}", len(entries), _MOST_LINES, "entries")
        for button in self.buttons:
            within(path, "a button's key", button.key, 1024)
        within(path, "the card's text", self.text, TEXT_BYTES)

    def wire(self) -> dict[str, Any]:
        card: dict[str, Any] = {
            "card_type": "button_interaction",
            "task_id": self.task_id,
            "main_title": {"title": self.title, "desc": self.description},
            "button_list": [{"text": each.text, "style": each.style, "key": each.key} for each in self.buttons],
        }
        if self.text:
            card["sub_title_text"] = self.text
        if self.lines:
            card["horizontal_content_list"] = [{"keyname": name, "value": value} for name, value in self.lines]
        return {"msgtype": "template_card", "template_card": card}


Notice = TextNotice | LinkNotice | ButtonNotice


@dataclass(frozen=True, slots=True)
class Receipt:
    """An app message was taken. `invalid` and `unlicensed` are the given ids that will not get it."""

    msgid: str
    invalid: tuple[str, ...] = ()
    unlicensed: tuple[str, ...] = ()
    response_code: str = field(default="", repr=False)  # good for one update of an interactive card


def read_receipt(reply: Row, given: Sequence[str]) -> Receipt:
    """WeCom answers with lower-cased ids in one piped string (WeCom 5.7); they come back as they were given."""
    as_given = {user_id.casefold(): user_id for user_id in given}

    def piped(key: str) -> tuple[str, ...]:
        return tuple(as_given.get(part.casefold(), part) for part in fields.text(reply, key).split("|") if part)

    return Receipt(
        fields.text(reply, "msgid"), piped("invaliduser"), piped("unlicenseduser"), fields.text(reply, "response_code")
    )
