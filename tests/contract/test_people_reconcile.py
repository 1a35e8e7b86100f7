"""Reading everybody: what callbacks did not tell is found, and no doubtful absence is believed (SPEC 15.1)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from machines.calendar import DAY_MS, HOUR_MS, MINUTE_MS
from sopd import config, reconcile
from sopd.commands import AcceptAbsences, TagRelation
from sopd.errors import NotFound, Refused
from sopd.handlers import absences, customers, tag_library
from sopd.sandbox.faults import Fault
from sopd.store import Store
from sopd.store.tables import Audit, Dirty, Enrollment, Job, Member, Relation, Tag
from tests.support.caller import NEW_YEAR
from tests.support.factories import all_rows
from tests.support.plans import hearing
from tests.support.scripted_wecom import ScriptedWeCom, client_of
from tests.support.town import BOUGHT, CARE, PRICE, SUN, Town


@pytest.fixture
def town(store: Store) -> Town:
    return Town(store, page_cap=3)


def befriend(town: Town, count: int, member: str = "alice", *, heard: bool = False) -> list[str]:
    names = [f"wm{member}{number:03d}" for number in range(count)]
    for name in names:
        town.world.customer_adds(member, name, now=town.now, state="expo2026")
    if not heard:
        town.world.mailbox.waiting.clear()
    return names


def vanish(town: Town, names: list[str], member: str = "alice") -> None:
    """They delete the member, and no callback tells."""
    for name in names:
        town.world.customer_deletes(member, name, now=town.now)
    town.world.mailbox.waiting.clear()


def lost(town: Town) -> list[str]:
    return [row[0] for row in town.rows(
        "select c.external_userid from relation r join customer c on c.id = r.customer_id where r.state = 'lost'"
        " and r.lost_by = 'reconciliation' order by 1")]  # fmt: skip


def last_job(town: Town) -> tuple[str, str | None]:
    return town.rows("select state, reason from job where kind = 'reconcile' and ended_at is not null order by id")[-1]


# -- what is found ---------------------------------------------------------------------------------------------------


def test_the_first_reading_knows_everybody_and_lets_nobody_in(town: Town) -> None:
    befriend(town, 7)
    befriend(town, 4, "bob")
    town.pass_time(minutes=5)
    town.run()
    town.read_all()

    assert town.friends() == town.true_friends()
    assert all_rows(town.store, Enrollment) == []
    assert town.rows("select count(*) from refusal") == [(0,)]


def test_an_add_nobody_told_is_found_without_a_welcome(town: Town) -> None:
    town.read_all()
    town.run()
    befriend(town, 5)
    town.read_all()

    assert [row[2] for row in town.runs()] == ["hello"] * 5
    assert town.rows("select distinct state, reason from push") == [("skipped", "no welcome code")]
    assert all_rows(town.store, Enrollment, "cause", where="cause <> 'reconciliation'") == []


def test_tags_nobody_told_are_found_and_act(town: Town) -> None:
    town.read_all()
    town.run()
    befriend(town, 4, heard=True)
    town.listen()
    town.world.member_tags("alice", "wmalice001", BOUGHT, now=town.now)
    town.world.member_tags("alice", "wmalice002", SUN, now=town.now)
    town.world.mailbox.waiting.clear()
    town.read_all()

    assert {row[1]: row[2] for row in town.runs()}["wmalice001"] == "early_end"
    town.write_tags()
    assert town.friends() == town.true_friends()


def test_losses_nobody_told_are_found(town: Town) -> None:
    town.read_all()
    town.run()
    befriend(town, 6, heard=True)
    town.listen()
    vanish(town, ["wmalice001", "wmalice004"])
    town.read_all()

    assert lost(town) == ["wmalice001", "wmalice004"]
    assert sorted({row[1]: row[2] for row in town.runs()}.items())[1] == ("wmalice001", "lost")
    assert town.friends() == town.true_friends()
    assert last_job(town) == ("done", None)


def test_a_tag_deleted_from_the_library_is_dropped_everywhere(town: Town) -> None:
    befriend(town, 4)
    for name in ("wmalice000", "wmalice001"):
        town.world.member_tags("alice", name, PRICE, now=town.now)
    town.read_all()
    held = town.tags_of("alice", "wmalice000")
    town.world.admin_deletes_tag(PRICE, now=town.now)
    town.listen()
    town.work_jobs()

    assert held == {PRICE}
    assert town.friends() == town.true_friends()
    assert all_rows(town.store, Tag, "name", where="deleted_at is not null") == [("考虑价格",)]
    assert all_rows(town.store, Job, "state", where="kind = 'tags'") == [("done",)]


def test_a_deleted_group_takes_its_tags_along(town: Town) -> None:
    befriend(town, 1)
    town.world.member_tags("alice", "wmalice000", SUN, now=town.now)
    town.read_all()
    town.world.admin_deletes_group("兴趣", now=town.now)
    town.listen()
    town.work_jobs()

    assert town.friends() == town.true_friends()


def test_a_renamed_tag_keeps_its_id_and_shows_its_new_name(town: Town) -> None:
    town.read_all()
    town.world.admin_renames_tag(SUN, "防晒霜", now=town.now)
    town.listen()
    town.work_jobs()

    assert town.rows("select name from tag where group_name = '兴趣'") == [("防晒霜",)]


def test_a_tag_that_the_list_leaves_out_but_wecom_still_has_is_not_dropped(town: Town) -> None:
    befriend(town, 1)
    town.world.member_tags("alice", "wmalice000", SUN, now=town.now)
    town.read_all()
    sun = {"id": town.world.find_tag(SUN).tag_id, "name": "防晒"}
    script = ScriptedWeCom()
    asked_by_id = {"tag_group": [{"group_id": "etg", "group_name": "兴趣", "tag": [{**sun, "deleted": False}]}]}
    script.on("externalcontact/get_corp_tag_list", {"tag_group": []}, asked_by_id, 40068)

    tag_library.sync(replace(town.app, wecom=client_of(script)))

    # Of the three, WeCom vouches for one when asked for all of them.
    assert script.bodies("externalcontact/get_corp_tag_list")[0] == {}
    assert town.tags_of("alice", "wmalice000") == {SUN}
    assert all_rows(town.store, Tag, where="deleted_at is not null") == []


def test_tags_that_wecom_does_not_know_by_id_any_more_are_gone(town: Town) -> None:
    town.read_all()
    script = ScriptedWeCom()
    script.on("externalcontact/get_corp_tag_list", {"tag_group": []}, 40068)

    tag_library.sync(replace(town.app, wecom=client_of(script)))

    assert len(all_rows(town.store, Tag, where="deleted_at is not null")) == 3


# -- what is not believed --------------------------------------------------------------------------------------------


def test_five_absences_are_believed_and_six_are_held(town: Town) -> None:
    names = befriend(town, 12)
    town.read_all()
    vanish(town, names[:5])
    town.read_all()
    first = lost(town)
    vanish(town, names[5:11])
    town.read_all()

    assert first == names[:5]
    assert lost(town) == names[:5]
    assert last_job(town) == ("held", "alice: 6 of 7 contacts are missing in WeCom's list; held")
    assert len(all_rows(town.store, Relation, where="missing_at is not null")) == 6


def test_two_percent_of_many_contacts_are_believed(store: Store) -> None:
    town = Town(store)
    names = befriend(town, 400)
    town.read_all()
    vanish(town, names[:8])
    town.read_all()
    first = lost(town)
    vanish(town, names[8:17])
    town.read_all()

    assert first == names[:8]
    assert lost(town) == names[:8]
    assert last_job(town)[0] == "held"


def test_one_member_s_absences_do_not_hold_those_of_another(town: Town) -> None:
    names, others = befriend(town, 8), befriend(town, 3, "bob")
    town.read_all()
    vanish(town, names[:7])
    vanish(town, others[:1], "bob")
    town.read_all()

    assert lost(town) == others[:1]


def test_held_contacts_that_are_listed_again_are_as_before(town: Town) -> None:
    names = befriend(town, 8)
    town.read_all()
    kept = {name: town.world.relations["alice", name] for name in names[:7]}
    for relation in kept.values():
        relation.ended_at = town.now
    town.read_all()
    for relation in kept.values():
        relation.ended_at = None
    town.read_all()

    assert town.friends() == town.true_friends()
    assert all_rows(town.store, Relation, where="missing_at is not null") == []
    assert last_job(town) == ("done", None)


def test_an_operator_may_raise_the_limit_and_let_the_absences_count(town: Town) -> None:
    names = befriend(town, 8)
    town.read_all()
    vanish(town, names[:7])
    town.read_all()
    trusting = config.Reconcile(hold_above_relations=100)
    town.app = replace(town.app, settings=replace(town.app.settings, reconcile=trusting))
    town.read_all()

    assert lost(town) == names[:7]


def test_an_operator_may_take_held_absences_for_lost(town: Town) -> None:
    town.read_all()
    town.run()
    names = befriend(town, 8, heard=True)
    town.listen()
    vanish(town, names[:7])
    town.read_all()
    held = [row[2] for row in town.runs()]
    with town.store.reading() as tx:
        count = absences.count(tx, "alice")
    ended = absences.accept(town.app, AcceptAbsences("alice", "mei"))

    assert (held, count, ended) == (["hello"] * 8, 7, 7)
    assert lost(town) == names[:7]
    assert [row[2] for row in town.runs()] == ["lost"] * 7 + ["hello"]
    assert all_rows(town.store, Audit, "who", "verb", "target", "detail", where="verb = 'member accept'") == [
        ("mei", "member accept", "alice", '{"lost": 7}')
    ]
    assert absences.accept(town.app, AcceptAbsences("alice", "mei")) == 0


def test_who_is_taken_for_lost_and_is_listed_again_is_back(town: Town) -> None:
    names = befriend(town, 8)
    town.read_all()
    kept = [town.world.relations["alice", name] for name in names[:7]]
    for relation in kept:
        relation.ended_at = town.now
    town.read_all()
    absences.accept(town.app, AcceptAbsences("alice", "mei"))
    for relation in kept:
        relation.ended_at = None
    town.read_all()

    assert town.friends() == town.true_friends()


def test_nobody_accepts_what_a_reading_has_only_just_not_seen(town: Town) -> None:
    names = befriend(town, 8)
    town.read_all()
    vanish(town, names[:7])
    town.pass_time(seconds=1)
    with town.store.transaction() as tx:
        tx.run("update job set act_at = ? where kind = 'reconcile' and ended_at is null", (tx.now,))
    reconcile.run_once(town.app)
    reconcile.run_once(town.app)
    missing = len(all_rows(town.store, Relation, where="missing_at is not null"))

    assert missing == 7
    assert absences.accept(town.app, AcceptAbsences("alice", "mei")) == 0
    with town.store.reading() as tx, pytest.raises(Refused, match="nobody of alice is held"):
        absences.count(tx, "alice")
    with town.store.reading() as tx, pytest.raises(NotFound, match="no member zoe"):
        absences.count(tx, "zoe")


def test_a_reading_killed_between_seeing_and_deciding_decides_later(town: Town) -> None:
    names = befriend(town, 3)
    town.read_all()
    vanish(town, names[:2])
    town.pass_time(seconds=1)
    with town.store.transaction() as tx:
        tx.run("update job set act_at = ? where kind = 'reconcile' and ended_at is null", (tx.now,))
    reconcile.run_once(town.app)
    reconcile.run_once(town.app)
    before = lost(town)
    with town.store.transaction() as tx:
        dead = tx.now + 600_000
        tx.run("update job set lease_until = ?, act_at = ? where ended_at is null", (dead, dead))
    town.pass_time(minutes=10)
    town.work_jobs()

    assert before == []
    assert lost(town) == names[:2]
    assert last_job(town)[0] == "done"


@pytest.mark.parametrize(("giver", "taker"), [("alice", "zoe"), ("zoe", "alice")])
def test_a_hand_over_nobody_told_is_found_whoever_is_read_first(town: Town, giver: str, taker: str) -> None:
    for number in range(8):
        town.world.hire(f"member{number}")
    town.world.hire("zoe")
    town.read_all()
    town.run(CARE.replace("members: [alice, bob, carol]\n", ""))
    befriend(town, 2, giver, heard=True)
    town.listen()
    town.world.transfer(giver, taker, f"wm{giver}000", now=town.now)
    town.world.mailbox.waiting.clear()
    town.pass_time(days=1)
    town.read_all()

    assert [(row[0], row[2]) for row in town.runs()] == [(taker, "hello"), (giver, "hello")]
    assert lost(town) == [f"wm{giver}000"]


def test_what_was_only_missed_comes_back_without_beginning_anew(town: Town) -> None:
    town.read_all()
    town.run()
    befriend(town, 3, heard=True)
    town.listen()
    relation = town.world.relations["alice", "wmalice001"]
    relation.ended_at = town.now
    town.read_all()
    missed = town.relation("alice", "wmalice001")
    relation.ended_at = None
    town.read_all()

    assert missed == ("lost", "reconciliation")
    assert town.relation("alice", "wmalice001") == ("active", None)
    assert sorted(row[2] for row in town.runs()) == ["hello", "hello", "lost"]
    assert town.rows("select reason from refusal") == []


def test_an_end_told_late_says_who_ended_what_was_missed(town: Town) -> None:
    befriend(town, 1)
    town.read_all()
    town.world.customer_deletes("alice", "wmalice000", now=town.now)
    ended_at, letters = town.now, town.world.mailbox.take_due(town.now)
    town.read_all()
    missed = town.relation("alice", "wmalice000")
    town.world.mailbox.waiting += letters
    town.listen()

    assert missed == ("lost", "reconciliation")
    assert town.relation("alice", "wmalice000") == ("lost", "customer")
    assert all_rows(town.store, Relation, "lost_at") == [(ended_at,)]


def test_a_member_who_leaves_sight_while_he_is_read_loses_nobody(town: Town) -> None:
    befriend(town, 3)
    town.read_all()

    def leave() -> None:
        town.world.members["alice"].in_scope = False

    town.meanwhile["get_follow_user_list"] = leave
    town.read_all()

    assert lost(town) == []
    state, reason = last_job(town)
    assert state == "failed" and reason is not None and "out of the app's sight" in reason


def test_a_contact_that_only_slipped_between_two_pages_is_not_lost(town: Town) -> None:
    befriend(town, 2)
    town.read_all()
    relation = town.world.relations["alice", "wmalice000"]
    relation.ended_at = town.now

    def shown_again() -> None:
        relation.ended_at = None

    town.meanwhile["get_by_user"] = shown_again
    town.read_all()

    assert town.meanwhile == {}
    assert lost(town) == []


def test_an_unfinished_read_makes_nobody_lost(town: Town) -> None:
    names = befriend(town, 8)
    town.read_all()
    vanish(town, names[:2])
    town.pass_time(seconds=1)
    town.faults.plan("batch/get_by_user", Fault("errcode", -1), times=50)
    town.read_all()
    waiting = lost(town)
    town.faults.clear()
    town.pass_time(minutes=1)
    town.work_jobs()

    assert waiting == []
    assert lost(town) == names[:2]


def test_a_read_that_fails_again_and_again_leaves_that_member_out_and_says_so(town: Town) -> None:
    befriend(town, 2)
    town.faults.plan("batch/get_by_user", Fault("errcode", -1), times=1000)
    town.read_all()
    for _ in range(5):
        town.pass_time(minutes=2)
        town.work_jobs()
    state, reason = last_job(town)

    assert state == "failed"
    assert reason is not None and reason.startswith("alice could not be read: ") and "bob could not" in reason
    assert len(all_rows(town.store, Job, where="kind = 'reconcile' and ended_at is null")) == 1


def test_a_member_without_licence_is_no_complete_read(town: Town) -> None:
    names = befriend(town, 3)
    town.read_all()
    vanish(town, names[:1])
    town.world.members["alice"].licensed = False
    town.read_all()

    assert lost(town) == []
    assert last_job(town)[0] == "failed"


def test_a_member_out_of_sight_cannot_send_and_loses_nobody(town: Town) -> None:
    befriend(town, 3)
    town.read_all()
    town.world.members["alice"].in_scope = False
    town.read_all()
    out = all_rows(town.store, Member, "in_scope", "can_send", where="userid = 'alice'")
    town.world.members["alice"].in_scope = True
    town.read_all()

    assert out == [(0, 0)]
    assert all_rows(town.store, Member, "in_scope", "can_send", "reason", where="userid = 'alice'") == [(1, 1, None)]
    assert lost(town) == []


def test_a_member_who_cannot_send_for_another_reason_stays_so(town: Town) -> None:
    town.read_all()
    with town.store.transaction() as tx:
        tx.run("update member set can_send = ?, reason = 'not activated' where userid = 'alice'", (False,))
    town.read_all()

    assert all_rows(town.store, Member, "can_send", "reason", where="userid = 'alice'") == [(0, "not activated")]


def test_an_empty_list_of_members_is_not_believed(town: Town) -> None:
    befriend(town, 2)
    town.read_all()
    for member in town.world.members.values():
        member.in_scope = False
    town.read_all()
    (job,) = all_rows(town.store, Job, "state", "reason", where="kind = 'reconcile' and ended_at is null")

    assert all_rows(town.store, Member, "in_scope", where="in_scope") == [(1,), (1,)]
    assert job[0] == "running" and "lists no member" in job[1]


def test_a_member_without_customers_is_read(store: Store) -> None:
    town = Town(store)
    town.read_all()

    assert last_job(town) == ("done", None)
    assert all_rows(town.store, Member, "userid", where="read_at is not null") == [("alice",), ("bob",)]


def test_a_relation_written_while_it_was_read_is_read_again(town: Town) -> None:
    town.read_all()
    befriend(town, 1, heard=True)
    town.listen()

    def by_hand() -> None:
        customers.tag(town.app, TagRelation("wmalice000", "alice", "mei", add=(PRICE,)))
        town.write_tags()

    town.meanwhile["get_by_user"] = by_hand
    town.pass_time(seconds=1)
    town.read_all()

    assert town.meanwhile == {}
    assert town.tags_of("alice", "wmalice000") == {PRICE}
    assert town.friends() == town.true_friends()
    assert all_rows(town.store, Dirty) == []


def test_a_later_reading_that_found_nothing_new_outdates_an_earlier_one(town: Town) -> None:
    befriend(town, 1)
    town.world.member_tags("alice", "wmalice000", SUN, now=town.now)
    town.read_all()
    town.world.member_untags("alice", "wmalice000", SUN, now=town.now)
    town.world.mailbox.waiting.clear()

    def put_back() -> None:
        town.world.member_tags("alice", "wmalice000", SUN, now=town.now)
        town.listen()

    town.meanwhile["get_by_user"] = put_back
    town.read_all()

    assert town.meanwhile == {}
    assert town.tags_of("alice", "wmalice000") == {SUN}


def test_who_adds_while_everybody_is_read_is_not_taken_for_missing(town: Town) -> None:
    befriend(town, 2)
    town.read_all()

    def somebody_comes() -> None:
        town.world.customer_adds("alice", "wmnew", now=town.now)
        town.listen()

    town.meanwhile["get_by_user"] = somebody_comes
    town.read_all()

    assert town.friends() == town.true_friends()
    assert lost(town) == []


# -- as a job --------------------------------------------------------------------------------------------------------


def test_it_comes_again_every_day_at_its_hour(town: Town) -> None:
    # 2026-01-01 08:00 in Shanghai: the next 03:30 is 19.5 hours away.
    town.work_jobs()
    waiting = "kind = 'reconcile' and ended_at is null"
    first = all_rows(town.store, Job, "act_at", where=waiting)
    town.pass_time(days=1)
    town.work_jobs()

    assert first == [(NEW_YEAR + 19 * HOUR_MS + 30 * MINUTE_MS,)]
    assert all_rows(town.store, Job, "act_at", where=waiting) == [(first[0][0] + DAY_MS,)]
    assert len(all_rows(town.store, Job, where="state = 'done'")) == 2


def test_it_shows_progress_and_goes_on_where_it_was_killed(town: Town) -> None:
    for number in range(9):
        town.world.hire(f"member{number}")
        befriend(town, 1, f"member{number}")
    town.pass_time(seconds=1)
    reconcile.run_once(town.app)
    begun = all_rows(town.store, Job, "done", "total", where="kind = 'reconcile'")
    reconcile.run_once(town.app)
    halfway = all_rows(town.store, Job, "done", "total", where="kind = 'reconcile'")
    # Claimed by a worker that dies: nobody else has it until the lease is over.
    with town.store.transaction() as tx:
        tx.run("update job set lease_until = ?, act_at = ?", (tx.now + 600_000, tx.now + 600_000))
    idle = reconcile.run_once(town.app)
    town.pass_time(minutes=10)
    town.work_jobs()

    assert (begun, halfway, idle) == ([(0, 11)], [(6, 11)], 0)
    assert all_rows(town.store, Job, "state", "done", "total", where="ended_at is not null") == [("done", 11, 11)]
    assert town.friends() == town.true_friends()


def test_a_page_costs_the_same_statements_whatever_its_size(store: Store) -> None:
    town = Town(store)
    counts = []
    for size in (1, 90):
        befriend(town, size, town.world.hire(f"carl{size}").userid)
        town.read_all()
        town.world.members[f"carl{size}"].in_scope = False
        counts.append(0)
    for position, size in enumerate((1, 90)):
        town.world.members[f"carl{size}"].in_scope = True
        with hearing(store) as statements:
            town.read_all()
        town.world.members[f"carl{size}"].in_scope = False
        counts[position] = len(statements)

    assert counts[0] == counts[1]
