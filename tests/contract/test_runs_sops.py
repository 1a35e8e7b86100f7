"""SOPs applied, started, paused, resumed and stopped, on both databases (SPEC 12, D23, D25)."""

from __future__ import annotations

import httpx
import pytest

from sopd import bootstrap
from sopd.commands import ApplySop, ResumeSop, StartSop
from sopd.definitions import DefinitionFaults
from sopd.errors import NotFound, Refused
from sopd.handlers import planning, sops
from sopd.handlers.consequences import follow
from sopd.sandbox.config import SandboxConfig
from sopd.store import Store
from tests.support.company import WHO, TestCompany, local
from tests.support.rig import settings_for

CARE = """
sop: care
title: Care
kind: new_customer
steps:
  - {id: one, day: 1, at: "10:00", by: mass_send, text: one}
  - {id: two, day: 2, at: "10:00", by: mass_send, text: two}
  - {id: three, day: 5, at: "10:00", by: mass_send, text: three}
"""


@pytest.fixture
def company(store: Store) -> TestCompany:
    return TestCompany(store)


def faults_of(company: TestCompany, text: str, do=None) -> list[str]:
    with pytest.raises(DefinitionFaults) as raised:
        company.apply(text) if do is None else do()
    return [str(fault) for fault in raised.value.faults]


# -- apply and start ---------------------------------------------------------------------------------------------------


def test_a_definition_becomes_a_numbered_version(company: TestCompany) -> None:
    first = sops.apply(company.app, ApplySop("care.yaml", CARE, WHO))
    same = sops.apply(company.app, ApplySop("care.yaml", CARE, WHO))
    second = sops.apply(company.app, ApplySop("care.yaml", CARE.replace("text: one", "text: uno"), WHO))

    assert (first.number, first.changed) == (1, True)
    assert (same.number, same.changed) == (1, False)
    assert (second.number, second.changed) == (2, True)
    assert company.rows("select state from sop") == [("draft",)]


def test_faults_are_told_by_line_and_nothing_is_written(company: TestCompany) -> None:
    faults = faults_of(company, CARE.replace("text: two", "txt: two"))

    assert faults[0].startswith("test.yaml:7:")
    assert company.rows("select count(*) from sop") == [(0,)]


def test_an_unknown_tag_is_a_fault_at_its_place(company: TestCompany) -> None:
    company.tag("level/vip")

    faults = faults_of(company, CARE + "early_end: {when: {tag: [level/vip, level/gone]}}\n")

    assert len(faults) == 1
    assert faults[0].startswith("test.yaml:9:")
    assert "level/gone" in faults[0]


def test_an_apply_that_cannot_ask_for_the_tags_says_so_and_changes_nothing(company: TestCompany) -> None:
    def away(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("no route")

    app = bootstrap.build_app(settings_for(SandboxConfig()), company.store, transport=httpx.MockTransport(away))

    with pytest.raises(Refused, match="tag library has never been read"):
        sops.apply(app, ApplySop("care.yaml", CARE + "early_end: {when: {tag: [level/vip]}}\n", WHO))

    assert company.rows("select count(*) from sop") == [(0,)]
    app.wecom.close()


def test_a_start_refuses_by_line_what_this_version_does_not_run(company: TestCompany) -> None:
    company.apply(CARE.replace("kind: new_customer", "kind: new_customer\ngoal: {when: {lost: true}, within: 7d}"))

    faults = faults_of(company, "", lambda: sops.start(company.app, StartSop("care", WHO)))

    assert faults[0].startswith("test.yaml:5:")
    assert company.rows("select state from sop") == [("draft",)]


def test_a_running_sop_takes_no_version_that_cannot_run(company: TestCompany) -> None:
    company.start(CARE)

    faults = faults_of(company, CARE + "goal: {when: {lost: true}, within: 7d}\n")

    assert faults
    assert company.rows("select count(*) from sop_version") == [(1,)]


def test_new_entries_get_a_new_version_and_those_inside_keep_theirs(company: TestCompany) -> None:
    company.start(CARE)
    old = company.add("alice", "old")
    company.apply(CARE.replace("day: 1,", "day: 0,"))
    new = company.add("alice", "new")

    assert local(company.run(old).due_at) == "2026-03-03 10:00"
    assert local(company.run(new).due_at) == "2026-03-02 10:00"


def test_what_cannot_be_done_is_refused_with_what_to_do_instead(company: TestCompany) -> None:
    company.apply(CARE)

    with pytest.raises(NotFound, match="no SOP 'other'"):
        company.pause("other")
    with pytest.raises(Refused, match="has not been started"):
        company.pause("care")
    sops.start(company.app, StartSop("care", WHO))
    with pytest.raises(Refused, match="running already"):
        sops.start(company.app, StartSop("care", WHO))
    with pytest.raises(Refused, match="not paused"):
        company.resume("care")
    company.pause("care")
    with pytest.raises(Refused, match="no way to treat"):
        sops.resume(company.app, ResumeSop("care", WHO, missed="hop"))


def test_only_relations_that_begin_after_the_start_enter(company: TestCompany) -> None:
    before = company.befriend("alice", "before")
    company.go_to("2026-03-02 09:10")
    company.start(CARE)
    after = company.befriend("alice", "after")

    company.admit([before, after])

    assert company.rows("select relation_id from enrollment") == [(after.id,)]


# -- pause, resume, stop -----------------------------------------------------------------------------------------------


def test_a_pause_takes_back_what_nobody_was_asked_for_and_stops_what_is_out(company: TestCompany) -> None:
    company.start(CARE)
    mei = company.add("alice", "mei")
    lea = company.add("bob", "lea")
    company.work_until("2026-03-03 10:00")
    company.requested(lea, "one")

    moved = company.pause("care")

    assert (moved.before.runs, moved.before.tasks, moved.before.pushes_in_tasks) == (2, 2, 2)
    assert company.pushes(mei) == {"one": "waiting sop paused"}
    assert company.pushes(lea) == {"one": "requested"}
    assert company.rows("select state from dispatch order by id") == [("cancelled",), ("stopping",)]
    assert [place[0] for place in company.places()] == [lea.customer_id] * 2


def test_while_paused_nothing_fires_and_entries_are_recorded(company: TestCompany) -> None:
    company.start(CARE)
    mei = company.add("alice", "mei")
    company.pause("care")
    lea = company.add("alice", "lea")
    company.work_until("2026-03-03 12:00")

    run = company.run(mei)
    assert (run.state, run.due_at, local(run.parked_at)) == ("enrolled", None, "2026-03-03 10:00")
    assert company.rows("select subject_id, reason, times from refusal") == [(lea.id, "sop paused", 1)]


def test_resume_skips_what_passed_and_goes_on_with_the_rest(company: TestCompany) -> None:
    company.start(CARE)
    mei = company.add("alice", "mei")
    company.work_until("2026-03-03 10:00")
    company.pause("care")
    company.work_until("2026-03-05 09:00")

    company.resume("care")
    company.work()
    resumed = company.run(mei)
    company.work_until("2026-03-07 10:00")

    assert (resumed.state, local(resumed.due_at), resumed.parked_at) == ("two", "2026-03-07 10:00", None)
    assert company.pushes(mei) == {"one": "skipped paused", "two": "skipped paused", "three": "planned"}
    assert company.rows("select kind, state from job") == [("resume", "done")]


def test_a_step_due_at_the_pause_but_not_looked_at_is_skipped_too(company: TestCompany) -> None:
    company.start(CARE)
    mei = company.add("alice", "mei")
    company.pause("care")
    company.go_to("2026-03-03 12:00")

    company.resume("care")
    company.work()

    assert company.pushes(mei) == {"one": "skipped paused"}


def test_a_run_that_would_have_ended_while_paused_ends_at_resume(company: TestCompany) -> None:
    company.start(CARE)
    mei = company.add("alice", "mei")
    company.work_until("2026-03-07 10:00")
    company.requested(mei, "three")
    company.pause("care")
    company.sent(mei, "three")
    paused = company.run(mei)

    company.resume("care")
    company.work()

    assert (paused.state, paused.closed_at) == ("settling", None)
    assert company.run(mei).state == "normal_end"


def test_a_step_that_waited_since_before_the_pause_goes_on_at_resume(company: TestCompany) -> None:
    company.start(CARE)
    mei = company.add("alice", "mei")
    company.work_until("2026-03-03 10:00")
    task = company.requested(mei, "one")
    company.work_until("2026-03-04 10:00")
    company.pause("care")
    with company.store.transaction() as tx:  # the cancellation of its task has gone through
        tx.run("update dispatch set state = 'cancelled' where id = ?", (task,))
        push_id = tx.value("select id from push where step_id = 'one'")
        follow(tx, company.app, planning.back(tx, company.app, [push_id], "sop paused"))
    company.go_to("2026-03-04 12:00")

    company.resume("care")
    company.work()

    assert company.pushes(mei) == {"one": "skipped paused", "two": "planned"}


def test_a_task_cancelled_for_a_pause_that_is_over_is_skipped_all_the_same(company: TestCompany) -> None:
    company.start(CARE)
    mei = company.add("alice", "mei")
    company.work_until("2026-03-03 10:00")
    task = company.requested(mei, "one")
    company.pause("care")
    company.resume("care")
    company.work()

    with company.store.transaction() as tx:
        tx.run("update dispatch set state = 'cancelled' where id = ?", (task,))
        push_id = tx.value("select id from push where step_id = 'one'")
        follow(tx, company.app, planning.back(tx, company.app, [push_id], "sop paused"))

    assert company.pushes(mei) == {"one": "skipped paused"}


def test_a_second_pause_before_everybody_was_led_on_loses_nobody(company: TestCompany) -> None:
    company.start(CARE)
    mei = company.add("alice", "mei")
    company.work_until("2026-03-03 10:00")
    company.pause("care")
    company.work_until("2026-03-03 11:00")
    company.resume("care")
    company.pause("care")
    company.work_until("2026-03-04 11:00")

    company.resume("care")
    company.work()

    assert company.pushes(mei) == {"one": "skipped paused", "two": "skipped paused"}
    assert company.rows("select reason, state from job order by id") == [("paused again", "done"), (None, "done")]


def test_a_stop_ends_open_runs_without_tags(company: TestCompany) -> None:
    company.tag("result/done")
    company.start(CARE + "normal_end: {add_tags: [result/done]}\n")
    mei = company.add("alice", "mei")
    company.work_until("2026-03-03 10:00")

    company.stop("care")
    company.work()
    company.add("alice", "lea")

    run = company.run(mei)
    assert (run.state, run.ended_by) == ("stopped", WHO)
    assert company.pushes(mei) == {"one": "cancelled stopped"}
    assert company.rows("select count(*) from outbox") == [(0,)]
    assert company.rows("select count(*) from enrollment") == [(1,)]
    assert company.rows("select state, (ended_at is not null) from sop") in ([("ended", 1)], [("ended", True)])
