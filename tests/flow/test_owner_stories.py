"""Stories of customers who change hands: lost to one member and not to others, handed over, merged (SPEC 4, 8, D22)."""

from __future__ import annotations

import pytest

from sopd.commands import PauseSop, ResumeSop
from sopd.handlers import sops
from sopd.store import Store
from tests.support.rig import WHO, at
from tests.support.sending import Desk

VIP, DONE, MISSED = "客户/VIP", "结果/完成", "结果/流失"

NURSE = f"""
sop: nurse
title: 培育
kind: nurture
members: [alice, bob, carol]
entry: {{when: {{tag: [{VIP}]}}}}
steps:
  - {{id: one, day: 1, at: "10:00", by: mass_send, text: 第一次}}
  - {{id: two, day: 3, at: "10:00", by: mass_send, text: 第二次}}
early_end: {{when: {{tag: [结果/已下单]}}}}
normal_end: {{add_tags: [{DONE}]}}
"""
CARE = """
sop: care
title: 新客户
kind: new_customer
members: [alice, bob, carol]
once_per: relation
steps:
  - {id: first, day: 1, at: "10:00", by: mass_send, text: 第一天}
  - {id: second, day: 4, at: "10:00", by: mass_send, text: 第四天}
"""


class Hands(Desk):
    """Alice, bob, carol and dora, who is in no SOP's scope."""

    def __init__(self, store: Store, sop: str) -> None:
        super().__init__(store, sop=sop, members="alice bob carol dora", tags=(VIP, DONE, MISSED))

    def vip(self, name: str, *members: str) -> None:
        """The customer adds these members, a minute apart, and the first one tags him."""
        for member in members:
            self.add(name, member=member)
            self.run_for(minutes=1)
        self.world.member_tags(members[0], name, VIP, now=self.now)
        self.settle()

    def delete(self, name: str, member: str) -> None:
        self.world.customer_deletes(member, name, now=self.now)
        self.settle()

    def transfer(self, name: str, giver: str, taker: str, *, lost: str = "") -> None:
        """`lost`: the callbacks that do not arrive, `end`, `beginning` or both."""
        letters = len(self.world.mailbox.waiting)
        self.world.transfer(giver, taker, name, now=self.now)
        waiting = self.world.mailbox.waiting
        waiting[letters:] = [
            letter for letter in waiting[letters:]
            if ("beginning" if b"[add_" in letter.xml else "end") not in lost
        ]  # fmt: skip
        self.settle()

    def runs(self, name: str) -> list[tuple[str, str, str]]:
        """(owner, state, reason) of the customer's runs."""
        return self.rows(
            "select m.userid, e.state, coalesce(e.reason, '') from enrollment e join member m on m.id = e.member_id"
            f" join customer c on c.id = e.customer_id where c.external_userid = '{name}' order by e.id"
        )

    def notes(self, name: str) -> list[str]:
        """What journals of the customer's runs say about owners."""
        found = self.rows(
            "select j.reason from journal j join enrollment e on e.id = j.enrollment_id"
            f" join customer c on c.id = e.customer_id where c.external_userid = '{name}' and j.kind = 'note'"
            " order by j.id"
        )
        return [row[0] for row in found]

    def confirm_all(self) -> None:
        """Every member taps "send" on whatever is there."""
        for task in self.tasks:
            for userid, part in task.assignments.items():
                if part.confirmed_at is None and task.cancelled_at is None and task.ready_at <= self.now:
                    self.world.member_confirms(task.msgid, userid, now=self.now)

    def go_on(self, *, days: int) -> None:
        """Days on which members confirm at noon."""
        for _ in range(days):
            self.run_until((self.now - at("2026-03-02 12:00")) // 86_400_000 * 86_400_000 + at("2026-03-03 12:00"))
            self.confirm_all()
        self.run_for(hours=2)


# -- lost to one member ------------------------------------------------------------------------------------------------


def test_who_deletes_one_member_goes_on_with_another(store: Store) -> None:
    desk = Hands(store, NURSE)
    desk.vip("wmMei", "alice", "bob", "carol")
    before = desk.runs("wmMei")
    desk.delete("wmMei", "alice")
    desk.go_on(days=4)

    assert before == [("alice", "enrolled", "")]
    assert desk.notes("wmMei") == ["owner alice -> bob"]
    assert desk.runs("wmMei") == [("bob", "normal_end", "normal end")]
    assert desk.received("wmMei", "bob") == ["第一次", "第二次"]
    assert desk.world.account()["bob", "wmMei"]["tags"] == [DONE]


def test_the_loss_of_a_member_who_does_not_act_changes_nothing(store: Store) -> None:
    desk = Hands(store, NURSE)
    desk.vip("wmMei", "alice", "bob")
    desk.delete("wmMei", "bob")
    desk.go_on(days=4)

    assert desk.notes("wmMei") == []
    assert desk.received("wmMei") == ["第一次", "第二次"]


def test_without_another_member_in_scope_the_run_is_lost_and_writes_nothing(store: Store) -> None:
    desk = Hands(store, NURSE)
    desk.vip("wmMei", "alice", "dora")
    desk.delete("wmMei", "alice")
    desk.go_on(days=4)

    assert desk.runs("wmMei") == [("alice", "lost", "lost")]
    assert desk.tasks == []
    assert desk.world.account()["dora", "wmMei"]["tags"] == []


def test_runs_of_a_relation_end_with_it(store: Store) -> None:
    desk = Hands(store, CARE)
    desk.add("wmMei")
    desk.add("wmMei", member="bob")
    desk.delete("wmMei", "alice")
    desk.go_on(days=5)

    assert desk.runs("wmMei") == [("alice", "lost", "lost"), ("bob", "normal_end", "normal end")]


def test_a_push_in_a_task_nobody_was_asked_for_goes_along(store: Store) -> None:
    desk = Hands(store, NURSE)
    desk.vip("wmMei", "alice", "bob")
    desk.vip("wmBo", "alice")
    desk.run_until(at("2026-03-03 10:00"))
    planned = desk.dispatches()
    desk.delete("wmMei", "alice")
    desk.run_until(at("2026-03-03 10:05"))

    assert planned == ["planned"]
    assert sorted((list(task.assignments), list(one.recipients)) for task in desk.tasks
                  for one in task.assignments.values()) == [(["alice"], ["wmBo"]), (["bob"], ["wmMei"])]  # fmt: skip


def test_an_open_task_ends_by_wecoms_result_and_the_next_step_goes_through_the_new_owner(store: Store) -> None:
    desk = Hands(store, NURSE)
    desk.vip("wmMei", "alice", "bob")
    desk.run_until(at("2026-03-03 10:30"))
    desk.delete("wmMei", "alice")
    desk.run_for(minutes=10)
    out = (desk.dispatches(), desk.push("wmMei", "one"))
    desk.confirms()
    desk.go_on(days=4)

    assert out == (["requested"], ("requested", None))
    assert desk.push("wmMei", "one") == ("failed", "not a friend")
    assert desk.received("wmMei", "bob") == ["第二次"]
    assert desk.runs("wmMei") == [("bob", "normal_end", "normal end")]


def test_a_withdrawn_task_is_not_issued_again_to_the_old_owner_for_who_has_moved(store: Store) -> None:
    desk = Hands(store, NURSE)
    desk.vip("wmMei", "alice", "bob")
    desk.vip("wmBo", "alice")
    desk.vip("wmCai", "alice")
    desk.run_until(at("2026-03-03 10:30"))
    desk.delete("wmMei", "alice")
    desk.buys("wmBo")
    desk.run_until(at("2026-03-03 11:30"))
    out = [(list(task.assignments), sorted(one.recipients)) for task in desk.tasks if task.cancelled_at is None
           for one in task.assignments.values()]  # fmt: skip
    desk.confirm_all()
    desk.run_for(hours=1)

    assert sorted(out) == [(["alice"], ["wmCai"]), (["bob"], ["wmMei"])]
    assert desk.push("wmMei", "one") == ("sent", None)


def test_a_customer_who_adds_the_member_again_stays_with_the_new_owner(store: Store) -> None:
    desk = Hands(store, NURSE)
    desk.vip("wmMei", "alice", "bob")
    desk.delete("wmMei", "alice")
    desk.run_for(minutes=5)
    desk.add("wmMei")
    desk.go_on(days=4)

    assert desk.runs("wmMei") == [("bob", "normal_end", "normal end")]


def test_an_end_and_a_new_beginning_nobody_told_keep_the_run(store: Store) -> None:
    desk = Hands(store, NURSE)
    desk.vip("wmMei", "alice")
    desk.world.customer_deletes("alice", "wmMei", now=desk.now)
    desk.world.customer_adds("alice", "wmMei", now=desk.now + 60_000)
    desk.world.mailbox.waiting.clear()
    desk.go_on(days=4)

    assert desk.runs("wmMei") == [("alice", "normal_end", "normal end")]
    assert desk.notes("wmMei") == []


# -- handed over -------------------------------------------------------------------------------------------------------

LOST_LETTERS = ["", "end", "beginning", "end and beginning"]


@pytest.mark.parametrize("lost", LOST_LETTERS)
@pytest.mark.parametrize("sop", [NURSE, CARE], ids=["per customer", "per relation"])
def test_runs_go_to_whoever_takes_over_whatever_callbacks_come(store: Store, sop: str, lost: str) -> None:
    desk = Hands(store, sop)
    desk.vip("wmMei", "alice")
    desk.run_for(minutes=1)
    desk.transfer("wmMei", "alice", "bob", lost=lost)
    desk.go_on(days=5)

    assert desk.runs("wmMei") == [("bob", "normal_end", "normal end")]
    assert desk.notes("wmMei")[-1] == "owner alice -> bob"
    assert len(desk.received("wmMei", "bob")) == 2
    assert desk.rows("select state from relation where handover_until is not null") == []


@pytest.mark.parametrize("first", ["end", "beginning"])
@pytest.mark.parametrize("sop", [NURSE, CARE], ids=["per customer", "per relation"])
def test_the_order_of_the_two_callbacks_does_not_matter(store: Store, sop: str, first: str) -> None:
    desk = Hands(store, sop)
    desk.vip("wmMei", "alice")
    desk.run_for(minutes=1)
    desk.world.transfer("alice", "bob", "wmMei", now=desk.now)
    for letter in desk.world.mailbox.waiting:
        if ("beginning" if b"[add_" in letter.xml else "end") != first:
            letter.due_at += 120_000
    desk.run_for(minutes=3)
    soon = desk.runs("wmMei")
    desk.go_on(days=5)

    assert [row[0] for row in soon] == ["bob"]
    assert desk.runs("wmMei") == [("bob", "normal_end", "normal end")]


def test_what_nobody_was_asked_for_waits_for_who_takes_over(store: Store) -> None:
    desk = Hands(store, CARE)
    desk.add("wmMei")
    desk.run_until(at("2026-03-03 10:00"))
    desk.world.transfer("alice", "bob", "wmMei", now=desk.now)
    desk.world.mailbox.waiting[-1].due_at += 3_600_000
    desk.settle()
    desk.run_for(minutes=30)
    waiting = (desk.push("wmMei"), desk.notes("wmMei"), desk.dispatches())
    desk.run_for(minutes=45)

    assert waiting == (("waiting", "handed over"), ["handed over"], ["cancelled"])
    assert desk.push("wmMei") == ("requested", None)
    assert [list(task.assignments) for task in desk.tasks] == [["bob"]]


def test_a_step_that_falls_due_meanwhile_waits_too_and_is_never_late(store: Store) -> None:
    desk = Hands(store, NURSE)
    desk.vip("wmMei", "alice")
    desk.run_until(at("2026-03-03 09:50"))
    desk.world.transfer("alice", "bob", "wmMei", now=desk.now)
    desk.world.mailbox.waiting[-1].due_at += 3_600_000
    desk.run_until(at("2026-03-03 10:30"))
    waiting = desk.push("wmMei", "one")
    desk.run_until(at("2026-03-03 11:30"))
    desk.confirm_all()
    desk.run_for(hours=1)

    assert waiting == ("waiting", "handed over")
    assert desk.push("wmMei", "one") == ("sent", None)


def test_an_open_task_of_a_customer_who_is_handed_over_stays_where_it_is(store: Store) -> None:
    desk = Hands(store, CARE)
    desk.add("wmMei")
    desk.run_until(at("2026-03-03 10:30"))
    desk.transfer("wmMei", "alice", "bob")
    desk.run_for(minutes=10)
    out = desk.dispatches()
    desk.confirms()
    desk.go_on(days=4)

    assert out == ["requested"]
    assert desk.push("wmMei") == ("failed", "not a friend")
    assert desk.received("wmMei", "bob") == ["第四天"]


def test_two_runs_that_meet_at_one_member_are_merged(store: Store) -> None:
    desk = Hands(store, CARE)
    desk.add("wmMei")
    desk.run_for(minutes=1)
    desk.add("wmMei", member="carol")
    desk.run_for(minutes=1)
    desk.transfer("wmMei", "alice", "bob")
    desk.transfer("wmMei", "carol", "bob")
    desk.go_on(days=5)

    assert desk.runs("wmMei") == [("bob", "normal_end", "normal end"), ("carol", "merged", "merged")]
    assert desk.received("wmMei", "bob") == ["第一天", "第四天"]


@pytest.mark.parametrize(
    ("sop", "members", "runs"),
    [
        (CARE, "alice", [("alice", "lost", "lost")]),
        (NURSE, "alice", [("alice", "lost", "lost")]),
        (NURSE, "alice carol", [("carol", "normal_end", "normal end")]),
    ],
    ids=["per relation", "per customer", "per customer who knows another"],
)
def test_a_taker_out_of_scope_inherits_nothing(
    store: Store, sop: str, members: str, runs: list[tuple[str, str, str]]
) -> None:
    desk = Hands(store, sop)
    if sop is CARE:
        desk.add("wmMei")
    else:
        desk.vip("wmMei", *members.split())
    desk.run_for(minutes=1)
    desk.transfer("wmMei", "alice", "dora")
    desk.go_on(days=5)

    assert desk.runs("wmMei") == runs


@pytest.mark.parametrize(
    ("sop", "runs"),
    [(CARE, ("alice", "lost", "lost")), (NURSE, ("bob", "normal_end", "normal end"))],
    ids=["per relation", "per customer"],
)
def test_who_was_a_friend_already_raises_no_event_and_a_day_later_the_owner_rule_decides(
    store: Store, sop: str, runs: tuple[str, str, str]
) -> None:
    desk = Hands(store, sop)
    if sop is CARE:
        desk.world.customer_adds("bob", "wmMei", now=desk.now - 3_600_000, state="old")
        desk.world.mailbox.waiting.clear()
        desk.add("wmMei")
    else:
        desk.vip("wmMei", "alice", "bob")
    desk.run_until(at("2026-03-02 10:00"))
    desk.transfer("wmMei", "alice", "bob")
    desk.run_until(at("2026-03-03 09:59"))
    waiting = desk.runs("wmMei")
    desk.run_until(at("2026-03-03 10:30"))
    desk.go_on(days=4)

    assert waiting[0] == ("alice", "enrolled", "")
    assert desk.runs("wmMei")[0] == runs
    assert desk.rows("select state from relation where handover_until is not null") == []


def test_who_comes_back_to_the_member_who_gave_him_away_is_a_new_customer(store: Store) -> None:
    desk = Hands(store, CARE.replace("title: 新客户", "title: 新客户\nentry: {reenter: after_end}"))
    desk.add("wmMei")
    desk.world.customer_adds("bob", "wmMei", now=desk.now - 3_600_000)
    desk.world.mailbox.waiting.clear()
    desk.run_for(minutes=5)
    desk.transfer("wmMei", "alice", "bob")
    desk.run_for(minutes=5)
    desk.add("wmMei")

    assert desk.runs("wmMei")[0] == ("alice", "lost", "lost")
    assert desk.runs("wmMei")[-1] == ("alice", "enrolled", "")


def test_a_run_of_the_customer_stays_with_the_member_to_whom_he_comes_back(store: Store) -> None:
    desk = Hands(store, NURSE)
    desk.vip("wmMei", "alice", "dora")
    desk.run_for(minutes=5)
    desk.transfer("wmMei", "alice", "dora")
    desk.run_for(minutes=5)
    desk.add("wmMei")
    desk.go_on(days=4)

    assert desk.runs("wmMei") == [("alice", "normal_end", "normal end")]
    assert desk.received("wmMei") == ["第一次", "第二次"]


def test_customers_of_a_member_who_has_left_go_on_with_the_taker(store: Store) -> None:
    desk = Hands(store, CARE)
    desk.add("wmMei")
    desk.run_for(minutes=5)
    desk.world.members["alice"].status = 5
    desk.transfer("wmMei", "alice", "bob")
    desk.go_on(days=5)

    assert desk.runs("wmMei") == [("bob", "normal_end", "normal end")]


def test_a_customer_may_go_from_hand_to_hand(store: Store) -> None:
    desk = Hands(store, CARE)
    desk.add("wmMei")
    desk.run_for(minutes=5)
    for giver, taker in (("alice", "bob"), ("bob", "carol"), ("carol", "alice")):
        desk.transfer("wmMei", giver, taker)
        desk.run_for(minutes=5)
    desk.go_on(days=5)

    assert desk.notes("wmMei")[-1] == "owner carol -> alice"
    assert desk.runs("wmMei") == [("alice", "normal_end", "normal end")]


def test_hand_overs_act_in_a_paused_sop_and_the_run_goes_on_after_it(store: Store) -> None:
    desk = Hands(store, CARE)
    desk.add("wmMei")
    desk.run_until(at("2026-03-03 10:00"))
    sops.pause(desk.app, PauseSop("care", WHO))
    desk.transfer("wmMei", "alice", "bob")
    desk.run_for(hours=1)
    inside = desk.runs("wmMei")
    sops.resume(desk.app, ResumeSop("care", WHO))
    desk.go_on(days=5)

    assert inside == [("bob", "first", "")]
    assert desk.push("wmMei") == ("skipped", "paused")
    assert desk.received("wmMei", "bob") == ["第四天"]


def test_an_early_end_ends_a_run_that_waits_for_its_new_owner(store: Store) -> None:
    desk = Hands(store, NURSE)
    desk.vip("wmMei", "alice", "carol")
    desk.world.transfer("alice", "carol", "wmMei", now=desk.now)
    desk.settle()
    waiting = desk.runs("wmMei")
    desk.buys("wmMei", "carol")

    assert waiting == [("alice", "enrolled", "")]
    assert [row[1] for row in desk.runs("wmMei")] == ["early_end"]


def test_nobody_is_lost_while_he_is_handed_over(store: Store) -> None:
    desk = Hands(store, NURSE.replace("{tag: [结果/已下单]}", f"{{lost: true}}, add_tags: [{MISSED}]"))
    desk.vip("wmMei", "alice")
    desk.vip("wmBo", "alice", "dora")
    desk.world.transfer("alice", "bob", "wmMei", now=desk.now)
    desk.world.mailbox.waiting[-1].due_at += 3_600_000
    desk.transfer("wmBo", "alice", "dora")
    desk.run_for(minutes=30)
    waiting = desk.runs("wmMei") + desk.runs("wmBo")
    desk.run_for(days=1)

    assert waiting == [("alice", "enrolled", "")] * 2
    assert [row[:2] for row in desk.runs("wmMei")] == [("bob", "enrolled")]
    assert [row[1] for row in desk.runs("wmBo")] == ["lost"]
