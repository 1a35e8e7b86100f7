"""Several workers at once: claims keep them apart, and what one writes outdates what another has read."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable

import pytest

from sopd import intake, reconcile
from sopd.commands import TagRelation
from sopd.handlers import customers, inbox, observe_dirty
from sopd.store import Store
from sopd.store.errors import Unavailable
from sopd.store.tables import Dirty, Enrollment
from tests.contract.test_people_inbox import event
from tests.support.factories import all_rows
from tests.support.town import BOUGHT, PRICE, Town


@pytest.fixture
def town(store: Store) -> Town:
    made = Town(store)
    made.read_all()
    made.run()
    return made


def together(works: list[Callable[[], object]]) -> Counter[str]:
    """Run all at once; whoever finds the database busy tries again, as the ticker does. Returns how often that was."""
    busy: Counter[str] = Counter()
    failures: list[BaseException] = []

    def run(work: Callable[[], object]) -> None:
        while True:
            try:
                while work():
                    pass
                return
            except Unavailable as error:
                busy[type(error).__name__] += 1
            except BaseException as error:
                failures.append(error)
                return

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    return busy


def test_two_workers_never_claim_the_same_relation(town: Town) -> None:
    inbox.accept(town.app, [event("edit_external_contact", f"wm{number}") for number in range(60)])
    while inbox.digest(town.app, fast=False):
        pass
    claimed: list[str] = []

    def claim() -> int:
        rows = observe_dirty.claim(town.app, fast=False, limit=7)
        claimed.extend(one.row.external_userid for one in rows)
        return len(rows)

    together([claim] * 4)

    assert sorted(claimed) == sorted(f"wm{number}" for number in range(60))


def test_the_same_callbacks_accepted_at_once_are_written_once(town: Town) -> None:
    events = [event("edit_external_contact", f"wm{number}") for number in range(50)]

    together([lambda: inbox.accept(town.app, events), lambda: inbox.accept(town.app, events[::-1])] * 2)

    assert town.rows("select count(*), sum(times) from inbox") == [(50, 200)]


def test_workers_on_everything_at_once_end_where_one_worker_would(town: Town) -> None:
    world, names = town.world, [f"wm{number:02d}" for number in range(40)]
    for number, name in enumerate(names):
        world.customer_adds("alice", name, now=town.now, state="expo2026")
        if number % 5 == 0:
            world.customer_adds("bob", name, now=town.now, state="live")
    town.post()
    town.pass_time(seconds=2)
    for number, name in enumerate(names):
        if number % 3 == 0:
            world.member_tags("alice", name, BOUGHT, now=town.now)
        if number % 7 == 0:
            world.customer_deletes("alice", name, now=town.now)
    town.post()
    with town.store.transaction() as tx:
        tx.run("update job set act_at = ? where ended_at is null", (tx.now,))

    together([lambda: intake.run_fast(town.app), lambda: intake.run_once(town.app)] * 2
             + [lambda: reconcile.run_once(town.app)])  # fmt: skip
    town.write_tags()
    for _ in range(3):  # who left before his add was read may just not have been listed yet
        town.pass_time(seconds=10)
        town.listen()

    assert town.friends() == town.true_friends()
    assert all_rows(town.store, Dirty) == []
    assert len(all_rows(town.store, Enrollment)) == len({row[:2] for row in town.runs()})


def test_tags_by_hand_and_by_members_meet_without_harm(town: Town) -> None:
    names = [f"wm{number:02d}" for number in range(20)]
    for name in names:
        town.world.customer_adds("alice", name, now=town.now, state="expo2026")
    town.listen()
    town.pass_time(seconds=1)
    for name in names:
        town.world.member_tags("alice", name, BOUGHT, now=town.now)
    town.post()
    by_hand = iter(names)

    def tag() -> bool:
        name = next(by_hand, None)
        if name is not None:
            customers.tag(town.app, TagRelation(name, "alice", "mei", add=(PRICE,)))
        return name is not None

    together([tag, lambda: intake.run_once(town.app), lambda: intake.run_once(town.app)])
    town.write_tags()
    town.listen()

    assert town.friends() == town.true_friends()
    assert all(town.tags_of("alice", name) == {BOUGHT, PRICE} for name in names)
    assert Counter(row[2] for row in town.runs()) == {"early_end": 20}
