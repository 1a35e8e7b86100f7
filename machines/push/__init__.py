"""A push: one step of one enrollment. `check` is planning's question, `decide` its life; see the two modules."""

from machines.push.checks import CHECKS, PlanFacts, Verdict, check
from machines.push.life import (
    EVENTS,
    FINAL,
    IGNORED,
    OPEN,
    STATES,
    TABLE,
    PushDecision,
    PushFacts,
    decide,
    is_settled,
    mark_of,
    why_no_retry,
)

__all__ = [
    "CHECKS",
    "EVENTS",
    "FINAL",
    "IGNORED",
    "OPEN",
    "STATES",
    "TABLE",
    "PlanFacts",
    "PushDecision",
    "PushFacts",
    "Verdict",
    "check",
    "decide",
    "is_settled",
    "mark_of",
    "why_no_retry",
]
