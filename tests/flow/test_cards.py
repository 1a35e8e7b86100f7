"""Cards from due step to the member's word, on both databases: reminders, phone tasks, and what stops them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sopd.commands import CancelDispatch, EndEnrollments, MuteCustomers, ResumeSop, RetryPushes, StopSop
from sopd.handlers import customers, endings, preview, retries, sops, withdrawals
from sopd.sandbox.config import SandboxConfig
from sopd.store import Store
from tests.support.desk_of_cards import CALL, HANDED_AT, REMIND, CardDesk
from tests.support.rig import WHO, at, settings_for
from tests.support.sending import BOUGHT

FOUR = ("wm1", "wm2", "wm3", "wm4")
ENDED = f"early end: tag {BOUGHT}"


def desk_with(store: Store, *names: str, **more: Any) -> CardDesk:
    """Customers have added alice, and the cards of their first step are with her."""
    desk = CardDesk(store, **more)
    desk.add(*names)
    desk.run_until(HANDED_AT)
    return desk


# -- a member's word ---------------------------------------------------------------------------------------------------


def test_a_reminder_is_done_with_one_click(store: Store) -> None:
    desk = desk_with(store, "wmMei")

    assert desk.push("wmMei") == ("requested", None)
    assert desk.said() == {
        "title": "联系客户:wmMei", "text": "请联系wmMei,他在意—", "keys": ("done", "later"), "客户": "wmMei",
        "截止": "03-04 23:59",
    }  # fmt: skip

    desk.presses("done")

    assert (desk.push("wmMei"), desk.dispatches()) == (("sent", None), ["settled"])
    assert (desk.cards[0].replaced, desk.sent_at("wmMei")) == ("已完成", HANDED_AT)
    assert desk.received("wmMei") == []
    assert desk.rows("select * from reservation") == []


def test_up_to_three_customers_get_a_card_each(store: Store) -> None:
    desk = desk_with(store, *FOUR[:3])

    assert sorted(desk.said(card)["title"] for card in desk.cards) == [f"联系客户:{name}" for name in FOUR[:3]]
    assert [row[0] for row in desk.rows("select size from dispatch order by id")] == [1, 1, 1]

    desk.presses("done", desk.cards[0])

    assert sorted(desk.push(name)[0] for name in FOUR[:3]) == ["requested", "requested", "sent"]


def test_more_customers_share_a_card_that_names_them(store: Store) -> None:
    desk = desk_with(store, *FOUR)

    said = desk.said()
    assert (len(desk.cards), said["title"], said["客户"]) == (1, "联系4位客户", "wm1、wm2、wm3等4位")
    assert said["text"] == "请联系[客户],他在意[topic]\n客户名单:wm1、wm2、wm3、wm4"

    desk.presses("done")

    assert {desk.push(name) for name in FOUR} == {("sent", None)}


def test_names_and_attributes_are_filled_in_for_one_customer(store: Store) -> None:
    desk = CardDesk(store)
    desk.world.customer_adds("alice", "wmMei", name="梅\n小姐", now=desk.now)
    desk.settle()
    with desk.store.transaction() as tx:
        tx.run("update customer set attributes = ?", ('{"topic": "价格"}',))
    desk.run_until(HANDED_AT)

    assert desk.said()["text"] == "请联系梅 小姐,他在意价格"


def test_later_brings_a_new_card_in_the_morning(store: Store) -> None:
    desk = desk_with(store, "wmMei")
    desk.presses("later")

    assert desk.push("wmMei") == ("requested", None)
    assert desk.cards[0].replaced == "稍后提醒 03-04 08:01"

    desk.run_until(at("2026-03-04 08:00"))
    assert len(desk.cards) == 1
    desk.run_until(at("2026-03-04 08:01"))
    assert len(desk.cards) == 2
    assert desk.said()["keys"] == ("done",), "there is no later morning"

    desk.presses("done")
    assert desk.push("wmMei") == ("sent", None)
    assert desk.cards_open == []


def test_later_with_no_morning_left_takes_the_button_away(store: Store) -> None:
    desk = desk_with(store, "wmMei")
    desk.run_until(at("2026-03-04 15:00"))
    desk.presses("later")

    assert len(desk.cards) == 1
    assert desk.said()["keys"] == ("done",)
    desk.presses("done")
    assert desk.push("wmMei") == ("sent", None)


def test_an_old_card_counts_as_well(store: Store) -> None:
    desk = desk_with(store, "wmMei")
    desk.fails("update_card", "drop", times=6)
    desk.presses("later")
    desk.run_until(at("2026-03-04 09:00"))
    assert [card.replaced for card in desk.cards] == [None, None], "its buttons could not be taken away"

    desk.presses("done", desk.cards[0])

    assert desk.push("wmMei") == ("sent", None)
    assert [card.replaced for card in desk.cards] == ["已完成", "已完成"]


def test_a_repeated_click_changes_nothing(store: Store) -> None:
    desk = desk_with(store, "wmMei")
    desk.fails("update_card", "drop", times=6)
    desk.presses("done")
    before = desk.rows("select id, state, reason, settled_at, sent_at from push order by id")
    desk.run_for(minutes=1)
    desk.presses("later")
    desk.run_for(days=1)

    assert desk.rows("select id, state, reason, settled_at, sent_at from push order by id") == before
    assert desk.cards[0].replaced == "已完成", "the second click brought another code"


def test_only_whom_the_card_was_handed_to_can_answer_it(store: Store) -> None:
    desk = desk_with(store, "wmMei", members="alice bob")
    card = desk.cards[0]
    fields = (("EventKey", "done"), ("TaskId", card.task_id), ("ResponseCode", "RCx"))
    desk.world.emit("template_card_event", *fields, now=desk.now, sender="bob")
    strange = (("EventKey", "done"), ("TaskId", "sopd-1-9-1"), ("ResponseCode", "RCy"))
    desk.world.emit("template_card_event", *strange, now=desk.now, sender="alice")
    other = (("EventKey", "done"), ("TaskId", "another-app"), ("ResponseCode", "RCz"))
    desk.world.emit("template_card_event", *other, now=desk.now, sender="alice")
    desk.settle()

    assert desk.push("wmMei") == ("requested", None)
    assert {state for (state,) in desk.rows("select state from inbox")} == {"done"}

    desk.world.emit("template_card_event", *fields, now=desk.now, sender="ALICE")
    desk.settle()
    assert desk.push("wmMei") == ("sent", None)


# -- phone tasks -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("key", "shown"), [("reached", "已接通"), ("not_reached", "未接通")])
def test_a_phone_task_has_an_outcome(store: Store, key: str, shown: str) -> None:
    desk = desk_with(store, *FOUR, sop=CALL)
    assert len(desk.cards) == 4, "a phone task is for one customer"

    desk.presses(key, desk.cards[0])

    name = desk.said(desk.cards[0])["客户"]
    assert desk.push(name) == ("sent", key.replace("_", " "))
    assert desk.cards[0].replaced == shown
    assert desk.rows("select kind, name, properties, ref from signal") == [
        ("event", "call", f'{{"outcome": "{key}", "step": "first"}}', desk.cards[0].task_id)
    ]
    assert desk.rows("select * from slot") == []


def test_rules_can_ask_for_the_outcome(store: Store) -> None:
    when = "{any: [{tag: [结果/已下单]}, {event: {name: call, where: {outcome: reached}}}]}"
    desk = desk_with(store, "wm1", "wm2", sop=CALL.replace("{tag: [结果/已下单]}", when))
    for card, key in zip(desk.cards, ("reached", "not_reached"), strict=True):
        desk.presses(key, card)

    states = {desk.said(card)["客户"]: card.replaced for card in desk.cards}
    runs = "select c.external_userid, e.state from enrollment e join customer c on c.id = e.customer_id"
    ended = dict(desk.rows(runs))
    assert {states[name]: state for name, state in ended.items()} == {"已接通": "early_end", "未接通": "first"}


def test_the_outcome_of_the_last_step_is_heard_before_the_normal_end(store: Store) -> None:
    when = "{event: {name: call, where: {outcome: reached}}}"
    lines = [line for line in CALL.splitlines() if "second" not in line]
    desk = desk_with(store, "wmMei", sop="\n".join(lines).replace("{tag: [结果/已下单]}", when))
    desk.presses("reached")

    assert desk.rows("select state, reason from enrollment") == [("early_end", "early end: event call")]
    assert desk.push("wmMei") == ("sent", "reached")


def test_a_phone_task_put_off_says_so_to_rules_and_is_asked_again(store: Store) -> None:
    desk = desk_with(store, "wmMei", sop=CALL)
    desk.presses("later")
    desk.run_until(at("2026-03-04 08:01"))
    desk.presses("reached")

    assert [outcome for (outcome,) in desk.rows("select properties from signal order by id")] == [
        '{"outcome": "later", "step": "first"}', '{"outcome": "reached", "step": "first"}',
    ]  # fmt: skip
    assert desk.push("wmMei") == ("sent", "reached")


# -- what closes a card ------------------------------------------------------------------------------------------------


def test_a_card_nobody_answers_expires(store: Store) -> None:
    desk = desk_with(store, "wmMei")
    desk.run_until(at("2026-03-05 00:00"))

    assert (desk.push("wmMei"), desk.cards[0].replaced) == (("expired", "not confirmed"), "已过期")
    desk.run_until(at("2026-03-11 10:01"))
    assert desk.push("wmMei", "second")[0] == "requested"


def test_the_next_step_ends_a_card_that_is_still_open(store: Store) -> None:
    desk = desk_with(store, "wmMei", sop=REMIND.replace("day: 9", "day: 2"))
    desk.run_until(at("2026-03-04 10:01"))

    assert desk.push("wmMei") == ("expired", "not confirmed")
    assert desk.push("wmMei", "second")[0] == "requested"


def test_an_early_end_takes_its_customer_out_and_leaves_the_card_to_the_others(store: Store) -> None:
    desk = desk_with(store, *FOUR)
    desk.buys("wm1")

    assert desk.push("wm1") == ("cancelled", ENDED)
    assert (desk.push("wm2"), desk.cards[0].replaced) == (("requested", None), None)

    desk.run_for(minutes=5)
    desk.presses("done")
    assert [desk.push(name)[0] for name in FOUR] == ["cancelled", "sent", "sent", "sent"]


def test_a_card_is_closed_when_the_last_customer_leaves_it(store: Store) -> None:
    desk = desk_with(store, "wmMei")
    desk.buys("wmMei")

    assert (desk.push("wmMei"), desk.cards[0].replaced) == (("cancelled", ENDED), "已无需处理")
    assert desk.dispatches() == ["cancelled"]


def test_an_end_before_the_card_goes_out_leaves_none(store: Store) -> None:
    desk = CardDesk(store)
    desk.add("wmMei")
    desk.run_until(at("2026-03-03 10:00"))
    desk.buys("wmMei")
    desk.run_for(hours=1)

    assert (desk.push("wmMei"), desk.cards) == (("cancelled", "early end"), [])


def test_a_click_that_came_before_the_end_counts_though_it_is_heard_later(store: Store) -> None:
    desk = desk_with(store, "wmMei")
    desk.world.member_clicks("alice", desk.cards[0].task_id, "done", now=desk.now)
    late = desk.world.mailbox.waiting.pop()
    desk.run_for(minutes=1)
    desk.buys("wmMei")
    assert desk.push("wmMei") == ("cancelled", ENDED)

    desk.run_for(minutes=1)
    late.due_at = desk.now
    desk.world.mailbox.waiting.append(late)
    desk.settle()

    assert (desk.push("wmMei"), desk.mark("wmMei"), desk.sent_at("wmMei")) == (("sent", None), None, HANDED_AT)


def test_a_click_before_the_expiry_counts_though_it_is_heard_later(store: Store) -> None:
    desk = desk_with(store, "wmMei")
    desk.world.member_clicks("alice", desk.cards[0].task_id, "done", now=desk.now)
    late = desk.world.mailbox.waiting.pop()
    desk.run_until(at("2026-03-05 00:10"))
    late.due_at = desk.now
    desk.world.mailbox.waiting.append(late)
    desk.settle()

    assert desk.push("wmMei") == ("sent", None)


def test_a_pause_takes_the_card_back_and_its_pushes_wait(store: Store) -> None:
    desk = desk_with(store, "wmMei")
    desk.pause()
    desk.settle()

    assert (desk.push("wmMei"), desk.cards[0].replaced) == (("waiting", "sop paused"), "已无需处理")
    desk.run_for(days=3)
    desk.resume()
    desk.settle()
    assert desk.push("wmMei") == ("skipped", "paused")


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (lambda desk: customers.mute(desk.app, MuteCustomers(("wmMei",), True, WHO)), "muted"),
        (lambda desk: sops.stop(desk.app, StopSop("care", WHO)), "stopped"),
        (lambda desk: endings.end_by_operator(desk.app, EndEnrollments((1,), WHO, "asked to")), "manual end: asked to"),
        (lambda desk: desk.world.customer_deletes("alice", "wmMei", now=desk.now), "lost"),
    ],
    ids=["mute", "stop", "manual end", "lost"],
)
def test_whatever_ends_a_run_closes_its_card(store: Store, end: Any, reason: str) -> None:
    desk = desk_with(store, "wmMei")
    end(desk)
    desk.run_for(minutes=1)

    assert (desk.push("wmMei"), desk.cards[0].replaced) == (("cancelled", reason), "已无需处理")


def test_an_operator_takes_a_card_back_and_the_run_goes_on(store: Store) -> None:
    desk = desk_with(store, "wmMei")
    done = withdrawals.cancel(desk.app, CancelDispatch(1, WHO))
    desk.settle()

    assert (done.state, done.pushes) == ("cancelled", 1)
    assert (desk.push("wmMei"), desk.cards[0].replaced) == (("cancelled", "by operator"), "已无需处理")
    desk.run_until(at("2026-03-11 10:01"))
    assert desk.push("wmMei", "second")[0] == "requested"


def test_an_expired_card_can_be_tried_again(store: Store) -> None:
    desk = desk_with(store, "wmMei")
    desk.run_until(at("2026-03-05 09:00"))
    push_id = desk.rows("select id from push")[0][0]

    assert retries.retry(desk.app, RetryPushes((push_id,), WHO)) == [retries.Retried(push_id, "")]
    desk.run_for(minutes=5)
    desk.presses("done")
    assert (len(desk.cards), desk.push("wmMei")) == (2, ("sent", None))


# -- what goes wrong ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["drop", "http_502"])
def test_a_lost_answer_makes_no_second_card(store: Store, kind: str) -> None:
    desk = CardDesk(store)
    desk.add("wmMei")
    desk.fails("send_app_message", kind, after=True, times=3)
    desk.run_until(at("2026-03-03 10:30"))

    assert (desk.push("wmMei"), len(desk.cards)) == (("requested", None), 1)
    assert desk.calls("send_app_message") == 4
    desk.presses("done")
    assert (desk.push("wmMei"), desk.cards[0].replaced) == (("sent", None), "已完成")


def test_a_lost_answer_before_the_quiet_hours_wakes_nobody(store: Store) -> None:
    desk = CardDesk(store, sop=REMIND.replace('at: "10:00"', 'at: "20:59"', 1))
    desk.add("wmMei")
    desk.fails("send_app_message", "drop", after=True, times=100)
    desk.run_until(at("2026-03-03 21:00"))
    asked = desk.calls("send_app_message")
    desk.run_until(at("2026-03-04 09:00"))

    assert desk.calls("send_app_message") == asked
    assert desk.dispatches() == ["needs_operator"], "the duplicate check does not look back so far"


def test_an_unanswered_call_without_effect_is_made_again(store: Store) -> None:
    desk = CardDesk(store)
    desk.add("wmMei")
    desk.fails("send_app_message", "http_502")
    desk.run_until(at("2026-03-03 10:30"))

    assert (desk.push("wmMei"), len(desk.cards)) == (("requested", None), 1)


def test_a_card_nobody_can_tell_of_needs_an_operator_until_the_member_speaks(store: Store) -> None:
    desk = CardDesk(store)
    desk.add("wmMei")
    desk.fails("send_app_message", "drop", after=True, times=10_000)
    desk.run_until(at("2026-03-03 15:00"))

    assert (desk.dispatches(), len(desk.cards)) == (["needs_operator"], 1)
    assert (desk.push("wmMei"), desk.is_settled("wmMei")) == (("planned", None), True)
    asked = desk.calls("send_app_message")
    desk.run_for(hours=20)
    assert desk.calls("send_app_message") == asked, "it is never sent again by itself"

    desk.presses("done")
    assert (desk.push("wmMei"), desk.dispatches()) == (("sent", None), ["settled"])


def test_a_member_who_cannot_be_told_fails_the_push(store: Store) -> None:
    desk = CardDesk(store)
    desk.add("wmMei")
    desk.run_until(at("2026-03-03 10:00"))
    desk.world.members["alice"].status = 5
    desk.run_for(minutes=5)

    assert desk.push("wmMei") == ("failed", "refused by WeCom 81013, no recipient is valid")


def test_a_rate_limit_only_delays(store: Store) -> None:
    desk = CardDesk(store)
    desk.add("wmMei")
    desk.fails("send_app_message", errcode=45009)
    desk.run_until(at("2026-03-03 10:10"))

    assert (desk.push("wmMei"), len(desk.cards)) == (("requested", None), 1)


def test_members_get_no_more_cards_a_minute_than_wecom_delivers(store: Store) -> None:
    names = [f"wm{number}" for number in range(45)]
    desk = desk_with(store, *names, sop=CALL)

    assert len(desk.cards) == 20
    desk.run_for(seconds=59)
    assert len(desk.cards) == 20
    desk.run_for(minutes=3)
    assert len(desk.cards) == 45
    assert {desk.push(name)[0] for name in names} == {"requested"}


# -- what steps and operators make of it -------------------------------------------------------------------------------


def test_step_by_step_the_next_one_counts_from_the_click(store: Store) -> None:
    sop = REMIND.replace("steps:", "pace: stepwise\nsteps:").replace("day: 9", "day: 2")
    desk = desk_with(store, "wmMei", sop=sop)
    desk.run_until(at("2026-03-04 11:00"))
    desk.presses("done")
    desk.run_until(at("2026-03-06 10:01"))

    assert desk.push("wmMei", "second")[0] == "requested"
    assert desk.rows("select due_at from push where step_id = 'second'") == [(at("2026-03-06 10:00"),)]


def test_catching_up_after_a_pause_hands_the_card_out_again(store: Store) -> None:
    desk = desk_with(store, "wmMei")
    desk.pause()
    desk.run_for(hours=2)
    sops.resume(desk.app, ResumeSop("care", WHO, "catch_up"))
    desk.run_for(minutes=5)

    assert [card.replaced for card in desk.cards] == ["已无需处理", None]
    desk.presses("done")
    assert desk.push("wmMei") == ("sent", None)


def test_the_preview_foresees_cards(store: Store) -> None:
    desk = CardDesk(store, sop=CALL)
    desk.add("wmMei")

    ahead = preview.preview(desk.app, "care", 1)
    assert [(step.channel, step.send_at) for step in ahead.steps] == [
        ("call", HANDED_AT), ("mass_send", at("2026-03-11 10:01")),
    ]  # fmt: skip


# -- who gets it -------------------------------------------------------------------------------------------------------


def test_a_supervisor_may_get_the_card_instead(store: Store) -> None:
    desk = CardDesk(store, sop=REMIND.replace("by: remind", "by: remind, assign: supervisor"), members="alice boss")
    desk.world.members["alice"].leader = "boss"
    desk.add("wmMei")
    desk.run_until(HANDED_AT)

    assert ([card.member for card in desk.cards], desk.said()["跟进成员"]) == (["boss"], "Alice")
    desk.presses("done")
    assert desk.push("wmMei") == ("sent", None)


def test_a_supervisor_wecom_cannot_name_just_now_is_asked_for_again(store: Store) -> None:
    desk = CardDesk(store, sop=REMIND.replace("by: remind", "by: remind, assign: supervisor"), members="alice boss")
    desk.world.members["alice"].leader = "boss"
    desk.add("wmMei")
    desk.fails("member", "http_502", times=4)
    desk.run_until(at("2026-03-03 10:10"))

    assert [card.member for card in desk.cards] == ["boss"]


def test_without_a_supervisor_the_owner_gets_it(store: Store) -> None:
    desk = desk_with(store, "wmMei", sop=REMIND.replace("by: remind", "by: remind, assign: supervisor"))

    assert [card.member for card in desk.cards] == ["alice"]


def test_a_named_member_may_get_it(store: Store) -> None:
    desk = desk_with(
        store, "wmMei", sop=REMIND.replace("by: remind", 'by: remind, assign: "member:desk"'), members="alice desk"
    )

    assert [card.member for card in desk.cards] == ["desk"]


def test_members_are_spoken_to_in_the_companys_language(store: Store) -> None:
    desk = CardDesk(store)
    settings = settings_for(SandboxConfig())
    company = replace(desk.app.company, language="en")
    desk.app = replace(desk.app, company=company, settings=settings)
    desk.add("wmMei")
    desk.run_until(HANDED_AT)
    assert (desk.said()["title"], desk.said()["By"]) == ("Contact wmMei", "03-04 23:59")

    desk.presses("later")
    assert desk.cards[0].replaced == "Later: 03-04 08:01"


# -- a full quota ------------------------------------------------------------------------------------------------------

SEND = """
sop: care
title: 回访
kind: new_customer
priority: 40
steps:
  - {id: first, day: 1, at: "10:00", by: mass_send, text: 第一天}
quota_full: remind
"""


def test_a_mass_send_without_a_day_becomes_a_card(store: Store) -> None:
    desk = CardDesk(store, sop=SEND)
    rival = SEND.replace("care", "better").replace("40", "60").replace("第一天", "更重要")
    desk.publish(("better.yaml", rival))
    desk.add("wmMei")
    assert [step.channel for step in preview.preview(desk.app, "care", 1).steps] == ["remind"]
    desk.run_until(HANDED_AT)

    assert [task.content.text for task in desk.tasks] == ["更重要"]
    assert (desk.said()["title"], desk.said()["text"]) == ("联系客户:wmMei", "第一天")
    assert desk.rows("select channel, takes_quota from push where channel = 'remind'") in (
        [("remind", 0)], [("remind", False)],
    )  # fmt: skip

    desk.presses("done")
    states = desk.rows("select s.key, p.state from push p join sop s on s.id = p.sop_id order by s.key")
    assert states == [("better", "requested"), ("care", "sent")]


def test_a_window_that_wecom_finds_full_makes_a_card_too(store: Store) -> None:
    desk = CardDesk(store, sop=SEND)
    desk.add("wmMei")
    desk.run_until(HANDED_AT)
    desk.world.member_sends_own("alice", ["wmMei"], "早", now=desk.now)
    desk.run_for(minutes=2)
    desk.confirms()
    desk.run_for(minutes=30)

    assert desk.push("wmMei") == ("requested", None)
    assert desk.said()["text"] == "第一天"
    desk.presses("done")
    assert desk.push("wmMei") == ("sent", None)
