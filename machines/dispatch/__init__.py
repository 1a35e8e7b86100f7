"""A dispatch: one task of one member. `decide` is its life, the verdicts judge what was read; see the two modules."""

from machines.dispatch.life import (
    EVENTS,
    FINAL,
    IGNORED,
    STATES,
    TABLE,
    UNKNOWN,
    DispatchDecision,
    DispatchFacts,
    decide,
)
from machines.dispatch.verdicts import (
    ABSENT_AFTER_MS,
    GATHER_MS,
    REREAD_GAP_MS,
    Match,
    cancel_is_overdue,
    lookup_verdict,
    reissue_at,
    summary_of,
    verdict_of_reread,
)

__all__ = [
    "ABSENT_AFTER_MS",
    "EVENTS",
    "FINAL",
    "GATHER_MS",
    "IGNORED",
    "REREAD_GAP_MS",
    "STATES",
    "TABLE",
    "UNKNOWN",
    "DispatchDecision",
    "DispatchFacts",
    "Match",
    "cancel_is_overdue",
    "decide",
    "lookup_verdict",
    "reissue_at",
    "summary_of",
    "verdict_of_reread",
]
