"""`sop start` of nurture SOPs on the command line: it leads the initialisation on and says how far it is (SPEC 4)."""

from __future__ import annotations

import pytest

from sopd.handlers import initialising
from sopd.store import Store
from sopd.store.tables import Enrollment
from tests.support.company import TestCompany
from tests.support.factories import all_rows
from tests.support.shell import *  # noqa: F403
from tests.support.shell import Shell
from tests.support.stores import *  # noqa: F403

CARE = """
sop: care
title: Care
kind: nurture
entry: {when: {tag: [level/vip]}}
steps:
  - {id: one, day: 1, at: "10:00", by: mass_send, text: one}
"""


@pytest.fixture
def company(store: Store) -> TestCompany:
    company = TestCompany(store)
    vip = company.tag("level/vip")
    for n in range(5):
        relation = company.befriend("alice", f"wm{n}")
        if n % 2 == 0:
            company.put_tag(relation, vip)
    company.apply(CARE)
    return company


def test_a_start_waits_until_everybody_is_judged(company: TestCompany, shell: Shell, store: Store) -> None:
    told = shell("sop", "start", "care")

    assert told.stdout == "care is running: of 5 customers 3 entered\n"
    assert len(all_rows(store, Enrollment)) == 3
    shown = shell.objects("sop", "show", "care")[0]
    assert (shown["state"], shown["initialised"]) == (
        "running", {"done": 5, "total": 5, "entered": 3, "is_over": True}
    )  # fmt: skip


def test_a_start_that_does_not_wait_says_where_to_look(
    company: TestCompany, shell: Shell, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(initialising, "PAGE", 2)

    told = shell("sop", "start", "care", "--no-wait")
    assert "`sopd sop show care` says how far it is" in told.stdout
    assert shell("sop", "start", "care", code=1).stderr.startswith("sopd: care is being initialised already")
    assert shell.objects("sop", "list")[0]["state"] == "initialising"

    initialising.run_once(company.app)
    page = shell("sop", "show", "care", "--format", "table").stdout
    assert "initialising" in page and "judged 2 of 5, entered 1" in page
    assert "已判断 2/5 位客户,1 位进入" in shell("--lang", "zh", "sop", "show", "care", "--format", "table").stdout
    company.work()
    assert "judged" not in shell("sop", "show", "care", "--format", "table").stdout


def test_a_sop_that_nobody_enters_by_rule_says_so(company: TestCompany, shell: Shell) -> None:
    company.apply(CARE.replace("sop: care", "sop: winback").replace("entry: {when: {tag: [level/vip]}}\n", ""))

    assert shell("sop", "start", "winback").stdout == "winback is running: people enter by flow or by hand\n"


def test_the_page_of_a_sop_says_who_may_enter_and_how_often(company: TestCompany, shell: Shell) -> None:
    text = CARE.replace("sop: care", "sop: winback")
    pages = []
    for rule in ("", "entry: {reenter: after_end}\n", "entry: {reenter: {after: 30d}}\n"):
        company.apply(text.replace("entry: {when: {tag: [level/vip]}}\n", rule))
        pages.append(shell("sop", "show", "winback", "--format", "table").stdout)

    assert "{tag: [level/vip]}" in shell("sop", "show", "care", "--format", "table").stdout
    assert "by flow or by hand only" in pages[0] and "again" not in pages[0]
    assert "again after each end" in pages[1]
    assert "again 30d after each end" in pages[2]
    assert "每次结束 30天 后可再次进入" in shell("--lang", "zh", "sop", "show", "winback", "--format", "table").stdout


def test_the_page_of_a_sop_says_what_the_days_count_from_and_what_the_end_sets(
    company: TestCompany, shell: Shell
) -> None:
    text = CARE.replace("sop: care", "sop: winback")
    company.apply(text + "anchor: {attribute: paid_on}\nnormal_end: {set: {done: true}}\n")

    page = shell("sop", "show", "winback", "--format", "table").stdout

    assert "anchor      the date in attribute paid_on" in page and "done=true" in page
    assert "属性 paid_on 中的日期" in shell("--lang", "zh", "sop", "show", "winback", "--format", "table").stdout
    assert "anchor" not in shell("sop", "show", "care", "--format", "table").stdout


def test_a_preview_of_a_nurture_sop_needs_no_member(company: TestCompany, shell: Shell) -> None:
    company.befriend("bob", "wm0")

    told = shell.objects("sop", "preview", "care", "--customer", "wm0")[0]
    assert (told["member"], told["enters"], [step["step"] for step in told["steps"]]) == ("alice", True, ["one"])
    wished = shell.objects("sop", "preview", "care", "--customer", "wm0", "--member", "bob")[0]
    assert wished["member"] == "bob"
    refused = shell.objects("sop", "preview", "care", "--customer", "wm1")[0]
    assert refused["why_not"] == "entry rule false"
    piped = shell("sop", "preview", "care", "--customer", "wm1", "--format", "tsv")
    assert piped.stderr == "would not enter: the entry rule is false\n" and piped.stdout.startswith("no\tstep")
