"""What a part leaves to be done by others in the same transaction: values that commands hand to `consequences.follow`.

They decide nothing and know no rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from machines.facts import Dependencies, EventFact
from sopd.handlers.owners import NO_TAGS, Owner
from sopd.store.queries.enrollments import Run


@dataclass(frozen=True)
class Cause:
    """The chain behind something (SPEC 4): how many hops from the outside world, and the SOPs entered on the way.

    run: the enrollment whose end did it; if the chain is cut here, its journal says so.
    """

    hop: int = 0
    chain: tuple[int, ...] = ()
    run: int | None = field(default=None, compare=False)


OUTSIDE = Cause()
"""A person, a member, WeCom or the clock of a rule: the beginning of every chain."""


@dataclass(frozen=True)
class Only:
    """The one rule that a piece of news is about: a time atom of it has flipped, or its run has just ended.

    purpose: entry (ref_id: the subject, as in enrollment.subject_id) | end (ref_id: the enrollment).
    """

    purpose: Literal["entry", "end"]
    sop_id: int
    ref_id: int


class TagChange(NamedTuple):
    """Tags that hold on a relation and did not before, and the other way round. Never empty."""

    relation_id: int
    added: frozenset[str] = NO_TAGS
    removed: frozenset[str] = NO_TAGS
    cause: Cause = OUTSIDE


class News(NamedTuple):
    """Something that rules may look at has just become different for one customer; it has been written already.

    touched: what changed, in the words of `machines.facts.Dependencies`: only rules that depend on a part of it are
    judged (a reply touches `asked={None}` and `talk`). relation_id: if it is about one relation only. event and
    signal_id: the signal at hand, which the entry rule may count. text: what happened, for people (`event order_paid`).
    only: judge nothing but this rule, whatever it depends on (the sweep of time atoms).
    """

    customer_id: int
    touched: Dependencies
    text: str
    relation_id: int | None = None
    event: EventFact | None = None
    signal_id: int | None = None
    cause: Cause = OUTSIDE
    only: Only | None = None


@dataclass(frozen=True)
class Flow:
    """A run that ended flows into another SOP, by its key. `who`: the operator behind it, if there is one."""

    from_run: int
    from_sop: int
    target: str
    customer_id: int
    relation_id: int
    member_id: int
    cause: Cause
    who: str = ""


class Left(NamedTuple):
    """Runs of one SOP that have just ended: their subjects are outside, and its entry rule is watched again (SPEC 4).

    cause: of all that their ends write and of the news that they ended; which run it was is to be added to it.
    """

    runs: Sequence[Run]
    cause: Cause

    @property
    def sop_id(self) -> int:
        """The SOP that they were in."""
        return self.runs[0].sop_id


@dataclass(frozen=True)
class Consequences:
    """What happened and is not followed yet.

    settled: enrollments of which a push has just settled, so that a waiting step or the normal end may go on.
    tag_changes: tags that hold now and did not before, or the other way round, on some relations.
    news: everything else that rules may look at. flows: ended runs that go on elsewhere. left: runs that have ended.
    seen: relations that stand like this after what happened, if whoever tells it has just seen them; nothing by itself.
    """

    settled: frozenset[int] = frozenset()
    tag_changes: tuple[TagChange, ...] = ()
    news: tuple[News, ...] = ()
    flows: tuple[Flow, ...] = ()
    left: tuple[Left, ...] = ()
    seen: Mapping[int, Owner] = field(default_factory=dict, compare=False)

    def __add__(self, other: Consequences) -> Consequences:
        return Consequences(
            self.settled | other.settled, self.tag_changes + other.tag_changes, self.news + other.news,
            self.flows + other.flows, self.left + other.left, {**self.seen, **other.seen},
        )

    @property
    def concerns_rules(self) -> bool:
        """Whether any rule, or any gate, may have to be looked at."""
        return bool(self.tag_changes or self.news or self.flows or self.left)

    def __bool__(self) -> bool:
        return bool(self.settled) or self.concerns_rules


NOTHING = Consequences()
