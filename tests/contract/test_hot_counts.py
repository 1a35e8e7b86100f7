"""A batch costs as many statements for three times as many people, in every loop, on either database (ARCHITECTURE 1).

Stories of the crash walk that lead every loop to work are played with each customer once, and with each thrice. No
function of the engine may speak to the database more often in one batch because there are more rows in it.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import replace

from sopd.actors import LOOPS
from sopd.store import Store
from sopd.store.tables import TABLES
from tests.crash.player import Player, Unit
from tests.crash.stories import ANSWERING, CARDS, DOUBT, HANDS, INSISTING, NURTURING, PAUSING, Story
from tests.support.plans import listening

TOLD = (ANSWERING, CARDS, DOUBT, HANDS, INSISTING, NURTURING, PAUSING)
TIMES = 3
MEMBERS = ("alice", "bob")
PEOPLE = {"member", "customer", "customers", "handover", "takeover"}
"""Words of a deed that name somebody."""

PER_CALL: Mapping[str, str] = {
    "engine._begin": "a transaction for what follows,",
    "engine._unit": "and its end",
    "windows.blocked_until": "whether WeCom wants to be left alone is asked before each call",
    "transaction.now": "and the time, which leases and deadlines are held against",
    "dispatches.begin_attempt": "a task is noted as begun just before the call that nothing may repeat",
    "cards.begin_attempt": "so is a card",
}
"""What is asked once for each call of WeCom's, and why."""

Counts = dict[str, Counter[str]]
"""Of each unit of work: how often each function of the engine spoke to the database, in the batch where it did most."""


def test_statements_of_a_batch_do_not_depend_on_its_rows(store: Store) -> None:
    grown, worked = {}, set()
    for story in TOLD:
        few, many = (_counts(store, _times(story, times), worked) for times in (1, TIMES))
        grown |= {
            (story.name, unit, by): (few[unit][by], n)
            for unit in few
            for by, n in many[unit].items()
            if n > few[unit][by] + 1  # one more has become necessary once; one for each row would be two more
        }

    assert grown == {}
    assert {loop.name for loop in LOOPS} - worked == set(), "loops that had nothing to do in any story"


def _clone(name: str, number: int) -> str:
    return f"{name}-{number}" if number else name


def _times(story: Story, times: int) -> Story:
    """The story with so many of everybody in it: members, and the customers of each."""
    deeds = [
        replace(deed, args={key: _cloned(it, number) if key in PEOPLE else it for key, it in deed.args.items()})
        for deed in story.deeds
        for number in range(times if PEOPLE & deed.args.keys() else 1)
    ]
    habits = [
        replace(habit, member=_clone(habit.member, number)) for habit in story.habits for number in range(times)
    ]
    members = {name: ", ".join(_clone(name, number) for number in range(times)) for name in MEMBERS}
    sops = [re.sub(r"members: \[(\w+)\]", lambda one: f"members: [{members[one[1]]}]", sop) for sop in story.sops]
    return replace(story, deeds=tuple(deeds), habits=tuple(habits), sops=tuple(sops))


def _cloned(value: object, number: int) -> object:
    return _clone(value, number) if isinstance(value, str) else tuple(_clone(one, number) for one in value)  # type: ignore[attr-defined]


def _counts(store: Store, story: Story, worked: set[str]) -> Counts:
    with store.transaction() as tx:
        for table in TABLES:
            tx.run(f"delete from {table._meta.table_name}")
    rig = story.rig(store)
    for name in sorted({_clone(name, number) for name in MEMBERS for number in range(1, TIMES)}):
        rig.world.hire(name)
    player = Player(rig, story.orders, repeats_first=True)
    most: Counts = defaultdict(Counter)

    def perform(unit: Unit) -> object:
        said: Counter[str] = Counter()
        with listening(lambda by, sql, params: said.update([by])):
            found = unit.run(rig)
        if found:
            worked.add(unit.name)
        most[unit.name] |= Counter({by: n for by, n in said.items() if by not in PER_CALL})
        return found

    player.perform = perform
    player.run_until(story.ends_at)
    return most
