"""Who enters a new-customer SOP, and the welcome, on both databases (SPEC 4, 6, D2, D3, D21)."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from machines.calendar import MINUTE_MS
from sopd.handlers.observe import observe
from sopd.handlers.observe_verdicts import Sighting
from sopd.store import Store
from sopd.store.queries import enrollments as queries
from sopd.store.queries.enrollments import NewPush, NewRun
from sopd.store.tables import Enrollment, Push
from sopd.wecom.people import Follow, Profile
from tests.support.company import TestCompany, local
from tests.support.factories import add, all_rows, befriend, publish

EXPO = """
sop: expo
title: Expo
kind: new_customer
entry: {when: {source: [expo, live]}}
steps:
  - {id: one, day: 1, at: "10:00", by: mass_send, text: one}
early_end: {when: {tag: [level/vip]}}
"""
GREETING = """
sop: greeting
title: Greeting
kind: new_customer
steps:
  - {id: hi, by: welcome, text: hi}
  - {id: one, day: 0, at: "10:00", by: mass_send, text: one}
"""


@pytest.fixture
def company(store: Store) -> TestCompany:
    made = TestCompany(store)
    made.vip = made.tag("level/vip")
    return made


def refusals(company: TestCompany) -> list[tuple[int, str]]:
    return company.rows("select subject_id, reason from refusal order by subject_id, reason")


def test_the_source_decides_and_leaves_no_row_of_the_others(company: TestCompany) -> None:
    company.start(EXPO)

    inside = company.add("alice", "mei", channel="expo")
    company.add("alice", "lea", channel="shop")

    assert company.rows("select relation_id from enrollment") == [(inside.id,)]
    assert refusals(company) == []


def test_only_members_in_scope_take_part(company: TestCompany) -> None:
    company.start(GREETING.replace("kind:", "members: [alice]\nkind:"))

    company.add("bob", "mei")

    assert company.rows("select count(*) from enrollment") == [(0,)]


def test_who_is_meant_and_may_not_enter_is_recorded_once_per_reason(company: TestCompany) -> None:
    company.start(EXPO)
    company.customer("muted", muted_at=company.now)
    company.member("carl", can_send=False)
    muted = company.befriend("alice", "muted", channel="expo")
    unable = company.befriend("carl", "lea", channel="expo")
    done = company.befriend("alice", "vip", channel="expo")
    company.put_tag(done, company.vip)

    company.admit([muted, unable, done])
    company.admit([muted])

    assert refusals(company) == [
        (muted.id, "muted"), (unable.id, "member cannot send"), (done.id, "already at its end"),
    ]  # fmt: skip
    assert company.rows("select times from refusal order by subject_id") == [(2,), (1,), (1,)]


def test_nobody_is_inside_twice_and_never_again_after_the_end(company: TestCompany) -> None:
    company.start(EXPO)
    mei = company.add("alice", "mei", channel="expo")

    company.admit([mei])
    with company.store.transaction() as tx:
        tx.run("update enrollment set closed_at = ?, state = 'lost'", (tx.now,))
    company.admit([mei])

    assert [reason for _, reason in refusals(company)] == ["already inside", "re-entry never"]


def test_inherited_customers_are_not_new(company: TestCompany) -> None:
    company.start(EXPO)

    mei = company.add("alice", "mei", channel="expo", add_way=202)

    assert refusals(company) == [(mei.id, "inherited")]
    assert company.rows("select count(*) from enrollment") == [(0,)]


def test_a_concurrent_entry_is_left_as_it_is(company: TestCompany) -> None:
    company.start(EXPO)
    mei = company.befriend("alice", "mei", channel="expo")
    sop_id, version_id = company.rows("select id, version_id from sop")[0]
    add(
        company.store, Enrollment, sop_id=sop_id, version_id=version_id, subject_id=mei.id, relation_id=mei.id,
        customer_id=mei.customer_id, member_id=mei.member_id, cause="added", state="one",
    )  # fmt: skip

    company.admit([mei])

    assert company.run(mei).state == "one"


def test_next_day_moves_only_the_latest_missed_moment(company: TestCompany) -> None:
    company.start(
        """
sop: moved
title: Moved
kind: new_customer
late_at_entry: next_day
steps:
  - {id: early, day: 0, at: "09:00", by: mass_send, text: one}
  - {id: late, day: 1, at: "10:00", by: mass_send, text: two}
"""
    )
    company.go_to("2026-03-02 12:00")

    mei = company.add("alice", "mei")
    company.work_until("2026-03-04 10:00")

    assert company.pushes(mei) == {"early": "skipped overtaken", "late": "planned"}
    assert local(company.push(mei, "early").due_at) == "2026-03-03 09:00"


# -- the welcome -------------------------------------------------------------------------------------------------------


def test_a_welcome_is_an_outbox_row_of_the_fast_lane(company: TestCompany) -> None:
    company.start(GREETING)
    company.rung.clear()

    mei = company.add("alice", "mei", code="CODE")

    assert company.pushes(mei) == {"hi": "planned"}
    assert (company.run(mei).state, local(company.run(mei).due_at)) == ("hi", "2026-03-02 10:00")
    kind, fast, act_at, give_up_at, payload = company.rows(
        "select kind, fast, act_at, give_up_at, payload from outbox"
    )[0]
    assert (kind, bool(fast), act_at, give_up_at) == ("welcome", True, company.now, company.now + 20_000)
    assert json.loads(payload)["code"] == "CODE"
    assert "welcome" in company.rung


def test_the_highest_priority_gets_the_one_code(company: TestCompany) -> None:
    company.start(GREETING)
    company.start(GREETING.replace("sop: greeting", "sop: vip\npriority: 90"))

    mei = company.add("alice", "mei", code="CODE")

    assert company.pushes(mei, "vip") == {"hi": "planned"}
    assert company.pushes(mei, "greeting") == {"hi": "skipped welcome used by vip"}
    assert company.rows("select count(*) from outbox") == [(1,)]


def test_without_a_code_or_too_late_the_welcome_is_skipped_and_the_run_goes_on(company: TestCompany) -> None:
    company.start(GREETING)
    found = company.befriend("alice", "found")
    slow = company.befriend("alice", "slow")
    company.admit([found], cause="reconciliation")

    company.go_to(company.now + 20_000)
    company.admit([slow], code="CODE")

    assert company.pushes(found) == {"hi": "skipped no welcome code"}
    assert company.pushes(slow) == {"hi": "skipped welcome code expired"}
    assert company.run(slow).state == "hi"


def test_the_same_welcome_is_not_said_by_two_members(company: TestCompany) -> None:
    company.start(GREETING)
    company.add("alice", "mei", code="A")

    bob = company.add("bob", "mei", code="B")

    assert company.pushes(bob) == {"hi": "skipped same content via alice"}


def test_a_run_that_ends_before_its_welcome_was_begun_takes_it_back(company: TestCompany) -> None:
    company.start(GREETING)
    mei = company.add("alice", "mei", code="A")

    company.stop("greeting")
    company.work()

    assert company.pushes(mei) == {"hi": "cancelled stopped"}
    assert company.rows("select state, act_at from outbox") == [("failed", None)]


def test_a_sop_of_nothing_but_a_skipped_welcome_ends_at_once(company: TestCompany) -> None:
    company.start("sop: hi\ntitle: Hi\nkind: new_customer\nsteps:\n  - {id: hi, by: welcome, text: hi}\n")

    mei = company.add("alice", "mei")
    company.work()

    assert company.run(mei).state == "normal_end"


def test_no_end_comes_before_the_welcomes_of_the_same_add(company: TestCompany) -> None:
    company.start(
        'sop: done\ntitle: Done\nkind: new_customer\nnormal_end: {add_tags: [level/vip]}\n'
        'steps:\n  - {id: one, day: 0, at: "08:00", by: mass_send, text: one}\n'
    )
    company.start(GREETING + "early_end: {when: {tag: [level/vip]}}\n")

    mei = company.add("alice", "mei", code="CODE")
    entered = (company.run(mei, "done").state, company.pushes(mei, "greeting"))
    company.work()

    assert entered == ("settling", {"hi": "planned"})
    assert company.run(mei, "done").state == "normal_end"


def test_a_page_of_new_customers_is_judged_as_each_of_them_alone(company: TestCompany) -> None:
    everybody = company.start(EXPO.replace("entry: {when: {source: [expo, live]}}\n", "").replace("expo", "everybody"))
    of_alice = company.start(EXPO.replace("sop: expo", "sop: ours\nmembers: [alice, carl]"))
    company.member("carl", can_send=False)
    kinds = list(itertools.product(
        ("alice", "bob", "carl"), ("expo", "shop"), (1, 202), ((), (company.vip,)), (-1, 0, 1)
    ))  # fmt: skip

    def sightings(prefix: str) -> list[Sighting]:
        made = []
        for number, (userid, channel, add_way, tag_ids, minutes) in enumerate(kinds):
            who, began_at = f"{prefix}-{number}", company.now + minutes * MINUTE_MS
            follow = Follow(userid, who, began_at, add_way, channel, tag_ids)
            made.append(Sighting(userid, who, None, "added", Profile(who, who), follow))
        return made

    observe(company.app, sightings("page"))
    for one in sightings("alone"):
        observe(company.app, [one])

    for sop in (everybody, of_alice):
        page = [outcome(company, sop, f"page-{n}") for n in range(len(kinds))]
        assert page == [outcome(company, sop, f"alone-{n}") for n in range(len(kinds))]
        assert {len(runs) for runs, _ in page} == {0, 1}
        assert {reason for _, reasons in page for reason, in reasons} >= {"member cannot send", "already at its end"}


def outcome(company: TestCompany, sop: str, customer: str) -> tuple[list[Any], list[Any]]:
    """Of one customer in one SOP: runs and refusals."""
    of = "from {} t join customer c on c.id = t.customer_id join sop s on s.id = t.sop_id"
    where = "where c.external_userid = ? and s.key = ?"
    return (
        company.rows(f"select t.state, t.anchor_at, t.entered_at, t.due_at, t.cause {of.format('enrollment')} {where}",
                     customer, sop),
        company.rows(f"select t.reason {of.format('refusal')} {where} order by t.reason", customer, sop),
    )  # fmt: skip


def test_who_came_first_has_the_lower_ids_in_whatever_order_rows_are_written(store: Store) -> None:
    """Of two who would say the same to one customer the lower id says it: no join of a database may decide that."""
    sop = publish(store)
    relations = [befriend(store).id for _ in range(60)]
    like = NewRun(
        sop_id=sop.id, version_id=sop.version_id, by_relation=True, run_no=1, state="enrolled", anchor_at=None,
        entered_at=None, cause="added", due_at=0, mass_at=None, counts_from=None, hop=0, chain="[]", inherited=None,
        after_signal=0,
    )  # fmt: skip
    step = NewPush("one", "mass_send", True, "due", None, 0, None, 0, None)
    with store.transaction() as tx:
        made = queries.enter(tx, [(relations[:20], like), (relations[:19:-1], like._replace(cause="again"))])
        runs = list(made.values())
        queries.insert_pushes(tx, [(runs[30:], step), (runs[29::-1], step._replace(state="waiting"))])

    assert [row[0] for row in all_rows(store, Enrollment, "relation_id", order="id")] == relations
    assert [row[0] for row in all_rows(store, Push, "relation_id", order="id")] == relations
