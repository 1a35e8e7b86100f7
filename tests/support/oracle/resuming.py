"""A paused SOP goes on (SPEC 12, D23): what is past is skipped, shifted or caught up with; the recorded enter."""

from __future__ import annotations

from tests.support.oracle import entry, gates, rules, subjects
from tests.support.oracle.chains import OUTSIDE, News
from tests.support.oracle.company import Company
from tests.support.oracle.definition import DAY
from tests.support.oracle.firing import fire_step, pass_over, quota_day
from tests.support.oracle.follow import follow
from tests.support.oracle.run import NEVER, Push, Run, Sop
from tests.support.oracle.settling import settle


def resume(company: Company, how: str, now: int) -> None:
    """`KEY`, `KEY shift`, `KEY catch_up`, each perhaps with `admit` behind."""
    key, *words = how.split()
    sop = company.sop(key)
    missed = next((word for word in words if word != "admit"), "skip")
    if sop.state != "paused" or (missed == "shift" and sop.plan.is_timed):
        return
    sop.state = "running"
    for run in [run for run in company.open_runs() if run.sop is sop]:
        {"skip": _skip, "shift": _shift, "catch_up": _catch_up}[missed](company, run, now)
    if "admit" in words:
        _admit(company, sop, now)


def _waiting(run: Run) -> list[Push]:
    return [push for push in run.pushes if push.state in ("due", "waiting")]


def _skip(company: Company, run: Run, now: int) -> None:
    """Pass over the moments missed, and the pushes that waited."""
    for push in _waiting(run):
        settle(company, push, "skipped", "paused", now)
    _pass_over(company, run, now)


def _pass_over(company: Company, run: Run, now: int, *, but_the_latest: bool = False) -> None:
    missed = []
    for step in run.steps[run.fired :]:
        if run.waits or run.dues[step.index] > now:
            break
        missed.append(step)
    latest = next((step for step in reversed(missed) if step.index not in run.before_entry), None)
    for step in missed:
        if but_the_latest and step is latest:
            fire_step(company, run, step, now)
        else:
            pass_over(company, run, step, "before entry" if step.index in run.before_entry else "paused", now)


def _catch_up(company: Company, run: Run, now: int) -> None:
    """Only the latest of all that was missed goes out, now; a push that waited is one of them."""
    waiting, step = _waiting(run), run.next_step()
    is_behind = step is not None and run.dues[step.index] <= now and not run.waits
    for push in waiting if is_behind else waiting[:-1]:
        settle(company, push, "skipped", "paused", now)
    if waiting and not is_behind:
        waiting[-1].look_at = now
    _pass_over(company, run, now, but_the_latest=True)


def _shift(company: Company, run: Run, now: int) -> None:
    """Everything moves by as many local days as the pause took, of which the run was inside; what is past then is
    skipped."""
    calendar = run.sop.calendar
    days = (calendar.date(now) - calendar.date(max(run.sop.paused, run.entered))).days
    run.moved += days * DAY
    if not run.sop.plan.is_stepwise or not run.fired:
        before, dues = gates.schedule(run.sop, run.anchor + run.moved, run.entered + run.moved)
        run.dues[run.fired :], run.before_entry = dues[run.fired :], before
    elif run.counts_from is not None and run.fired < len(run.steps) and run.dues[run.fired] != NEVER:
        run.counts_from += days * DAY
        run.dues[run.fired] = calendar.due_after(run.steps[run.fired], run.counts_from, quota_day(run))
        run.answer_until = None if run.answer_until is None else run.answer_until + days * DAY
    for push in _waiting(run):
        push.look_at = now
    _pass_over(company, run, now)


def _admit(company: Company, sop: Sop, now: int) -> None:
    """Who would have entered but for the pause is judged as if it were now."""
    recorded = {
        (one.member, one.customer)
        for one in company.refusals
        if one.sop == sop.plan.key and one.reasons == {"sop paused"} and one.at >= sop.paused
    }
    news: list[News] = []
    for member, customer in sorted(recorded):
        if sop.plan.is_for_new:
            news += entry.admit_late(company, sop, company.relation(member, customer), now)
            continue
        relation = subjects.owner(sop, subjects.in_scope(company, sop, customer))
        if relation is not None and rules.holds(sop.plan.entry, subjects.outside(company, sop, customer, now)):
            news += gates.enter(company, [gates.Wish(sop, relation, "own", "resumed", OUTSIDE)], now)
    follow(company, news, now)
