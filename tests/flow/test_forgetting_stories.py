"""A person who is forgotten leaves no trace but sums, comes back by nothing that WeCom shows, and may come anew."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from sopd.commands import ForgetCustomer, TagRelation
from sopd.errors import NotFound
from sopd.handlers import customers, forgetting
from sopd.store import Store
from sopd.store.migrate import tables_here
from tests.support.oracle.history import at
from tests.support.playing import Interrupted, play
from tests.support.pruned import prune_all
from tests.support.rig import WHO
from tests.support.telling import history, sop

CARE = sop("care", 'first day: 1, at: "10:00"', 'second day: 3, at: "10:00"', early_end="{when: {tag: [r/bought]}}")
ADDED = [("09-14 15:00", "add alice wmMei"), ("09-14 15:10", "add alice wmLan")]


@contextmanager
def playing(
    fresh: Callable[[], str], deeds: list[tuple[str, str]], until: str, **more: object
) -> Iterator[Interrupted]:
    """The history as far as `until`; it goes on by `run_until`."""
    store = Store.open(fresh(), pool=4)
    try:
        yield play(history(CARE, deeds=[*ADDED, *deeds], **more), store, until=at(f"2026-{until}"))
    finally:
        store.close()


def forget(rig: Interrupted, external_userid: str = "wmMei") -> int:
    return forgetting.forget(rig.app, ForgetCustomer(external_userid, WHO))


def traces(rig: Interrupted, text: str) -> list[str]:
    """Every table of which some row holds this text."""
    with rig.store.reading() as tx:
        rows = {name: tx.rows(f"select * from {name}") for name in tables_here(tx)}
    return [name for name, found in rows.items() if any(text in str(value) for row in found for value in row)]


def acts(rig: Interrupted, customer_id: int) -> set[str]:
    """What was written to WeCom on this customer's relations."""
    with rig.store.reading() as tx:
        rows = tx.rows(
            "select payload from outbox where relation_id in (select id from relation where customer_id = ?)",
            (customer_id,),
        )
    return {payload for (payload,) in rows}


def runs(rig: Interrupted) -> list[tuple[str, str, str | None]]:
    with rig.store.reading() as tx:
        return tx.rows(
            "select c.external_userid, e.state, e.reason from enrollment e join customer c on c.id = e.customer_id"
            " order by e.id"
        )


def sums(rig: Interrupted) -> int:
    with rig.store.reading() as tx:
        return tx.value("select count(*) from enrollment") + tx.value("select count(*) from push")


def test_nothing_of_a_forgotten_person_is_left_in_any_table(fresh) -> None:
    deeds = [("09-15 18:00", "reply alice wmMei secret"), ("09-15 19:00", "attribute - wmMei level=gold"),
             ("09-16 09:00", "tag alice wmMei r/price")]  # fmt: skip
    with playing(fresh, deeds, "09-16 12:00") as rig:
        customers.tag(rig.app, TagRelation("wmMei", "alice", WHO, ("r/out",)))
        rig.settle()
        before = sums(rig)
        assert {"customer", "inbox", "audit", "signal"} <= {*traces(rig, "wmMei"), *traces(rig, "secret")}
        assert "{}" not in acts(rig, 1)
        number = forget(rig)
        rig.settle()

        assert acts(rig, 1) == {"{}"}
        assert [traces(rig, text) for text in ("wmMei", "secret", "gold")] == [[], [], []]
        assert runs(rig)[0] == (f"forgotten/{number}", "manual_end", "manual end")
        assert sums(rig) == before
        with pytest.raises(NotFound):
            forget(rig)


def test_what_wecom_shows_of_the_old_contact_brings_nobody_back(fresh) -> None:
    deeds = [("09-17 09:00", "tag alice wmMei r/price"), ("09-18 09:00", "transfer alice wmMei bob"),
             ("09-19 09:00", "customer_delete bob wmMei")]  # fmt: skip
    with playing(fresh, deeds, "09-16 12:00") as rig:
        forget(rig)
        rig.run_until(at("2026-09-20 12:00"))

        assert [name for name in traces(rig, "wmMei") if name != "inbox"] == []
        assert len(runs(rig)) == 2


def test_who_adds_a_member_anew_is_a_new_customer(fresh) -> None:
    deeds = [("09-17 09:00", "customer_delete alice wmMei"), ("09-18 09:00", "add alice wmMei")]
    with playing(fresh, deeds, "09-16 12:00") as rig:
        number = forget(rig)
        rig.run_until(at("2026-09-24 12:00"))

        states = [(who, state) for who, state, _ in runs(rig)]
        assert states == [(f"forgotten/{number}", "manual_end"), ("wmLan", "normal_end"), ("wmMei", "normal_end")]


def test_an_open_task_is_stopped_first_and_the_others_in_it_get_theirs(fresh) -> None:
    with playing(fresh, [], "09-15 10:05", habits={"alice": (60,)}) as rig:
        number = forget(rig)
        rig.settle()
        assert not forgetting.is_over(rig.app, number)
        rig.run_until(at("2026-09-15 13:00"))

        assert forgetting.is_over(rig.app, number)
        assert traces(rig, "wmMei") == []
        account = {pair[1]: [one["text"] for one in page["messages"]] for pair, page in rig.world.account().items()}
        assert account == {"wmMei": [], "wmLan": ["care/first"]}


def test_pruning_goes_over_what_is_left_of_somebody(fresh) -> None:
    with playing(fresh, [("09-15 18:00", "reply alice wmMei secret")], "09-16 12:00") as rig:
        forget(rig)
        rig.run_until(at("2026-09-27 12:00"))

        assert prune_all(rig.app)["push"] > 0
        assert runs(rig)[0][1] == "manual_end"
