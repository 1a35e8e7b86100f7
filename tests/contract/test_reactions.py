"""What ends runs early: any news the rule depends on, judged on all facts, at once and by time (SPEC 4, 8, D4)."""

from __future__ import annotations

import pytest

from sopd.handlers import signals
from sopd.incoming.events import EventIn
from sopd.store import Store
from tests.support.company import at
from tests.support.plans import hearing
from tests.support.shop import Shop

VIP, SUN, END = "level/vip", "likes/sun", "result/end"


def nurture(end: str, key: str = "care", more: str = "", kind: str = "nurture") -> str:
    """A SOP of two steps that ends early by this rule."""
    return (
        f"sop: {key}\ntitle: {key}\nkind: {kind}\n{more}\nearly_end: {{when: {end}}}\n"
        'steps:\n  - {id: one, day: 1, at: "10:00", by: mass_send, text: one}\n'
        '  - {id: two, day: 20, at: "10:00", by: mass_send, text: two}\n'
    )


@pytest.fixture
def shop(store: Store) -> Shop:
    return Shop(store, VIP, SUN, END)


def state(shop: Shop, key: str = "care") -> tuple[str, str | None]:
    run = shop.run_of("mei", key)
    return run.state, run.reason


def test_a_tag_at_any_member_in_scope_ends_the_run_of_a_customer(shop: Shop) -> None:
    shop.meets("alice", "mei")
    bob, cleo = shop.meets("bob", "mei"), shop.meets("cleo", "mei")
    shop.start(nurture(f"{{tag: [{END}]}}", more="members: [alice, bob]"))
    shop.pull("care", "mei", member="alice")

    shop.tagged(cleo, END)
    assert state(shop) == ("enrolled", None)
    shop.tagged(bob, END)

    assert state(shop) == ("early_end", f"early end: tag {END}")


def test_tags_of_one_all_must_meet_on_one_relation(shop: Shop) -> None:
    alice, bob = shop.meets("alice", "mei"), shop.meets("bob", "mei")
    shop.start(nurture(f"{{all: [{{tag: [{VIP}]}}, {{tag: [{SUN}]}}]}}"))
    shop.pull("care", "mei")

    shop.tagged(alice, VIP)
    shop.tagged(bob, SUN)
    assert state(shop) == ("enrolled", None)
    shop.tagged(bob, VIP)

    assert state(shop) == ("early_end", f"early end: tag {VIP}")


def test_an_attribute_ends_the_run_and_another_does_not(shop: Shop) -> None:
    shop.meets("alice", "mei")
    shop.start(nurture("{attribute: {level: {above: 3}}}"))
    shop.pull("care", "mei")

    shop.set("mei", level=3, name="gold")
    assert state(shop) == ("enrolled", None)
    shop.set("mei", level=4)

    assert state(shop) == ("early_end", "early end: attribute level")


def test_events_count_from_the_entry_on(shop: Shop) -> None:
    shop.meets("alice", "mei")
    shop.start(nurture(f"{{all: [{{event: {{name: paid, where: {{amount: {{above: 9}}}}}}}}, {{tag: [{END}]}}]}}"))
    shop.event("mei", "paid", amount=10)
    shop.pull("care", "mei")
    mei = shop.befriend("bob", "mei")

    shop.tagged(mei, END)
    shop.event("mei", "paid", amount=1)
    shop.event("mei", "paid", amount=10, at="2026-03-01 10:00")  # late news of what was before the entry
    assert state(shop) == ("enrolled", None)
    shop.event("mei", "paid", amount=10)

    assert state(shop) == ("early_end", "early end: event paid")


def test_an_event_of_the_run_is_remembered_until_the_rest_holds(shop: Shop) -> None:
    mei = shop.meets("alice", "mei")
    shop.start(nurture(f"{{all: [{{event: paid}}, {{tag: [{END}]}}]}}"))
    shop.pull("care", "mei")

    shop.event("mei", "paid")
    shop.tagged(mei, END)

    assert state(shop) == ("early_end", f"early end: tag {END}")


def test_replies_are_asked_of_the_run_and_since_a_step(shop: Shop) -> None:
    mei = shop.meets("alice", "mei")
    shop.start(nurture("{replied: {keywords: [price]}}", "word"))
    shop.start(nurture("{replied: {since: one}}", "since"))
    shop.pull("word", "mei")
    shop.pull("since", "mei")

    shop.says(mei, "what is the PRICE")
    assert (state(shop, "word"), state(shop, "since")) == (
        ("early_end", "early end: a reply"), ("enrolled", None)
    )  # fmt: skip
    shop.work_until("2026-03-03 10:30")
    shop.requested(mei, "one", "since")
    sent_one(shop, mei)
    shop.go_to("2026-03-03 11:00")
    shop.says(mei, "thanks")

    assert state(shop, "since") == ("early_end", "early end: a reply")


def test_a_reply_to_another_member_is_none_to_the_run_of_a_relation(shop: Shop) -> None:
    shop.start(nurture("{replied: any}", kind="new_customer"))
    shop.start(nurture("{replied: any}", "both"))
    alice = shop.add("alice", "mei")
    bob = shop.meets("bob", "mei")
    shop.pull("both", "mei", member="alice")

    shop.says(bob, "hello")
    assert (state(shop)[0], state(shop, "both")[0]) == ("enrolled", "early_end")
    shop.says(alice, "hello")

    assert state(shop) == ("early_end", "early end: a reply")


def test_time_alone_ends_a_run(shop: Shop) -> None:
    shop.meets("alice", "mei")
    shop.start(nurture("{added: {older_than: 10d}}"))
    shop.pull("care", "mei")
    assert shop.flips() == [("end", at("2026-03-12 09:00"))]

    shop.go_to("2026-03-12 09:00")
    shop.work()

    assert state(shop)[0] == "early_end"
    assert shop.flips() == []


def test_what_is_awaited_of_time_is_forgotten_with_the_run(shop: Shop) -> None:
    shop.meets("alice", "mei")
    shop.start(nurture("{added: {older_than: 10d}}"))
    shop.pull("care", "mei")

    shop.end("mei", "care")

    assert shop.flips() == []


def test_a_paused_sop_ends_runs_and_an_ended_run_hears_no_more(shop: Shop) -> None:
    mei = shop.meets("alice", "mei")
    shop.start(nurture(f"{{tag: [{END}]}}"))
    shop.pull("care", "mei")
    shop.pause("care")

    shop.tagged(mei, END)
    shop.untagged(mei, END)
    shop.tagged(mei, END)

    assert len(shop.story("mei")) == 1
    assert state(shop)[0] == "early_end"


def test_under_not_what_was_inherited_ends_nothing_until_it_was_otherwise(shop: Shop) -> None:
    mei = shop.meets("alice", "mei")
    shop.start(nurture(f"{{not: {{tag: [{SUN}]}}}}"))
    shop.pull("care", "mei")

    shop.set("mei", level=1)
    shop.tagged(mei, SUN)
    assert (state(shop)[0], shop.run_of("mei", "care").inherited) == ("enrolled", None)
    shop.untagged(mei, SUN)

    assert state(shop) == ("early_end", f"early end: tag {SUN} removed")


def test_other_parts_of_the_rule_work_at_once(shop: Shop) -> None:
    mei = shop.meets("alice", "mei", END)
    shop.start(nurture(f"{{any: [{{tag: [{END}]}}, {{attribute: {{level: 1}}}}]}}"))
    shop.pull("care", "mei")
    shop.tagged(mei, VIP)
    assert state(shop) == ("enrolled", None)

    shop.set("mei", level=1)

    assert state(shop) == ("early_end", "early end: attribute level")


def test_another_name_of_the_same_list_occurs_anew(shop: Shop) -> None:
    mei = shop.meets("alice", "mei", END)
    shop.start(nurture(f"{{tag: [{END}, {SUN}]}}"))
    shop.pull("care", "mei")

    shop.tagged(mei, SUN)

    assert state(shop) == ("early_end", f"early end: tag {SUN}")


@pytest.mark.parametrize("count", [1, 100])
def test_the_statements_of_a_round_do_not_depend_on_how_many_end(shop: Shop, count: int) -> None:
    names = [f"c{number}" for number in range(count)]
    for name in names:
        shop.meets("alice", name)
    shop.start(nurture("{event: paid}"))
    shop.pull("care", *names)
    signals.take_events(shop.app, [(n, EventIn(ref=f"r{n}", name="paid", customer=one)) for n, one in enumerate(names)])
    with hearing(shop.store) as seen:
        signals.digest(shop.app)

    assert shop.rows("select count(*) from enrollment where state = 'early_end'") == [(count,)]
    counted = [sql for sql in seen if not sql.startswith(("begin", "commit"))]
    assert len([sql for sql in counted if "order by c.id for update" not in sql]) == 12


def sent_one(shop: Shop, relation) -> None:
    """WeCom reports the first step of `since` as sent now."""
    push = shop.push(relation, "one", "since")
    with shop.store.transaction() as tx:
        tx.run("update push set state = 'sent', settled_at = ?, sent_at = ? where id = ?", (tx.now, tx.now, push.id))
