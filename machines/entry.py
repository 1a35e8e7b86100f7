"""Who may enter a SOP, and the one reason why not (SPEC 4, D2).

A new customer is judged once, at the add or at its discovery; other subjects when something they depend on changes.
Called by the handler that admits, once per group of like facts; the same question without consequences answers the
preview. It reads no rows: that the facts are of one moment is the caller's business.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from machines import reasons
from machines.calendar import SECOND_MS, Instant
from machines.facts import Facts
from machines.rules import NOTHING, evaluate, holding
from machines.sop import Program

Gate = Literal["own", "flow", "manual"]
MOST_HOPS = 10
"""A chain of flows, tags and stages that is longer is cut (SPEC 4, 16)."""


class EntryFacts(NamedTuple):
    """What an admission looks at; equal facts make one group. Defaults are those of a plain new customer.

    about: the subject for the rules, restricted to what entry and early end depend on. gate: `own` (rule, add, event),
    or through a flow or by hand. is_new: see `is_new`; is_inherited: add_way 202 or a transfer. in_scope: the member is
    one of the SOP's. member_able: it may send to customers. inside: a run is open. ran_before: one has ended;
    wait_over: see `wait_is_over`; rule_was_false: the entry rule has been false since that end (for an add, the adding
    itself is the change). has_anchor: there is a date to count from. hops and entered_in_chain: the chain of causes
    that leads here.

    The event at hand is among the facts for the entry rule; for the early end it is over before the run begins.
    """

    about: Facts
    gate: Gate = "own"
    sop_state: str = "running"
    is_new: bool = True
    is_inherited: bool = False
    in_scope: bool = True
    muted: bool = False
    member_able: bool = True
    inside: bool = False
    ran_before: bool = False
    wait_over: bool = True
    rule_was_false: bool = True
    has_anchor: bool = True
    hops: int = 0
    entered_in_chain: bool = False


@dataclass(frozen=True, slots=True)
class Admission:
    """`reason`: of `machines.reasons`, empty when entered.

    recorded: the refusal is worth a row, because the customer is one of those the SOP is meant for. inherited: literals
    of the early-end rule that held at a flow-in or manual entry, to be kept with the run (SPEC 4, D4).
    """

    enter: bool
    reason: str = ""
    recorded: bool = False
    inherited: frozenset[str] = NOTHING


# Whom the SOP is not meant for: a row for each of them would cost as much as the customers that never match.
_NOT_MEANT = frozenset(
    {reasons.NOT_STARTED, reasons.SOP_ENDED, reasons.NOT_NEW, reasons.OUT_OF_SCOPE, reasons.RULE_FALSE}
)


def admit(program: Program, facts: EntryFacts) -> Admission:
    """Judge one group of like subjects. Of several reasons the first in SPEC's order is given.

    `sop paused` comes last, for it is recorded of those who would have entered, and `resume` may admit them (SPEC 12).
    A flow into a paused SOP enters and waits.
    """
    for refusal in (_of_the_sop, _of_the_relation, _of_the_rule, _of_the_handover, _of_the_people, _of_the_end,
                    _of_earlier_runs, _of_the_anchor, _of_the_chain, _of_the_pause):  # fmt: skip
        reason = refusal(program, facts)
        if reason:
            return Admission(False, reason, reason not in _NOT_MEANT)
    if facts.gate == "own" or program.early_end_rule is None:
        return Admission(True)
    return Admission(True, inherited=holding(program.early_end_rule, _at_its_beginning(facts)))


def is_new(began_at: Instant, started_at: Instant) -> bool:
    """Whether a relation began at or after the SOP's start. WeCom counts in whole seconds, so we compare those."""
    return began_at // SECOND_MS >= started_at // SECOND_MS


def wait_is_over(program: Program, ended_at: Instant, now: Instant) -> bool:
    """Whether `reenter: {after: D}` has passed since the last end; True for the other policies."""
    return now >= ended_at + program.reenter.after_ms


def rule_holds(program: Program, about: Facts) -> bool:
    """The entry rule now. Without one, every new customer is meant, and of the other kinds nobody enters by itself."""
    if program.entry_rule is None:
        return program.kind == "new_customer"
    return evaluate(program.entry_rule, about)


def _of_the_sop(program: Program, facts: EntryFacts) -> str:
    return {"draft": reasons.NOT_STARTED, "ended": reasons.SOP_ENDED}.get(facts.sop_state, "")


def _of_the_relation(program: Program, facts: EntryFacts) -> str:
    return reasons.NOT_NEW if program.kind == "new_customer" and not facts.is_new else ""


def _of_the_rule(program: Program, facts: EntryFacts) -> str:
    if not facts.in_scope:
        return reasons.OUT_OF_SCOPE
    return "" if facts.gate != "own" or rule_holds(program, facts.about) else reasons.RULE_FALSE


def _of_the_handover(program: Program, facts: EntryFacts) -> str:
    """After the rule: a company hands over thousands, and a row of each is worth it only where the SOP means them."""
    return reasons.INHERITED if program.kind == "new_customer" and facts.is_inherited else ""


def _of_the_people(program: Program, facts: EntryFacts) -> str:
    if facts.muted:
        return reasons.MUTED
    return "" if facts.member_able else reasons.MEMBER_UNABLE


def _of_the_end(program: Program, facts: EntryFacts) -> str:
    rule = program.early_end_rule
    at_its_end = facts.gate == "own" and rule is not None and evaluate(rule, _at_its_beginning(facts))
    return reasons.AT_ITS_END if at_its_end else ""


def _at_its_beginning(facts: EntryFacts) -> Facts:
    """What the run would see first: it ignores the event that creates it (SPEC 4)."""
    return replace(facts.about, events=()) if facts.about.events else facts.about


def _of_earlier_runs(program: Program, facts: EntryFacts) -> str:
    if facts.inside:
        return reasons.INSIDE
    if not facts.ran_before:
        return ""
    if program.reenter.mode == "never":
        return reasons.NEVER_AGAIN
    if not facts.wait_over:
        return reasons.TOO_SOON
    needs_change = facts.gate == "own" and program.kind != "new_customer"
    return reasons.RULE_STILL_TRUE if needs_change and not facts.rule_was_false else ""


def _of_the_anchor(program: Program, facts: EntryFacts) -> str:
    return "" if facts.has_anchor else reasons.NO_ANCHOR


def _of_the_chain(program: Program, facts: EntryFacts) -> str:
    if facts.entered_in_chain:
        return reasons.CHAIN_REPEATED
    return reasons.CHAIN_TOO_LONG if facts.hops > MOST_HOPS else ""


def _of_the_pause(program: Program, facts: EntryFacts) -> str:
    return reasons.SOP_PAUSED if facts.sop_state == "paused" and facts.gate != "flow" else ""
