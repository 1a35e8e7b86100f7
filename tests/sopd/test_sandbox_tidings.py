"""What people say and do outside of WeCom: reported once somebody listens, until it is taken (SPEC 10, 14)."""

from __future__ import annotations

from typing import Any

import pytest

from sopd.sandbox.hands import perform
from sopd.sandbox.people import Plan, Population
from sopd.sandbox.refusals import ImpossibleDeed
from sopd.sandbox.stage import Stage
from sopd.sandbox.tidings import MOST_REFUSALS, REFUSED_MS, RETRY_MS
from tests.support.caller import DAY, HOUR, NEW_YEAR, Caller


class Company:
    """Takes what is pushed, and answers as it is told to."""

    def __init__(self, *, listens: bool = True) -> None:
        self.caller = Caller()
        self.world = self.caller.world
        self.taken: list[tuple[str, list[dict[str, Any]]]] = []
        self.answer: tuple[int, tuple[int, ...]] = (202, ())
        push = self._push if listens else None
        self.stage = Stage(self.world, None, deliver=lambda query, body: 200, push=push)
        self.caller.add("alice", "wm1", "wm2")
        self.stage.step(self.caller.now)

    def _push(self, kind: str, bodies: list[dict[str, Any]]) -> tuple[int, tuple[int, ...]]:
        self.taken.append((kind, bodies))
        return self.answer

    def step(self, after: int = 0) -> None:
        self.caller.now += after
        self.stage.step(self.caller.now)


def test_chats_are_archive_records_and_doings_are_events() -> None:
    company = Company()
    now = company.caller.now

    company.world.chat("alice", "wm1", now=now, text="多少钱?")
    company.world.chat("alice", "wm1", now=now, text="99", by_member=True)
    perform(company.world, "do", {"customer": "wm2", "event": "order_paid", "properties": {"amount": 99}}, now)
    company.step()

    (_, said), (_, done) = company.taken
    assert [(one["from"], one["tolist"], one["text"]["content"], one["msgtime"]) for one in said] == [
        ("wm1", ["alice"], "多少钱?", now), ("alice", ["wm1"], "99", now),
    ]  # fmt: skip
    assert len({one["msgid"] for one in said}) == 2
    assert (done[0]["name"], done[0]["customer"], done[0]["properties"]) == ("order_paid", "wm2", {"amount": 99})
    assert company.world.tidings.taken == 3 and company.stage.next_at() is None


def test_what_nobody_listens_to_is_not_kept() -> None:
    company = Company(listens=False)

    company.world.chat("alice", "wm1", now=company.caller.now, text="hello")

    assert company.world.tidings.waiting == [] and company.stage.next_at() is None


def test_a_push_without_an_answer_comes_again() -> None:
    company = Company()
    company.world.customer_does("wm1", "x", now=company.caller.now)

    company.answer = (0, ())
    company.step()
    assert company.stage.next_at() == company.caller.now + RETRY_MS
    company.answer = (202, ())
    company.step(RETRY_MS)

    assert [bodies[0]["ref"] for _, bodies in company.taken] == ["wm1/0", "wm1/0"]
    assert company.world.tidings.taken == 1


def test_what_is_refused_comes_again_alone_and_not_for_ever() -> None:
    company = Company()
    for customer in ("wm1", "wm2"):
        company.world.customer_does(customer, "x", now=company.caller.now)

    company.answer = (202, (1,))
    company.step()
    assert company.world.tidings.taken == 1
    company.answer = (422, ())
    for _ in range(MOST_REFUSALS):
        company.step(REFUSED_MS)

    assert {bodies[0]["ref"] for _, bodies in company.taken[1:]} == {"wm2/0"}
    assert len(company.world.tidings.given_up) == 1 and company.stage.next_at() is None


def test_nobody_unknown_does_anything() -> None:
    company = Company()

    with pytest.raises(ImpossibleDeed, match="wm9"):
        company.world.customer_does("wm9", "x", now=0)
    with pytest.raises(ImpossibleDeed, match="wrong kind"):
        perform(company.world, "do", {"customer": "wm1", "event": "x", "properties": [1]}, 0)


def test_people_order_before_they_are_tagged_and_answer_what_they_get() -> None:
    caller = Caller()
    plan = Plan(members=("alice",), customers_per_day=40, days=2, buys=0.5, answers=0.5, silent=0, slow=0, chats=0)
    population = Population(caller.world, plan)
    caller.world.tidings.is_heard = True
    while (at := population.next_at()) is not None and at < NEW_YEAR + 3 * DAY:
        population.act(at)
        caller.now = at
    friends = [relation.customer for relation in caller.world.pairs_of_member["alice"].values() if relation.is_open]
    caller.post("add_msg_template", sender="alice", external_userid=friends, text={"content": "x"})
    while (at := population.next_at()) is not None:
        population.act(at)

    told = caller.world.tidings.waiting
    orders = [one.body for one in told if one.body.get("name") == "order_paid"]
    answers = [one for one in told if one.kind == "messages"]
    assert len(orders) > 20 and all(one["properties"]["amount"] >= 49 for one in orders)
    assert 0.25 * len(friends) < len(answers) < 0.75 * len(friends)
    assert all(one.due_at < caller.now + 4 * HOUR for one in answers)
