"""What a part leaves to be done by others in the same transaction: values that commands hand to `consequences.follow`.

They decide nothing and know no rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from machines.facts import Dependencies, EventFact

if TYPE_CHECKING:
    from sopd.handlers.tags import TagChange


@dataclass(frozen=True)
class Cause:
    """The chain behind something (SPEC 4): how many hops from the outside world, and the SOPs entered on the way."""

    hop: int = 0
    chain: tuple[int, ...] = ()


OUTSIDE = Cause()
"""A person, a member, WeCom or the clock of a rule: the beginning of every chain."""


@dataclass(frozen=True)
class News:
    """Something that rules may look at has just become different for one customer; it has been written already.

    touched: what changed, in the words of `machines.facts.Dependencies`: only rules that depend on a part of it are
    judged (a reply touches `asked={None}` and `talk`). relation_id: if it is about one relation only. event and
    signal_id: the signal at hand, which the entry rule may count. text: what happened, for people (`event order_paid`).
    """

    customer_id: int
    touched: Dependencies
    text: str
    relation_id: int | None = None
    event: EventFact | None = None
    signal_id: int | None = None
    cause: Cause = OUTSIDE


@dataclass(frozen=True)
class Flow:
    """A run that ended flows into another SOP."""

    from_run: int
    from_sop: int
    target: str
    customer_id: int
    relation_id: int
    member_id: int
    cause: Cause


@dataclass(frozen=True)
class Consequences:
    """What happened and is not followed yet.

    settled: enrollments of which a push has just settled, so that a waiting step or the normal end may go on.
    tag_changes: tags that hold now and did not before, or the other way round, on some relations.
    news: everything else that rules may look at. flows: ended runs that go on elsewhere.
    """

    settled: frozenset[int] = frozenset()
    tag_changes: tuple[TagChange, ...] = ()
    news: tuple[News, ...] = ()
    flows: tuple[Flow, ...] = ()

    def __add__(self, other: Consequences) -> Consequences:
        return Consequences(
            self.settled | other.settled, self.tag_changes + other.tag_changes, self.news + other.news,
            self.flows + other.flows,
        )

    def __bool__(self) -> bool:
        return bool(self.settled or self.tag_changes or self.news or self.flows)


NOTHING = Consequences()
