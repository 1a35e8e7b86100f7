"""The conditions that read facts of a customer: tags, source, attributes, events, replies, SOPs (SPEC 3).

Combining them is the business of `machines.rules`; those that time alone changes are in `machines.rules.times`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from machines.facts import Dependencies, EventFact, Facts
from machines.rules.atom import Atom, Relations, first_after
from machines.rules.comparisons import Comparisons
from machines.rules.scalars import Block, Duration, Flag, Key, Keys, Name, Names, Numbers, milliseconds, refuse


class Tag(Atom):
    """One of these tags is on the relation."""

    tag: Names

    def holds(self, facts: Facts, relations: Relations) -> bool:
        return any(not tags.isdisjoint(self.tag) for tags in relations)

    def needs(self) -> Dependencies:
        return Dependencies(tags=frozenset(self.tag))


class InStage(Block):
    journey: Key
    one_of: Names


class Stage(Atom):
    """The customer stands in one of these stages of a journey."""

    stage: InStage

    def holds(self, facts: Facts, relations: Relations) -> bool:
        return any((self.stage.journey, name) in facts.stages for name in self.stage.one_of)

    def needs(self) -> Dependencies:
        return Dependencies(stages=frozenset((self.stage.journey,)))


class Lost(Atom):
    """The customer deleted the member, or the other way round; `false` asks for the contrary."""

    lost: Flag

    def holds(self, facts: Facts, relations: Relations) -> bool:
        return facts.lost is self.lost

    def needs(self) -> Dependencies:
        return Dependencies(lost=True)


class Channel(Block):
    state: Names | None = None
    add_way: Numbers | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Channel:
        if self.state is None and self.add_way is None:
            raise refuse("is empty; give state, add_way or both")
        return self


def _states(value: Any) -> Any:
    return {"state": value} if isinstance(value, str | list) else value


class Source(Atom):
    """The channel the customer came through; `state` and `add_way` given together must both fit."""

    source: Annotated[Channel, BeforeValidator(_states, Name | list[Name] | Channel)]

    def holds(self, facts: Facts, relations: Relations) -> bool:
        state, add_way = self.source.state, self.source.add_way
        return (state is None or facts.source in state) and (add_way is None or facts.add_way in add_way)

    def needs(self) -> Dependencies:
        return Dependencies(source=True)


class Member(Atom):
    """One of these members owns the relation."""

    member: Names

    def holds(self, facts: Facts, relations: Relations) -> bool:
        return facts.member in self.member

    def needs(self) -> Dependencies:
        return Dependencies(member=True)


class Audience(Atom):
    """The customer is in one of these imported audiences."""

    audience: Keys

    def holds(self, facts: Facts, relations: Relations) -> bool:
        return not facts.audiences.isdisjoint(self.audience)

    def needs(self) -> Dependencies:
        return Dependencies(audiences=frozenset(self.audience))


class AttributeIs(Atom):
    """Attributes of the customer, our own or the CRM's, compare as asked."""

    attribute: Comparisons

    def holds(self, facts: Facts, relations: Relations) -> bool:
        return all(one.test.passes(facts.attribute(one.name)) for one in self.attribute)

    def needs(self) -> Dependencies:
        return Dependencies(attributes=frozenset(one.name for one in self.attribute))


class Happened(Block):
    name: Name
    where: Comparisons | None = None
    within: Duration | None = None


class Event(Atom):
    """Such an event is among those that count, with these properties, and not longer ago than `within`.

    Outcomes of calls are events too: `{event: {name: call, where: {outcome: reached}}}`.
    """

    event: Annotated[Happened, BeforeValidator(lambda value: {"name": value} if isinstance(value, str) else value,
                                               Name | Happened)]

    def matches(self, event: EventFact) -> bool:
        """Whether this event is one of those asked for, whenever it was."""
        values = {one.name: one for one in event.properties}
        wanted = self.event.where or ()
        return event.name == self.event.name and all(one.test.passes(values.get(one.name)) for one in wanted)

    def holds(self, facts: Facts, relations: Relations) -> bool:
        return any(self._fresh(event, facts.now) and self.matches(event) for event in facts.events)

    def _fresh(self, event: EventFact, now: int) -> bool:
        return self.event.within is None or now - event.at < milliseconds(self.event.within)

    def needs(self) -> Dependencies:
        within, wanted = self.event.within, self.event.where or ()
        return Dependencies(
            events=frozenset((self.event.name,)),
            properties=frozenset((self.event.name, one.name) for one in wanted),
            ages_ms=frozenset(() if within is None else (milliseconds(within),)),
        )

    def flips_at(self, facts: Facts) -> int | None:
        if self.event.within is None:
            return None
        ends = (event.at + milliseconds(self.event.within) for event in facts.events if self.matches(event))
        return first_after(facts.now, ends)


class ReplyTo(Block):
    since: Key | None = None
    keywords: Names | None = None
    none: Flag = False

    @model_validator(mode="after")
    def _one_question(self) -> ReplyTo:
        if self.none and self.keywords:
            raise refuse("asks for keywords and for no reply at all; give one of `keywords` and `none`")
        return self


class Replied(Atom):
    """The customer replied (`any`), with one of the `keywords`, or not at all (`none`), since a step was sent.

    Without `since`, since the beginning of the run. False, `none` too, if that step was not sent (D4).
    """

    replied: Annotated[
        ReplyTo,
        BeforeValidator(lambda value: {"any": {}, "none": {"none": True}}.get(value, value)
                        if isinstance(value, str) else value, Literal["any", "none"] | ReplyTo),
    ]

    def holds(self, facts: Facts, relations: Relations) -> bool:
        answer = next((found for found in facts.replies if found.since == self.replied.since), None)
        if answer is None:
            return False
        if self.replied.keywords:
            return not answer.words.isdisjoint(self.replied.keywords)
        return answer.replied is not self.replied.none

    def needs(self) -> Dependencies:
        asked = frozenset((self.replied.since,))
        return Dependencies(asked=asked, keywords=frozenset(self.replied.keywords or ()))


class InSop(Atom):
    """The customer is inside one of these SOPs now."""

    in_sop: Keys

    def holds(self, facts: Facts, relations: Relations) -> bool:
        return not facts.in_sops.isdisjoint(self.in_sop)

    def needs(self) -> Dependencies:
        return Dependencies(sops=frozenset(self.in_sop))


End = Literal["normal_end", "early_end", "manual_end", "lost", "stopped", "merged"]


class Ended(Block):
    sop: Keys
    by: Annotated[
        tuple[End, ...], Field(min_length=1),
        BeforeValidator(lambda value: [value] if isinstance(value, str) else value, End | list[End]),
    ] | None = None


class EndedSop(Atom):
    """The customer has been through one of these SOPs and left it, in one of these ways if `by` is given."""

    ended_sop: Annotated[
        Ended,
        BeforeValidator(lambda value: {"sop": value} if isinstance(value, str | list) else value, Keys | Ended),
    ]

    def holds(self, facts: Facts, relations: Relations) -> bool:
        keys, by = self.ended_sop.sop, self.ended_sop.by
        return any(sop in keys and (by is None or end in by) for sop, end in facts.ended_sops)

    def needs(self) -> Dependencies:
        return Dependencies(sops=frozenset(self.ended_sop.sop))
