"""Programs with one line: a small SOP, changed where a test wants it, compiled for Shanghai without holidays."""

from __future__ import annotations

from typing import Any

from machines.calendar import NO_QUIET_HOURS
from machines.sop import Program, Sop, compile_program, tag_names
from machines.workdays import NO_WORKDAYS

STEPS = [
    {"id": "hello", "by": "welcome", "text": "你好"},
    {"id": "guide", "by": "mass_send", "day": 1, "at": "10:00", "text": "护肤说明"},
    {"id": "coupon", "by": "mass_send", "day": 3, "at": "10:00", "text": "回购优惠"},
]


def program(**changes: Any) -> Program:
    """A new-customer SOP of three steps; `changes` are keys of the definition. Tag names are their own ids."""
    sop = Sop.model_validate({"sop": "care", "title": "回访", "kind": "new_customer", "steps": STEPS} | changes)
    return compile_program(
        sop,
        zone="Asia/Shanghai",
        company_quiet=NO_QUIET_HOURS,
        workdays=NO_WORKDAYS,
        tag_ids={name: name for name in tag_names(sop)},
    )
