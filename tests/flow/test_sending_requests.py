"""A task is created once, whatever happens to the call (SPEC 7.5, 15.2, D8, D16): every answer of WeCom, on both
databases, with what then really reached the customers."""

from __future__ import annotations

import pytest

from machines.calendar import MINUTE_MS
from sopd import relay
from sopd.handlers import requests
from sopd.store import Store
from sopd.wecom.codes import CODES, RENEWABLE, Klass
from tests.support.rig import at
from tests.support.sending import CREATED, SOP, Desk

TUESDAY = CREATED


def desk_with(store: Store, *customers: str, **config: object) -> Desk:
    desk = Desk(store, **config)  # type: ignore[arg-type]
    desk.add(*customers)
    return desk


def test_a_task_is_created_for_the_whole_slot_and_waits_for_the_member(store: Store) -> None:
    desk = desk_with(store, "wmMei", "wmBo")
    desk.run_until(TUESDAY)

    [task] = desk.tasks
    assert set(task.assignments["alice"].recipients) == {"wmMei", "wmBo"}
    assert task.created_at == TUESDAY
    assert desk.push("wmMei") == desk.push("wmBo") == ("requested", None)
    assert desk.dispatches() == ["requested"]
    assert desk.received("wmMei") == []


# -- refusals ----------------------------------------------------------------------------------------------------------

def codes_of(*klasses: Klass) -> list[int]:
    """Every code of these classes that means something of its own to a create; 0 and -1 are answers that got lost."""
    return sorted(code for code, rule in CODES.items() if rule.klass in klasses and code not in (0, -1, 41048))


def desk_with_members(store: Store, count: int) -> Desk:
    """A desk on which each member has one customer, and so a task of his own."""
    members = [f"m{number:02d}" for number in range(count)]
    desk = Desk(store, members=" ".join(members))
    for member in members:
        desk.world.customer_adds(member, f"wm-{member}", now=desk.now)
    desk.settle()
    return desk


def test_what_may_clear_up_is_tried_again_and_then_sent_once(store: Store) -> None:
    codes = [code for code in codes_of(Klass.RETRYABLE, Klass.CONFIGURATION) if code not in RENEWABLE]
    desk = desk_with_members(store, len(codes))
    for code in codes:
        desk.fails("create_mass_send", errcode=code)
    desk.run_until(TUESDAY)
    said = " ".join(reason for (reason,) in desk.rows("select reason from dispatch"))
    assert desk.tasks == []
    assert [code for code in codes if f"WeCom answered {code}, " not in said] == []
    desk.run_for(hours=1)

    assert len(desk.tasks) == len(codes)
    assert desk.rows("select distinct state, reason from push") == [("requested", None)]
    assert desk.calls("create_mass_send") == 2 * len(codes)


def test_what_is_refused_for_good_fails_with_the_reason(store: Store) -> None:
    codes = codes_of(Klass.PERMANENT, Klass.STATE)
    desk = desk_with_members(store, len(codes))
    for code in codes:
        desk.fails("create_mass_send", errcode=code)
    desk.run_for(days=1, hours=3)

    reasons = [reason for (reason,) in desk.rows("select reason from push where state = 'failed' order by reason")]
    told = {code: f"refused by WeCom {code}, {CODES[code].meaning}" for code in codes}
    assert reasons == sorted({**told, 40003: "member cannot send", 60111: "member cannot send"}.values())
    assert set(desk.dispatches()) == {"failed"}
    assert desk.tasks == []
    assert desk.rows("select count(*) from reservation") == [(0,)]


@pytest.mark.parametrize("code", sorted(RENEWABLE))
def test_a_refused_token_is_renewed_and_the_call_repeated(store: Store, code: int) -> None:
    desk = desk_with(store, "wmMei")
    desk.fails("create_mass_send", errcode=code)
    desk.run_until(TUESDAY)

    assert len(desk.tasks) == 1
    assert desk.push("wmMei") == ("requested", None)


def test_a_code_nobody_knows_fails_with_its_number(store: Store) -> None:
    desk = desk_with(store, "wmMei")
    desk.fails("create_mass_send", errcode=12345)
    desk.run_until(TUESDAY)

    assert (desk.push("wmMei")[1] or "").startswith("refused by WeCom 12345, ")


def test_a_fault_of_configuration_that_nobody_cures_ends_with_its_reason(store: Store) -> None:
    desk = desk_with(store, "wmMei")
    desk.fails("create_mass_send", errcode=48002, times=10_000)
    desk.run_until(at("2026-03-05 00:00"))

    state, reason = desk.push("wmMei")
    assert state == "expired"
    assert "48002" in (reason or "")
    assert desk.calls("create_mass_send") < 100


def test_a_closed_path_is_left_alone_by_all_tasks_and_opens_for_all(store: Store) -> None:
    desk = desk_with_members(store, 30)
    desk.fails("create_mass_send", errcode=45009)
    desk.run_until(TUESDAY)
    asked = desk.calls("create_mass_send")

    desk.run_until(TUESDAY + MINUTE_MS - 1)
    assert desk.calls("create_mass_send") == asked
    assert asked < 30
    desk.run_until(TUESDAY + 2 * MINUTE_MS)
    assert len(desk.tasks) == 30


def test_a_path_that_closes_again_rests_for_an_hour(store: Store) -> None:
    desk = desk_with(store, "wmMei")
    desk.fails("create_mass_send", errcode=45009, times=2)
    desk.run_until(TUESDAY + 30 * MINUTE_MS)

    assert desk.calls("create_mass_send") == 2
    desk.run_for(hours=1)
    assert len(desk.tasks) == 1


# -- recipients who are left out (D8) ----------------------------------------------------------------------------------


def test_who_is_no_friend_any_more_fails_and_the_others_go_on(store: Store) -> None:
    desk = desk_with(store, "wmMei", "wmBo")
    desk.run_until(TUESDAY - MINUTE_MS)
    desk.leaves_silently("wmBo")
    desk.run_until(TUESDAY + 5 * MINUTE_MS)

    assert desk.push("wmMei") == ("requested", None)
    assert desk.push("wmBo") == ("failed", "not a friend")
    assert desk.rows("select state from enrollment order by state") == [("first",), ("lost",)]


def test_a_friend_who_is_left_out_has_had_his_message_today_and_is_planned_for_tomorrow(store: Store) -> None:
    desk = desk_with(store, "wmMei", "wmBo", quota_at_creation=True)
    desk.run_until(TUESDAY - MINUTE_MS)
    desk.world.member_sends_own("alice", ["wmBo"], "own", now=desk.now)
    desk.run_until(TUESDAY + 5 * MINUTE_MS)

    assert desk.push("wmMei") == ("requested", None)
    assert desk.push("wmBo") == ("waiting", "quota")
    desk.run_until(at("2026-03-04 10:05"))
    assert desk.push("wmBo") == ("requested", None)
    assert len(desk.tasks) == 2


def test_nobody_left_makes_no_task_and_everybody_finds_his_own_reason(store: Store) -> None:
    desk = desk_with(store, "wmMei", "wmBo", quota_at_creation=True)
    desk.run_until(TUESDAY - MINUTE_MS)
    desk.leaves_silently("wmBo")
    desk.world.member_sends_own("alice", ["wmMei"], "own", now=desk.now)
    desk.run_until(TUESDAY + MINUTE_MS)

    assert desk.tasks == []
    assert desk.dispatches() == ["failed"]
    assert desk.push("wmMei") == ("waiting", "quota")
    assert desk.push("wmBo") == ("failed", "not a friend")


def test_relations_that_cannot_be_read_now_are_read_later(store: Store) -> None:
    desk = desk_with(store, "wmMei", quota_at_creation=True)
    desk.run_until(TUESDAY - MINUTE_MS)
    desk.world.member_sends_own("alice", ["wmMei"], "own", now=desk.now)
    desk.fails("contact", "http_502", times=4)
    desk.run_until(TUESDAY)
    assert desk.push("wmMei") == ("planned", None)

    desk.run_for(minutes=2)
    assert desk.push("wmMei") == ("waiting", "quota")


@pytest.mark.parametrize(("policy", "outcome"), [("skip", ("skipped", "quota")), ("{defer: 1d}", ("failed", "quota"))])
def test_a_full_window_takes_what_the_definition_says(store: Store, policy: str, outcome: tuple[str, str]) -> None:
    desk = desk_with(store, "wmMei", quota_at_creation=True, sop=f"{SOP}quota_full: {policy}\n")
    for day in (3, 4):
        desk.run_until(at(f"2026-03-0{day} 09:00"))
        desk.world.member_sends_own("alice", ["wmMei"], "own", now=desk.now)
    desk.run_until(at("2026-03-04 12:00"))

    assert desk.push("wmMei") == outcome


# -- lost answers (D16) ------------------------------------------------------------------------------------------------

BEFORE = [("errcode", -1, False), ("http_502", 0, False), ("wrong_json", 0, False)]
AFTER = [("errcode", -1, True), ("http_502", 0, True), ("drop", 0, True)]


@pytest.mark.parametrize(("kind", "code", "after"), AFTER)
def test_a_task_whose_answer_was_lost_is_found_again(store: Store, kind: str, code: int, after: bool) -> None:
    desk = desk_with(store, "wmMei", "wmBo")
    desk.fails("create_mass_send", kind, code, after=after)
    desk.run_until(TUESDAY)
    assert desk.dispatches() == ["uncertain"]
    assert desk.push("wmMei")[0] == "planned"

    desk.run_for(minutes=2)
    assert desk.dispatches() == ["requested"]
    assert len(desk.tasks) == 1
    desk.confirms()
    desk.run_for(hours=1)
    assert desk.push("wmMei") == desk.push("wmBo") == ("sent", None)


@pytest.mark.parametrize(("kind", "code", "after"), BEFORE)
def test_a_call_that_had_no_effect_is_made_again_only_when_that_is_certain(
    store: Store, kind: str, code: int, after: bool
) -> None:
    desk = desk_with(store, "wmMei")
    desk.fails("create_mass_send", kind, code, after=after)
    desk.run_until(TUESDAY + 10 * MINUTE_MS - 1)
    assert desk.tasks == []
    assert desk.dispatches() == ["uncertain"]

    desk.run_for(minutes=2)
    assert len(desk.tasks) == 1
    assert desk.push("wmMei") == ("requested", None)
    assert desk.calls("create_mass_send") == 2


def test_a_connection_that_was_never_made_is_no_doubt(store: Store) -> None:
    desk = desk_with(store, "wmMei")
    desk.fails("create_mass_send", "drop")
    desk.run_until(TUESDAY + MINUTE_MS)

    assert len(desk.tasks) == 1
    assert desk.calls("mass_sends") == 0


def test_a_list_that_breaks_off_proves_nothing(store: Store) -> None:
    desk = desk_with(store, "wmMei")
    desk.fails("create_mass_send", "http_502")
    desk.fails("mass_sends", "http_502", times=8)
    desk.run_until(TUESDAY + 11 * MINUTE_MS)

    assert len(desk.tasks) <= 1
    desk.run_for(hours=1)
    assert len(desk.tasks) == 1
    assert desk.push("wmMei") == ("requested", None)


def test_the_list_is_read_to_its_last_page(store: Store) -> None:
    desk = desk_with(store, "wmMei", page_cap=1)
    desk.run_until(TUESDAY - MINUTE_MS)
    for number in range(5):
        desk.add(f"wmOther{number}")
        desk.world.member_sends_own("alice", [f"wmOther{number}"], "own", now=desk.now)
    desk.fails("create_mass_send", "drop", after=True)
    desk.run_for(minutes=5)

    assert len(desk.tasks) == 1
    assert desk.dispatches() == ["requested"]


def test_a_task_alike_for_other_people_needs_an_operator(store: Store) -> None:
    desk = desk_with(store, "wmMei", "wmBo")
    desk.run_until(TUESDAY - 1)
    desk.world.customer_adds("alice", "wmX", now=desk.now)
    relation = desk.world.relations["alice", "wmX"]
    desk.fails("create_mass_send", "http_502")
    desk.run_until(TUESDAY)
    content = type("Content", (), {"text": "第一天", "attachments": ()})()
    desk.world.create_mass_send([relation], content, now=desk.now)
    desk.run_for(hours=1)

    assert desk.dispatches() == ["needs_operator"]
    assert desk.calls("create_mass_send") == 1
    assert desk.push("wmMei")[0] == "planned"
    assert desk.is_settled("wmMei")
    assert desk.reserved("wmMei") != []


def test_recipients_that_stay_unreadable_need_an_operator(store: Store) -> None:
    desk = desk_with(store, "wmMei", dispatch_ms=60 * MINUTE_MS)
    desk.fails("create_mass_send", "drop", after=True)
    desk.run_for(days=1, hours=2)

    assert desk.dispatches() == ["needs_operator"]
    assert desk.rows("select reason from dispatch") == [("recipients unreadable",)]


# -- processes that die ------------------------------------------------------------------------------------------------


def test_a_relay_that_dies_before_its_call_costs_a_minute_and_no_look_up(store: Store) -> None:
    desk = desk_with(store, "wmMei")
    desk.run_until(TUESDAY - 1)
    desk._go_to(TUESDAY)
    taken = requests.take(desk.app, requests.lease(desk.app))
    assert len(taken) == 1
    desk.run_for(minutes=3)

    assert len(desk.tasks) == 1
    assert desk.calls("mass_sends") == 0


def test_a_relay_that_dies_when_it_was_to_call_is_looked_up_for(store: Store) -> None:
    desk = desk_with(store, "wmMei")
    desk.run_until(TUESDAY - 1)
    desk._go_to(TUESDAY)
    [request] = requests.take(desk.app, requests.lease(desk.app))
    assert requests.begin(desk.app, request)
    desk.run_for(minutes=9)
    assert desk.dispatches() == ["uncertain"]
    assert desk.tasks == []

    desk.run_for(minutes=3)
    assert len(desk.tasks) == 1
    assert desk.dispatches() == ["requested"]


def test_a_relay_that_dies_after_its_call_leaves_a_task_that_is_found(store: Store) -> None:
    desk = desk_with(store, "wmMei")
    desk.run_until(TUESDAY - 1)
    desk._go_to(TUESDAY)
    [request] = requests.take(desk.app, requests.lease(desk.app))
    relay._create(desk.app, request, [])
    desk.run_for(minutes=3)

    assert len(desk.tasks) == 1
    assert desk.dispatches() == ["requested"]


def test_a_relay_that_wakes_up_after_its_lease_calls_nobody(store: Store) -> None:
    desk = desk_with(store, "wmMei")
    desk.run_until(TUESDAY - 1)
    desk._go_to(TUESDAY)
    [request] = requests.take(desk.app, requests.lease(desk.app))
    desk._go_to(TUESDAY + requests.LEASE_MS)

    assert not requests.begin(desk.app, request)
    desk.run_for(minutes=3)
    assert len(desk.tasks) == 1


def test_while_one_create_is_in_doubt_the_next_of_the_same_content_waits(store: Store) -> None:
    desk = desk_with(store, "wmMei", "wmBo", sop=f"{SOP}batch: {{size: 1, every: 5m}}\n")
    desk.fails("create_mass_send", "http_502")
    desk.run_until(TUESDAY + 8 * MINUTE_MS)
    assert sorted(desk.dispatches()) == ["planned", "uncertain"]
    assert desk.calls("create_mass_send") == 1

    desk.run_for(minutes=10)
    assert len(desk.tasks) == 2
    assert desk.push("wmMei") == desk.push("wmBo") == ("requested", None)
