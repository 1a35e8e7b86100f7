"""Wishes to enter a SOP, and what they are judged to be: the values that `entries` takes, judges and writes (SPEC 4).

They decide nothing and know no rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from machines import reasons
from machines.calendar import Instant
from machines.entry import Admission, Gate
from machines.facts import EventFact, Facts
from sopd.handlers.catalogue import RunningSop
from sopd.handlers.happened import OUTSIDE, Cause
from sopd.handlers.owners import Owner
from sopd.handlers.welcomes import Begun
from sopd.store.queries.entries import LastRun


class Wish(NamedTuple):
    """Somebody who may enter one SOP now.

    cause: as in enrollment.cause. relation_id: of a new-customer SOP the subject; of others the wished-for owner's,
    taken if it is in scope. entered_at: None is this instant, and for new customers WeCom's createtime. event and
    signal_id: the signal at hand. chain: the cause behind it. who and why: the operator's. alike: others for whom the
    same is wished and who are judged like this one: new relations of new customers, where the rules are plain ones.
    """

    sop_id: int
    customer_id: int
    gate: Gate
    cause: str
    relation_id: int | None = None
    entered_at: Instant | None = None
    event: EventFact | None = None
    signal_id: int | None = None
    chain: Cause = OUTSIDE
    who: str = ""
    why: str = ""
    alike: Sequence[Begun] = ()


class Entered(NamedTuple):
    """What became of a wish, of the first it is about. reason: of `machines.reasons`, empty when entered (or, asked
    dry, when it would be)."""

    wish: Wish
    enrollment_id: int | None
    reason: str = ""


class Judged(NamedTuple):
    """A wish with everything it was judged on. `sop` None: it does not take part. `owner` None: nobody is in scope.

    `about` None: nobody needs the exact facts again. `looked`: the rules were looked at.
    """

    wish: Wish
    sop: RunningSop | None
    subject_id: int
    admission: Admission
    owner: Owner | None = None
    about: Facts | None = None
    last: LastRun | None = None
    anchor_at: Instant = 0
    entered_at: Instant = 0
    looked: bool = False

    @property
    def rule(self) -> bool | None:
        """Whether the entry rule holds; None if it was not looked at."""
        if self.wish.gate != "own" or not self.looked or self.admission.reason == reasons.INSIDE:
            return None
        return self.admission.reason != reasons.RULE_FALSE
