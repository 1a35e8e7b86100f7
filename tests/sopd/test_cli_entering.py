"""Entries by hand and transfers on the command line, on both databases: counted first, told with reasons (SPEC 8)."""

from __future__ import annotations

import json

import pytest

from sopd.cli import finding, transferring
from sopd.store import Store
from sopd.store.tables import Audit, Enrollment
from tests.support.company import TestCompany
from tests.support.factories import all_rows
from tests.support.plans import hearing
from tests.support.shell import *  # noqa: F403
from tests.support.shell import Shell
from tests.support.stores import *  # noqa: F403

ADDED = """
sop: added
title: Added
kind: new_customer
once_per: relation
steps:
  - {id: one, day: 1, at: "10:00", by: mass_send, text: one}
"""
WINBACK = """
sop: winback
title: Winback
kind: nurture
members: [alice, bob]
steps:
  - {id: come, day: 1, at: "10:00", by: mass_send, text: come}
  - {id: again, day: 9, at: "10:00", by: mass_send, text: again}
early_end: {when: {any: [{tag: [level/vip]}, {not: {tag: [level/new]}}]}, add_tags: [level/won]}
"""


@pytest.fixture
def company(store: Store) -> TestCompany:
    company = TestCompany(store)
    for name in ("vip", "new", "won"):
        company.tag(f"level/{name}")
    company.start(ADDED)
    company.start(WINBACK)
    return company


def runs(store: Store) -> list[tuple]:
    return all_rows(store, Enrollment, "id", "state", "reason", "ended_by", order="id")


# -- start -------------------------------------------------------------------------------------------------------------


def test_customers_are_pulled_in_and_the_others_told_why(company: TestCompany, shell: Shell) -> None:
    company.befriend("alice", "wmA")
    company.befriend("carol", "wmC")

    told = shell("enrollment", "start", "winback", "wmA", "wmC", "--why", "asked", "--as", "mei", "--json")

    assert [json.loads(line) for line in told.stdout.splitlines()] == [
        {"external_userid": "wmA", "name": "", "enrollment": 1, "reason": None},
        {"external_userid": "wmC", "name": "", "enrollment": None, "reason": "member not in scope"},
    ]
    assert "winback: entered 1, refused 1" in told.stderr
    refused = shell.objects("customer", "show", "wmC")[0]["refusals"]
    assert [(row["sop"], row["reason"]) for row in refused] == [("winback", "member not in scope")]


def test_the_wished_for_member_owns_the_run(company: TestCompany, shell: Shell) -> None:
    company.befriend("alice", "wmA")
    company.befriend("bob", "wmA")

    shell("enrollment", "start", "winback", "wmA", "--member", "bob")

    assert shell.objects("enrollment", "list")[0]["member"] == "bob"


def test_nobody_let_in_is_a_failure_and_a_second_try_says_so(company: TestCompany, shell: Shell, store: Store) -> None:
    company.befriend("alice", "wmA")
    shell("enrollment", "start", "winback", "wmA")

    again = shell("enrollment", "start", "winback", "wmA", code=1)

    assert "already inside" in again.stdout and "nobody was let in" in again.stderr
    assert len(runs(store)) == 1


def test_an_unknown_name_changes_nothing(company: TestCompany, shell: Shell, store: Store) -> None:
    company.befriend("alice", "wmA")

    assert 'there is no customer "wmB"' in shell("enrollment", "start", "winback", "wmA", "wmB", code=3).stderr
    assert "did you mean winback?" in shell("enrollment", "start", "winbak", "wmA", code=3).stderr
    assert "did you mean alice?" in shell("enrollment", "start", "winback", "wmA", "--member", "alic", code=3).stderr
    assert runs(store) == []


def test_customers_given_by_their_ids_are_looked_up_at_once(company: TestCompany, store: Store) -> None:
    wanted = [f"wm{number}" for number in range(5)]
    for name in wanted:
        company.befriend("alice", name)
    with hearing(store) as statements, store.reading() as tx:
        found = finding.customers(tx, [*wanted[1:], wanted[0]])

    assert [one.external_userid for one in found] == [*wanted[1:], wanted[0]]
    assert [sql.split()[0] for sql in statements] == ["begin", "select", "commit"]


def test_a_named_member_must_have_the_contact_and_take_part(company: TestCompany, shell: Shell, store: Store) -> None:
    company.befriend("alice", "wmA")
    company.befriend("carol", "wmA")
    company.befriend("bob", "wmB")
    company.befriend("alice", "wmC", state="lost")

    strange = shell("enrollment", "start", "winback", "wmA", "wmB", "wmC", "--member", "alice", code=3).stderr
    outside = shell("enrollment", "start", "winback", "wmA", "--member", "carol", code=1).stderr

    assert "alice has no contact wmB, wmC" in strange
    assert "carol takes no part in winback" in outside
    assert runs(store) == []


def test_the_story_tells_what_was_inherited_and_what_else_was_refused(company: TestCompany, shell: Shell) -> None:
    relation = company.befriend("alice", "wmA")
    company.put_tag(relation, "et-vip")
    company.pause("added")
    company.admit([relation])
    shell("enrollment", "start", "winback", "wmA", "--why", "asked", "--as", "mei")

    told = shell.objects("enrollment", "show", 1)[0]
    page = shell("enrollment", "show", 1, "--format", "table").stdout

    assert told["inherited"] == ["{tag: [level/vip]}", "{not: {tag: [level/new]}}"]
    assert [(row["sop"], row["reason"]) for row in told["refusals"]] == [("added", "sop paused")]
    assert (told["cause"], told["chain"], told["hop"]) == ("manual", [], 0)
    assert "{tag: [level/vip]}, {not: {tag: [level/new]}}" in page
    assert "Not let in" in page and "sop paused" in page
    assert "手动加入" in shell("--lang", "zh", "enrollment", "show", 1, "--format", "table").stdout


def test_who_pulled_a_customer_in_and_why_stands_in_the_story(company: TestCompany, shell: Shell) -> None:
    company.befriend("alice", "wmA")
    shell("enrollment", "start", "winback", "wmA", "--why", "来电", "--as", "mei")

    assert "entered: manual (by mei, 来电)" in shell("enrollment", "show", 1, "--format", "table").stdout
    assert "进入:手动加入 (操作人 mei, 来电)" in shell("--lang", "zh", "enrollment", "show", 1).stdout


# -- transfer ----------------------------------------------------------------------------------------------------------


def test_one_run_goes_over_and_its_story_names_the_chain(company: TestCompany, shell: Shell, store: Store) -> None:
    company.add("alice", "wmA")

    answer = shell("enrollment", "transfer", 1, "--to", "winback", "--why", "silent", "--as", "mei", "--yes", "--json")

    assert json.loads(answer.stdout) == {"id": 1, "customer": "wmA", "into": 2, "reason": None}
    assert "1 transferred to winback by mei" in answer.stderr
    assert [row[1] for row in runs(store)] == ["manual_end", "enrolled"]
    told = shell.objects("enrollment", "show", 2)[0]
    assert (told["cause"], told["chain"], told["hop"]) == ("flow:added", ["winback"], 1)
    assert "hop 1" in shell("enrollment", "show", 2, "--format", "table").stdout
    audited = all_rows(store, Audit, "who", "verb", order="id")
    assert audited[-1] == ("mei", "enrollment transfer")


def test_where_a_run_went_is_told_in_both_languages(company: TestCompany, shell: Shell) -> None:
    company.add("alice", "wmA")
    shell("enrollment", "transfer", 1, "--to", "winback", "--why", "silent", "--yes")

    assert "flows into winback: run 2" in shell("enrollment", "show", 1).stdout
    assert "流转到 winback:执行 2" in shell("--lang", "zh", "enrollment", "show", 1).stdout


@pytest.mark.parametrize("verb", [("end",), ("transfer", "--to", "winback")])
def test_nobody_is_ended_by_hand_without_a_reason(
    company: TestCompany, shell: Shell, store: Store, verb: tuple[str, ...]
) -> None:
    company.add("alice", "wmA")

    told = shell("enrollment", *verb, 1, "--why", " ", "--yes", code=2)

    assert "say why" in told.stderr
    assert [row[1] for row in runs(store)] == ["enrolled"]


def test_a_filter_is_counted_and_asked_about_and_who_stays_is_told(
    company: TestCompany, shell: Shell, store: Store
) -> None:
    for n in range(3):
        company.add("alice", f"wm{n}")
    company.add("carol", "wmC")
    shell("enrollment", "start", "winback", "wm0")

    wish = ("enrollment", "transfer", "--sop", "added", "--to", "winback", "--why", "x", "--format", "table")
    no = shell(*wish, code=1, text="n\n")
    assert "added: open runs: 4" in no.stderr
    assert "1 stay where they are: already inside" in no.stderr
    assert "1 stay where they are: member not in scope" in no.stderr
    assert "Transfer 2 to winback?" in no.stderr and "nothing was changed" in no.stderr
    assert [row[1] for row in runs(store)] == ["enrolled"] * 5

    yes = shell(*wish, text="y\n")
    assert "2 transferred to winback" in yes.stdout
    assert [row[1] for row in runs(store)] == ["enrolled", "manual_end", "manual_end", *["enrolled"] * 4]


def test_a_customers_runs_of_all_relations_go_as_one(
    company: TestCompany, shell: Shell, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transferring, "A_BATCH", 1)
    company.add("alice", "wmA")
    company.add("alice", "wmB")
    company.add("bob", "wmA")

    rows = shell.objects("enrollment", "transfer", 1, "--to", "winback", "--why", "x", "--all-relations", "-y")

    assert [(row["id"], row["into"]) for row in rows] == [(1, 4), (3, 4)]
    assert [row[1] for row in runs(store)] == ["manual_end", "enrolled", "manual_end", "enrolled"]


def test_the_runs_of_one_customer_are_never_parted(
    company: TestCompany, shell: Shell, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transferring, "A_BATCH", 2)
    for userid, customer in (("alice", "wmA"), ("alice", "wmB"), ("bob", "wmA"), ("bob", "wmB")):
        company.add(userid, customer)

    rows = shell.objects("enrollment", "transfer", "--sop", "added", "--to", "winback", "--why", "x", "-y")

    assert [(row["id"], row["into"]) for row in rows] == [(1, 5), (3, 5), (2, 6), (4, 6)]


def test_what_cannot_be_is_refused_before_anything_changes(company: TestCompany, shell: Shell, store: Store) -> None:
    company.add("alice", "wmA")

    def refused(*words: object, code: int = 1) -> str:
        return shell("enrollment", "transfer", *words, "--why", "x", "--yes", code=code).stderr

    assert "did you mean winback?" in refused(1, "--to", "winbak", code=3)
    assert "there is no enrollment 9" in refused(9, "--to", "winback", code=3)
    assert "flows lead into SOPs of kind nurture" in refused(1, "--to", "added")
    assert "no open run matches" in refused("--sop", "winback", "--to", "winback", code=3)
    assert "give either ids or a filter" in refused(1, "--sop", "added", "--to", "winback", code=2)
    assert "level/gone" in refused(1, "--to", "winback", "--add-tag", "level/gone")
    company.stop("winback")
    assert "sop ended" in refused(1, "--to", "winback")
    assert [row[1] for row in runs(store)] == ["enrolled"]
