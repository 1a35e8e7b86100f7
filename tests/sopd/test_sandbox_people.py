"""The population and the books: a seed reproduces people, and the account is what really happened (SPEC 14)."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from sopd.sandbox import chance
from sopd.sandbox.books import rows
from sopd.sandbox.people import Plan, Population
from sopd.sandbox.stage import Stage
from sopd.sandbox.world import World
from tests.support.caller import DAY, HOUR, MINUTE, NEW_YEAR, Caller

SMALL = Plan(members=("alice", "bob", "carol"), customers_per_day=6, days=10, own_sends=0.1, handed_over=0.05)


class Life:
    """A population that lives to its end, with a client that sends everybody something each day if told to."""

    def __init__(self, *, seed: str = "s", plan: Plan = SMALL, sends: bool = False, noise: bool = False) -> None:
        self.caller = Caller(seed=seed)
        self.world: World = self.caller.world
        self.population = Population(self.world, plan)
        self.stage = Stage(self.world, self.population, deliver=lambda query, body: 200)
        self.sends, self.noise = sends, noise

    def live(self) -> Life:
        next_send = NEW_YEAR + 12 * HOUR
        while (at := self.stage.next_at()) is not None:
            self.caller.now = at
            if self.sends and at >= next_send:
                next_send += DAY
                self._send_all()
            if self.noise:
                self.caller.get("get_follow_user_list")
                self.caller.post("get_corp_tag_list")
            self.stage.step(at)
        return self

    def _send_all(self) -> None:
        for member in SMALL.members:
            friends = [relation.customer for relation in self.world.pairs_of_member[member].values()]
            if friends:
                text = {"content": f"{member} on day {(self.caller.now - NEW_YEAR) // DAY}"}
                self.caller.post("add_msg_template", sender=member, external_userid=friends, text=text)

    def deeds(self) -> list[tuple[str, Any]]:
        """What people did by themselves, per relation."""
        account = self.world.account()
        return [(str(pair), (row["adds"], row["deletes"], row["tags"])) for pair, row in account.items()]


def test_a_seed_reproduces_people_and_another_seed_does_not() -> None:
    assert Life().live().deeds() == Life().live().deeds()
    assert Life().live().deeds() != Life(seed="t").live().deeds()


def test_people_are_the_same_whatever_the_client_does() -> None:
    quiet, busy = Life().live(), Life(sends=True, noise=True).live()

    assert quiet.deeds() == busy.deeds()
    assert busy.population.done["confirm"] > 10


def test_people_are_the_same_however_coarsely_they_are_woken() -> None:
    fine, coarse = Life().live(), Life()
    at = NEW_YEAR
    while coarse.population.next_at() is not None:
        at += DAY
        coarse.population.act(at)

    assert fine.deeds() == coarse.deeds()


def test_everything_people_can_do_happens_and_ends() -> None:
    life = Life(plan=Plan(customers_per_day=20, days=15, handed_over=0.05, own_sends=0.1), sends=True).live()
    customers = [customer for customer in life.world.customers if customer.startswith("wmSIM")]

    done = set(life.population.done)
    assert done == {
        "add", "half_add", "confirm_half", "chat", "tag", "untag", "customer_delete", "member_delete", "transfer",
        "confirm", "own_send", "do",
    }  # fmt: skip
    assert len(customers) == 300
    assert life.population.next_at() is None
    assert life.population.act(life.caller.now + DAY) == 0


def test_adds_come_in_the_daytime_of_shanghai_and_never_before_the_start() -> None:
    start = NEW_YEAR + 7 * HOUR + 13
    world = World("s", now=start)
    population = Population(world, Plan(customers_per_day=30, days=3))
    while (at := population.next_at()) is not None:
        population.act(at)

    first = [min(add["at"] for add in row["adds"]) for row in world.account().values() if row["adds"]]
    assert min(first) >= start
    # A half-add counts when it is confirmed, and second members come at any hour: most are in the day all the same.
    hours = Counter((at // HOUR + 8) % 24 for at in first)
    assert sum(count for hour, count in hours.items() if 9 <= hour <= 21) > 0.9 * len(first)


def test_some_members_confirm_soon_some_late_and_some_never() -> None:
    caller = Caller()
    population = Population(caller.world, Plan(customers_per_day=0, silent=0.2, slow=0.3))
    caller.add("alice", *(f"wm{n}" for n in range(200)))
    created_at: dict[str, int] = {}
    for n in range(200):
        reply = caller.post("add_msg_template", sender="alice", external_userid=[f"wm{n}"], text={"content": "x"})
        created_at[reply["msgid"]] = caller.now
    while (at := population.next_at()) is not None:
        population.act(at)

    shares = {msgid: caller.world.tasks[msgid].assignments["alice"].confirmed_at for msgid in created_at}
    delays = [at - created_at[msgid] for msgid, at in shares.items() if at is not None]
    assert 20 < len(shares) - len(delays) < 60
    assert 40 < sum(delay > 90 * MINUTE for delay in delays) < 80
    assert max(delays) <= 30 * HOUR
    assert min(delays) >= 2 * MINUTE


def test_a_confirmation_that_comes_too_late_for_a_cancelled_task_is_foiled() -> None:
    caller = Caller()
    population = Population(caller.world, Plan(customers_per_day=0, silent=0.0))
    caller.add("alice", "wm1")
    msgid = caller.post("add_msg_template", sender="alice", external_userid=["wm1"], text={"content": "x"})["msgid"]
    caller.pass_time(MINUTE)
    caller.post("cancel_groupmsg_send", msgid=msgid)

    population.act(caller.now + 2 * DAY)

    assert population.foiled == {"confirm": 1}
    assert caller.world.account()["alice", "wm1"]["messages"] == []


def test_the_books_add_up() -> None:
    life = Life(sends=True).live()
    account = life.world.account()
    recipients = [
        (share.member, recipient.customer, task.msgid, recipient.status)
        for task in life.world.tasks.values()
        for share in task.assignments.values()
        for recipient in share.recipients.values()
    ]

    delivered = Counter((*pair, message["msgid"], 1) for pair, row in account.items() for message in row["messages"])
    failed = Counter((*pair, one["msgid"], one["status"]) for pair, row in account.items() for one in row["failed"])
    unconfirmed = Counter((*pair, msgid, 0) for pair, row in account.items() for msgid in row["unconfirmed"])
    assert delivered + failed + unconfirmed == Counter(recipients)
    assert max(delivered.values()) == 1

    per_customer = Counter(customer for _, customer, _, status in recipients if status == 1)
    assert all(life.world.quota.total(customer) == count for customer, count in per_customer.items())
    for row in account.values():
        assert len(row["adds"]) - len(row["deletes"]) == (1 if row["friends"] else 0)


def test_nobody_gets_two_mass_sends_on_one_day_of_shanghai() -> None:
    account = Life(sends=True).live().world.account()

    days = Counter(
        (customer, (message["at"] + 8 * HOUR) // DAY)
        for (_, customer), row in account.items()
        for message in row["messages"]
    )
    assert days and max(days.values()) == 1


def test_the_account_is_json_with_one_object_per_relation() -> None:
    account = Life(sends=True).live().world.account()

    listed = json.loads(json.dumps(rows(account)))

    assert [(row["member"], row["customer"]) for row in listed] == sorted(account)
    assert all(row["adds"] is not None and isinstance(row["tags"], list) for row in listed)


def test_chance_keeps_its_odds_and_depends_on_every_part_of_the_key() -> None:
    rolls = [chance.roll("s", "a", n) for n in range(2_000)]

    assert all(0 <= roll < 1 for roll in rolls)
    assert sum(roll < 0.25 for roll in rolls) == pytest.approx(500, abs=60)
    assert chance.roll("s", "ab", "c") != chance.roll("s", "a", "bc")
    assert {chance.between(1, 3, "s", n) for n in range(100)} == {1, 2, 3}
