"""Runs that end because a tag changed: edge-triggered, once, in chains that come to an end (SPEC 4, 8, D23)."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from sopd.commands import PauseSop, TagRelation
from sopd.handlers import customers, sops
from sopd.store import Store
from tests.support.town import BOUGHT, PRICE, SUN, Town


@pytest.fixture
def town(store: Store) -> Town:
    made = Town(store)
    made.read_all()
    return made


def run(town: Town, when: str, key: str = "care", end: str = "") -> None:
    """A SOP of one far step that ends early by this rule."""
    town.run(f"{{sop: {key}, kind: new_customer, title: {key}, steps: [{{id: far, day: 30, at: '10:00',"
             f" by: mass_send, text: 问候}}], early_end: {{when: {when}{end}}}}}")  # fmt: skip


def meet(town: Town, *tags: str) -> None:
    """Mei adds alice, who tags her at once; we hear of it all together."""
    town.world.customer_adds("alice", "wmMei", now=town.now)
    for tag in tags:
        town.world.member_tags("alice", "wmMei", tag, now=town.now)
    town.listen()


def change(town: Town, add: Iterable[str] = (), remove: Iterable[str] = ()) -> list[tuple[str, str | None]]:
    """The member changes tags; returns (state, reason) of every run."""
    town.pass_time(seconds=1)
    for tag in add:
        town.world.member_tags("alice", "wmMei", tag, now=town.now)
    for tag in remove:
        town.world.member_untags("alice", "wmMei", tag, now=town.now)
    town.listen()
    return [row[2:] for row in town.runs()]


def test_a_tag_that_comes_ends_the_run_and_says_which(town: Town) -> None:
    run(town, f"{{tag: [{BOUGHT}, {PRICE}]}}")
    meet(town)

    assert change(town, add=[SUN]) == [("enrolled", None)]
    assert change(town, add=[BOUGHT]) == [("early_end", f"early end: tag {BOUGHT}")]
    assert change(town, remove=[BOUGHT]) == [("early_end", f"early end: tag {BOUGHT}")]


def test_a_tag_that_goes_ends_the_run_under_not(town: Town) -> None:
    run(town, f"{{not: {{tag: [{SUN}]}}}}")
    meet(town, SUN)

    assert change(town, add=[PRICE]) == [("enrolled", None)]
    assert change(town, remove=[SUN]) == [("early_end", f"early end: tag {SUN} removed")]


def test_all_conditions_may_come_true_one_after_the_other(town: Town) -> None:
    run(town, f"{{all: [{{tag: [{BOUGHT}]}}, {{not: {{tag: [{PRICE}]}}}}, {{member: [alice]}}]}}")
    meet(town, PRICE)

    assert change(town, add=[BOUGHT]) == [("enrolled", None)]
    assert change(town, remove=[PRICE]) == [("early_end", f"early end: tag {PRICE} removed")]


def test_a_tag_that_came_and_went_between_two_readings_did_neither(town: Town) -> None:
    run(town, f"{{tag: [{BOUGHT}]}}")
    meet(town)

    assert change(town, add=[BOUGHT], remove=[BOUGHT]) == [("enrolled", None)]


def test_a_paused_sop_ends_runs_too(town: Town) -> None:
    run(town, f"{{tag: [{BOUGHT}]}}")
    meet(town)
    sops.pause(town.app, PauseSop("care", "mei"))

    assert change(town, add=[BOUGHT]) == [("early_end", f"early end: tag {BOUGHT}")]


def test_one_change_may_end_runs_of_several_sops(town: Town) -> None:
    run(town, f"{{tag: [{BOUGHT}]}}", "one")
    run(town, f"{{any: [{{tag: [{BOUGHT}]}}, {{tag: [{SUN}]}}]}}", "two")
    run(town, f"{{tag: [{SUN}]}}", "three")
    meet(town)

    assert change(town, add=[BOUGHT]) == [
        ("early_end", f"early end: tag {BOUGHT}"), ("early_end", f"early end: tag {BOUGHT}"), ("enrolled", None)
    ]  # fmt: skip


def test_a_tag_at_one_member_leaves_the_run_at_another_alone(town: Town) -> None:
    run(town, f"{{tag: [{BOUGHT}]}}")
    meet(town)
    town.world.customer_adds("bob", "wmMei", now=town.now)
    town.listen()

    assert sorted(change(town, add=[BOUGHT])) == [("early_end", f"early end: tag {BOUGHT}"), ("enrolled", None)]


def test_a_chain_of_ends_and_tags_stops_after_ten_hops(town: Town) -> None:
    links = [f"链/{number:02d}" for number in range(14)]
    for link in links:
        town.world.stock_tag(link, now=town.now)
    town.read_all()
    for number in range(13):
        run(town, f"{{tag: [{links[number]}]}}", f"link{number:02d}", f", add_tags: [{links[number + 1]}]")
    meet(town)
    customers.tag(town.app, TagRelation("wmMei", "alice", "mei", add=(links[0],)))

    reasons = [reason for _, reason in (row[2:] for row in town.runs()) if reason is not None]
    assert reasons[0] == "early end: tag 链/00"
    assert reasons[1:] == [f"early end: tag 链/{hop:02d} (hop {hop})" for hop in range(1, 11)]
    assert town.rows("select count(*) from journal where reason = 'chain too long'") == [(1,)]


def test_a_ring_of_ends_and_tags_comes_to_rest(town: Town) -> None:
    run(town, f"{{tag: [{BOUGHT}]}}", "one", f", add_tags: [{PRICE}]")
    run(town, f"{{tag: [{PRICE}]}}", "two", f", add_tags: [{BOUGHT}], remove_tags: [{PRICE}]")
    meet(town)

    assert change(town, add=[BOUGHT]) == [
        ("early_end", f"early end: tag {BOUGHT}"), ("early_end", f"early end: tag {PRICE} (hop 1)")
    ]  # fmt: skip
    town.write_tags()
    town.listen()
    assert town.tags_of("alice", "wmMei") == {BOUGHT}
    assert town.friends() == town.true_friends()
