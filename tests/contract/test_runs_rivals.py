"""Several SOPs want one customer's day, entered per relation and per customer (D6, D7, D10), on both databases."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from sopd.commands import MuteCustomers, StartEnrollments
from sopd.handlers import customers, entries_by_hand
from sopd.store import Store
from tests.support.company import WHO, TestCompany, at, local


def new_customer(key: str, clock: str, **also: str) -> str:
    return _sop(key, "new_customer", [f'id: one, day: 1, at: "{clock}"'], **also)


def nurture(key: str, *steps: str, **also: str) -> str:
    """A SOP entered per customer, by hand alone."""
    return _sop(key, "nurture", steps, **also)


def _sop(key: str, kind: str, steps: object, **also: str) -> str:
    lines = [f"sop: {key}", f"title: {key}", f"kind: {kind}", *(f"{name}: {value}" for name, value in also.items())]
    assert isinstance(steps, list | tuple)
    return "\n".join([*lines, "steps:", *(f"  - {{{step}, by: mass_send, text: hello {key}}}" for step in steps)])


def one(clock: str, day: int = 1, also: str = "") -> str:
    return f'id: one, day: {day}, at: "{clock}"{also}'


@pytest.fixture
def company(store: Store) -> TestCompany:
    return TestCompany(store)


def pull(company: TestCompany, key: str, *names: str) -> None:
    """Let customers into a nurture SOP by hand."""
    told = entries_by_hand.start(company.app, StartEnrollments(key, names, WHO, "test"))
    assert [pulled.reason for pulled in told] == [""] * len(names)


def states(company: TestCompany, relation: SimpleNamespace, *keys: str) -> list[str]:
    return [company.pushes(relation, key).get("one", "not due") for key in keys]


def three(company: TestCompany, *, last: str = "18:00", **also: str) -> SimpleNamespace:
    """Mei stands in `low` (10:00, priority 40), `middle` (nurture, 12:00, 60) and `top` (nurture, priority 80)."""
    company.start(new_customer("low", "10:00", priority="40"))
    company.start(nurture("middle", one("12:00"), priority="60"))
    company.start(nurture("top", one(last, also=also.get("step", "")), priority="80"))
    mei = company.add("alice", "mei")
    pull(company, "middle", "mei")
    pull(company, "top", "mei")
    return mei


def test_the_best_of_three_gets_the_day_though_it_falls_due_last(company: TestCompany) -> None:
    mei = three(company)

    company.work_until("2026-03-03 12:00")
    assert states(company, mei, "low", "middle", "top") == ["waiting quota", "waiting quota", "not due"]
    company.work_until("2026-03-03 18:00")
    assert states(company, mei, "low", "middle", "top")[2] == "planned"
    company.requested(mei, "one", "top")
    company.go_to("2026-03-03 19:00")
    task_sent(company, mei, "top")

    company.work_until("2026-03-04 10:00")
    assert states(company, mei, "low", "middle") == ["waiting quota", "waiting quota"], "the deferred ones compete too"
    company.work_until("2026-03-04 12:00")
    assert states(company, mei, "low", "middle") == ["waiting quota", "planned"]


def task_sent(company: TestCompany, relation: SimpleNamespace, key: str) -> None:
    """WeCom reports the push of this SOP as sent now."""
    push = company.push(relation, "one", key)
    with company.store.transaction() as tx:
        tx.run("update dispatch set state = 'settled', act_at = null where id = ?", (push.dispatch_id,))
        tx.run("update push set state = 'sent', settled_at = ?, sent_at = ? where id = ?", (tx.now, tx.now, push.id))
        tx.run("delete from reservation where push_id = ? and \"window\" <> 'D2026-03-03'", (push.id,))


def test_a_paused_rival_leaves_the_day_to_the_next(company: TestCompany) -> None:
    mei = three(company)
    company.pause("top")

    company.work_until("2026-03-03 12:00")

    assert states(company, mei, "low", "middle") == ["waiting quota", "planned"]


def test_of_three_only_what_could_be_sent_competes(company: TestCompany) -> None:
    company.tag("level/vip")
    mei = three(company, step=", only_if: {tag: [level/vip]}")

    company.work_until("2026-03-03 12:00")

    assert states(company, mei, "low", "middle") == ["waiting quota", "planned"], "the condition of the best is false"


def test_a_rival_due_in_quiet_hours_is_tomorrows(company: TestCompany) -> None:
    mei = three(company, last="22:00")

    company.work_until("2026-03-03 12:00")

    assert states(company, mei, "low", "middle") == ["waiting quota", "planned"]


def test_a_muted_customer_gets_nothing_and_nobody_waits_for_a_day(company: TestCompany) -> None:
    mei = three(company)
    company.go_to("2026-03-03 09:00")
    customers.mute(company.app, MuteCustomers(("mei",), True, WHO))

    company.work_until("2026-03-03 18:00")

    assert states(company, mei, "low", "middle", "top") == ["skipped muted"] * 3
    assert company.places() == []


def test_an_ended_rival_leaves_the_day_to_the_next(company: TestCompany) -> None:
    mei = three(company)
    company.stop("top")

    company.work_until("2026-03-03 12:00")

    assert states(company, mei, "low", "middle") == ["waiting quota", "planned"]


def test_a_rival_whose_owner_cannot_send_leaves_the_day_to_the_next(company: TestCompany) -> None:
    company.start(nurture("low", one("10:00"), priority="40", members="[alice]"))
    company.start(nurture("top", one("18:00"), priority="80", members="[bob]"))
    mei = company.befriend("alice", "mei")
    company.befriend("bob", "mei")
    pull(company, "low", "mei")
    pull(company, "top", "mei")
    with company.store.transaction() as tx:
        tx.run("update member set can_send = false where userid = 'bob'")

    company.work_until("2026-03-03 10:00")

    assert states(company, mei, "low") == ["planned"]


def test_a_reservation_once_made_is_not_taken_away_by_a_better_one_that_comes_later(company: TestCompany) -> None:
    company.start(new_customer("low", "10:00", priority="40"))
    company.start(nurture("top", one("18:00", day=0), priority="80"))
    mei = company.add("alice", "mei")
    company.work_until("2026-03-03 10:00")
    assert states(company, mei, "low") == ["planned"]

    pull(company, "top", "mei")
    company.work_until("2026-03-03 18:00")

    assert states(company, mei, "low", "top") == ["planned", "waiting quota"]


def test_a_step_by_step_run_competes_with_the_step_whose_clock_has_started(company: TestCompany) -> None:
    company.start(new_customer("low", "10:00", priority="40"))
    company.start(nurture("top", "id: one, after: 33h", priority="80", pace="stepwise"))
    mei = company.add("alice", "mei")
    pull(company, "top", "mei")  # Monday 09:00, so Tuesday 18:00

    company.work_until("2026-03-03 10:00")
    low = company.push(mei, "one", "low")
    company.work_until("2026-03-03 18:00")

    assert (low.state, low.reason, local(low.plan_at)) == ("waiting", "quota", "2026-03-04 10:00")
    assert states(company, mei, "top") == ["planned"]


@pytest.mark.parametrize(("mode", "window", "places"), [("week:7", "W2026-03-02", 7), ("month:days", "M2026-03", 31)])
def test_in_wider_windows_rivals_share_what_is_left(store: Store, mode: str, window: str, places: int) -> None:
    company = TestCompany(store, quota=mode)
    mei = three(company)
    book(company, mei, window, places - 2)

    company.work_until("2026-03-03 10:00")
    assert states(company, mei, "low") == ["waiting quota"], "two places, and two better ones want them today"
    company.work_until("2026-03-03 12:00")
    assert states(company, mei, "middle") == ["planned"]
    company.work_until("2026-03-03 18:00")
    assert states(company, mei, "top") == ["waiting quota"], "one open mass send at a time (D6)"


@pytest.mark.parametrize(("mode", "window", "places"), [("week:7", "W2026-03-02", 7), ("month:days", "M2026-03", 31)])
def test_the_last_place_of_a_wider_window_is_the_bests(
    store: Store, mode: str, window: str, places: int
) -> None:
    company = TestCompany(store, quota=mode)
    mei = three(company)
    book(company, mei, window, places - 1)

    company.work_until("2026-03-03 12:00")
    assert states(company, mei, "low", "middle") == ["waiting quota", "waiting quota"]
    company.work_until("2026-03-03 18:00")
    assert states(company, mei, "top") == ["planned"]
    assert len(company.places()) == places


def test_the_month_ends_at_wecoms_midnight(store: Store) -> None:
    company = TestCompany(store, "2026-03-30 09:00", quota="month:days")
    company.start(new_customer("low", "10:00"))
    mei = company.add("alice", "mei")
    book(company, mei, "M2026-03", 31)

    company.work_until("2026-03-31 10:00")
    assert states(company, mei, "low") == ["waiting quota"]
    company.work_until("2026-04-01 10:00")
    assert states(company, mei, "low") == ["planned"]
    assert [place[1] for place in company.places() if place[1] == "M2026-04"] == ["M2026-04"]


def book(company: TestCompany, relation: SimpleNamespace, window: str, count: int) -> None:
    """So many places of the customer's window are taken by sends of others."""
    with company.store.transaction() as tx:
        for place in range(1, count + 1):
            tx.run(
                'insert into reservation (customer_id, "window", place, at) values (?, ?, ?, ?)',
                (relation.customer_id, window, place, at("2026-03-01 09:00")),
            )
