"""Who gets into a nurture SOP, by which news, with which owner and anchor, and who is refused (SPEC 4)."""

from __future__ import annotations

import json

import pytest

from sopd.commands import MuteCustomers
from sopd.handlers import customers
from sopd.store import Store
from tests.support.company import at, local
from tests.support.plans import hearing
from tests.support.shop import Shop

VIP, SUN, END, DONE = "level/vip", "likes/sun", "result/end", "result/done"


def nurture(key: str = "care", when: str = f"{{tag: [{VIP}]}}", more: str = "", reenter: str = "never") -> str:
    """A nurture SOP of one step on the next day."""
    entry = f"entry: {{when: {when}, reenter: {reenter}}}" if when else ""
    return (
        f"sop: {key}\ntitle: {key}\nkind: nurture\n{entry}\n{more}\n"
        'steps:\n  - {id: one, day: 1, at: "10:00", by: mass_send, text: one}\n'
    )


@pytest.fixture
def shop(store: Store) -> Shop:
    return Shop(store, VIP, SUN, END, DONE)


# -- news that let in --------------------------------------------------------------------------------------------------


def test_a_tag_lets_in_who_was_not_new(shop: Shop) -> None:
    mei = shop.meets("alice", "mei")
    shop.start(nurture())
    shop.go_to("2026-03-05 15:30")

    shop.tagged(mei, VIP)

    run = shop.run_of("mei", "care")
    assert (run.cause, run.owner, run.hop, json.loads(run.chain)) == ("rule", "alice", 0, [1])
    assert (local(run.anchor_at), local(run.entered_at)) == ("2026-03-05 15:30", "2026-03-05 15:30")
    assert shop.journal("mei", "care") == [("entered", None, {"cause": "rule"})]


def test_news_that_the_rule_does_not_mention_let_nobody_in(shop: Shop) -> None:
    mei = shop.meets("alice", "mei")
    shop.start(nurture())
    shop.put_tag(mei, "et-vip")  # nobody was told

    shop.tagged(mei, SUN)
    shop.event("mei", "order_paid")

    assert shop.story("mei") == []


def test_conditions_may_come_true_one_after_the_other(shop: Shop) -> None:
    mei = shop.meets("alice", "mei")
    shop.start(nurture(when=f"{{all: [{{tag: [{VIP}]}}, {{attribute: {{level: {{at_least: 3}}}}}}]}}"))

    shop.tagged(mei, VIP)
    shop.set("mei", level=2)
    assert shop.story("mei") == []
    shop.set("mei", level=3)

    assert shop.story("mei") == [("care", "enrolled", None)]


def test_an_event_lets_in_and_the_steps_may_count_from_it(shop: Shop) -> None:
    shop.meets("alice", "mei")
    shop.start(nurture(when="{event: {name: shop, where: {city: Ulm}}}", more="anchor: event"))

    shop.event("mei", "shop", city="Bonn")
    assert shop.story("mei") == []
    shop.event("mei", "shop", at="2026-03-01 20:00", city="Ulm")

    run = shop.run_of("mei", "care")
    assert (run.cause, local(run.anchor_at), local(run.entered_at)) == (
        "event:shop", "2026-03-01 20:00", "2026-03-02 09:00"
    )  # fmt: skip
    assert run.after_signal == shop.rows("select max(id) from signal")[0][0]


def test_of_events_only_the_one_at_hand_counts(shop: Shop) -> None:
    mei = shop.meets("alice", "mei")
    shop.start(nurture(when=f"{{all: [{{event: shop}}, {{tag: [{VIP}]}}]}}"))

    shop.event("mei", "shop")
    shop.tagged(mei, VIP)
    assert shop.story("mei") == []
    shop.event("mei", "shop")

    assert shop.run_of("mei", "care").cause == "event:shop"


def test_a_run_ignores_the_event_that_created_it(shop: Shop) -> None:
    shop.meets("alice", "mei")
    shop.start(nurture(when="{event: shop}", more="early_end: {when: {event: shop}}"))

    shop.event("mei", "shop")
    assert shop.story("mei") == [("care", "enrolled", None)]
    shop.event("mei", "shop")

    assert shop.story("mei") == [("care", "early_end", "early end: event shop")]


def test_time_alone_lets_in(shop: Shop) -> None:
    shop.meets("alice", "mei")
    shop.start(nurture(when="{added: {older_than: 30d}}"))
    assert (shop.story("mei"), shop.flips()) == ([], [("entry", at("2026-04-01 09:00"))])

    shop.go_to("2026-04-01 09:00")
    shop.work()

    assert shop.story("mei") == [("care", "enrolled", None)]
    assert shop.flips() == []


def test_entries_and_ends_of_other_sops_are_news_where_a_rule_asks(shop: Shop) -> None:
    mei = shop.meets("alice", "mei")
    shop.start(nurture("first", more=f"early_end: {{when: {{tag: [{END}]}}}}"))
    shop.start(nurture("with", "{in_sop: first}"))
    shop.start(nurture("then", "{ended_sop: {sop: first, by: early_end}}"))

    shop.tagged(mei, VIP)
    assert [one.sop for one in shop.story("mei")] == ["first", "with"]
    shop.tagged(mei, END)

    assert [one.sop for one in shop.story("mei")] == ["first", "with", "then"]
    assert json.loads(shop.run_of("mei", "then").chain) == [3]
    assert json.loads(shop.run_of("mei", "with").chain) == [1, 2]


# -- whom it takes -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "owner"), [("first_added", "bob"), ("last_added", "cleo"), ("tagged_by", "cleo")]
)
def test_the_owner_rule_names_who_acts(shop: Shop, rule: str, owner: str) -> None:
    shop.meets("alice", "mei", began_at=at("2026-01-01 09:00"))
    shop.meets("bob", "mei", began_at=at("2026-02-01 09:00"))
    cleo = shop.meets("cleo", "mei", began_at=at("2026-02-02 09:00"))
    shop.meets("dora", "mei", began_at=at("2026-02-03 09:00"), state="lost")
    shop.start(nurture(more=f"members: [bob, cleo, dora]\nowner: {rule}\nanchor: added"))

    shop.tagged(cleo, VIP)

    run = shop.run_of("mei", "care")
    assert run.owner == owner
    assert local(run.anchor_at) == {"bob": "2026-02-01 09:00", "cleo": "2026-02-02 09:00"}[owner]


def test_tags_of_one_all_stand_on_one_relation(shop: Shop) -> None:
    alice, bob = shop.meets("alice", "mei"), shop.meets("bob", "mei")
    shop.start(nurture(when=f"{{all: [{{tag: [{VIP}]}}, {{tag: [{SUN}]}}]}}"))

    shop.tagged(alice, VIP)
    shop.tagged(bob, SUN)
    assert shop.story("mei") == []
    shop.tagged(bob, VIP)

    assert len(shop.story("mei")) == 1


def test_nobody_in_scope_leaves_no_row(shop: Shop) -> None:
    mei = shop.meets("alice", "mei")
    shop.start(nurture(more="members: [bob]"))

    shop.tagged(mei, VIP)

    assert (shop.story("mei"), shop.refusals("mei")) == ([], [])
    assert [one.reason for one in shop.pull("care", "mei")] == ["member not in scope"]
    assert shop.refusals("mei") == [("care", "member not in scope", 1)]


def test_who_is_inside_is_not_judged_again(shop: Shop) -> None:
    mei = shop.meets("alice", "mei", SUN)
    shop.start(nurture(when=f"{{tag: [{VIP}, {SUN}]}}"))

    shop.tagged(mei, VIP)

    assert (len(shop.story("mei")), shop.refusals("mei")) == (1, [])


def test_muted_customers_unable_members_and_pauses_refuse(shop: Shop) -> None:
    mei, lea = shop.meets("alice", "mei"), shop.meets("bob", "lea")
    kim = shop.meets("alice", "kim")
    shop.start(nurture())
    customers.mute(shop.app, MuteCustomers(("mei",), True, "tester"))
    with shop.store.transaction() as tx:
        tx.run("update member set can_send = ? where userid = 'bob'", (False,))

    shop.tagged(mei, VIP)
    shop.tagged(lea, VIP)
    shop.pause("care")
    shop.tagged(kim, VIP)
    shop.set("kim", level=1)

    assert shop.refusals("mei") == [("care", "muted", 1)]
    assert shop.refusals("lea") == [("care", "member cannot send", 1)]
    assert shop.refusals("kim") == [("care", "sop paused", 1)]


def test_an_anchor_that_is_no_date_refuses(shop: Shop) -> None:
    mei, lea = shop.meets("alice", "mei"), shop.meets("alice", "lea")
    shop.start(nurture(more="anchor: {attribute: paid_on}"))
    shop.set("lea", paid_on="2026-03-01")

    shop.tagged(mei, VIP)
    shop.tagged(lea, VIP)

    assert shop.refusals("mei") == [("care", "no date to count from", 1)]
    assert local(shop.run_of("lea", "care").anchor_at) == "2026-03-01 00:00"


# -- again -------------------------------------------------------------------------------------------------------------


def test_never_is_never_and_counted(shop: Shop) -> None:
    mei = shop.meets("alice", "mei", VIP)
    shop.start(nurture())
    shop.end("mei", "care")

    for _ in range(2):
        shop.untagged(mei, VIP)
        shop.tagged(mei, VIP)

    assert (len(shop.story("mei")), shop.refusals("mei")) == (1, [("care", "re-entry never", 2)])


def test_again_only_after_the_rule_was_false(shop: Shop) -> None:
    mei = shop.meets("alice", "mei", VIP)
    shop.start(nurture(when=f"{{tag: [{VIP}, {SUN}]}}", reenter="after_end"))
    shop.end("mei", "care")

    shop.tagged(mei, SUN)
    assert shop.refusals("mei") == [("care", "entry rule true since the last end", 1)]
    shop.untagged(mei, VIP, SUN)
    assert shop.run_of("mei", "care").rule_false_at == shop.now
    shop.tagged(mei, SUN)

    assert [one.state for one in shop.story("mei")] == ["manual_end", "enrolled"]
    assert shop.run_of("mei", "care").run_no == 2


def test_a_rule_that_is_false_at_the_end_needs_no_further_change(shop: Shop) -> None:
    shop.meets("alice", "mei")
    shop.start(nurture(when="{event: shop}", reenter="after_end"))
    shop.event("mei", "shop")

    shop.end("mei", "care")
    shop.event("mei", "shop")

    assert [one.state for one in shop.story("mei")] == ["manual_end", "enrolled"]


def test_too_soon_is_looked_at_again_when_the_wait_is_over(shop: Shop) -> None:
    mei = shop.meets("alice", "mei", VIP)
    shop.start(nurture(reenter="{after: 7d}"))
    shop.end("mei", "care")
    shop.untagged(mei, VIP)
    shop.go_to("2026-03-04 09:00")

    shop.tagged(mei, VIP)
    assert shop.refusals("mei") == [("care", "re-entry too soon", 1)]
    assert shop.flips() == [("entry", at("2026-03-09 09:00"))]
    shop.go_to("2026-03-09 09:00")
    shop.work()

    assert [one.state for one in shop.story("mei")] == ["manual_end", "enrolled"]
    assert shop.flips() == []


# -- by hand -----------------------------------------------------------------------------------------------------------


def test_by_hand_needs_no_rule_and_keeps_who_and_why(shop: Shop) -> None:
    shop.meets("alice", "mei")
    shop.meets("bob", "mei")
    shop.start(nurture())

    assert [one.reason for one in shop.pull("care", "mei", member="bob", dry=True)] == [""]
    assert shop.story("mei") == []
    pulled = shop.pull("care", "mei", member="bob")

    run = shop.run_of("mei", "care")
    assert ([one.enrollment_id for one in pulled], run.owner, run.cause) == ([run.id], "bob", "manual")
    said = {"cause": "manual", "gate": "manual", "who": "tester", "why": "asked for it"}
    assert shop.journal("mei", "care") == [("entered", None, said)]
    assert [one.reason for one in shop.pull("care", "mei")] == ["already inside"]


def test_by_hand_is_bound_by_reenter(shop: Shop) -> None:
    shop.meets("alice", "mei")
    shop.start(nurture())
    shop.pull("care", "mei")
    shop.end("mei", "care")

    assert [one.reason for one in shop.pull("care", "mei")] == ["re-entry never"]


def test_a_draft_takes_nobody_by_hand(shop: Shop) -> None:
    shop.meets("alice", "mei")
    shop.apply(nurture())

    assert [one.reason for one in shop.pull("care", "mei")] == ["sop not started"]
    assert shop.refusals("mei") == [("care", "sop not started", 1)]


# -- many --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 200])
def test_the_statements_of_an_entry_do_not_depend_on_how_many_enter(shop: Shop, count: int) -> None:
    names = [f"c{number}" for number in range(count)]
    for name in names:
        shop.meets("alice", name)
    shop.start(nurture(more=f"early_end: {{when: {{any: [{{tag: [{END}]}}, {{event: shop}}]}}}}"))

    with hearing(shop.store) as seen:
        shop.pull("care", *names)

    assert len(shop.rows("select 1 from enrollment")) == count
    counted = [sql for sql in seen if not sql.startswith(("begin", "commit"))]
    assert len([sql for sql in counted if "order by c.id for update" not in sql]) == 15
