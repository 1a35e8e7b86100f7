"""What a card says: for whom, what to do, by when, and how it looks when it is over (SPEC 6: remind, call).

Pure: values in, the client's card out. Members read it, so names are shown; nothing here is logged. Variables of a
step's text are filled in where the card is for one customer; a card for several shows their names in words, because one
text must do for all of them.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from machines.calendar import Instant
from machines.reasons import Language
from machines.sop import ProgramStep
from machines.sop.content import VARIABLE, link_lines
from machines.sop.variables import CUSTOMER, MEMBER, attribute_of
from sopd.wecom.notices import TEXT_BYTES, Button, ButtonNotice

SINGLE_CARDS = 3
"""Up to so many customers get a card each."""
FIRST_NAMES = 3
MOST_NAMES = 50
NAME_CHARACTERS = 20
MISSING = "—"

_WORDS: dict[str, tuple[str, str]] = {
    "remind one": ("联系客户:{who}", "Contact {who}"),
    "remind many": ("联系{n}位客户", "Contact {n} customers"),
    "call one": ("电话联系:{who}", "Call {who}"),
    "call many": ("电话联系{n}位客户", "Call {n} customers"),
    "customer": ("客户", "Customer"),
    "customers": ("{names}等{n}位", "{names} and others, {n} in all"),
    "all": ("{names}", "{names}"),
    "listed": ("客户名单:{names}", "Customers: {names}"),
    "owner": ("跟进成员", "Member"),
    "until": ("截止", "By"),
    "done": ("已完成", "Done"),
    "later": ("稍后", "Later"),
    "reached": ("已接通", "Reached"),
    "not_reached": ("未接通", "Not reached"),
    "over": ("已无需处理", "Not needed any more"),
    "expired": ("已过期", "Expired"),
    "put off": ("稍后提醒 {at}", "Later: {at}"),
    "the customer": ("[客户]", "[customer]"),
    "each": ("[{name}]", "[{name}]"),
}


@dataclass(frozen=True)
class Person:
    """A customer in a card."""

    name: str = field(repr=False)
    attributes: Mapping[str, Any] = field(repr=False)

    @classmethod
    def of(cls, name: str, external_userid: str, attributes: str) -> Person:
        """From a row; who has no name is called by the id."""
        return cls(_plain(name) or external_userid, json.loads(attributes))


@dataclass(frozen=True)
class Said:
    """All that a card says. `owner` is whose customers they are, `is_owner` whether the card is for that member."""

    step: ProgramStep
    channel: str
    title: str
    people: tuple[Person, ...]
    owner: str
    is_owner: bool
    until: Instant
    zone: str
    language: Language

    def card(self, task_id: str, *, may_wait: bool) -> ButtonNotice:
        """The card as WeCom takes it. `may_wait`: there is a later morning, so it may be put off."""
        say = _Words(self.language)
        names = [person.name for person in self.people]
        lines = [(say("customer"), _first_names(say, names)), (say("until"), shown_at(self.until - 1, self.zone))]
        if not self.is_owner:
            lines.insert(1, (say("owner"), self.owner))
        keys = ("reached", "not_reached") if self.channel == "call" else ("done",)
        buttons = [Button(say(key), key, 1 if number == 0 else 2) for number, key in enumerate(keys)]
        if may_wait:
            buttons.append(Button(say("later"), "later", 4))
        head = f"{self.channel} {'one' if len(names) == 1 else 'many'}"
        return ButtonNotice(
            task_id, say(head, who=names[0] if names else "", n=len(names)), tuple(buttons), self.title, tuple(lines),
            self._text(say, names),
        )  # fmt: skip

    def _text(self, say: _Words, names: Sequence[str]) -> str:
        """The step's words with their links below, and of many customers the names, as far as WeCom takes them."""
        text = VARIABLE.sub(lambda found: self._value(say, found.group(1)), self.step.text)
        parts = [text.strip(), *link_lines(self.step.attachments)]
        if len(names) > FIRST_NAMES:
            room = TEXT_BYTES - len("\n".join(parts).encode()) - 60
            parts.append(say("listed", names=_fitting(names, room, say.comma)))
        return _cut("\n".join(part for part in parts if part), TEXT_BYTES)

    def _value(self, say: _Words, variable: str) -> str:
        if variable == MEMBER:
            return self.owner
        name = attribute_of(variable)
        if len(self.people) != 1:
            return say("the customer") if name is None else say("each", name=name)
        person = self.people[0]
        if name is None and variable == CUSTOMER:
            return person.name
        value = person.attributes.get(name or variable)
        return MISSING if value is None else _plain(str(value))


def over(state: str, reason: str | None, channel: str, language: Language) -> str:
    """What stands for the buttons of a card that is over."""
    say = _Words(language)
    if state == "settled":
        done = {"reached": "reached", "not reached": "not_reached"}.get(reason or "", "done")
        return say(done if channel == "call" else "done")
    return say("expired" if reason == "not confirmed" else "over")


def put_off(until: Instant, zone: str, language: Language) -> str:
    """What stands for the buttons of a card that is asked again."""
    return _Words(language)("put off", at=shown_at(until, zone))


def shown_at(at: Instant, zone: str) -> str:
    """A minute as members read it: `03-04 18:00`."""
    return dt.datetime.fromtimestamp(at / 1000, ZoneInfo(zone)).strftime("%m-%d %H:%M")


class _Words:
    def __init__(self, language: Language) -> None:
        self._place = ("zh", "en").index(language)

    def __call__(self, key: str, **values: object) -> str:
        return _WORDS[key][self._place].format(**values)

    @property
    def comma(self) -> str:
        return ("、", ", ")[self._place]


def _first_names(say: _Words, names: Sequence[str]) -> str:
    first = say.comma.join(names[:FIRST_NAMES])
    return say("all" if len(names) <= FIRST_NAMES else "customers", names=first, n=len(names))


def _fitting(names: Sequence[str], room: int, comma: str) -> str:
    """As many names as there is room for."""
    taken, size = [], 0
    for name in names[:MOST_NAMES]:
        size += len(name.encode()) + 3
        if size > room:
            break
        taken.append(name)
    return comma.join(taken) + (" …" if len(taken) < len(names) else "")


def _plain(text: str) -> str:
    """A name or a value from outside: one line, of a bearable length."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return line if len(line) <= NAME_CHARACTERS else f"{line[: NAME_CHARACTERS - 1]}…"


def _cut(text: str, most: int) -> str:
    """At most so many bytes, no half characters."""
    raw = text.encode()
    return text if len(raw) <= most else raw[: most - 3].decode(errors="ignore") + "…"
