"""What people and operators do in a history, as it befalls the oracle's company."""

from __future__ import annotations

from typing import Any

import yaml

from tests.support.oracle import follow, handovers, letters, operators, outside, resuming, signals, tasks
from tests.support.oracle.company import Company
from tests.support.oracle.history import Deed
from tests.support.oracle.people import Relation
from tests.support.oracle.run import Run


def perform(company: Company, deed: Deed, now: int) -> None:
    """One deed; what the world does not allow changes nothing."""
    _DEEDS[deed.verb](company, deed, now)


def _add(company: Company, deed: Deed, now: int, *, half: bool = False) -> None:
    relation = company.relation(deed.member, deed.customer)
    if relation.friends or relation.half:
        return
    company.customer(deed.customer)
    relation.source, relation.began, relation.half, relation.add_way = deed.detail, now, half, 1
    relation.tags, relation.chatting, relation.friends = set(), False, not half
    letters.write(company, relation, now, code=not half)


def _confirm_half(company: Company, deed: Deed, now: int) -> None:
    relation = company.relation(deed.member, deed.customer)
    if relation.half:
        relation.half, relation.friends, relation.began = False, True, now
        letters.write(company, relation, now, code=not relation.chatting)


def _delete(company: Company, deed: Deed, now: int, by: str) -> None:
    relation = company.relation(deed.member, deed.customer)
    if relation.friends or relation.half:
        relation.friends, relation.half, relation.tags = False, False, set()
        letters.write(company, relation, now, ended_by=by)


def _transfer(company: Company, deed: Deed, now: int) -> None:
    """WeCom gives the customer to another member (7); tags stay behind. Whom the other knows already is no news."""
    old, new = company.relation(deed.member, deed.customer), company.relation(deed.detail, deed.customer)
    if old is new or not (old.friends or old.half):
        return
    _delete(company, deed, now, "transfer")
    if not new.friends and not new.half:
        new.friends, new.began, new.add_way, new.source = True, now, handovers.ALLOCATED, ""
        new.tags, new.chatting = set(), False
        letters.write(company, new, now)


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
    letters.write(company, relation, now)


def _chat(company: Company, deed: Deed, now: int) -> None:
    relation = company.relation(deed.member, deed.customer)
    relation.chatting = relation.chatting or relation.friends or relation.half


def _own_send(company: Company, deed: Deed, now: int) -> None:
    relation = company.relation(deed.member, deed.customer)
    if relation.friends:
        outside.send(company, relation, now)


def _mute(company: Company, deed: Deed, now: int) -> None:
    """No end: its next steps are skipped one by one; an open task is treated as an early end does (D22)."""
    if not company.is_known(deed.customer):
        return
    company.muted.add(deed.customer)
    for push in company.pushes(customer=deed.customer):
        if push.is_out and push.run.is_open:
            push.stopped = now
            tasks.stop(company, push.task, "end", now)


def _runs(company: Company, deed: Deed, key: str) -> list[Run]:
    """The open runs of a customer in a SOP; in new-customer SOPs, at this member."""
    return [
        run
        for run in company.open_runs(customer=deed.customer)
        if run.sop.plan.key == key and (not run.sop.plan.is_for_new or run.relation.member == deed.member)
    ]


def _end(company: Company, deed: Deed, now: int) -> None:
    follow.end(company, _runs(company, deed, deed.detail), "manual_end", "manual end", now)


def _move(company: Company, deed: Deed, now: int) -> None:
    """An operator transfers runs, `from>to`."""
    source, target = deed.detail.split(">")
    for run in _runs(company, deed, source):
        operators.transfer(company, run, target, now)


def _enter(company: Company, deed: Deed, now: int) -> None:
    if company.is_known(deed.customer):
        operators.pull_in(company, deed.detail, deed.customer, deed.member, now)


def _event(company: Company, deed: Deed, now: int) -> None:
    """`name`, or `name:property=value`."""
    name, _, rest = deed.detail.partition(":")
    if company.is_known(deed.customer):
        signals.receive(company, "event", deed.customer, now, name=name, properties=tuple(values(rest).items()))


def _say(company: Company, deed: Deed, now: int) -> None:
    """The customer writes (`reply`), or the member does (`message`)."""
    relation = company.relation(deed.member, deed.customer)
    if relation.known_since:
        signals.receive(company, deed.verb, deed.customer, now, relation=relation, text=deed.detail)


def _attribute(company: Company, deed: Deed, now: int) -> None:
    """`name=value`, from the CRM."""
    if company.is_known(deed.customer):
        signals.set_by_crm(company, deed.customer, values(deed.detail), now)


def values(text: str) -> dict[str, Any]:
    """`name=value` with the value as YAML has it; no text, no values."""
    name, _, value = text.partition("=")
    return {name: yaml.safe_load(value)} if name else {}


def _up(company: Company, deed: Deed, now: int) -> None:
    """The daemon is back: letters that were repeated in vain are lost, and the daily read is made up for."""
    company.is_up = True
    letters.lose_undelivered(company, now)


def _down(company: Company, deed: Deed, now: int) -> None:
    company.is_up = False


_DEEDS = {
    "down": _down,
    "up": _up,
    "add": _add,
    "half_add": lambda company, deed, now: _add(company, deed, now, half=True),
    "confirm_half": _confirm_half,
    "customer_delete": lambda company, deed, now: _delete(company, deed, now, "customer"),
    "member_delete": lambda company, deed, now: _delete(company, deed, now, "member"),
    "transfer": _transfer,
    "tag": _tag,
    "untag": _untag,
    "chat": _chat,
    "own_send": _own_send,
    "mute": _mute,
    "unmute": lambda company, deed, now: company.muted.discard(deed.customer),
    "end": _end,
    "enter": _enter,
    "move": _move,
    "event": _event,
    "reply": _say,
    "message": _say,
    "attribute": _attribute,
    "start": lambda company, deed, now: operators.start(company, deed.detail, now),
    "pause": lambda company, deed, now: operators.pause(company, deed.detail, now),
    "resume": lambda company, deed, now: resuming.resume(company, deed.detail, now),
    "stop": lambda company, deed, now: operators.stop(company, deed.detail, now),
}
