"""Runs that flow into other SOPs: at every end, into every state of the target, in chains, and by hand (SPEC 4, 8)."""

from __future__ import annotations

import json

import pytest

from sopd.commands import TransferEnrollments
from sopd.errors import NotFound, Refused
from sopd.handlers import transfers
from sopd.handlers.consequences import follow
from sopd.handlers.happened import Consequences
from sopd.store import Store
from tests.support.shop import Shop

VIP, END, DONE = "level/vip", "result/end", "result/done"

TARGET = """
sop: target
title: Target
kind: nurture
{more}
steps:
  - {{id: one, day: 1, at: "10:00", by: mass_send, text: one}}
"""


def source(key: str = "source", to: str = "target", more: str = "", end: str = f"{{tag: [{END}]}}") -> str:
    """Entered by a tag, ended early by another: flows on, and also at its normal end."""
    return (
        f"sop: {key}\ntitle: {key}\nkind: nurture\nentry: {{when: {{tag: [{VIP}]}}}}\n{more}\n"
        'steps:\n  - {id: one, day: 1, at: "10:00", by: mass_send, text: one}\n'
        f"early_end: {{when: {end}, add_tags: [{DONE}], set: {{ended: true}}, flow_to: {to}}}\n"
        f"normal_end: {{add_tags: [{DONE}], set: {{ended: true}}, flow_to: {to}}}\n"
    )


@pytest.fixture
def shop(store: Store) -> Shop:
    return Shop(store, VIP, END, DONE)


def test_an_early_end_writes_and_flows_on(shop: Shop) -> None:
    mei = shop.meets("alice", "mei", VIP)
    shop.start(TARGET.format(more=""))
    shop.start(source())

    shop.tagged(mei, END)

    assert shop.story("mei") == [("source", "early_end", f"early end: tag {END}"), ("target", "enrolled", None)]
    assert shop.rows("select attributes from customer") == [('{"ended": true}',)]
    run = shop.run_of("mei", "target")
    assert (run.cause, run.hop, json.loads(run.chain)) == ("flow:source", 1, [1])
    assert shop.journal("mei", "source")[-1] == ("note", None, {"flow": "target", "into": run.id})
    said = {"cause": "flow:source", "gate": "flow", "hop": 1, "chain": [1]}
    assert shop.journal("mei", "target") == [("entered", None, said)]


def test_a_normal_end_flows_on_in_the_chain_of_the_run(shop: Shop) -> None:
    mei = shop.meets("alice", "mei", VIP)
    shop.start(TARGET.format(more=""))
    shop.start(source())
    shop.work_until("2026-03-03 10:30")
    shop.requested(mei, "one")
    shop.sent(mei, "one")

    assert [one.state for one in shop.story("mei")] == ["normal_end", "enrolled"]
    run = shop.run_of("mei", "target")
    assert (run.hop, json.loads(run.chain)) == (1, [2, 1])


def test_the_owner_stays_if_in_scope_and_else_the_target_chooses(shop: Shop) -> None:
    shop.meets("alice", "mei", began_at=1)
    bob = shop.meets("bob", "mei", VIP)
    cleo = shop.meets("cleo", "lea", VIP)
    shop.meets("alice", "lea")
    shop.start(TARGET.format(more="members: [alice, bob]"))
    shop.start(source(more="members: [bob, cleo]"))

    shop.tagged(bob, END)
    shop.tagged(cleo, END)

    assert shop.run_of("mei", "target").owner == "bob"
    assert shop.run_of("lea", "target").owner == "alice"


def test_attributes_that_an_end_sets_are_news(shop: Shop) -> None:
    mei = shop.meets("alice", "mei", VIP)
    shop.start(TARGET.format(more=""))
    shop.start(TARGET.format(more="entry: {when: {attribute: {ended: true}}}").replace("target", "told", 1))
    shop.start(source())

    shop.tagged(mei, END)

    assert [one.sop for one in shop.story("mei")] == ["source", "target", "told"]
    assert (shop.run_of("mei", "told").hop, json.loads(shop.run_of("mei", "told").chain)) == (1, [2])


def test_a_flow_comes_before_the_gate_that_its_tags_open(shop: Shop) -> None:
    mei = shop.meets("alice", "mei", VIP)
    shop.start(TARGET.format(more=f"entry: {{when: {{tag: [{DONE}]}}}}\nearly_end: {{when: {{tag: [{DONE}]}}}}"))
    shop.start(source())

    shop.tagged(mei, END)

    run = shop.run_of("mei", "target")
    assert (run.cause, run.state, len(json.loads(run.inherited))) == ("flow:source", "enrolled", 1)


# -- the state of the target -------------------------------------------------------------------------------------------


def test_into_a_paused_sop_one_enters_and_waits(shop: Shop) -> None:
    mei = shop.meets("alice", "mei", VIP)
    shop.start(TARGET.format(more=""))
    shop.start(source())
    shop.pause("target")

    shop.tagged(mei, END)
    shop.work_until("2026-03-04 12:00")

    assert shop.story("mei")[-1] == ("target", "enrolled", None)
    assert shop.rows("select count(*) from push where state <> 'cancelled'") == [(0,)]


@pytest.mark.parametrize("state", ["draft", "ended", "unknown", "new_customer"])
def test_where_nobody_flows_the_source_ends_all_the_same(shop: Shop, state: str) -> None:
    mei = shop.meets("alice", "mei", VIP)
    shop.start(source())
    if state == "new_customer":
        shop.start(TARGET.format(more="").replace("nurture", "new_customer"))
    elif state != "unknown":
        shop.apply(TARGET.format(more=""))
    if state == "ended":
        shop.start(TARGET.format(more=""))
        shop.stop("target")

    shop.tagged(mei, END)

    why = {"draft": "sop not started", "ended": "sop ended", "unknown": "unknown sop"}.get(state, "not a nurture sop")
    assert [one.state for one in shop.story("mei")] == ["early_end"]
    assert shop.journal("mei", "source")[-1] == ("note", why, {"flow": "target"})
    assert shop.refusals("mei") == ([("target", why, 1)] if state in ("draft", "ended") else [])


def test_a_flow_is_bound_by_everything_but_the_two_rules(shop: Shop) -> None:
    mei = shop.meets("alice", "mei", VIP)
    shop.start(TARGET.format(more=""))
    shop.start(source())
    shop.pull("target", "mei")
    shop.end("mei", "target")

    shop.tagged(mei, END)

    assert shop.refusals("mei") == [("target", "re-entry never", 1)]
    assert shop.journal("mei", "source")[-1][1] == "re-entry never"


# -- chains ------------------------------------------------------------------------------------------------------------


def ring(shop: Shop) -> None:
    """Two SOPs that flow into each other; nobody enters them by a rule."""
    for key, to in (("one", "two"), ("two", "one")):
        text = source(key, to).replace(f"entry: {{when: {{tag: [{VIP}]}}}}", "entry: {reenter: after_end}")
        shop.start(text.replace(f"add_tags: [{DONE}]", f"add_tags: [{DONE}], remove_tags: [{END}]"))


def test_each_thing_from_outside_begins_a_chain_of_its_own(shop: Shop) -> None:
    mei = shop.meets("alice", "mei")
    ring(shop)
    shop.pull("one", "mei")

    shop.tagged(mei, END)
    assert [(one.sop, one.state) for one in shop.story("mei")] == [("one", "early_end"), ("two", "enrolled")]
    shop.tagged(mei, END)

    assert [one.sop for one in shop.story("mei")] == ["one", "two", "one"]


def test_normal_ends_that_flow_in_a_ring_are_cut(shop: Shop) -> None:
    mei = shop.meets("alice", "mei")
    ring(shop)
    shop.pull("one", "mei")

    shop.work_until("2026-03-03 10:30")
    finish(shop, mei, "one")
    shop.work_until("2026-03-04 10:30")
    finish(shop, mei, "two")

    assert [(one.sop, one.state) for one in shop.story("mei")] == [("one", "normal_end"), ("two", "normal_end")]
    assert shop.journal("mei", "two")[-1] == ("note", "already entered in this chain", {"flow": "one"})
    assert shop.refusals("mei") == [("one", "already entered in this chain", 1)]


def finish(shop: Shop, relation, key: str) -> None:
    """WeCom reports the one step as sent: the run comes to its normal end."""
    push = shop.push(relation, "one", key)
    with shop.store.transaction() as tx:
        tx.run("update dispatch set state = 'settled', act_at = null where id = ?", (push.dispatch_id,))
        tx.run("update push set state = 'sent', settled_at = ?, sent_at = ? where id = ?", (tx.now, tx.now, push.id))
    with shop.store.transaction() as tx:
        follow(tx, shop.app, Consequences(settled=frozenset({push.enrollment_id})))


# -- by hand -----------------------------------------------------------------------------------------------------------


def test_a_transfer_ends_and_lets_in_at_once_and_tells_who_and_why(shop: Shop) -> None:
    shop.meets("alice", "mei", VIP)
    shop.start(TARGET.format(more=""))
    shop.start(source())

    assert [(one.external_userid, one.reason) for one in shop.transfer("mei", "source", "target", dry=True)] == [
        ("mei", "")
    ]
    assert [one.state for one in shop.story("mei")] == ["enrolled"]
    moved = shop.transfer("mei", "source", "target", add_tags=(DONE,))

    run = shop.run_of("mei", "target")
    assert [one.into for one in moved] == [run.id]
    assert shop.story("mei")[0] == ("source", "manual_end", "manual end: better there")
    assert shop.journal("mei", "target")[0][2] | {"chain": []} == {
        "cause": "flow:source", "gate": "flow", "hop": 1, "chain": [], "who": "tester"
    }  # fmt: skip
    assert shop.rows("select who, verb from audit where verb = 'enrollment transfer'") == [
        ("tester", "enrollment transfer")
    ]


def test_a_transfer_leaves_whom_the_target_refuses_untouched(shop: Shop) -> None:
    shop.meets("alice", "mei", VIP)
    shop.meets("bob", "lea", VIP)
    shop.start(TARGET.format(more="members: [alice]"))
    shop.start(source())
    ids = shop.open_ids("mei", "source") + shop.open_ids("lea", "source")

    found = transfers.transfer(shop.app, TransferEnrollments(ids, "target", "tester", "why"))

    assert [(one.external_userid, one.reason) for one in found] == [("mei", ""), ("lea", "member not in scope")]
    assert shop.story("lea") == [("source", "enrolled", None)]
    assert shop.journal("lea", "source")[1:] == []


def test_a_transfer_into_a_draft_or_nowhere_changes_nothing(shop: Shop) -> None:
    shop.meets("alice", "mei", VIP)
    shop.start(source())
    shop.apply(TARGET.format(more=""))
    shop.start(TARGET.format(more="").replace("nurture", "new_customer").replace("target", "new", 1))

    assert [one.reason for one in shop.transfer("mei", "source", "target")] == ["sop not started"]
    with pytest.raises(NotFound):
        shop.transfer("mei", "source", "nowhere")
    with pytest.raises(Refused, match="not a nurture sop"):
        shop.transfer("mei", "source", "new")

    assert shop.story("mei") == [("source", "enrolled", None)]


def test_all_relations_of_a_customer_go_together(shop: Shop) -> None:
    shop.start(TARGET.format(more=""))
    shop.start(source().replace("nurture", "new_customer").replace(f"entry: {{when: {{tag: [{VIP}]}}}}", ""))
    for member in ("alice", "bob"):
        shop.add(member, "mei")
    first, second = shop.open_ids("mei", "source")

    alone = transfers.transfer(shop.app, TransferEnrollments((first,), "target", "tester", "why"), dry=True)
    together = transfers.transfer(shop.app, TransferEnrollments((first,), "target", "tester", "why", True))

    assert [one.enrollment_id for one in alone] == [first]
    assert [one.enrollment_id for one in together] == [first, second]
    assert [(one.sop, one.state) for one in shop.story("mei")] == [
        ("source", "manual_end"), ("source", "manual_end"), ("target", "enrolled")
    ]  # fmt: skip
