"""The start of a nurture SOP on both databases: everybody is judged page by page, and nothing fires meanwhile (S7)."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import pytest

from sopd import sweep
from sopd.commands import RetrySetAside, StartSop
from sopd.errors import Refused
from sopd.handlers import aside, entries, firing, initialising, sops
from sopd.handlers.wishes import Wish
from sopd.store import Store
from sopd.store.errors import Unavailable
from sopd.store.tables import Customer, Enrollment, Flip, Job, Relation, RelationTag, SetAside
from tests.support.company import WHO, TestCompany, local
from tests.support.factories import add_many, all_rows
from tests.support.plans import hearing

CARE = """
sop: care
title: Care
kind: nurture
entry: {when: {tag: [level/vip]}}
steps:
  - {id: one, day: 0, at: "10:00", by: mass_send, text: one}
  - {id: two, day: 2, at: "10:00", by: mass_send, text: two}
"""


DAY = 86_400_000
STATEMENTS_OF_A_PAGE = 19
"""BEGIN and COMMIT among them. More is no fault, but somebody should have wanted it."""


class Town(TestCompany):
    """Some customers of alice, of whom every second is tagged `level/vip`."""

    def __init__(self, store: Store, people: int = 6, text: str = CARE) -> None:
        super().__init__(store)
        self.vip = self.tag("level/vip")
        self.alice = self.member("alice")
        self.relations = self.fill(people)
        self.apply(text)

    def fill(self, people: int) -> list[SimpleNamespace]:
        customers = add_many(self.store, Customer, [{"external_userid": f"wm{n}"} for n in range(people)])
        known = {"member_id": self.alice.id, "began_at": self.now, "learned_at": self.now}
        relations = add_many(self.store, Relation, [{**known, "customer_id": one.id} for one in customers])
        tagged = [{"relation_id": one.id, "tag_id": self.vip} for n, one in enumerate(relations) if n % 2 == 0]
        add_many(self.store, RelationTag, tagged)
        return relations

    def begin(self) -> None:
        sops.start(self.app, StartSop("care", WHO))

    def led_on(self, pages: int = 100) -> int:
        """So many pages of the job, as far as there are any; returns how many there were."""
        done = 0
        while done < pages and initialising.run_once(self.app):
            done += 1
        return done

    @property
    def state(self) -> str:
        return str(self.rows("select state from sop where key = 'care'")[0][0])

    def inside(self) -> list[int]:
        rows = all_rows(self.store, Enrollment, "subject_id", order="subject_id")
        return [row[0] for row in rows]


@pytest.fixture
def paged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of two customers."""
    monkeypatch.setattr(initialising, "PAGE", 2)


def test_a_start_judges_everybody_and_then_runs(store: Store) -> None:
    town = Town(store)
    town.begin()
    assert (town.state, town.inside()) == ("initialising", [])

    town.led_on()

    assert town.state == "running"
    assert town.inside() == [one.customer_id for one in town.relations[::2]]
    runs = all_rows(store, Enrollment, "cause", "entered_at", "anchor_at", "run_no", "hop")
    assert runs == [("initialised", town.now, town.now, 1, 0)] * 3


def test_everybody_has_the_start_as_entry_however_long_it_takes(store: Store, paged: None) -> None:
    town = Town(store)
    town.begin()
    begun_at = town.now
    town.led_on(1)
    town.go_to("2026-03-03 18:00")
    town.led_on()

    assert {row[0] for row in all_rows(store, Enrollment, "entered_at")} == {begun_at}
    assert len(town.inside()) == 3


def test_progress_is_told_while_it_goes_on(store: Store, paged: None) -> None:
    town = Town(store, people=5)
    assert initialising.progress(town.app, "care") is None
    town.begin()
    told = [initialising.progress(town.app, "care")]
    while initialising.run_once(town.app):
        told.append(initialising.progress(town.app, "care"))

    assert [(one.done, one.total, one.entered, one.is_over) for one in told[:4]] == [
        (0, 5, 0, False), (2, 5, 1, False), (4, 5, 2, False), (5, 5, 3, False)
    ]  # fmt: skip
    assert (told[-1].entered, told[-1].is_over) == (3, True)


def test_nothing_fires_until_everybody_is_judged_and_then_at_its_own_instant(store: Store, paged: None) -> None:
    town = Town(store)
    town.begin()
    town.led_on(1)
    town.go_to("2026-03-02 10:00")

    assert firing.fire_due(town.app) == 1
    assert firing.fire_due(town.app) == 0
    assert all_rows(store, Enrollment, "state", "due_at") == [("enrolled", None)]

    town.go_to("2026-03-02 10:07")
    town.led_on()
    assert {local(row[0]) for row in all_rows(store, Enrollment, "due_at")} == {"2026-03-02 10:00"}
    town.work()
    assert [row[0] for row in town.rows("select state from enrollment order by id")] == ["one"] * 3


def test_a_moment_that_passed_through_a_long_initialisation_is_late(store: Store, paged: None) -> None:
    town = Town(store)
    town.begin()
    town.led_on(1)
    town.go_to("2026-03-02 10:00")
    firing.fire_due(town.app)
    town.go_to("2026-03-03 09:00")
    town.led_on()
    town.work()

    first = town.relations[0]
    assert town.pushes(first)["one"] == "skipped late"


def test_who_enters_meanwhile_does_not_enter_twice(store: Store, paged: None) -> None:
    town = Town(store)
    town.begin()
    town.led_on(1)
    later = town.relations[4]
    with store.transaction() as tx:
        entries.enter(tx, town.app, [Wish(1, later.customer_id, "own", "rule")])
    town.led_on()

    assert town.inside() == [one.customer_id for one in town.relations[::2]]
    assert town.rows("select count(*) from refusal") == [(0,)]


def test_a_page_that_dies_leaves_nothing_behind_and_is_done_again(store: Store, paged: None) -> None:
    town = Town(store)
    town.begin()
    town.led_on(1)
    before = (town.inside(), job(store))

    statements = 0
    while dies_after(store, statements, lambda: initialising.run_once(town.app)):
        assert (town.inside(), job(store)) == before
        statements += 1

    assert statements > 5
    town.led_on()
    assert town.inside() == [one.customer_id for one in town.relations[::2]]
    assert town.rows("select count(*) from push") == [(0,)]


class Killed(BaseException):
    """The process is gone."""


def dies_after(store: Store, statements: int, work: Callable[[], object]) -> bool:
    """Whether `work` is killed before its statement of this number; it is done if it needs no more than those."""
    left = statements

    def watch(sql: str) -> None:
        nonlocal left
        if not left:
            raise Killed
        left -= 1

    store.on_statement(watch)
    try:
        work()
    except Killed:
        return True
    finally:
        store.on_statement(None)
    return False


def job(store: Store) -> list[tuple]:
    return all_rows(store, Job, "cursor", "done", where="kind = 'initialise'")


def test_a_customer_that_cannot_be_judged_is_set_aside_and_stops_nobody(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    town = Town(store, people=7)
    town.begin()
    bad = town.relations[2].customer_id
    real = entries.enter

    def enter(tx, app, wishes, **rest):
        if any(wish.customer_id == bad for wish in wishes):
            raise ValueError("broken attributes")
        return real(tx, app, wishes, **rest)

    monkeypatch.setattr(entries, "enter", enter)
    town.led_on()

    assert town.state == "running"
    assert town.inside() == [one.customer_id for one in town.relations[::2] if one.customer_id != bad]
    assert all_rows(store, SetAside, "kind", "row_key", "reason") == [
        ("initialise", f"care/{bad}", "ValueError: broken attributes")
    ]

    monkeypatch.undo()
    assert aside.retry(town.app, RetrySetAside(WHO)) == {"initialise": 1}
    sweep.run_once(town.app)

    assert town.inside() == [one.customer_id for one in town.relations[::2]]
    assert all_rows(store, SetAside) == []


def test_what_is_nobodys_fault_is_told_as_it_is(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    town = Town(store)
    town.begin()

    def enter(*args: object, **rest: object) -> None:
        raise Unavailable("gone")

    monkeypatch.setattr(entries, "enter", enter)
    with pytest.raises(Unavailable):
        initialising.run_once(town.app)

    assert all_rows(store, SetAside, "row_key") == []


def test_it_cannot_be_paused_while_it_goes_on_and_can_be_stopped(store: Store, paged: None) -> None:
    town = Town(store)
    town.begin()
    town.led_on(1)

    with pytest.raises(Refused, match="pause it once it runs, or stop it"):
        town.pause("care")
    town.stop("care")
    town.work()

    assert town.led_on() == 0
    assert all_rows(store, Enrollment, "state") == [("stopped",)]
    assert all_rows(store, Job, "reason", where="kind = 'initialise'") == [("stopped",)]


def test_a_pause_before_everything_was_given_back_leaves_it_to_resume(store: Store, paged: None) -> None:
    town = Town(store, people=12)
    town.begin()
    town.led_on(6)
    town.go_to("2026-03-02 10:00")
    firing.fire_due(town.app)
    assert initialising.run_once(town.app) == 2
    town.pause("care")

    town.led_on()
    town.work()
    town.resume("care")
    town.work()

    assert town.rows("select count(*) from enrollment where parked_at is not null") == [(0,)]
    assert {row[0] for row in town.rows("select state from enrollment")} == {"one"}


def test_a_sop_without_an_entry_rule_runs_at_once(store: Store) -> None:
    town = Town(store, text=CARE.replace("entry: {when: {tag: [level/vip]}}\n", ""))
    town.begin()

    assert town.state == "running"
    assert (town.led_on(), town.inside()) == (0, [])


def test_time_atoms_are_armed_for_everybody_and_let_people_in_later(store: Store) -> None:
    rule = "{all: [{tag: [level/vip]}, {added: {older_than: 30d}}]}"
    town = Town(store, text=CARE.replace("{tag: [level/vip]}", rule))
    town.begin()
    town.led_on()
    assert town.inside() == []
    flips = all_rows(store, Flip, "purpose", "ref_id", "at", order="ref_id")
    assert flips == [("entry", one.customer_id, town.now + 30 * 86_400_000) for one in town.relations]

    town.go_to("2026-04-01 08:59")
    assert sweep.run_once(town.app) == 0
    town.go_to("2026-04-01 09:00")
    assert sweep.run_once(town.app) == 6
    assert sweep.run_once(town.app) == 0

    assert town.inside() == [one.customer_id for one in town.relations[::2]]
    assert {row[0] for row in all_rows(store, Enrollment, "cause")} == {"rule"}


@pytest.mark.parametrize("people", [4, 40])
def test_a_page_costs_the_same_statements_however_many_it_holds(store: Store, people: int) -> None:
    town = Town(store, people=people)
    town.begin()
    with hearing(store) as said:
        initialising.run_once(town.app)

    locking = store.dialect.name == "postgres"  # the customers, of whom nothing may change while they enter
    assert len(said) == STATEMENTS_OF_A_PAGE + locking, said


def test_a_stop_forgets_what_time_would_have_changed(store: Store) -> None:
    town = Town(store, text=CARE.replace("{tag: [level/vip]}", "{added: {older_than: 30d}}"))
    town.begin()
    town.led_on()
    assert len(all_rows(store, Flip)) == 6

    town.stop("care")
    town.work()

    assert all_rows(store, Flip) == []


# -- a new version with another entry rule -----------------------------------------------------------------------------


def test_a_new_rule_is_watched_of_everybody_and_lets_nobody_in_by_itself(store: Store, paged: None) -> None:
    older = CARE.replace("{tag: [level/vip]}", "{added: {older_than: 30d}}")
    town = Town(store, text=older)
    town.begin()
    town.led_on()
    began = town.now
    town.go_to("2026-03-03 09:00")
    town.apply(older.replace("30d", "2d"))
    town.led_on()

    assert {row[0] for row in all_rows(store, Flip, "at")} == {began + 2 * DAY}
    assert town.inside() == []
    town.go_to("2026-03-04 09:00")
    while sweep.run_once(town.app):
        pass
    assert len(town.inside()) == 6


def test_a_new_rule_that_time_does_not_change_leaves_nothing_to_wait_for(store: Store, paged: None) -> None:
    town = Town(store, text=CARE.replace("{tag: [level/vip]}", "{added: {older_than: 30d}}"))
    town.begin()
    town.led_on()
    town.apply(CARE)
    town.led_on()

    assert (all_rows(store, Flip), town.inside()) == ([], [])


def test_a_new_version_with_the_same_rule_judges_nobody(store: Store) -> None:
    town = Town(store, text=CARE.replace("{tag: [level/vip]}", "{added: {older_than: 30d}}"))
    town.begin()
    town.led_on()
    town.apply(CARE.replace("{tag: [level/vip]}", "{added: {older_than: 30d}}").replace("text: one", "text: uno"))

    assert town.led_on() == 0
