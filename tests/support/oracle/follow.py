"""What follows from news, round by round until nothing is left: ends, what they write, flows, entries (SPEC 4, 8).

Within one round everything is judged on what is true at its beginning: who ends at one instant ends together, before
any of them writes; ends come before entries.
"""

from __future__ import annotations

from collections.abc import Iterable

from tests.support.oracle import ends, gates, rules, subjects
from tests.support.oracle.chains import MOST_HOPS, OUTSIDE, Flow, News, net
from tests.support.oracle.company import Company
from tests.support.oracle.definition import End
from tests.support.oracle.run import Cause, Run

NOTHING = End()


def follow(
    company: Company, news: Iterable[News], now: int, flows: Iterable[Flow] = (), left: Iterable[Run] = ()
) -> None:
    """Do all that follows. `left`: runs that have just ended, whose entry rules are looked at once more."""
    news, flows, left = list(news), list(flows), list(left)
    while news or flows or left:
        heard = net([one for one in news if one.cause.hop <= MOST_HOPS])
        ended = _ended_early(company, heard, now)
        written = [ends.follow_up(company, run, run.sop.plan.early_end, cause) for run, cause in ended]
        following = [one for some, _ in written for one in some]
        following += gates.flow(company, flows, now)
        following += gates.hear(company, heard, left, now)
        news, flows, left = following, [one for _, some in written for one in some], [run for run, _ in ended]


def end(company: Company, runs: Iterable[Run], state: str, reason: str, now: int, how: End = NOTHING) -> None:
    """End runs by the word of a person, of WeCom or of an operator: a chain of its own begins."""
    ended = [(run, how, OUTSIDE.further()) for run in runs]
    _close_all(company, ended, state, reason, now)


def _close_all(
    company: Company, ended: list[tuple[Run, End, Cause]], state: str, reason: str, now: int
) -> None:
    """Who ends at one instant ends together, before any of them writes anything."""
    news, flows = [], []
    for run, _, _ in ended:
        ends.close(company, run, state, reason, now)
    for run, how, cause in ended:
        some, others = ends.follow_up(company, run, how, cause)
        news, flows = news + some, flows + others
    follow(company, news, now, flows, [run for run, _, _ in ended])


def finish(company: Company, now: int) -> bool:
    """Normal end of every run whose steps have all fired and whose pushes have settled, unless its SOP is paused."""
    done = [
        (run, run.sop.plan.normal_end, run.chain.further())
        for run in company.open_runs()
        if run.sop.state == "running" and run.fired == len(run.steps) and not any(p.is_unsettled for p in run.pushes)
    ]
    _close_all(company, done, "normal_end", "normal end", now)
    return bool(done)


def _ended_early(company: Company, news: list[News], now: int) -> list[tuple[Run, Cause]]:
    """Close every run whose rule is true now, with the cause of what its end writes (SPEC 8: "was tagged")."""
    found = []
    for run in company.open_runs():
        concerning = [one for one in news if _concerns(company, run, one)]
        if run.sop.plan.early is not None and concerning and _is_at_its_end(company, run, concerning, now):
            words = rules.mentions(run.sop.plan.early)
            first = next((one for one in concerning if one.words & words), concerning[0])
            found.append((run, first.cause.further()))
    for run, _ in found:
        ends.close(company, run, "early_end", "early end", now)
    return found


def _concerns(company: Company, run: Run, news: News) -> bool:
    if news.customer != run.customer or news.only not in (None, run):
        return False
    if news.relation is None or news.relation is run.relation:
        return True
    members = run.sop.plan.members
    return not run.sop.plan.is_for_new and (members is None or news.relation.member in members)


def _is_at_its_end(company: Company, run: Run, news: list[News], now: int) -> bool:
    """The rule, with what was inherited reading false until it has been false once or happens anew (D4)."""
    rule, about = run.sop.plan.early, subjects.inside(company, run, now)
    run.inherited &= rules.holding(rule, about)
    for one in news:
        event = one.event if one.signal is None or one.signal > run.after_signal else None
        run.inherited -= rules.occurring(rule, one.came, one.went, event)
    return rules.holds(rule, about, run.inherited)
