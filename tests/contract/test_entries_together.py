"""Two things happen to one customer at once: nobody waits in a circle, and the later is judged on both (SPEC 15)."""

from __future__ import annotations

import threading
from collections.abc import Callable

from sopd.commands import TagRelation
from sopd.handlers import customers
from sopd.handlers.consequences import follow
from sopd.handlers.happened import Consequences
from sopd.store import Store
from tests.support.shop import Shop

VIP, END, DONE = "level/vip", "result/end", "result/done"
PEOPLE = 12


def care(entry: str = "", end: str = f"{{tag: [{END}]}}") -> str:
    return (
        f"sop: care\ntitle: care\nkind: nurture\n{entry}\nearly_end: {{when: {end}}}\n"
        f"normal_end: {{add_tags: [{DONE}]}}\n"
        'steps:\n  - {id: one, day: 0, at: "09:00", by: mass_send, text: one}\n'
    )


def at_once(*works: Callable[[int], object]) -> list[BaseException]:
    """Do each of these for everybody, number by number, all at the same time; returns what failed."""
    failures: list[BaseException] = []
    gate = threading.Barrier(len(works))

    def run(work: Callable[[int], object]) -> None:
        try:
            for number in range(PEOPLE):
                gate.wait(timeout=30)
                work(number)
        except BaseException as error:
            failures.append(error)
            gate.abort()

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failures


def test_a_normal_end_and_a_tag_never_wait_for_each_other(store: Store) -> None:
    shop = Shop(store, VIP, END, DONE)
    shop.start(care())
    relations = [shop.meets("alice", f"c{number}") for number in range(PEOPLE)]
    shop.pull("care", *(f"c{number}" for number in range(PEOPLE)))
    runs = [shop.run_of(f"c{number}", "care").id for number in range(PEOPLE)]
    with store.transaction() as tx:
        tx.run("update push set state = 'sent', settled_at = ?", (tx.now,))
        tx.run("update enrollment set state = 'settling', due_at = null")

    def finish(number: int) -> None:
        with store.transaction() as tx:
            follow(tx, shop.app, Consequences(settled=frozenset({runs[number]})))

    def tag(number: int) -> None:
        customers.tag(shop.app, TagRelation(f"c{number}", relations[number].userid, "tester", add=(END,)))

    assert at_once(finish, tag) == []
    states = shop.rows("select distinct state from enrollment")
    assert {state for (state,) in states} <= {"normal_end", "early_end"}


def test_of_two_conditions_that_come_true_at_once_the_later_lets_in(store: Store) -> None:
    shop = Shop(store, VIP, END, DONE)
    shop.start(care(f"entry: {{when: {{all: [{{tag: [{VIP}]}}, {{attribute: {{level: 3}}}}]}}}}"))
    for number in range(PEOPLE):
        shop.meets("alice", f"c{number}")

    def tag(number: int) -> None:
        customers.tag(shop.app, TagRelation(f"c{number}", "alice", "tester", add=(VIP,)))

    assert at_once(tag, lambda number: shop.set(f"c{number}", level=3)) == []
    assert shop.rows("select count(*) from enrollment") == [(PEOPLE,)]
