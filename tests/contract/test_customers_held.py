"""Who moves a run or writes a push holds its customer (ARCHITECTURE 5), on PostgreSQL: SQLite has one writer at a time.

Early ends read the open runs of the customers they hold, and lock nothing else. So every other writer must hold them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

import pytest

from sopd.store import Store, Transaction
from tests.crash.player import Player
from tests.crash.stories import STORIES, Story
from tests.support.plans import listening

NOT_HELD = """
select '{table}', r.state, c.external_userid from {table} r join customer c on c.id = r.customer_id
where r.xmin::text = {own} and c.xmin::text <> {own} and c.xmax::text <> {own}
"""
"""Rows that this transaction has written although it has neither locked nor written their customer."""
OWN = "coalesce(pg_current_xact_id_if_assigned()::text, '')"


@pytest.fixture
def pg_store(emptied_postgres: Callable[[], str]) -> Iterator[Store]:
    opened = Store.open(emptied_postgres(), pool=12)
    yield opened
    opened.close()


WRITES = re.compile(r"(insert into|update) (enrollment|push)\b")
EXCUSED: Mapping[str, str] = {
    "resuming.park_all": "at a resume, of a whole SOP: when its runs act, not where they are",
    "resuming.park_waiting": "the same of its pushes",
}
"""Who writes without holding customers, and why nobody who reads runs is misled."""


HEARD: set[str] = set()


@pytest.fixture
def unheld(monkeypatch: pytest.MonkeyPatch) -> Iterator[set[tuple[object, ...]]]:
    """(who wrote in the transaction, table, state, customer) of what was written without holding the customer.

    Looked at just before each commit.
    """
    writers: set[str] = set()
    found: set[tuple[object, ...]] = set()
    flush = Transaction.flush

    def hear(by: str, sql: str, params: Sequence[object]) -> None:
        if WRITES.search(sql):
            writers.add(by)
            HEARD.add(by)

    def look(tx: Transaction) -> None:
        flush(tx)
        by = ", ".join(sorted(writers - EXCUSED.keys()))
        writers.clear()
        if by:
            for table in ("enrollment", "push"):
                found.update((by, *row) for row in tx.rows(NOT_HELD.format(table=table, own=OWN)))

    monkeypatch.setattr(Transaction, "flush", look)
    with listening(hear):
        yield found


@pytest.mark.parametrize("story", STORIES, ids=[story.name for story in STORIES])
def test_who_moves_a_run_or_writes_a_push_holds_its_customer(
    pg_store: Store, story: Story, unheld: set[tuple[object, ...]]
) -> None:
    rig = story.rig(pg_store)

    Player(rig, story.orders).run_until(story.ends_at)

    assert unheld == set()


def test_nobody_is_excused_who_is_not_heard() -> None:
    assert EXCUSED.keys() - HEARD == set()
