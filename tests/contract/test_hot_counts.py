"""A batch costs as many statements for three times as many people, in every loop, on either database (ARCHITECTURE 1).

Stories of the crash walk that lead every loop to work are played with each customer once, and with each thrice. No
function of the engine may speak to the database more often in one batch because there are more rows in it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping

from sopd.actors import LOOPS
from sopd.store import Store
from sopd.store.tables import TABLES
from tests.crash.crowds import clones, with_everybody
from tests.crash.player import Player, Unit
from tests.crash.stories import ANSWERING, CARDS, DOUBT, HANDS, INSISTING, NURTURING, PAUSING, Story
from tests.support.plans import listening

TOLD = (ANSWERING, CARDS, DOUBT, HANDS, INSISTING, NURTURING, PAUSING)
TIMES = 3

PER_CALL: Mapping[str, str] = {
    "engine._begin": "a transaction for what follows,",
    "engine._unit": "and its end",
    "windows.blocked_until": "whether WeCom wants to be left alone is asked before each call",
    "transaction.now": "and the time, which leases and deadlines are held against",
    "dispatches.begin_attempt": "a task or card is noted as begun just before the call that nothing may repeat",
}
"""What is asked once for each call of WeCom's, and why."""

Counts = dict[str, Counter[str]]
"""Of each unit of work: how often each function of the engine spoke to the database, in the batch where it did most."""


def test_statements_of_a_batch_do_not_depend_on_its_rows(store: Store) -> None:
    grown, worked, heard = {}, set(), set()
    for story in TOLD:
        few, many = (_counts(store, with_everybody(story, times), worked, heard) for times in (1, TIMES))
        grown |= {
            (story.name, unit, by): (few[unit][by], n)
            for unit in few
            for by, n in many[unit].items()
            if n > few[unit][by] + 1  # one more has become necessary once; one for each row would be two more
        }

    assert grown == {}
    assert {loop.name for loop in LOOPS} - worked == set(), "loops that had nothing to do in any story"
    assert PER_CALL.keys() - heard == set(), "excused, and never heard"


def _counts(store: Store, story: Story, worked: set[str], heard: set[str]) -> Counts:
    with store.transaction() as tx:
        for table in TABLES:
            tx.run(f"delete from {table._meta.table_name}")
    rig = story.rig(store)
    for name in clones(TIMES):
        rig.world.hire(name)
    player = Player(rig, story.orders, repeats_first=True)
    most: Counts = defaultdict(Counter)

    def perform(unit: Unit) -> object:
        said: Counter[str] = Counter()
        with listening(lambda by, sql, params: said.update([by])):
            found = unit.run(rig)
        if found:
            worked.add(unit.name)
        heard.update(said)
        most[unit.name] |= Counter({by: n for by, n in said.items() if by not in PER_CALL})
        return found

    player.perform = perform
    player.run_until(story.ends_at)
    return most
