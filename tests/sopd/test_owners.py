"""The owner rules, without a database (SPEC 4): who acts for a customer who knows several members."""

from __future__ import annotations

import pytest

from machines.sop import Program
from sopd.handlers.owners import Owner, choose, entry_tags
from tests.support.programs import program

STEPS = [{"id": "guide", "by": "mass_send", "day": 1, "at": "10:00", "text": "护肤说明"}]
RULE = {"all": [{"tag": ["已购/防晒"]}, {"not": {"tag": ["结果/流失"]}}]}


def care(**changes: object) -> Program:
    """A SOP that is entered by tag, per customer."""
    return program(kind="nurture", steps=STEPS, entry={"when": RULE}, **changes)


def relation(number: int, userid: str, began_at: int, *tags: str, state: str = "active") -> Owner:
    return Owner(number, 1, number, userid, True, state, "", 1, began_at, None, began_at, frozenset(tags))


ALICE, BOB, CAROL = relation(1, "alice", 300), relation(2, "bob", 100), relation(3, "carol", 200, "已购/防晒")
ALL = (ALICE, BOB, CAROL)


@pytest.mark.parametrize(
    ("rule", "chosen"), [("first_added", BOB), ("last_added", ALICE), ("tagged_by", CAROL), (None, BOB)]
)
def test_the_owner_rule_names_one_of_the_relations_in_scope(rule: str | None, chosen: Owner) -> None:
    assert choose(care(owner=rule), ALL) == chosen


def test_of_two_who_were_added_at_once_the_lower_id_is_the_earlier() -> None:
    twins = (relation(5, "alice", 100), relation(4, "bob", 100))

    assert choose(care(owner="first_added"), twins) == twins[1]
    assert choose(care(owner="last_added"), twins) == twins[0]


def test_tagged_by_counts_only_tags_that_the_entry_rule_wants() -> None:
    lost_one = relation(4, "dora", 50, "结果/流失")

    assert entry_tags(care()) == {"已购/防晒"}
    assert choose(care(owner="tagged_by"), (*ALL, lost_one)) == CAROL


def test_tagged_by_falls_back_on_the_first_adder() -> None:
    assert choose(care(owner="tagged_by"), (ALICE, BOB)) == BOB


def test_lost_and_half_relations_and_foreign_members_own_nothing() -> None:
    others = (BOB._replace(state="lost"), CAROL._replace(state="half"))

    assert choose(care(), (*others, ALICE)) == ALICE
    assert choose(care(members=["bob", "carol"]), (*others, ALICE)) is None
    assert choose(care(), ()) is None


def test_a_wished_owner_wins_if_he_is_in_scope() -> None:
    assert choose(care(), ALL, prefer=ALICE.relation_id) == ALICE
    assert choose(care(members=["bob", "carol"]), ALL, prefer=ALICE.relation_id) == BOB
