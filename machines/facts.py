"""What a rule may look at: facts of one subject at one instant, and the list of facts a rule needs.

`Facts` is a value: equal facts give equal decisions, so a batch is grouped by `facts.restricted_to(needs)` and decided
once per group. Nothing here reads or fetches anything; the shell fills the fields it was asked for and may leave
out every other one. Instants are milliseconds since 1970 UTC.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

Value = str | bool | int | float | date
Kind = str
"""`text`, `truth`, `number` or `date`: the type of an attribute, kept because to Python `True == 1`."""


class Attribute(NamedTuple):
    """One named, typed value of a customer or of an event."""

    name: str
    kind: Kind
    value: Value


def kind_of(value: Value) -> Kind:
    """The kind under which a value is compared; only values of one kind are ever compared."""
    if isinstance(value, bool):
        return "truth"
    if isinstance(value, int | float):
        return "number"
    return "date" if isinstance(value, date) else "text"


def attributes(values: Mapping[str, Value]) -> tuple[Attribute, ...]:
    """A mapping as the sorted tuple that `Facts` and `EventFact` hold."""
    return tuple(Attribute(name, kind_of(value), value) for name, value in sorted(values.items()))


class EventFact(NamedTuple):
    """Something that happened to the subject: its name, when, and its properties (see `attributes`)."""

    name: str
    at: int
    properties: tuple[Attribute, ...] = ()


class Answer(NamedTuple):
    """Whether the customer replied since a step was sent; a step that was not sent has no Answer (D4).

    `since` is the step's id, or None for "since the beginning of the run". `words` are the keywords that rules ask for
    and that were found in the replies.
    """

    since: str | None
    replied: bool
    words: frozenset[str] = frozenset()


def answers(
    replies: Iterable[tuple[int, str]], sent_at: Mapping[str | None, int], keywords: Iterable[str]
) -> tuple[Answer, ...]:
    """Fold replies (instant, text) into one Answer per step of `sent_at` (None: the beginning of the run).

    A keyword is found when the text contains it, letter case aside.
    """
    said = [(at, text.casefold()) for at, text in replies]
    wanted = [(word, word.casefold()) for word in keywords]
    return tuple(
        Answer(
            since,
            any(at >= start for at, _ in said),
            frozenset(word for word, folded in wanted if any(at >= start and folded in text for at, text in said)),
        )
        for since, start in sorted(sent_at.items(), key=lambda item: (item[0] is not None, item[0] or ""))
    )


@dataclass(frozen=True)
class Dependencies:
    """Everything a rule looks at: an event touches only the SOPs whose dependencies mention it (SPEC 3).

    `tags` are tag ids once bound. `properties` are (event, property) pairs. `stages` are journeys. `asked` are steps
    after which a reply is asked for (None: since the beginning) and `keywords` the words looked for. `ages_ms` are the
    durations time is compared with; `dates` the attributes whose anniversary counts.
    """

    tags: frozenset[str] = frozenset()
    attributes: frozenset[str] = frozenset()
    events: frozenset[str] = frozenset()
    properties: frozenset[tuple[str, str]] = frozenset()
    stages: frozenset[str] = frozenset()
    audiences: frozenset[str] = frozenset()
    sops: frozenset[str] = frozenset()
    asked: frozenset[str | None] = frozenset()
    keywords: frozenset[str] = frozenset()
    ages_ms: frozenset[int] = frozenset()
    dates: frozenset[str] = frozenset()
    lost: bool = False
    source: bool = False
    member: bool = False
    added: bool = False
    talk: bool = False

    @property
    def replies(self) -> bool:
        """True if a reply of the customer can change the rule."""
        return bool(self.asked)

    @cached_property
    def time(self) -> bool:
        """True if the mere passing of time can change the rule: its flips belong into the sweep."""
        return bool(self.ages_ms or self.dates)

    @cached_property
    def is_plain(self) -> bool:
        """True if what is looked at counts as it stands: tags, source and member, and whether the contact is lost."""
        return self == Dependencies(tags=self.tags, lost=self.lost, source=self.source, member=self.member)

    @cached_property
    def topics(self) -> frozenset[tuple[str, str]]:
        """What news are about, as (kind, name): a rule is judged at news that have a topic in common with it.

        Any question about replies is one topic. Time passing is none: its instants are computed (see `flips_at`).
        """
        named = {(kind, name) for kind in _NAMED for name in getattr(self, kind)}
        return frozenset(named | {(kind, "") for kind in _PLAIN if getattr(self, kind)})

    def __or__(self, other: Dependencies) -> Dependencies:
        """What two rules need together."""
        return Dependencies(*(getattr(self, name) | getattr(other, name) for name in self.__dataclass_fields__))


_NAMED = ("tags", "attributes", "events", "stages", "audiences", "sops")
_PLAIN = ("asked", "lost", "source", "member", "added", "talk")


@dataclass(frozen=True, slots=True)
class Facts:
    """One subject at the instant `now`, as far as the rules at hand need it.

    `tags` are the tag ids of the one relation that counts (new_customer); for subjects with several relations in scope
    `relation_tag_sets` holds one set per relation and `tags` is not looked at (SPEC 8). `source` is the channel state.
    `attributes` are sorted (see `attributes`). `stages` are (journey, stage). `ended_sops` are (SOP, final state).
    `events` are those the caller lets count: since the entry for an end, the one at hand for an entry. `last_talk_at`
    is the last message either side wrote. `zone` says where a day of `date_of` begins. `exact` is False after
    `restricted_to`: instants are then rounded.
    """

    now: int
    tags: frozenset[str] = frozenset()
    relation_tag_sets: tuple[frozenset[str], ...] = ()
    lost: bool = False
    source: str | None = None
    add_way: int | None = None
    member: str | None = None
    audiences: frozenset[str] = frozenset()
    attributes: tuple[Attribute, ...] = ()
    events: tuple[EventFact, ...] = ()
    replies: tuple[Answer, ...] = ()
    stages: frozenset[tuple[str, str]] = frozenset()
    in_sops: frozenset[str] = frozenset()
    ended_sops: frozenset[tuple[str, str]] = frozenset()
    added_at: int | None = None
    last_talk_at: int | None = None
    zone: str = "Asia/Shanghai"
    exact: bool = field(default=True)

    @property
    def relations(self) -> tuple[frozenset[str], ...]:
        """The tag sets a tag condition is asked of; never empty."""
        return self.relation_tag_sets or (self.tags,)

    @property
    def silent_since(self) -> int | None:
        """The last talk, or the adding when nobody ever wrote."""
        return self.added_at if self.last_talk_at is None else self.last_talk_at

    def attribute(self, name: str) -> Attribute | None:
        """The customer's attribute of that name, or None."""
        return next((found for found in self.attributes if found.name == name), None)

    def at(self, now: int) -> Facts:
        """The same facts at another instant."""
        return replace(self, now=now)

    def restricted_to(self, needs: Dependencies) -> Facts:
        """The same facts with all that `needs` does not mention blanked and instants rounded, for grouping.

        Evaluating a rule with these dependencies gives the same truth before and after, and so do its literals. Ages
        are rounded down to the thresholds the rule compares with, hence `exact=False`: flips need the full facts.
        """
        if needs.is_plain:
            tags, sets = needs.tags, self.relation_tag_sets
            return _plain(
                _NO_TAGS if sets else self.tags & tags,
                tuple([one & tags for one in sets]) if sets and tags else (),
                self.lost and needs.lost,
                self.source if needs.source else None,
                self.add_way if needs.source else None,
                self.member if needs.member else None,
            )
        now = self.now if needs.dates else 0
        changes: dict[str, Any] = {"now": now, "zone": self.zone if needs.dates else "", "exact": not needs.time}
        if needs.tags:
            changes["tags"] = frozenset() if self.relation_tag_sets else self.tags & needs.tags
            kept = {tags & needs.tags for tags in self.relation_tag_sets}
            changes["relation_tag_sets"] = tuple(sorted(kept, key=sorted))
        if needs.source:
            changes |= {"source": self.source, "add_way": self.add_way}
        if needs.stages:
            changes["stages"] = frozenset(at for at in self.stages if at[0] in needs.stages)
        if needs.sops:
            changes["in_sops"] = self.in_sops & needs.sops
            changes["ended_sops"] = frozenset(end for end in self.ended_sops if end[0] in needs.sops)
        if needs.attributes:
            changes["attributes"] = tuple(found for found in self.attributes if found.name in needs.attributes)
        if needs.asked:
            changes["replies"] = tuple(
                answer._replace(words=answer.words & needs.keywords)
                for answer in self.replies if answer.since in needs.asked
            )
        changes |= {name: getattr(self, name) for name in ("lost", "member") if getattr(needs, name)}
        changes |= {"audiences": self.audiences & needs.audiences} if needs.audiences else {}
        return Facts(**changes, **self._rounded(needs, now))

    def _rounded(self, needs: Dependencies, now: int) -> dict[str, Any]:
        """Events and instants that `needs` mentions, their ages rounded and counted back from `now`."""
        if not (needs.events or needs.added or needs.talk):
            return {}
        rungs = sorted(needs.ages_ms, reverse=True)

        def rounded(at: int | None) -> int | None:
            return None if at is None else now - next((rung for rung in rungs if rung <= self.now - at), 0)

        changes: dict[str, Any] = {}
        if needs.events:
            changes["events"] = tuple(sorted({
                EventFact(
                    event.name,
                    rounded(event.at) or 0,
                    tuple(one for one in event.properties if (event.name, one.name) in needs.properties),
                )
                for event in self.events if event.name in needs.events
            }, key=repr))
        if needs.added:
            changes["added_at"] = rounded(self.added_at)
        if needs.talk:
            changes["last_talk_at"] = rounded(self.last_talk_at)
        return changes


_NO_TAGS: frozenset[str] = frozenset()


@lru_cache(maxsize=8192)
def _plain(
    tags: frozenset[str], sets: tuple[frozenset[str], ...], lost: bool, source: str | None, add_way: int | None,
    member: str | None,
) -> Facts:  # fmt: skip
    """Facts restricted to plain needs. Most rules have such, and most of a batch is alike: it shares the value."""
    kept = tuple(sorted(set(sets), key=sorted))
    return Facts(0, tags, kept, lost, source, add_way, member, zone="")
