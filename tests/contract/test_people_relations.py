"""How relations begin, end and begin again, by callbacks and readings in any order, on both databases (D2, D24)."""

from __future__ import annotations

import pytest

from sopd.commands import MuteCustomers, TagRelation
from sopd.errors import NotFound, Refused
from sopd.handlers import customers, inbox, observe_dirty
from sopd.handlers.observe import observe
from sopd.handlers.observe_dirty import Failed
from sopd.handlers.observe_verdicts import Sighting
from sopd.sandbox.faults import Fault
from sopd.store import Store
from sopd.store.tables import Audit, Customer, Dirty, Enrollment, Inbox, Relation, SetAside
from tests.contract.test_people_inbox import event
from tests.support.caller import NEW_YEAR
from tests.support.factories import all_rows
from tests.support.plans import hearing
from tests.support.town import BOUGHT, PRICE, SUN, Town

ADDED = NEW_YEAR + 1000
"""When the stories begin: the first reading took place a second before."""


@pytest.fixture
def town(store: Store) -> Town:
    made = Town(store)
    made.read_all()
    made.run()
    return made


def add(town: Town, customer: str = "wm1", member: str = "alice", **how: object) -> None:
    town.world.customer_adds(member, customer, now=town.now, **{"state": "expo2026", **how})


# -- beginnings ------------------------------------------------------------------------------------------------------


def test_an_add_begins_a_relation_and_a_run_with_its_createtime_as_entry(town: Town) -> None:
    add(town, name="Mei")
    town.pass_time(minutes=3)
    town.listen()

    assert town.relation("alice", "wm1") == ("active", None)
    assert all_rows(town.store, Customer, "external_userid", "name") == [("wm1", "Mei")]
    assert all_rows(town.store, Relation, "channel", "add_way", "began_at") == [("expo2026", 1, ADDED)]
    assert all_rows(town.store, Enrollment, "entered_at", "cause") == [(ADDED, "added")]


def test_a_half_add_counts_once_it_is_confirmed(town: Town) -> None:
    add(town, half=True)
    town.listen()
    halfway = (town.relation("alice", "wm1"), town.runs())
    town.pass_time(minutes=30)
    town.world.confirm_half("alice", "wm1", now=town.now)
    town.listen()

    assert halfway == (("half", None), [])
    assert town.relation("alice", "wm1") == ("active", None)
    assert all_rows(town.store, Relation, "began_at") == [(town.now,)]
    assert len(town.runs()) == 1


def test_a_confirmed_half_add_is_found_by_reading_when_its_callback_is_lost(town: Town) -> None:
    add(town, half=True)
    town.listen()
    town.pass_time(minutes=30)
    town.world.confirm_half("alice", "wm1", now=town.now)
    town.world.mailbox.waiting.clear()
    town.read_all()

    assert town.relation("alice", "wm1") == ("active", None)
    assert all_rows(town.store, Enrollment, "cause") == [("reconciliation",)]


def test_a_half_add_that_is_withdrawn_leaves_nothing_open(town: Town) -> None:
    add(town, half=True)
    town.listen()
    town.pass_time(minutes=1)
    town.world.customer_deletes("alice", "wm1", now=town.now)
    town.listen()

    assert town.relation("alice", "wm1") == ("lost", "customer")
    assert town.runs() == []


def test_the_same_add_pushed_again_and_read_again_begins_once(town: Town) -> None:
    add(town)
    town.listen()
    inbox.accept(town.app, town.received)
    inbox.accept(town.app, [event("add_external_contact", at=ADDED, State="expo2026", Note="a retry, worded anew")])
    town.listen()
    town.read_all()

    assert len(town.runs()) == 1
    assert town.relation("alice", "wm1") == ("active", None)


def test_what_an_edit_reveals_begins_too(town: Town) -> None:
    add(town)
    town.world.mailbox.waiting.clear()
    town.pass_time(minutes=1)
    town.world.member_tags("alice", "wm1", SUN, now=town.now)
    town.listen()

    assert all_rows(town.store, Enrollment, "cause", "entered_at") == [("reconciliation", ADDED)]
    assert town.tags_of("alice", "wm1") == {SUN}


def test_somebody_who_holds_the_ending_tag_already_does_not_enter(town: Town) -> None:
    add(town)
    town.world.member_tags("alice", "wm1", BOUGHT, now=town.now)
    town.listen()

    assert town.runs() == []
    assert town.rows("select reason from refusal") == [("already at its end",)]


def test_customers_of_two_members_are_two_relations(town: Town) -> None:
    add(town)
    add(town, member="bob")
    town.listen()

    assert [row[:2] for row in town.runs()] == [("alice", "wm1"), ("bob", "wm1")]
    assert len(all_rows(town.store, Customer)) == 1


def test_an_add_that_is_not_listed_yet_is_read_again_for_some_seconds(town: Town) -> None:
    inbox.accept(town.app, [event("add_external_contact", at=ADDED, State="expo2026", WelcomeCode="WC-1")])
    town.listen()
    reason = all_rows(town.store, Dirty, "reason")
    add(town)
    town.world.mailbox.waiting.clear()
    town.pass_time(seconds=3)
    town.listen()

    assert reason == [("WeCom does not list it yet",)]
    assert len(town.runs()) == 1
    assert all_rows(town.store, Dirty) == []


def test_an_add_that_never_shows_up_is_given_up(town: Town) -> None:
    inbox.accept(town.app, [event("add_external_contact", State="expo2026")])
    for _ in range(6):
        town.listen()
        town.pass_time(seconds=10)

    assert all_rows(town.store, Dirty) == []
    assert all_rows(town.store, Relation) == []


# -- ends ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("deed", "by"), [("customer_deletes", "customer"), ("member_deletes", "member")]
)
def test_a_delete_ends_the_relation_and_its_runs(town: Town, deed: str, by: str) -> None:
    add(town)
    town.listen()
    town.pass_time(minutes=5)
    getattr(town.world, deed)("alice", "wm1", now=town.now)
    town.listen()

    assert town.relation("alice", "wm1") == ("lost", by)
    assert [row[2] for row in town.runs()] == ["lost"]
    assert all_rows(town.store, Relation, "lost_at") == [(town.now,)]


def test_a_transfer_ends_one_relation_and_begins_another_that_is_not_new(town: Town) -> None:
    add(town)
    town.listen()
    town.pass_time(minutes=5)
    town.world.transfer("alice", "bob", "wm1", now=town.now)
    town.listen()

    assert town.relation("alice", "wm1") == ("lost", "transfer")
    assert town.relation("bob", "wm1") == ("active", None)
    assert town.rows("select add_way from relation where state = 'active'") == [(202,)]
    assert [(row[0], row[2]) for row in town.runs()] == [("bob", "hello")]
    assert town.rows("select reason from refusal") == [("inherited",)]


def test_a_delete_older_than_the_beginning_is_ignored(town: Town) -> None:
    add(town)
    town.listen()
    inbox.accept(town.app, [event("del_follow_user", at=ADDED - 1000)])
    town.listen()

    assert town.relation("alice", "wm1") == ("active", None)
    assert [row[2] for row in town.runs()] == ["hello"]


def test_a_delete_in_the_second_of_the_beginning_is_asked_about(town: Town) -> None:
    add(town)
    town.listen()
    inbox.accept(town.app, [event("del_follow_user", at=ADDED)])
    town.listen()
    believed = town.relation("alice", "wm1")
    town.world.customer_deletes("alice", "wm1", now=town.now)
    town.listen()

    assert believed == ("active", None)
    assert town.relation("alice", "wm1") == ("lost", "reconciliation")


def test_a_delete_that_overtakes_its_add_leaves_nobody_inside(town: Town) -> None:
    inbox.accept(town.app, [event("del_follow_user", at=ADDED + 60_000)])
    town.listen()
    # WeCom still lists her, as it does when it is the customer who deletes.
    add(town)
    town.listen()
    town.read_all()

    assert town.relation("alice", "wm1") == ("lost", "customer")
    assert town.runs() == []


# -- beginning again -------------------------------------------------------------------------------------------------


def readded(town: Town) -> None:
    """Added, deleted five minutes later, added again after another five; nothing delivered yet."""
    add(town)
    town.listen()
    town.pass_time(minutes=5)
    town.world.customer_deletes("alice", "wm1", now=town.now)
    town.listen()
    town.pass_time(minutes=5)


def test_a_re_add_reopens_the_same_relation(town: Town) -> None:
    readded(town)
    add(town, state="live")
    town.listen()

    assert town.relation("alice", "wm1") == ("active", None)
    assert all_rows(town.store, Relation, "channel", "began_at", "lost_at") == [("live", town.now, None)]
    assert [row[2] for row in town.runs()] == ["lost"]
    assert town.rows("select reason from refusal") == [("re-entry never",)]


def test_an_edit_does_not_reopen_what_an_event_ended(town: Town) -> None:
    add(town)
    town.listen()
    inbox.accept(town.app, [event("del_follow_user", at=ADDED + 60_000), event("edit_external_contact")])
    town.listen()
    town.read_all()

    assert town.relation("alice", "wm1") == ("lost", "customer")


def test_an_add_older_than_the_end_does_not_reopen(town: Town) -> None:
    add(town)
    town.listen()
    late = event("add_external_contact", at=ADDED + 30_000, State="expo2026")
    inbox.accept(town.app, [event("del_follow_user", at=ADDED + 60_000), late])
    town.listen()

    assert town.relation("alice", "wm1") == ("lost", "customer")


def test_a_later_createtime_reopens_without_any_event(town: Town) -> None:
    readded(town)
    add(town)
    added_at = town.now
    town.world.mailbox.waiting.clear()
    town.read_all()

    assert town.relation("alice", "wm1") == ("active", None)
    assert all_rows(town.store, Relation, "began_at") == [(added_at,)]


def test_an_add_event_reopens_although_the_createtime_did_not_move(town: Town) -> None:
    add(town)
    town.listen()
    again = event("add_external_contact", at=ADDED + 90_000, State="expo2026")
    inbox.accept(town.app, [event("del_follow_user", at=ADDED + 60_000), again])
    town.listen()

    assert town.relation("alice", "wm1") == ("active", None)
    assert all_rows(town.store, Relation, "began_at") == [(ADDED + 90_000,)]


def test_an_end_nobody_told_is_seen_by_the_new_beginning(town: Town) -> None:
    add(town)
    town.listen()
    town.pass_time(minutes=5)
    town.world.customer_deletes("alice", "wm1", now=town.now)
    town.world.mailbox.waiting.clear()
    town.pass_time(minutes=5)
    add(town)
    town.listen()

    assert [row[2] for row in town.runs()] == ["lost"]
    assert town.relation("alice", "wm1") == ("active", None)
    assert all_rows(town.store, Relation, "began_at") == [(town.now,)]


def test_the_delete_before_a_re_add_may_come_after_it(town: Town) -> None:
    add(town)
    town.listen()
    town.pass_time(minutes=5)
    town.world.customer_deletes("alice", "wm1", now=town.now)
    held_up = town.world.mailbox.take_due(town.now)
    town.pass_time(minutes=5)
    add(town)
    town.listen()
    town.world.mailbox.waiting += held_up
    town.listen()

    assert town.relation("alice", "wm1") == ("active", None)


# -- readings --------------------------------------------------------------------------------------------------------


def test_a_read_that_began_before_our_write_is_thrown_away_and_repeated(town: Town) -> None:
    add(town)
    town.listen()

    def by_hand() -> None:
        customers.tag(town.app, TagRelation("wm1", "alice", "mei", add=(PRICE,)))
        town.write_tags()

    town.meanwhile["get"] = by_hand
    town.world.member_tags("alice", "wm1", SUN, now=town.now)
    town.listen()

    assert town.meanwhile == {}
    assert town.tags_of("alice", "wm1") == {PRICE, SUN}
    assert town.friends() == town.true_friends()


def test_no_tag_seems_removed_while_our_own_write_is_under_way(town: Town) -> None:
    add(town)
    town.listen()
    customers.tag(town.app, TagRelation("wm1", "alice", "mei", add=(PRICE,)))
    town.world.member_tags("alice", "wm1", SUN, now=town.now)
    town.listen()
    meanwhile = (town.tags_of("alice", "wm1"), all_rows(town.store, Dirty, "act_at", "reason"))
    town.write_tags()
    town.listen()

    assert meanwhile == ({PRICE, SUN}, [(None, "our own write is under way")])
    assert town.tags_of("alice", "wm1") == {PRICE, SUN}
    assert town.friends() == town.true_friends()
    assert all_rows(town.store, Dirty) == []


def test_a_tag_that_a_member_removes_right_after_our_write_is_seen_removed(town: Town) -> None:
    add(town)
    town.listen()
    customers.tag(town.app, TagRelation("wm1", "alice", "mei", add=(PRICE,)))
    tag_id = town.world.find_tag(PRICE).tag_id
    town.app.wecom.mark_tags("alice", "wm1", [tag_id])
    # The answer is not recorded yet when the member changes his mind.
    town.world.member_untags("alice", "wm1", PRICE, now=town.now)
    town.listen()
    (row,) = town.rows("select id, relation_id, payload from outbox where kind = 'mark_tag'")
    town.record_tags(customers.tags.Written(row[0], row[1], customers.tags.Payload.read(row[2]), True))
    town.listen()

    assert town.tags_of("alice", "wm1") == set()
    assert town.friends() == town.true_friends()


def test_an_echo_of_our_own_write_changes_nothing(store: Store) -> None:
    town = Town(store, echo=True)
    town.read_all()
    town.run()
    add(town)
    town.listen()
    customers.tag(town.app, TagRelation("wm1", "alice", "mei", add=(PRICE,)))
    town.write_tags()
    town.listen()

    assert town.tags_of("alice", "wm1") == {PRICE}
    assert all_rows(town.store, Dirty) == []


def test_what_happens_while_a_relation_is_read_is_read_afterwards(town: Town) -> None:
    add(town)
    town.listen()

    def member_tags() -> None:
        town.world.member_tags("alice", "wm1", SUN, now=town.now)
        town.post()
        inbox.digest(town.app, fast=False)

    town.meanwhile["get"] = member_tags
    town.world.member_remarks("alice", "wm1", "nice", now=town.now)
    town.listen()

    assert town.meanwhile == {}
    assert town.tags_of("alice", "wm1") == {SUN}
    assert all_rows(town.store, Dirty) == []


def test_a_worker_that_comes_too_late_changes_nothing(town: Town) -> None:
    add(town)
    town.listen()
    (generation,) = all_rows(town.store, Relation, "generation")[0]
    old = town.app.wecom.contact("wm1")
    town.world.member_tags("alice", "wm1", SUN, now=town.now)
    town.listen()

    # It had claimed the re-read, its lease ran out, and another has read meanwhile.
    observe(town.app, [Sighting("alice", "wm1", generation, "edited", old.profile, old.follows[0], mark=1)])

    assert town.tags_of("alice", "wm1") == {SUN}
    assert all_rows(town.store, Dirty) == []


def test_a_customer_that_wecom_refuses_for_good_is_set_aside_until_marked_again(town: Town) -> None:
    add(town)
    add(town, "wm2")
    town.faults.plan("get", Fault("errcode", 40035))
    town.listen()
    aside = all_rows(town.store, SetAside, "kind", "row_key")
    lucky = [row[1] for row in town.runs()]
    (unlucky,) = {"wm1", "wm2"} - set(lucky)
    town.world.member_remarks("alice", unlucky, "again", now=town.now)
    town.listen()

    assert aside == [("dirty", f"alice/{unlucky}")]
    assert len(lucky) == 1
    assert sorted(row[1] for row in town.runs()) == ["wm1", "wm2"]
    assert all_rows(town.store, SetAside) == []


def test_a_read_that_fails_is_tried_again_later(town: Town) -> None:
    add(town)
    town.faults.plan("get", Fault("errcode", 45033))
    town.listen()
    nobody = town.runs()
    town.pass_time(seconds=6)
    town.listen()

    assert nobody == []
    assert len(town.runs()) == 1


def test_a_member_out_of_sight_loses_nobody(town: Town) -> None:
    add(town)
    town.listen()
    town.world.members["alice"].in_scope = False
    inbox.accept(town.app, [event("edit_external_contact", at=ADDED + 1000)])
    town.listen()

    assert town.relation("alice", "wm1") == ("active", None)
    assert all_rows(town.store, Dirty) == []


def test_a_relation_that_is_no_longer_listed_is_lost(town: Town) -> None:
    add(town)
    town.listen()
    town.world.customer_deletes("alice", "wm1", now=town.now)
    town.world.mailbox.waiting.clear()
    inbox.accept(town.app, [event("edit_external_contact", at=ADDED + 1000)])
    town.listen()

    assert town.relation("alice", "wm1") == ("lost", "reconciliation")
    assert [row[2] for row in town.runs()] == ["lost"]


def test_a_poison_relation_is_set_aside_and_the_others_are_taken(town: Town) -> None:
    for number in range(6):
        add(town, f"wm{number}")
    town.world.relations["alice", "wm3"].add_way = 2**70  # no database takes it
    town.listen()

    assert sorted(row[1] for row in town.runs()) == ["wm0", "wm1", "wm2", "wm4", "wm5"]
    assert all_rows(town.store, SetAside, "kind", "row_key") == [("dirty", "alice/wm3")]
    assert all_rows(town.store, Inbox, "state", where="state <> 'done'") == []


@pytest.mark.parametrize("size", [1, 60])
def test_a_page_of_sightings_costs_the_same_statements_whatever_its_size(town: Town, size: int) -> None:
    for number in range(size):
        add(town, f"wm{number}")
    town.world.mailbox.waiting.clear()
    sightings = []
    for number in range(size):
        contact = town.app.wecom.contact(f"wm{number}")
        sightings.append(Sighting("alice", f"wm{number}", None, "added", contact.profile, contact.follows[0], mark=1))

    with hearing(town.store) as statements:
        observe(town.app, sightings)

    assert len(town.runs()) == size
    assert len(statements) <= 40, "\n".join(statements)


@pytest.mark.parametrize("size", [1, 40])
def test_customers_that_wecom_refuses_for_good_are_set_aside_with_one_statement(town: Town, size: int) -> None:
    for number in range(size):
        add(town, f"wm{number}")
    town.post()
    while inbox.digest(town.app, fast=True) + inbox.digest(town.app, fast=False):
        pass
    claimed = [one for fast in (True, False) for one in observe_dirty.claim(town.app, fast=fast, limit=size)]

    with hearing(town.store) as statements:
        observe_dirty.give_back(town.app, [Failed(one.row, "refused", is_final=True) for one in claimed])

    assert len([sql for sql in statements if "set_aside" in sql]) == 1
    assert len(all_rows(town.store, SetAside)) == size


# -- by hand ---------------------------------------------------------------------------------------------------------


def test_a_tag_by_hand_reaches_wecom_and_ends_a_run(town: Town) -> None:
    add(town)
    town.listen()
    customers.tag(town.app, TagRelation("wm1", "alice", "mei", add=("已复购",)))
    ended = town.runs()
    town.write_tags()

    assert ended == [("alice", "wm1", "early_end", f"early end: tag {BOUGHT}")]
    assert town.friends() == town.true_friends()
    assert town.tags_of("alice", "wm1") == {BOUGHT, PRICE}
    assert all_rows(town.store, Audit, "who", "verb", "target", where="verb = 'customer tag'") == [
        ("mei", "customer tag", "wm1@alice")
    ]


@pytest.mark.parametrize(
    ("command", "error", "text"),
    [
        (TagRelation("wm1", "alice", "mei", add=("不存在",)), Refused, "there is no tag '不存在'"),
        (TagRelation("wm9", "alice", "mei", add=(PRICE,)), NotFound, "wm9 is no contact of alice"),
        (TagRelation("wm1", "bob", "mei", add=(PRICE,)), NotFound, "wm1 is no contact of bob"),
    ],
)
def test_a_tag_by_hand_that_cannot_be_is_refused(
    town: Town, command: TagRelation, error: type[Exception], text: str
) -> None:
    add(town)
    town.listen()

    with pytest.raises(error, match=text):
        customers.tag(town.app, command)

    assert town.tags_of("alice", "wm1") == set()
    assert all_rows(town.store, Audit, where="verb = 'customer tag'") == []


def test_muting_keeps_its_first_instant_and_keeps_customers_out(town: Town) -> None:
    add(town)
    town.world.mailbox.waiting.clear()
    town.read_all()
    customers.mute(town.app, MuteCustomers(("wm1",), True, "mei"))
    muted = town.now
    town.pass_time(minutes=1)
    customers.mute(town.app, MuteCustomers(("wm1",), True, "mei"))
    add(town, member="bob")
    town.listen()

    assert all_rows(town.store, Customer, "muted_at") == [(muted,)]
    assert [row[0] for row in town.runs()] == ["alice"]
    customers.mute(town.app, MuteCustomers(("wm1",), False, "mei"))
    assert all_rows(town.store, Customer, "muted_at") == [(None,)]
    with pytest.raises(NotFound, match="there is no customer wm9"):
        customers.mute(town.app, MuteCustomers(("wm1", "wm9"), True, "mei"))
    assert all_rows(town.store, Customer, "muted_at") == [(None,)]
