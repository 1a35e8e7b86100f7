"""The ground every facet of the world stands on: its records, its ordinals, its mailbox and its books.

Holds state and answers small questions; rules live in the facets (`contacts`, `tagging`, `sending`). Not used alone.
"""

from __future__ import annotations

from collections import Counter, defaultdict

from machines.calendar import Instant
from sopd.sandbox import chance
from sopd.sandbox.books import Books
from sopd.sandbox.config import SandboxConfig
from sopd.sandbox.letters import Mailbox, PostHabits, event_xml
from sopd.sandbox.quotas import QuotaBook
from sopd.sandbox.records import (
    Card,
    Customer,
    MassSend,
    Media,
    Member,
    Pair,
    Relation,
    ResponseCode,
    StaffMessage,
    Tag,
    TagGroup,
    WelcomeCode,
)
from sopd.sandbox.refusals import ImpossibleDeed
from sopd.sandbox.tidings import Tidings

# What an event carries and is not told apart by: chances must not hang on it.
_SECRET = ("WelcomeCode", "State", "ResponseCode")


class Ground:
    """State of one imitated enterprise. Not thread-safe: the gateway's lock guards it."""

    def __init__(
        self,
        seed: chance.Seed,
        config: SandboxConfig | None = None,
        now: Instant = 0,
        post_habits: PostHabits | None = None,
    ) -> None:
        self.seed = seed
        self.config = config or SandboxConfig()
        self.began_at = now
        self.mailbox = Mailbox(seed, post_habits)
        self.books = Books()
        self.quota = QuotaBook(self.config.quota)
        self.members: dict[str, Member] = {}
        self.customers: dict[str, Customer] = {}
        #: The present (or last) relation of each pair; a re-add replaces it.
        self.relations: dict[Pair, Relation] = {}
        self.pairs_of_member: defaultdict[str, dict[str, Relation]] = defaultdict(dict)
        self.pairs_of_customer: defaultdict[str, dict[str, Relation]] = defaultdict(dict)
        self.tags: dict[str, Tag] = {}
        self.tag_groups: dict[str, TagGroup] = {}
        self.tasks: dict[str, MassSend] = {}
        self.welcome_codes: dict[str, WelcomeCode] = {}
        self.media: dict[str, Media] = {}
        self.staff_messages: list[StaffMessage] = []
        #: Cards by task id and member, and the codes by which they can be changed.
        self.cards: dict[Pair, Card] = {}
        self.response_codes: dict[str, ResponseCode] = {}
        #: What people say and do, for the company's own systems to report.
        self.tidings = Tidings()
        self._ordinals: Counter[tuple[object, ...]] = Counter()

    def ordinal(self, *key: object) -> int:
        """How many times this was asked for this key before, counting up from 0."""
        self._ordinals[key] += 1
        return self._ordinals[key] - 1

    def member(self, userid: str) -> Member:
        """The member, whose id WeCom compares without case; ImpossibleDeed if there is none."""
        found = self.find_member(userid)
        if found is None:
            raise ImpossibleDeed(f"there is no member {userid!r}", f"members: {', '.join(self.members) or 'none'}")
        return found

    def find_member(self, userid: str) -> Member | None:
        """The member, or None; ids are case-insensitive (WeCom 14.1)."""
        if userid in self.members:
            return self.members[userid]
        folded = userid.casefold()
        return next((member for member in self.members.values() if member.userid.casefold() == folded), None)

    def keep_relation(self, relation: Relation) -> None:
        """Make this the present relation of its pair."""
        self.relations[relation.pair] = relation
        self.pairs_of_member[relation.member][relation.customer] = relation
        self.pairs_of_customer[relation.customer][relation.member] = relation

    def friends(self, member: str, customer: str) -> Relation | None:
        """The open relation of the pair, if its member may be seen by the app; else None."""
        relation = self.relations.get((member, customer))
        return relation if relation is not None and self.is_visible(relation) else None

    def is_visible(self, relation: Relation) -> bool:
        """Two-way, not ended, and of an active member inside the scope."""
        return relation.is_open and self.members[relation.member].is_visible

    def emit(self, event: str, *fields: tuple[str, str], now: Instant, sender: str = "sys") -> None:
        """Write the callback of one event. Its chances hang on the event and its ordinal, not on other events."""
        entity = "/".join([event, *(value for name, value in fields if name not in _SECRET)])
        key = f"{entity}#{self.ordinal('event', entity)}"
        pad = chance.between(1, 32, self.seed, "pad", key)
        self.mailbox.post(key, event_xml(self.config.corp_id, event, fields, now, pad, sender), now)

    def emit_contact(self, change: str, relation: Relation, *extra: tuple[str, str], now: Instant) -> None:
        """Write a change_external_contact event, unless its member is outside the app's sight (WeCom 0.3)."""
        if self.members[relation.member].is_visible:
            named = (("ChangeType", change), ("UserID", relation.member), ("ExternalUserID", relation.customer))
            self.emit("change_external_contact", *named, *extra, now=now)
