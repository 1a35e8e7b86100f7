"""The gates of nurture SOPs: the own one by rule, the flow, and by hand (SPEC 4, 8)."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from tests.support.oracle import rules, subjects
from tests.support.oracle.chains import MOST_HOPS, OUTSIDE, Flow, News
from tests.support.oracle.company import Company, Refusal
from tests.support.oracle.people import Relation
from tests.support.oracle.rules import NONE, Happening
from tests.support.oracle.run import NEVER, Cause, Run, Sop

TAKES = ("initialising", "running", "paused")
OUT_OF_SCOPE = "member not in scope"
#: The add_way of a relation that came by a transfer (WeCom 3.3): not a new customer.
ALLOCATED = 202


@dataclass(frozen=True)
class Wish:
    """A customer at the gate of a SOP, with the relation of whoever would act. `entered`: if not now."""

    sop: Sop
    relation: Relation
    gate: str
    cause: str
    chain: Cause
    event: Happening | None = None
    signal: int | None = None
    entered: int | None = None


def hear(company: Company, news: list[News], left: list[Run], now: int) -> list[News]:
    """Everybody whom the news may bring to the gate of a SOP is judged there; all are judged before one enters.

    Whoever has just `left` a SOP is outside from now on: was its rule false at once?"""
    wishes, judged = [], set()
    for customer in dict.fromkeys(one.customer for one in news):
        for sop in _gated(company):
            words = rules.mentions(sop.plan.entry)
            meeting = [one for one in news if one.customer == customer and _meets(one, sop, words)]
            if meeting:
                judged.add((sop, customer))
                wishes += _own_wish(company, sop, customer, meeting, now)
    for run in left:
        if run.sop in _gated(company) and (run.sop, run.customer) not in judged:
            _remember(company, run.sop, run.customer, now)
    return enter(company, wishes, now)


def _gated(company: Company) -> list[Sop]:
    """The SOPs that somebody may enter by the rule."""
    return [
        sop
        for sop in company.sops
        if not sop.plan.is_for_new and sop.state in TAKES and sop.plan.entry is not None
    ]


def _meets(news: News, sop: Sop, words: set[str]) -> bool:
    return news.only is sop or (news.only is None and (news.begins or bool(news.words & words)))


def _own_wish(company: Company, sop: Sop, customer: str, news: list[News], now: int) -> list[Wish]:
    """The rule as it stands; false, that is remembered with the last run, for whoever was inside (SPEC 4)."""
    words = rules.mentions(sop.plan.entry)
    asked = [one for one in news if one.event is not None and f"event {one.event.name}" in words]
    event = asked[0].event if asked else None
    if not _remember(company, sop, customer, now, event):
        return []
    relation = subjects.owner(sop, subjects.in_scope(company, sop, customer))
    if relation is None:
        return []
    signal = next((one.signal for one in news if one.signal is not None), None)
    cause = "rule" if event is None else f"event:{event.name}"
    return [Wish(sop, relation, "own", cause, news[0].cause, event, signal)]


def _remember(company: Company, sop: Sop, customer: str, now: int, event: Happening | None = None) -> bool:
    """Whether the entry rule is true of somebody outside; if not, the run before has seen it false."""
    earlier = [run for run in company.runs if run.sop is sop and run.customer == customer]
    if any(run.is_open for run in earlier):
        return False
    company.waits.pop((sop.plan.key, customer), None)
    holds = rules.holds(sop.plan.entry, subjects.outside(company, sop, customer, now, event))
    if earlier and not holds:
        earlier[-1].rule_was_false = True
    return holds


def flow(company: Company, flows: list[Flow], now: int) -> list[News]:
    """Whoever flows enters whatever the rules say, and is inside with what held already inherited."""
    wishes = []
    for one in flows:
        wish = _flowing(company, one)
        if isinstance(wish, Wish):
            wishes.append(wish)
        else:
            company.told(one.run, now, f"cannot flow to {one.target}: {wish}")
            if wish:
                company.refusals.append(Refusal(now, one.target, "", one.run.customer, frozenset({wish})))
    return enter(company, wishes, now)


def may_flow(company: Company, one: Flow, now: int) -> bool:
    """Whether the gate would let this flow in: a transfer is refused as a whole otherwise."""
    wish = _flowing(company, one)
    return isinstance(wish, Wish) and not against(company, wish, now)


def _flowing(company: Company, one: Flow) -> Wish | str:
    """The wish at the gate of the target, or why there is none: empty where no such SOP lets anybody in by flows."""
    target = company.sop(one.target)
    if target is None or target.plan.is_for_new:
        return ""
    if target.state not in TAKES:
        return "sop ended" if target.state == "ended" else "sop not started"
    relation = acting(company, target, one.run.relation)
    if relation is None:
        return OUT_OF_SCOPE
    return Wish(target, relation, "flow", f"flow:{one.run.sop.plan.key}", one.cause)


def initialise(company: Company, sop: Sop, now: int) -> list[News]:
    """Everybody there is, by level; the day on which start was given is their entry (SPEC 4)."""
    wishes = []
    for customer in company.customers:
        relation = subjects.owner(sop, subjects.in_scope(company, sop, customer))
        if relation is None or sop.plan.entry is None:
            continue
        if rules.holds(sop.plan.entry, subjects.outside(company, sop, customer, now)):
            wishes.append(Wish(sop, relation, "own", "initialised", OUTSIDE, entered=sop.started))
    sop.state = "running"
    return enter(company, wishes, now)


def acting(company: Company, sop: Sop, wished: Relation) -> Relation | None:
    """The wished-for owner's relation if it is in scope, else that of the owner rule."""
    reach = subjects.in_scope(company, sop, wished.customer)
    return wished if wished in reach else subjects.owner(sop, reach)


def by_hand(company: Company, key: str, customer: str, member: str, now: int) -> list[News]:
    """An operator pulls somebody in: exempt from the entry rule only. A named member must have this contact."""
    sop = company.sop(key)
    reach = subjects.in_scope(company, sop, customer)
    wished = [relation for relation in reach if relation.member == member]
    if member and not wished:
        return []
    relation = wished[0] if wished else subjects.owner(sop, reach)
    reason = {"draft": "sop not started", "ended": "sop ended"}.get(sop.state, "" if relation else OUT_OF_SCOPE)
    if reason:
        wished_for = member if sop.plan.is_for_new else ""
        company.refusals.append(Refusal(now, key, wished_for, customer, frozenset({reason})))
        return []
    return enter(company, [Wish(sop, relation, "manual", "manual", OUTSIDE)], now)


# -- entering --------------------------------------------------------------------------------------------------------


def enter(company: Company, wishes: list[Wish], now: int) -> list[News]:
    """Judge everybody, then let in whom nothing speaks against, each subject once."""
    judged = [(wish, against(company, wish, now)) for wish in wishes]
    news = []
    for wish, reasons in judged:
        if any(run.is_open for run in company.runs_of(wish.sop, wish.relation)):
            reasons = reasons | {"already inside"}
        if reasons:
            refuse(company, wish, reasons, now)
        else:
            run = _enroll(company, wish, now)
            news.append(News(run.customer, frozenset({f"sop {wish.sop.plan.key}"}), cause=run.chain))
    return news


def against(company: Company, wish: Wish, now: int) -> frozenset[str]:
    """Everything that speaks against an entry; the engine names one of it."""
    sop, reasons = wish.sop, set()
    about = subjects.before(company, sop, wish.relation, now)
    if wish.relation.customer in company.muted:
        reasons.add("muted")
    if wish.gate == "own" and sop.plan.early is not None and rules.holds(sop.plan.early, about):
        reasons.add("already at its end")
    if sop.state == "paused" and wish.gate != "flow":
        reasons.add("sop paused")
    if sop.plan.is_for_new and wish.relation.add_way == ALLOCATED:
        reasons.add("inherited")
    if sop.plan.is_for_new and wish.gate == "manual":
        reasons |= _is_no_new_customer(wish)
    if sop.plan.key in wish.chain.chain:
        reasons.add("already entered in this chain")
    if wish.chain.hop > MOST_HOPS:
        reasons.add("chain too long")
    if anchor(company, wish, now) is None:
        reasons.add("no date to count from")
    return frozenset(reasons | _again(company, wish, now))


def _is_no_new_customer(wish: Wish) -> set[str]:
    """By hand only the rule is passed over: it must be a relation of this time and in scope."""
    plan, relation = wish.sop.plan, wish.relation
    reasons = set()
    if not relation.known or relation.known_since // 1000 < wish.sop.started // 1000:
        reasons.add("not new")
    if plan.members is not None and relation.member not in plan.members:
        reasons.add(OUT_OF_SCOPE)
    return reasons


def _again(company: Company, wish: Wish, now: int) -> set[str]:
    """Whoever was inside before comes again only as `reenter` has it (SPEC 4)."""
    earlier, policy = company.runs_of(wish.sop, wish.relation), wish.sop.plan.reenter
    if any(run.is_open for run in earlier):
        return {"already inside"}
    if not earlier:
        return set()
    if policy == "never":
        return {"re-entry never"}
    over = earlier[-1].closed + (policy if isinstance(policy, int) else 0)
    if now < over:
        if wish.gate == "own" and earlier[-1].rule_was_false:
            company.waits[wish.sop.plan.key, wish.relation.customer] = over
        return {"re-entry too soon"}
    if wish.gate == "own" and not wish.sop.plan.is_for_new and not earlier[-1].rule_was_false:
        return {"entry rule true since the last end"}
    return set()


def refuse(company: Company, wish: Wish, reasons: frozenset[str], now: int) -> None:
    """One more refusal of this subject."""
    member = wish.relation.member if wish.sop.plan.is_for_new else ""
    company.refusals.append(Refusal(now, wish.sop.plan.key, member, wish.relation.customer, reasons))


def anchor(company: Company, wish: Wish, entered: int) -> int | None:
    """The instant from which the steps count; None if it lies in an attribute that holds no date."""
    kind = wish.sop.plan.anchor
    if kind == "added" or wish.sop.plan.is_for_new:
        return wish.relation.known_since // 1000 * 1000
    if kind == "event" and wish.event is not None:
        return wish.event.at
    if not isinstance(kind, tuple):
        return entered
    day = rules.as_date(company.customer(wish.relation.customer).attributes.get(kind[1]))
    return None if day is None else wish.sop.calendar.instant(day, dt.time(0))


def _enroll(company: Company, wish: Wish, now: int) -> Run:
    early, about = wish.sop.plan.early, subjects.before(company, wish.sop, wish.relation, now)
    inherits = wish.gate != "own" and early is not None
    entered = now if wish.entered is None else wish.entered
    return enroll(
        company, wish.sop, wish.relation, now,
        cause=wish.cause, chain=wish.chain, anchor=anchor(company, wish, entered), entered=entered,
        inherited=rules.holding(early, about) if inherits else NONE,
        after_signal=wish.signal,
    )  # fmt: skip


def enroll(
    company: Company, sop: Sop, relation: Relation, now: int, *, cause: str, chain: Cause, anchor: int, entered: int,
    inherited: frozenset[rules.Literal] = NONE, after_signal: int | None = None,
) -> Run:  # fmt: skip
    """A new run, with the steps that are past already known as missed (D3). It ignores all signals up to now, or up to
    the one that let it in."""
    if after_signal is None:
        heard = [one.number for one in company.signals[: company.handled] if one.customer == relation.customer]
        after_signal = max(heard, default=0)
    earlier = company.runs_of(sop, relation)
    before, dues = schedule(sop, anchor, entered)
    key = sop.plan.key
    run = Run(
        number=len(company.runs) + 1, sop=sop, relation=relation, run_no=1 + len(earlier), cause=cause,
        chain=Cause(chain.hop, (*chain.chain, key)), anchor=anchor, entered=entered, dues=dues,
        before_entry=before, learned=now, inherited=inherited, after_signal=after_signal,
    )  # fmt: skip
    company.runs.append(run)
    company.told(run, now, f"enters ({cause})")
    return run


def schedule(sop: Sop, anchor: int, entered: int) -> tuple[set[int], list[int]]:
    """Which steps entry passes over, and the dues of all; of a stepwise run only the first is known."""
    dues = sop.calendar.dues(anchor, entered)
    unknown = len(dues) - 1 if sop.plan.is_stepwise else 0
    before, dues = sop.calendar.at_entry(dues[: len(dues) - unknown], entered)
    return before, [*dues, *[NEVER] * unknown]
