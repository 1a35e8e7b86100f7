"""Welcomes within their 20 seconds (D21) and tag writes in order per relation (SPEC 8), on both databases."""

from __future__ import annotations

import pytest

from machines.calendar import MINUTE_MS, SECOND_MS
from sopd import outbox
from sopd.commands import TagRelation
from sopd.handlers import customers, greetings
from sopd.handlers import outbox as writes
from sopd.rehearsal.accounts import compare, engine_account
from sopd.sandbox.faults import Fault
from sopd.store import Store
from tests.support.rig import WHO
from tests.support.sending import BOUGHT, Desk

WELCOME = """
sop: care
title: 新客户
kind: new_customer
steps:
  - id: hello
    by: welcome
    text: 您好
    attachments: [{link: {title: 认识我们, url: "https://example.com/start", desc: 三分钟}}]
  - {id: first, day: 1, at: "10:00", by: mass_send, text: 第一天}
early_end: {when: {tag: [结果/已下单]}, add_tags: [结果/已转化]}
"""
DONE, VIP = "结果/已转化", "等级/贵宾"


def desk_of(store: Store, **config: object) -> Desk:
    return Desk(store, sop=WELCOME, tags=[DONE, VIP], **config)  # type: ignore[arg-type]


def welcomes(desk: Desk, name: str = "wmMei") -> list[str]:
    return [one["text"] for one in desk.world.account()["alice", name]["welcomes"]]


def acts(desk: Desk) -> list[tuple[str, str | None]]:
    return [(row[0], row[1]) for row in desk.rows("select state, reason from outbox order by id")]


# -- welcomes ----------------------------------------------------------------------------------------------------------


def test_a_new_customer_is_greeted_at_once_with_text_and_link(store: Store) -> None:
    desk = desk_of(store)
    desk.add("wmMei")

    assert welcomes(desk) == ["您好"]
    assert desk.push("wmMei", "hello") == ("sent", None)
    assert desk.sent_at("wmMei", "hello") == desk.now
    assert acts(desk) == [("done", None)]


@pytest.mark.parametrize(
    ("kind", "code", "after"),
    [("errcode", -1, True), ("http_502", 0, True), ("drop", 0, True), ("errcode", -1, False), ("wrong_json", 0, False)],
)
def test_a_lost_answer_is_asked_for_again_and_the_customer_greeted_once(
    store: Store, kind: str, code: int, after: bool
) -> None:
    desk = desk_of(store)
    desk.fails("send_welcome", kind, code, after=after)
    desk.add("wmMei")
    desk.run_for(seconds=5)

    assert welcomes(desk) == ["您好"]
    assert desk.push("wmMei", "hello") == ("sent", None)


@pytest.mark.parametrize("code", [41096, 45033, 6000, 45035])
def test_what_may_clear_up_within_the_window_is_tried_again(store: Store, code: int) -> None:
    desk = desk_of(store)
    desk.fails("send_welcome", errcode=code, times=5)
    desk.add("wmMei")
    desk.run_for(seconds=30)

    assert welcomes(desk) == ["您好"]
    assert desk.push("wmMei", "hello") == ("sent", None)


@pytest.mark.parametrize(("code", "cause"), [(41096, "41096"), (48002, "48002"), (45009, "45009")])
def test_what_does_not_clear_up_in_time_is_skipped_with_the_cause(store: Store, code: int, cause: str) -> None:
    desk = desk_of(store)
    desk.fails("send_welcome", errcode=code, times=100)
    desk.add("wmMei")
    desk.run_for(seconds=30)

    state, reason = desk.push("wmMei", "hello")
    assert (state, (reason or "").partition(":")[0]) == ("skipped", "welcome code expired")
    assert cause in (reason or "")
    assert desk.calls("send_welcome") < 30


def test_somebody_elses_welcome_is_not_ours(store: Store) -> None:
    desk = desk_of(store)
    desk.fails("send_welcome", errcode=41051)
    desk.add("wmMei")

    assert desk.push("wmMei", "hello") == ("skipped", "welcome already used")


def test_a_dead_code_is_skipped(store: Store) -> None:
    desk = desk_of(store)
    desk.fails("send_welcome", errcode=41050)
    desk.add("wmMei")

    assert desk.push("wmMei", "hello") == ("skipped", "welcome code expired")


def test_a_refusal_for_good_fails_with_the_reason(store: Store) -> None:
    desk = desk_of(store)
    desk.fails("send_welcome", errcode=41053)
    desk.add("wmMei")

    assert desk.push("wmMei", "hello") == (
        "failed", "refused by WeCom 41053, the customer has not agreed to archiving"
    )  # fmt: skip


def test_what_stays_unknown_when_the_code_has_died_needs_an_operator_and_the_run_goes_on(store: Store) -> None:
    desk = desk_of(store)
    desk.fails("send_welcome", "http_502", times=100)
    desk.add("wmMei")
    desk.run_for(seconds=30)

    assert desk.is_settled("wmMei", "hello")
    assert desk.push("wmMei", "hello") == ("planned", "welcome unknown")
    assert desk.rows("select reason from journal where kind = 'task'") == [("needs_operator: welcome unknown",)]
    desk.run_for(days=1, hours=2)
    assert desk.push("wmMei", "first") == ("requested", None)


def test_a_welcome_that_stays_unknown_is_counted_and_is_no_difference_between_the_accounts(store: Store) -> None:
    desk = desk_of(store)
    desk.fails("send_welcome", "drop", after=True)
    desk.fails("send_welcome", "http_502", times=100)
    desk.add("wmMei")
    desk.run_for(seconds=30)

    verdict = compare(desk.world.account(), engine_account(store), lambda add: True)

    assert (welcomes(desk), desk.push("wmMei", "hello")) == (["您好"], ("planned", "welcome unknown"))
    assert (verdict.doubtful, verdict.differences) == (1, ())


def test_a_doubtful_welcome_is_settled_by_the_used_code_even_after_its_death(store: Store) -> None:
    desk = desk_of(store)
    desk.fails("send_welcome", "drop", after=True)
    desk.fails("send_welcome", errcode=45009)
    desk.add("wmMei")
    desk.run_for(minutes=3)

    assert welcomes(desk) == ["您好"]
    assert desk.push("wmMei", "hello") == ("sent", None)


def test_a_worker_that_dies_with_the_welcome_is_doubted_but_greets_once(store: Store) -> None:
    desk = desk_of(store)
    desk.world.customer_adds("alice", "wmMei", now=desk.now)
    desk.settle_without("welcome")
    [greeting] = greetings.claim(desk.app)
    outbox._greet(desk.app, greeting)
    desk.run_for(seconds=25)

    assert welcomes(desk) == ["您好"]
    assert desk.push("wmMei", "hello") == ("sent", None)


def test_an_end_before_the_welcome_went_out_takes_it_back(store: Store) -> None:
    desk = desk_of(store)
    desk.world.customer_adds("alice", "wmMei", now=desk.now)
    desk.settle_without("welcome")
    desk.world.member_tags("alice", "wmMei", BOUGHT, now=desk.now)
    desk.settle_without("welcome")
    desk.run_for(seconds=25)

    assert welcomes(desk) == []
    assert desk.push("wmMei", "hello") == ("cancelled", "early end")


# -- tag writes --------------------------------------------------------------------------------------------------------


def tags_of(desk: Desk, name: str = "wmMei") -> list[str]:
    return desk.world.account()["alice", name]["tags"]


def tag(desk: Desk, name: str = "wmMei", *, add: tuple[str, ...] = (), remove: tuple[str, ...] = ()) -> None:
    customers.tag(desk.app, TagRelation(name, "alice", WHO, add, remove))


def test_the_tags_of_an_end_reach_wecom(store: Store) -> None:
    desk = desk_of(store)
    desk.add("wmMei")
    desk.buys("wmMei")

    assert tags_of(desk) == [BOUGHT, DONE]


@pytest.mark.parametrize(
    ("kind", "code", "after"),
    [("errcode", -1, False), ("errcode", 45033, False), ("errcode", 45035, False), ("http_502", 0, True),
     ("drop", 0, True), ("errcode", 45009, False), ("errcode", 81011, False)],
)  # fmt: skip
def test_a_write_that_fails_is_made_again(store: Store, kind: str, code: int, after: bool) -> None:
    desk = desk_of(store)
    desk.add("wmMei")
    desk.fails("mark_tags", kind, code, after=after, times=2)
    tag(desk, add=(DONE,))
    desk.run_for(hours=2)

    assert tags_of(desk) == [DONE]
    assert acts(desk)[-1] == ("done", None)
    assert desk.calls("mark_tags") == 3


def test_writes_of_one_relation_follow_each_other_and_others_do_not_wait(store: Store) -> None:
    desk = desk_of(store)
    desk.add("wmMei", "wmBo")
    desk.fails("mark_tags", "http_502")
    tag(desk, add=(DONE,))
    desk.settle()
    tag(desk, remove=(DONE,))
    tag(desk, "wmBo", add=(DONE,))
    desk.settle()
    assert acts(desk)[2:] == [
        ("pending", "HTTP 502"), ("pending", None), ("done", None)
    ]  # fmt: skip
    assert tags_of(desk, "wmBo") == [DONE]

    desk.run_for(minutes=1)
    assert [state for state, _ in acts(desk)] == ["done"] * 5
    assert tags_of(desk) == []


def test_an_add_that_fails_for_good_counts_as_removed(store: Store) -> None:
    desk = desk_of(store)
    desk.add("wmMei")
    desk.fails("mark_tags", errcode=40068)
    tag(desk, add=(DONE,))
    desk.settle()

    assert acts(desk)[-1][0] == "failed"
    assert desk.rows("select count(*) from relation_tag") == [(0,)]


def test_a_tag_deleted_unheard_takes_no_other_tag_along_and_the_library_is_read_again(store: Store) -> None:
    desk = desk_of(store)
    desk.add("wmMei")
    desk.run_for(minutes=1)
    gone = desk.world.find_tag(VIP).tag_id
    desk.world.admin_deletes_tag(VIP, now=desk.now)
    desk.world.mailbox.waiting.clear()
    tag(desk, add=(VIP, DONE))
    desk.run_for(minutes=1)

    assert tags_of(desk) == [DONE]
    assert sorted(acts(desk)[-3:]) == [
        ("done", None), *[("failed", "WeCom answered 40068, unknown tag or tag group")] * 2
    ]  # fmt: skip
    assert desk.rows("select tag_id from tag where deleted_at is not null") == [(gone,)]
    assert [row[0] for row in desk.rows("select tag_id from relation_tag")] == [desk.world.find_tag(DONE).tag_id]


def test_of_tags_written_one_by_one_a_younger_wish_decides(store: Store) -> None:
    desk = desk_of(store)
    desk.add("wmMei")
    desk.run_for(minutes=1)
    desk.fails("mark_tags", "http_502")
    desk.world.admin_deletes_tag(VIP, now=desk.now)
    desk.world.mailbox.waiting.clear()
    tag(desk, add=(VIP, DONE))
    desk.settle()
    tag(desk, remove=(DONE,))
    desk.run_for(minutes=2)

    assert tags_of(desk) == []
    assert desk.rows("select tag_id from relation_tag") == []


def test_a_stranger_is_read_again(store: Store) -> None:
    desk = desk_of(store)
    desk.add("wmMei")
    desk.leaves_silently("wmMei")
    tag(desk, add=(DONE,))
    desk.run_for(minutes=1)

    assert acts(desk)[-1] == ("failed", "WeCom answered 84061, not a customer of that member")
    assert desk.rows("select state from relation") == [("lost",)]


def test_a_write_begun_by_a_worker_that_died_is_made_again(store: Store) -> None:
    desk = desk_of(store)
    desk.add("wmMei")
    tag(desk, add=(DONE,))
    [write] = writes.claim(desk.app)
    desk.now += writes.LEASE_MS
    desk._go_to(desk.now)
    assert outbox._write(desk.app, write) is None
    desk.run_for(seconds=1)

    assert tags_of(desk) == [DONE]


def test_a_closed_path_postpones_all_writes_and_opens_for_all(store: Store) -> None:
    desk = desk_of(store)
    names = [f"wm{number:02d}" for number in range(30)]
    for name in names:
        desk.world.customer_adds("alice", name, now=desk.now)
    desk.settle()
    desk.faults.plan("mark_tag", Fault("errcode", 45009), 1)
    for name in names:
        tag(desk, name, add=(DONE,))
    desk.settle()
    asked = desk.calls("mark_tags")
    desk.run_for(seconds=59)

    assert desk.calls("mark_tags") == asked
    desk.run_until(desk.now + 2 * SECOND_MS)
    assert [tags_of(desk, name) for name in names] == [[DONE]] * 30
    assert desk.now < desk.world.began_at + 2 * MINUTE_MS
