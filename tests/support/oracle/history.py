"""A history: SOPs, members' habits, and timed deeds of people and operators. Played twice, by engine and oracle."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from zlib import crc32
from zoneinfo import ZoneInfo

SHANGHAI = ZoneInfo("Asia/Shanghai")


@dataclass(frozen=True)
class Deed:
    """Somebody does something at an instant (ms). `detail`: the source of an add, a tag, or the key of a SOP.

    People: add, half_add, confirm_half, chat, tag, untag, customer_delete, member_delete, transfer (to `detail`),
    own_send, reply and message (`detail` is said), event (`name` or `name:property=value`). Operators: mute, unmute,
    enter, end, move (`from>to`), attribute (`name=value`), start, pause, resume, stop. Nobody: down, up.
    """

    at: int
    verb: str
    member: str = ""
    customer: str = ""
    detail: str = ""

    def __str__(self) -> str:
        who = " ".join(word for word in (self.member, self.customer, self.detail) if word)
        return f"{shown(self.at)}  {self.verb} {who}"


@dataclass(frozen=True)
class History:
    """`habits`: how many minutes after its creation each member confirms a task, None never; one is picked per task.
    `later`: SOPs that are applied at the beginning, and started by a deed."""

    start: int
    until: int
    sops: tuple[str, ...]
    deeds: tuple[Deed, ...]
    habits: tuple[tuple[str, tuple[int | None, ...]], ...]
    quota: str = "day:1"
    later: tuple[str, ...] = ()

    @property
    def members(self) -> tuple[str, ...]:
        return tuple(member for member, _ in self.habits)

    def delay(self, member: str, text: str, created: int) -> int | None:
        """How long (ms) this member takes to confirm a task; the half second keeps it apart from everything else."""
        choices = dict(self.habits)[member]
        day = dt.datetime.fromtimestamp(created / 1000, SHANGHAI).date()
        minutes = choices[crc32(f"{text}/{day}".encode()) % len(choices)]
        return None if minutes is None else minutes * 60_000 + 22_500

    def __str__(self) -> str:
        habits = ", ".join(f"{member} {list(delays)}" for member, delays in self.habits)
        lines = [f"from {shown(self.start)} to {shown(self.until)}, quota {self.quota}, confirms after (min): {habits}"]
        lines += [f"started later: {', '.join(self.later)}"] if self.later else []
        return "\n".join([*lines, *self.sops, *map(str, sorted(self.deeds, key=lambda deed: deed.at))])


def at(text: str) -> int:
    """The instant of a Shanghai time such as `2026-09-14 09:00`."""
    return round(dt.datetime.fromisoformat(text).replace(tzinfo=SHANGHAI).timestamp() * 1000)


def shown(instant: int) -> str:
    """An instant as people read it, with its weekday."""
    return f"{dt.datetime.fromtimestamp(instant / 1000, SHANGHAI):%a %m-%d %H:%M:%S}"
