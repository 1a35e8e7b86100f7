"""The oracle's clock: plays the deeds of a history, and between them whatever is due, one instant after another."""

from __future__ import annotations

from tests.support.oracle import (
    deeds,
    firing,
    flips,
    follow,
    handovers,
    letters,
    operators,
    outside,
    planning,
    signals,
    tasks,
)
from tests.support.oracle.company import Company
from tests.support.oracle.history import History
from tests.support.oracle.run import NEVER
from tests.support.oracle.settling import settle


def replay(history: History) -> Company:
    """What SPEC says must have come of this history by its end."""
    company = Company(history.quota, history.delay, reconcile_at=history.start, own_sends_at=history.start)
    for text in history.sops:
        sop = company.publish(text)
        if sop.plan.key not in history.later:
            operators.start(company, sop.plan.key, history.start)
    to_do = sorted(history.deeds, key=lambda deed: deed.at)
    while True:
        upcoming = [*_upcoming(company), *(deed.at for deed in to_do[:1])]
        now = min(upcoming, default=history.until + 1)
        if now > history.until:
            return company
        while to_do and to_do[0].at <= now:
            deeds.perform(company, to_do.pop(0), now)
        _work(company, now)


def _work(company: Company, now: int) -> None:
    """Everything that is due, until nothing moves any more."""
    if not company.is_up:
        tasks.confirm(company, now)
        return
    moves = (
        letters.read, letters.reconcile, operators.initialise, handovers.give_up, signals.handle, flips.strike,
        tasks.confirm, tasks.collect, firing.go_on, firing.release, firing.fire, _capacity, planning.wake,
        planning.plan, tasks.create, follow.finish, letters.take_back, outside.count,
    )  # fmt: skip
    moved = [True]
    while any(moved):
        moved = [move(company, now) for move in moves]
    flips.look_ahead(company, now)


def _upcoming(company: Company) -> list[int]:
    taps = [at for task in company.tasks if (at := tasks.confirmation(company, task)) is not None]
    if not company.is_up:
        return taps
    arriving = [letter.arrives for letter in company.letters]
    dues = [
        run.dues[run.fired]
        for run in company.open_runs()
        if run.sop.state == "running" and not run.waits and run.fired < len(run.steps) and run.dues[run.fired] != NEVER
    ]
    looks = [push.look_at for push in company.pushes() if push.look_at is not None]
    full = [push.expires for push in company.pushes() if _lacks_room(push)]
    sends = [task.send_at for task in company.tasks if task.state == "planned"]
    reads = [task.look_at for task in company.tasks if task.look_at is not None]
    waits = [one.handed_over for one in company.relations.values() if one.handed_over is not None]
    turns = list(company.flips.values())
    daily = (company.reconcile_at, company.own_sends_at)
    return [*taps, *arriving, *dues, *looks, *full, *sends, *reads, *waits, *turns, *daily]


def _lacks_room(push: object) -> bool:
    return push.state == "waiting" and push.reason == "capacity" and push.run.sop.state == "running"


def _capacity(company: Company, now: int) -> bool:
    """No slot was free before its expiry (SPEC 7.4); the next step, if that ends it, has overtaken it before."""
    late = [push for push in company.pushes() if _lacks_room(push) and push.expires <= now]
    for push in late:
        settle(company, push, "expired", "capacity", now)
    return bool(late)
