"""The oracle's clock: plays the deeds of a history, and between them whatever is due, one instant after another."""

from __future__ import annotations

from tests.support.oracle import ends, news, planning, tasks
from tests.support.oracle.company import Company
from tests.support.oracle.history import Deed, History
from tests.support.oracle.people import Relation
from tests.support.oracle.settling import settle


def replay(history: History) -> Company:
    """What SPEC says must have come of this history by its end."""
    company = Company(history.quota, history.delay, reconcile_at=history.start)
    for text in history.sops:
        company.start(text, history.start)
    deeds = sorted(history.deeds, key=lambda deed: deed.at)
    while True:
        upcoming = [*_upcoming(company), *(deed.at for deed in deeds[:1])]
        now = min(upcoming, default=history.until + 1)
        if now > history.until:
            return company
        while deeds and deeds[0].at <= now:
            perform(company, deeds.pop(0), now)
        _work(company, now)


def _work(company: Company, now: int) -> None:
    """Everything that is due, until nothing moves any more."""
    if not company.is_up:
        tasks.confirm(company, now)
        return
    moves = (
        news.read, news.reconcile, tasks.confirm, tasks.collect, planning.release, planning.fire, _capacity,
        planning.wake, planning.plan, tasks.create, ends.finish,
    )  # fmt: skip
    moved = [True]
    while any(moved):
        moved = [move(company, now) for move in moves]


def _upcoming(company: Company) -> list[int]:
    taps = [at for task in company.tasks if (at := tasks.confirmation(company, task)) is not None]
    if not company.is_up:
        return taps
    letters = [letter.arrives for letter in company.letters]
    dues = [
        run.dues[run.fired]
        for run in company.open_runs()
        if run.sop.state == "running" and not run.waits and run.fired < len(run.steps)
    ]
    looks = [push.look_at for push in company.pushes() if push.look_at is not None]
    full = [push.expires for push in company.pushes() if _lacks_room(push)]
    sends = [task.send_at for task in company.tasks if task.state == "planned"]
    reads = [task.look_at for task in company.tasks if task.look_at is not None]
    return [*taps, *letters, *dues, *looks, *full, *sends, *reads, company.reconcile_at]


def _lacks_room(push: object) -> bool:
    return push.state == "waiting" and push.reason == "capacity" and push.run.sop.state == "running"


def _capacity(company: Company, now: int) -> bool:
    """No slot was free before its expiry (SPEC 7.4); the next step, if that ends it, has overtaken it before."""
    late = [push for push in company.pushes() if _lacks_room(push) and push.expires <= now]
    for push in late:
        settle(company, push, "expired", "capacity", now)
    return bool(late)


# -- deeds -----------------------------------------------------------------------------------------------------------


def perform(company: Company, deed: Deed, now: int) -> None:
    """One deed; what the world does not allow changes nothing."""
    _DEEDS[deed.verb](company, deed, now)


def _add(company: Company, deed: Deed, now: int, *, half: bool = False) -> None:
    relation = company.relation(deed.member, deed.customer)
    if relation.friends or relation.half:
        return
    relation.source, relation.began, relation.half = deed.detail, now, half
    relation.tags, relation.chatting, relation.friends = set(), False, not half
    news.write(company, relation, now, code=not half)


def _confirm_half(company: Company, deed: Deed, now: int) -> None:
    relation = company.relation(deed.member, deed.customer)
    if relation.half:
        relation.half, relation.friends, relation.began = False, True, now
        news.write(company, relation, now, code=not relation.chatting)


def _delete(company: Company, deed: Deed, now: int) -> None:
    relation = company.relation(deed.member, deed.customer)
    if relation.friends or relation.half:
        relation.friends, relation.half, relation.tags = False, False, set()
        news.write(company, relation, now)


def _tag(company: Company, deed: Deed, now: int) -> None:
    relation = company.relation(deed.member, deed.customer)
    if relation.friends:
        _change_tags(company, relation, relation.tags | {deed.detail}, now)


def _untag(company: Company, deed: Deed, now: int) -> None:
    relation = company.relation(deed.member, deed.customer)
    if relation.friends:
        _change_tags(company, relation, relation.tags - {deed.detail}, now)


def _change_tags(company: Company, relation: Relation, tags: set[str], now: int) -> None:
    relation.tags = tags
    news.write(company, relation, now)


def _chat(company: Company, deed: Deed, now: int) -> None:
    relation = company.relation(deed.member, deed.customer)
    relation.chatting = relation.chatting or relation.friends or relation.half


def _own_send(company: Company, deed: Deed, now: int) -> None:
    relation = company.relation(deed.member, deed.customer)
    if relation.friends:
        company.wecom.deliver(relation, deed.customer, now)


def _mute(company: Company, deed: Deed, now: int) -> None:
    """No end: its next steps are skipped one by one; an open task is treated as an early end does (D22)."""
    if not any(relation.known_since for relation in company.relations.values() if relation.customer == deed.customer):
        return
    company.muted.add(deed.customer)
    for push in company.pushes(customer=deed.customer):
        if push.is_out and push.run.is_open:
            push.stopped = now
            tasks.stop(company, push.task, "end", now)


def _end(company: Company, deed: Deed, now: int) -> None:
    for run in company.open_runs(customer=deed.customer):
        if run.relation.member == deed.member and run.sop.plan.key == deed.detail:
            ends.end(company, run, "manual_end", "manual end", now)


def _up(company: Company, deed: Deed, now: int) -> None:
    """The daemon is back: letters that were repeated in vain are lost, and the daily read is made up for."""
    company.is_up = True
    news.lose_undelivered(company, now)


def _down(company: Company, deed: Deed, now: int) -> None:
    company.is_up = False


_DEEDS = {
    "down": _down,
    "up": _up,
    "add": _add,
    "half_add": lambda company, deed, now: _add(company, deed, now, half=True),
    "confirm_half": _confirm_half,
    "customer_delete": _delete,
    "member_delete": _delete,
    "tag": _tag,
    "untag": _untag,
    "chat": _chat,
    "own_send": _own_send,
    "mute": _mute,
    "unmute": lambda company, deed, now: company.muted.discard(deed.customer),
    "end": _end,
    "pause": lambda company, deed, now: planning.pause(company, deed.detail, now),
    "resume": lambda company, deed, now: planning.resume(company, deed.detail, now),
    "stop": lambda company, deed, now: planning.stop(company, deed.detail, now),
}
