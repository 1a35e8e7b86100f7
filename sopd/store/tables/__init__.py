"""Every table of sopd, in the order in which they are created.

The indexes carry the promises of SPEC 15: at most one open enrollment per SOP and subject, one push per enrollment and
step, one reservation per customer, window and place, one open mass send per customer, one once-per-customer claim.
"""

from __future__ import annotations

from .fields import Row, UtcField, bound
from .people import Audience, AudienceMember, Customer, Forgotten, Member, Relation, RelationTag, Signal, Tag
from .plumbing import (
    Audit,
    Clock,
    Counter,
    CounterDelta,
    Dirty,
    Inbox,
    Job,
    Outbox,
    SetAside,
    Token,
    WecomWindow,
)
from .sending import Claim, Dispatch, Nag, OutsideSend, Push, Reservation, Slot
from .sops import Enrollment, Flip, Journal, Refusal, Sop, SopVersion

TABLES: tuple[type[Row], ...] = (
    Clock,
    Member,
    Customer,
    Forgotten,
    Relation,
    Tag,
    RelationTag,
    Audience,
    AudienceMember,
    Signal,
    Sop,
    SopVersion,
    Enrollment,
    Flip,
    Journal,
    Refusal,
    Slot,
    Dispatch,
    Nag,
    Push,
    Claim,
    Reservation,
    OutsideSend,
    Inbox,
    Dirty,
    Outbox,
    Job,
    WecomWindow,
    SetAside,
    Counter,
    CounterDelta,
    Token,
    Audit,
)

__all__ = ["TABLES", "Row", "UtcField", "bound", *(table.__name__ for table in TABLES)]
