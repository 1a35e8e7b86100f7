"""What a part leaves to be done by others in the same transaction: a value that commands hand to `consequences.follow`.

It decides nothing and knows no rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sopd.handlers.tags import TagChange


@dataclass(frozen=True)
class Consequences:
    """What happened and is not followed yet.

    settled: enrollments of which a push has just settled, so that a waiting step or the normal end may go on.
    tag_changes: tags that hold now and did not before, or the other way round, on some relations.
    """

    settled: frozenset[int] = frozenset()
    tag_changes: tuple[TagChange, ...] = ()

    def __add__(self, other: Consequences) -> Consequences:
        return Consequences(self.settled | other.settled, self.tag_changes + other.tag_changes)

    def __bool__(self) -> bool:
        return bool(self.settled or self.tag_changes)


NOTHING = Consequences()
