"""The handlers of cards on both databases: claims and leases, what a page costs, what is set aside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from machines.calendar import SECOND_MS
from sopd.handlers import card_clicks, card_requests, card_updates
from sopd.handlers.card_clicks import Click
from sopd.handlers.card_requests import Answer
from sopd.handlers.consequences import follow
from sopd.store import Store
from sopd.wecom.notices import Receipt
from tests.support.desk_of_cards import CALL, HANDED_AT, REMIND, CardDesk
from tests.support.plans import assert_uses_index, hearing
from tests.support.rig import at

SMALL, LARGE = 1, 40


def desk_before(store: Store, count: int = 1, *, members: str = "alice", **more: Any) -> CardDesk:
    """Customers have added these members in turn; their cards are planned and due, and nobody has taken them."""
    desk = CardDesk(store, members=members, **more)
    for number in range(count):
        desk.world.customer_adds(members.split()[number % len(members.split())], f"wm{number}", now=desk.now)
    desk.settle()
    desk.run_until(at("2026-03-03 10:00"))
    desk.now = HANDED_AT
    store.set_clock(HANDED_AT)
    return desk


def taken(desk: CardDesk) -> list[card_requests.Request]:
    return card_requests.take(desk.app, card_requests.lease(desk.app))


def answer(request: card_requests.Request) -> Answer:
    return Answer(request, Receipt(f"app{request.dispatch_id}", response_code=f"RC{request.dispatch_id}"))


def pressed(desk: CardDesk, requests: list[card_requests.Request], key: str) -> None:
    clicks = [Click(one.notice.task_id, one.userid, key, "RC-click", desk.now) for one in requests]
    with desk.store.transaction() as tx:
        follow(tx, desk.app, card_clicks.clicked(tx, desk.app, clicks))


def statements(desk: CardDesk, work: Callable[[], object]) -> int:
    """How many statements the work made; BEGIN, COMMIT and the look at the clock are not counted."""
    with hearing(desk.store) as seen:
        work()
    return sum(1 for sql in seen if not sql.startswith(("begin", "commit")) and "from clock" not in sql)


# -- claims ------------------------------------------------------------------------------------------------------------


def test_two_processes_never_take_the_same_card(store: Store) -> None:
    desk = desk_before(store, 3, sop=CALL, members="alice bob carol")

    first, second = card_requests.lease(desk.app), card_requests.lease(desk.app)

    assert (len(first), second) == (3, {})


def test_a_claim_that_somebody_else_has_now_makes_no_call(store: Store) -> None:
    desk = desk_before(store)
    (request,) = taken(desk)
    desk.run_for(minutes=2)

    assert desk.push("wm0") == ("requested", None), "the next one has handed it over"
    assert not card_requests.begin(desk.app, request)


def test_a_lease_that_ran_out_before_the_call_leaves_no_doubt(store: Store) -> None:
    desk = desk_before(store)
    taken(desk)
    desk.now += 61 * SECOND_MS
    store.set_clock(desk.now)
    due = card_updates.claim(desk.app)

    assert (due.looked_at, desk.dispatches()) == (1, ["planned"])


def test_a_lease_that_ran_out_during_the_call_repeats_the_very_same_card(store: Store) -> None:
    desk = desk_before(store)
    (request,) = taken(desk)
    assert card_requests.begin(desk.app, request)
    desk.now += 61 * SECOND_MS
    store.set_clock(desk.now)
    (again,) = card_updates.claim(desk.app).requests

    assert again.notice == request.notice
    assert f'"doubted_at": {HANDED_AT}' in desk.rows("select memory from dispatch")[0][0]


def test_an_answer_that_comes_too_late_is_kept_all_the_same(store: Store) -> None:
    desk = desk_before(store)
    (request,) = taken(desk)
    card_requests.begin(desk.app, request)
    desk.now += 61 * SECOND_MS
    store.set_clock(desk.now)
    card_updates.claim(desk.app)
    card_requests.answered(desk.app, [answer(request)])

    assert (desk.dispatches(), desk.push("wm0")) == (["handed"], ("requested", None))
    card_requests.answered(desk.app, [answer(request)])
    assert desk.dispatches() == ["handed"], "hearing it twice changes nothing"


def test_a_click_may_be_heard_before_the_answer(store: Store) -> None:
    desk = desk_before(store)
    (request,) = taken(desk)
    card_requests.begin(desk.app, request)
    pressed(desk, [request], "done")
    card_requests.answered(desk.app, [answer(request)])

    assert (desk.dispatches(), desk.push("wm0")) == (["settled"], ("sent", None))


def test_a_click_that_is_handled_twice_acts_once(store: Store) -> None:
    desk = desk_before(store, sop=CALL)
    requests = taken(desk)
    card_requests.begin(desk.app, requests[0])
    card_requests.answered(desk.app, [answer(one) for one in requests])
    for _ in range(2):
        pressed(desk, requests, "reached")

    assert desk.rows("select count(*) from signal") == [(1,)]
    assert desk.push("wm0") == ("sent", "reached")


# -- places ------------------------------------------------------------------------------------------------------------


def test_reminders_fill_the_owners_slots_and_phone_tasks_none(store: Store) -> None:
    batch = "batch: {size: 2, every: 30m}\n"
    desk = desk_before(store, 5, sop=REMIND + batch)

    slots = [row[0] for row in desk.rows("select used from slot order by opens_at")]
    sizes = [row[0] for row in desk.rows("select size from dispatch order by send_at")]
    assert (slots, sizes) == ([2, 2, 1], [2, 2, 1])


def test_a_company_of_few_tasks_a_day_is_not_bothered_by_phone_tasks(store: Store) -> None:
    desk = desk_before(store, 5, sop=CALL)

    assert desk.rows("select count(*) from slot") == [(0,)]
    assert desk.rows("select channel, size from dispatch") == [("call", 5)]
    assert len(taken(desk)) == 5


# -- costs -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [SMALL, LARGE])
def test_statements_of_a_page_do_not_depend_on_its_size(store: Store, count: int) -> None:
    desk = desk_before(store, count, sop=CALL, members="alice bob carol dave")
    requests: list[card_requests.Request] = []
    found = {"take": statements(desk, lambda: requests.extend(taken(desk)))}
    assert len(requests) == count
    for request in requests:
        card_requests.begin(desk.app, request)
    found["answered"] = statements(desk, lambda: card_requests.answered(desk.app, [answer(one) for one in requests]))
    found["pressed"] = statements(desk, lambda: pressed(desk, requests, "later"))
    found["changed"] = statements(desk, lambda: card_updates.claim(desk.app))

    assert found["answered"] <= 12, found
    assert found["pressed"] <= 14, found
    assert found["changed"] <= 12, found
    assert found["take"] <= 32, found


def test_hot_queries_go_through_indexes(store: Store) -> None:
    states = "state in ('handing', 'unsure', 'handed', 'settled', 'cancelled')"
    cards = "channel in ('remind', 'call')"
    due = f"select id from dispatch where {states} and act_at <= ? and {cards} order by act_at limit 50"
    assert_uses_index(store, due, (1,), "dispatch_act")
    paced = "select attempted_at from dispatch where to_userid = ? and to_userid is not null and attempted_at > ?"
    assert_uses_index(store, paced, ("alice", 1), "dispatch_pace")


# -- what cannot be handled --------------------------------------------------------------------------------------------


def test_a_card_that_cannot_be_written_is_set_aside_and_the_rest_goes_out(store: Store) -> None:
    desk = desk_before(store, 4, sop=CALL, members="alice bob carol dave")
    with desk.store.transaction() as tx:
        tx.run("update customer set attributes = 'no json' where external_userid = 'wm2'")
    desk.settle()

    assert {card.member for card in desk.cards} == {"alice", "bob", "dave"}
    assert [kind for (kind,) in desk.rows("select kind from set_aside")] == ["dispatch"]
