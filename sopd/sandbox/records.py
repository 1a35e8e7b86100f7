"""The things of the imitated enterprise: people, relations, tags, tasks, codes, files.

Plain mutable records without behaviour beyond small questions about themselves. Instants are milliseconds;
the API turns them into WeCom's seconds at its door. Changed only by the world's facets.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from machines.calendar import Instant

Pair = tuple[str, str]
"""(member userid, customer external_userid): what tags, state and deletion belong to (WeCom 3.1)."""


@dataclass
class Member:
    userid: str
    name: str
    #: In the usage scope of customer contact and in the app's visible scope.
    in_scope: bool = True
    #: 1 active, 2 disabled, 4 not activated, 5 left (WeCom 14.2).
    status: int = 1
    licensed: bool = True
    #: The console sends a welcome of its own: events then carry no WelcomeCode.
    console_welcome: bool = False
    department: int = 1
    leader: str | None = None

    @property
    def is_visible(self) -> bool:
        """Whether the API shows this member's customers and raises events for them."""
        return self.in_scope and self.status == 1


@dataclass
class Customer:
    external_userid: str
    name: str
    #: 1 WeChat, 2 WeCom of another company (never gets a WelcomeCode).
    kind: int = 1
    gender: int = 0


@dataclass
class Relation:
    member: str
    customer: str
    created_at: Instant
    add_way: int = 1
    state: str = ""
    remark: str = ""
    opened_by: str = ""
    #: False for a half-add: one-way, until the member confirms.
    confirmed: bool = True
    tag_ids: set[str] = field(default_factory=set)
    #: (group, name) of tags only the member sees; they have no id.
    own_tags: set[Pair] = field(default_factory=set)
    #: The last welcome code given out for it, "" if none.
    welcome_code: str = ""
    chatting: bool = False
    last_chat_at: Instant | None = None
    ended_at: Instant | None = None

    @property
    def pair(self) -> Pair:
        return self.member, self.customer

    @property
    def is_open(self) -> bool:
        """Two-way and not ended: a friend whom tasks and tags can reach."""
        return self.confirmed and self.ended_at is None


@dataclass
class Tag:
    tag_id: str
    group_id: str
    name: str
    created_at: Instant
    order: int = 0
    #: Made through the API by this app; only such tags may be changed by it.
    by_app: bool = False
    deleted: bool = False


@dataclass
class TagGroup:
    group_id: str
    name: str
    created_at: Instant
    order: int = 0
    by_app: bool = False
    deleted: bool = False


@dataclass(frozen=True)
class Content:
    """What a mass send or a welcome says."""

    text: str
    attachments: tuple[dict[str, Any], ...] = ()

    @property
    def sha256(self) -> str:
        canonical = json.dumps([self.text, list(self.attachments)], ensure_ascii=False, sort_keys=True)
        return hashlib.sha256(canonical.encode()).hexdigest()


@dataclass
class Recipient:
    customer: str
    #: 0 not sent, 1 sent, 2 no longer a friend, 3 window full (WeCom 5.3).
    status: int = 0


@dataclass
class Assignment:
    """One member's part of a mass send."""

    member: str
    recipients: dict[str, Recipient]
    confirmed_at: Instant | None = None


@dataclass
class MassSend:
    msgid: str
    created_at: Instant
    #: Until then the task is being dispatched (41063).
    ready_at: Instant
    content: Content
    assignments: dict[str, Assignment]
    #: The member of a personal mass send; None for tasks made through the API.
    creator: str | None = None
    allow_select: bool = False
    cancelled_at: Instant | None = None
    reminded_at: list[Instant] = field(default_factory=list)

    @property
    def create_type(self) -> int:
        """0 enterprise, 1 personal."""
        return 0 if self.creator is None else 1


@dataclass
class WelcomeCode:
    code: str
    member: str
    customer: str
    issued_at: Instant
    used_at: Instant | None = None


@dataclass(frozen=True)
class Media:
    media_id: str
    kind: str
    size: int
    sha256: str
    created_at: Instant


@dataclass(frozen=True)
class StaffMessage:
    """One app message that reached one member (message/send)."""

    msgid: str
    member: str
    at: Instant
    body: dict[str, Any]


@dataclass
class Card:
    """A template card with buttons at one member: what it shows now, and what he pressed."""

    task_id: str
    member: str
    sent_at: Instant
    shown: dict[str, Any]
    #: The text that stands for the buttons once an update took them away; None while they can be pressed.
    replaced: str | None = None
    #: (instant, key of the button)
    clicks: list[tuple[Instant, str]] = field(default_factory=list)

    @property
    def keys(self) -> tuple[str, ...]:
        """The buttons that can be pressed."""
        return () if self.replaced is not None else tuple(one["key"] for one in self.shown["button_list"])


@dataclass
class ResponseCode:
    """Good for one update of one card (WeCom 5.7)."""

    card: Card
    issued_at: Instant
    used_at: Instant | None = None
