"""The definition of a SOP, as an operator writes it: shape and types of every key, defaults of D1 (SPEC 3-8).

What one value alone can tell is checked here; what needs two (order of days, a channel's limits) in
`machines.sop.checks`. A `Sop` dumped with `model_dump(mode="json")` reads back as the same Sop.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, model_validator
from pydantic import Tag as Kind

from machines.moments import MAX_DAYS
from machines.rules import Rule
from machines.rules.atoms import InStage
from machines.rules.scalars import (
    Block,
    ClockTime,
    Day,
    Duration,
    Elapsed,
    Key,
    Name,
    NameList,
    Names,
    Plain,
    Text,
    Whole,
    WholeDays,
    Window,
    by_shape,
    refuse,
)
from machines.rules.times import Within
from machines.sop.content import MOST_ATTACHMENTS, Attachment, ChannelName
from machines.workdays import CalendarKind, OffDayPolicy

SopKind = Literal["new_customer", "nurture", "stage", "group"]
Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
OwnerRule = Literal["first_added", "last_added", "tagged_by"]
LONGEST_BATCH = timedelta(days=1)


class ReplyActions(Block):
    """What an answer does to the customer."""

    add_tags: NameList = ()
    remove_tags: NameList = ()
    set: dict[Name, Plain] = Field(default_factory=dict)


class OnReply(Block):
    """Answers to a step: every keyword that is found acts, and so does any answer at all."""

    keywords: Annotated[dict[Name, ReplyActions], Field(min_length=1)] | None = None
    any: ReplyActions | None = None

    @model_validator(mode="after")
    def _says_something(self) -> OnReply:
        if self.keywords is None and self.any is None:
            raise refuse("is empty; give keywords, any or both")
        return self


class Step(Block):
    """One push: what, when, through which channel. Exactly one of day, after, next and on says when."""

    id: Annotated[Key, Field(max_length=40)]
    by: ChannelName
    day: Annotated[Whole, Field(ge=0, le=MAX_DAYS)] | None = None
    at: ClockTime | None = None
    after: Elapsed | None = None
    next: Weekday | None = None
    on: Day | None = None
    text: Text = ""
    attachments: Annotated[tuple[Attachment, ...], Field(max_length=MOST_ATTACHMENTS)] = ()
    only_if: Rule | None = None
    on_reply: OnReply | None = None
    assign: Annotated[Text, Field(pattern=r"^(owner|supervisor|member:\S+)$")] | None = None
    wait: Literal["reply"] | None = None
    at_most: Duration | None = None
    to: Key | None = None


class Again(Block):
    """Re-entry after that long since the last end."""

    after: Duration


class Entry(Block):
    """Who enters, and whether again. Without `when`: every new customer; other kinds only by flow or by hand."""

    when: Rule | None = None
    reenter: Annotated[
        Annotated[Literal["never", "after_end"], Kind("<word>")] | Annotated[Again, Kind("<Again>")],
        by_shape("word", "Again"),
    ] = "never"


class AttributeAnchor(Block):
    """Steps count from the date in this attribute."""

    attribute: Name


class Batch(Block):
    """Sending in portions: at most `size` customers of one member every `every` (D12)."""

    size: Annotated[Whole, Field(ge=1, le=10_000)] = 200
    every: Annotated[Duration, Field(le=LONGEST_BATCH)] = timedelta(minutes=30)


class Defer(Block):
    """How many following days are tried."""

    defer: Annotated[WholeDays, Field(le=timedelta(days=30))]


class End(Block):
    """What the end of a run writes, and where the customer flows to."""

    add_tags: NameList = ()
    remove_tags: NameList = ()
    set: dict[Name, Plain] = Field(default_factory=dict)
    flow_to: Key | None = None


class EarlyEnd(End):
    """An end by rule, judged at each event and again when a send is claimed."""

    when: Rule


class Goal(Block):
    """What the SOP is measured by: the rule becomes true within that time after the first sent push (SPEC 11)."""

    when: Rule
    within: Duration


def _members(value: Any) -> Any:
    return None if value == "all" else [value] if isinstance(value, str) else value


class Sop(Block):
    """A customer SOP: who enters, what they get when, and what ends it."""

    sop: Key
    title: Annotated[Name, Field(max_length=100)]
    kind: SopKind
    strategy: Literal["relative", "timed"] = "relative"
    pace: Literal["anchored", "stepwise"] = "anchored"
    priority: Annotated[Whole, Field(ge=0, le=100)] = 50
    members: Annotated[
        Names | None,
        BeforeValidator(_members, Literal["all"] | Name | list[Name]),
        PlainSerializer(lambda names: "all" if names is None else list(names)),
    ] = None
    owner: OwnerRule | None = None
    stage: InStage | None = None
    entry: Entry = Entry()
    anchor: Annotated[
        Annotated[Literal["entry", "added", "event"], Kind("<word>")]
        | Annotated[AttributeAnchor, Kind("<AttributeAnchor>")],
        by_shape("word", "AttributeAnchor"),
    ] = "entry"
    steps: Annotated[tuple[Step, ...], Field(min_length=1, max_length=500)]
    batch: Batch = Batch()
    late_at_entry: Annotated[
        Annotated[Literal["skip", "next_day"], Kind("<word>")] | Annotated[Within, Kind("<Within>")],
        by_shape("word", "Within"),
    ] = "skip"
    outage_grace: Annotated[
        Annotated[Literal["same_day", "none"], Kind("<word>")] | Annotated[Within, Kind("<Within>")],
        by_shape("word", "Within"),
    ] = "same_day"
    quota_full: Annotated[
        Annotated[Literal["remind", "skip"], Kind("<word>")] | Annotated[Defer, Kind("<Defer>")],
        by_shape("word", "Defer"),
    ] = Defer(defer=timedelta(days=3))
    calendar: CalendarKind = "every_day"
    off_day: OffDayPolicy = "next"
    quiet: Annotated[
        tuple[Window, ...],
        BeforeValidator(lambda value: [value] if isinstance(value, str) else value, Window | list[Window]),
    ] = ()
    early_end: EarlyEnd | None = None
    normal_end: End = End()
    goal: Goal | None = None
    once_per: Literal["customer", "relation"] = "customer"
