"""Callbacks before they are sent: the exact inner XML, and the queue of letters still to deliver.

The world writes letters; the postman takes them out. Duplicates, losses and changed order are decided here, once
per letter, by hash, so they do not depend on when the postman runs. Nothing is encrypted here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from machines.calendar import Instant
from sopd.sandbox import chance

#: WeCom repeats a push that was not answered with 200 three times (WeCom 2.5).
RETRIES = 3
RETRY_GAP_MS = 5_000
#: How late a letter comes that is to be overtaken by younger ones; below the life of a welcome code.
_OVERTAKEN_MS = (1_000, 4_000)
_PAD_TO = 32


@dataclass(frozen=True)
class PostHabits:
    """Chances in [0, 1] that a letter is lost, sent twice, or overtaken by younger ones."""

    lost: float = 0.0
    duplicated: float = 0.0
    overtaken: float = 0.0


@dataclass
class Letter:
    """One event on its way; `due_at` moves on with every failed attempt."""

    key: str
    xml: bytes
    written_at: Instant
    due_at: Instant
    attempts: int = 0


def event_xml(
    corp_id: str, event: str, fields: Iterable[tuple[str, str]], at: Instant, pad: int = 0, sender: str = "sys"
) -> bytes:
    """The inner XML of one event, in the order of WeCom's examples (WeCom 3).

    `sender` is the member whose click it tells of, else the system. `fields` follow `Event`; empty values are left
    out, as WeCom does with State, WelcomeCode and Source.
    With `pad` in 1..32 spaces are added before the closing tag so that the encrypted message needs exactly that
    padding: a receiver that strips only 16-byte paddings is found out.
    """
    head = f"<xml>{_element('ToUserName', corp_id)}{_element('FromUserName', sender)}"
    head += f"<CreateTime>{at // 1000}</CreateTime>{_element('MsgType', 'event')}{_element('Event', event)}"
    body = (head + "".join(_element(name, value) for name, value in fields if value)).encode()
    tail = b"</xml>"
    if pad:
        # 16 random bytes, 4 of length and the receive id are encrypted with the message (WeCom 2.3).
        length = 20 + len(body) + len(tail) + len(corp_id.encode())
        body += b" " * ((_PAD_TO - pad - length) % _PAD_TO)
    return body + tail


def _element(name: str, value: str) -> str:
    return f"<{name}><![CDATA[{value.replace(']]>', ']]]]><![CDATA[>')}]]></{name}>"


class Mailbox:
    """Letters of one world, those lost on purpose and those given up."""

    def __init__(self, seed: chance.Seed, habits: PostHabits | None = None) -> None:
        self.habits = habits or PostHabits()
        self.waiting: list[Letter] = []
        self.lost: list[Letter] = []
        self.given_up: list[Letter] = []
        self.in_delivery = 0
        self._seed = seed

    def post(self, key: str, xml: bytes, at: Instant) -> None:
        """Queue a letter; `key` names the event whatever else happens (entity and ordinal)."""
        letter = Letter(key, xml, at, at)
        if self._happens(self.habits.lost, key, "lost"):
            self.lost.append(letter)
            return
        if self._happens(self.habits.overtaken, key, "overtaken"):
            letter.due_at += chance.between(*_OVERTAKEN_MS, self._seed, key, "late by")
        self.waiting.append(letter)
        if self._happens(self.habits.duplicated, key, "duplicated"):
            self.waiting.append(Letter(key, xml, at, letter.due_at + RETRY_GAP_MS))

    def take_due(self, now: Instant) -> list[Letter]:
        """Take out every letter due at `now`, oldest first; each must come back through `settle`."""
        due = sorted((letter for letter in self.waiting if letter.due_at <= now), key=lambda letter: letter.due_at)
        self.waiting = [letter for letter in self.waiting if letter.due_at > now]
        self.in_delivery += len(due)
        return due

    def settle(self, letter: Letter, status: int, now: Instant) -> None:
        """Record the answer to one attempt (HTTP status, 0 = none); anything but 200 is repeated three times."""
        self.in_delivery -= 1
        letter.attempts += 1
        if status == 200:
            return
        if letter.attempts > RETRIES:
            self.given_up.append(letter)
            return
        letter.due_at = now + RETRY_GAP_MS
        self.waiting.append(letter)

    def is_busy(self, now: Instant) -> bool:
        """Whether a letter is due or being delivered: time must not jump then."""
        return self.in_delivery > 0 or any(letter.due_at <= now for letter in self.waiting)

    def next_at(self) -> Instant | None:
        """When the next letter is due."""
        return min((letter.due_at for letter in self.waiting), default=None)

    def _happens(self, odds: float, *key: object) -> bool:
        return chance.happens(odds, self._seed, "letter", *key)
