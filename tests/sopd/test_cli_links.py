"""What definitions say of each other, on the command line: flows that lead nowhere or to the wrong kind, and cycles."""

from __future__ import annotations

from pathlib import Path

from sopd.store import Store
from sopd.store.tables import Member, SopVersion, Tag
from tests.support.factories import add, all_rows
from tests.support.shell import *  # noqa: F403
from tests.support.shell import Shell
from tests.support.stores import *  # noqa: F403

NURTURE = """\
sop: {key}
title: {key}
kind: nurture
entry: {{when: {{tag: [阶段/{waits}]}}}}
steps:
  - {{id: one, day: 1, at: "10:00", by: mass_send, text: one}}
early_end: {{when: {{lost: true}}}}
normal_end: {end}
"""
ADDED = """\
sop: added
title: added
kind: new_customer
entry: {when: {source: [expo]}}
steps:
  - {id: one, day: 1, at: "10:00", by: mass_send, text: one}
early_end: {when: {lost: true}}
"""


def write(shell: Shell, key: str, waits: str = "无", end: str = "{}") -> Path:
    file = shell.folder / f"{key}.yaml"
    file.write_text(NURTURE.format(key=key, waits=waits, end=end), encoding="utf-8")
    return file


def tags(store: Store) -> None:
    for number, name in enumerate(("无", "新", "旧")):
        add(store, Tag, tag_id=f"et{number}", group_name="阶段", name=name)


def test_a_flow_into_a_sop_of_another_kind_is_a_fault_of_lint_and_of_apply(shell: Shell, store: Store) -> None:
    tags(store)
    (shell.folder / "added.yaml").write_text(ADDED, encoding="utf-8")
    wrong = write(shell, "care", end="{flow_to: added}")
    said = f"{wrong}:8:23: flow_to: added is of kind new_customer"

    beside = shell("sop", "apply", shell.folder / "added.yaml", wrong, code=1)
    assert said in beside.stderr and all_rows(store, SopVersion) == []

    shell("sop", "apply", shell.folder / "added.yaml")
    assert said in shell("sop", "lint", wrong, code=1).stderr
    assert said in shell("sop", "apply", wrong, code=1).stderr
    assert len(all_rows(store, SopVersion)) == 1


def test_a_flow_to_a_key_that_is_not_applied_yet_is_a_warning(shell: Shell, store: Store) -> None:
    tags(store)
    first, second = write(shell, "care", end="{flow_to: winback}"), write(shell, "winback")
    said = f"{first}:8:23: warning: flow_to: there is no SOP winback yet"

    assert said in shell("sop", "lint", first).stdout
    assert said in shell("sop", "apply", first).stderr
    assert "warning" not in shell("sop", "lint", first, second).stdout
    shell("sop", "apply", second)
    assert shell("sop", "apply", first).stderr == ""


def test_two_sops_that_need_each_other_are_applied_together_without_a_word_on_targets(
    shell: Shell, store: Store
) -> None:
    tags(store)
    answer = shell("sop", "apply", write(shell, "a", end="{flow_to: b}"), write(shell, "b", end="{flow_to: a}"))

    assert "there is no SOP" not in answer.stderr
    assert len(all_rows(store, SopVersion)) == 2


def test_a_cycle_of_flows_and_tags_is_named_at_the_line_that_leads_into_it(shell: Shell, store: Store) -> None:
    tags(store)
    care = write(shell, "care", waits="新", end="{flow_to: winback}")
    winback = write(shell, "winback", end="{add_tags: [阶段/旧, 阶段/新]}")

    linted = shell("sop", "lint", care, winback).stdout
    assert f"{care}:8:23: warning: flow_to: is part of a cycle: care -> winback (flow_to) -> care (tag" in linted
    assert f"{winback}:8:31: warning: add_tags: is part of a cycle: winback -> care (tag 阶段/新)" in linted

    assert "part of a cycle" not in shell("sop", "apply", care).stderr
    assert "winback -> care (tag 阶段/新) -> winback (flow_to)" in shell("sop", "apply", winback).stderr


def test_a_definition_says_who_flows_into_it_although_it_must_not(shell: Shell, store: Store) -> None:
    tags(store)
    shell("sop", "apply", write(shell, "care", end="{flow_to: added}"))
    (shell.folder / "added.yaml").write_text(ADDED, encoding="utf-8")

    assert "kind: care flows into this SOP" in shell("sop", "apply", shell.folder / "added.yaml").stderr


def test_lint_without_a_database_judges_the_files_by_themselves(tmp_path: Path) -> None:
    (tmp_path / "sopd.toml").write_text("", encoding="utf-8")
    shell = Shell(tmp_path)

    said = shell("sop", "lint", write(shell, "a", end="{flow_to: b}"), write(shell, "b", end="{flow_to: a}")).stdout
    alone = shell("sop", "lint", write(shell, "c", end="{flow_to: gone}")).stdout

    assert "a -> b (flow_to) -> a (flow_to)" in said
    assert "there is no SOP" not in alone


STRANGE = """\
sop: odd
title: odd
kind: nurture
members: [alice, alcie]
entry: {when: {all: [{audience: [vpi]}, {member: bbo}, {ended_sop: {sop: gone}}]}}
steps:
  - {id: one, day: 1, at: "10:00", by: remind, assign: "member:zoe", text: one}
early_end: {when: {in_sop: [elsewhere]}}
"""


def test_names_that_nobody_knows_are_warned_of(shell: Shell, store: Store) -> None:
    tags(store)
    add(store, Member, userid="alice")
    file = shell.folder / "odd.yaml"
    file.write_text(STRANGE, encoding="utf-8")

    told = shell("sop", "lint", file).stdout

    assert f"{file}:4:18: warning: members: there is no member alcie" in told
    for name in ("audience vpi", "member bbo", "SOP gone", "member zoe", "SOP elsewhere"):
        assert f"there is no {name}: a slip" in told
    assert "no member alice:" not in told


def test_who_starts_a_sop_hears_which_flows_lead_into_drafts(shell: Shell, store: Store) -> None:
    tags(store)
    shell("sop", "apply", write(shell, "later"), write(shell, "care", end="{flow_to: later}"))

    assert "later is a draft; until it is started nobody flows into it" in shell("sop", "start", "care").stdout
    assert "draft" not in shell("sop", "start", "later").stdout
