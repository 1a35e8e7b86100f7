"""What one reading of WeCom means for one relation (SPEC 15.1, D2, D24). Pure: row and sighting in, verdict out.

Beginnings are told by WeCom's createtime, ends by events or by absence. A relation that an event ended is not revived
by a list that still shows it: only an add event or a later createtime does that. Called by `observe`.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from machines.calendar import SECOND_MS, Instant
from sopd.store.queries.people import Known, Pair
from sopd.wecom.people import Follow, Profile

RECONCILIATION = "reconciliation"
"""Why a relation is looked at that no event told of, and who ended one that was simply no longer there."""

Verdict = Literal["begun", "begun_anew", "half", "back", "same", "gone", "nothing", "again"]
"""begun: a relation that was not, or no longer, active begins. begun_anew: an active one ended unseen and began again.
half: one-way, remembered only. back: it was only missed, and is the same as before. same: nothing but tags may differ.
gone: no longer there. nothing: leave it as it is. again: the reading is older than what we wrote, so it proves nothing.
"""


class Sighting(NamedTuple):
    """What one reading showed of one relation; `follow` None: it was not there.

    generation: the relation's before the reading began, None if we did not know it then. cause: added | half_added |
    edited | result | local (a re-read that somebody asked for, `mark` is its row's) or reconciliation (`mark` None).
    added_at and the rest are the add event's, if one is behind the re-read.
    """

    userid: str
    external_userid: str
    generation: int | None
    cause: str
    profile: Profile | None = None
    follow: Follow | None = None
    mark: int | None = None
    added_at: Instant | None = None
    channel: str | None = None
    welcome_code: str | None = None
    welcome_until: Instant | None = None

    @property
    def pair(self) -> Pair:
        """Which relation."""
        return self.userid, self.external_userid


def judge(known: Known | None, seen: Sighting) -> Verdict:
    """What becomes of a relation by a sighting; `known` is the row as it is now, None if there is none."""
    if (known.generation if known else None) != seen.generation:
        return "again"
    if seen.follow is None:
        return _absent(known, seen)
    if seen.cause == "half_added":
        return "half" if known is None else "same" if known.state == "active" else "nothing"
    if known is None or known.state == "half":
        return "begun"
    if known.state == "lost":
        return _revived(known, seen)
    return "begun_anew" if _is_later(seen.follow.created_at, known.began_at) else "same"


def began_at(known: Known | None, seen: Sighting) -> Instant:
    """The entry instant of a relation that begins: WeCom's createtime (D2).

    Where that did not move although the relation begins again, or becomes two-way, the add event's own instant.
    """
    assert seen.follow is not None
    created_at = seen.follow.created_at
    if known is None or seen.added_at is None or _is_later(created_at, known.began_at):
        return created_at
    return max(created_at, seen.added_at)


def _absent(known: Known | None, seen: Sighting) -> Verdict:
    """WeCom does not list half-added customers, so their absence says nothing."""
    if known is None:
        return "half" if seen.cause == "half_added" else "nothing"
    return "gone" if known.state == "active" and seen.cause != "half_added" else "nothing"


def _revived(known: Known, seen: Sighting) -> Verdict:
    """D24. What was only missed was perhaps never gone: then it is back, without a new beginning."""
    assert seen.follow is not None
    created_at, added_at, lost_at = seen.follow.created_at, seen.added_at, known.lost_at or 0
    is_add = seen.cause == "added" and added_at is not None
    if known.lost_by == RECONCILIATION:
        later = _is_later(created_at, known.began_at) or (is_add and _is_later(added_at or 0, known.began_at))
        return "begun" if later else "back"
    # Whole seconds: an add in the very second of the end came after it, or it would not be there.
    if is_add and not _is_later(lost_at, added_at or 0):
        return "begun"
    is_new = _is_later(created_at, known.began_at) and not _is_later(lost_at, created_at)
    return "begun" if is_new else "nothing"


def _is_later(instant: Instant, other: Instant) -> bool:
    """WeCom counts in whole seconds."""
    return instant // SECOND_MS > other // SECOND_MS
