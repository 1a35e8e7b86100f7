"""Definition files on the command line: nothing changes while a file has a fault, and every fault has its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from sopd.store import Store
from sopd.store.tables import Audit, Sop, SopVersion, Tag
from tests.support.factories import add, all_rows
from tests.support.shell import *  # noqa: F403
from tests.support.shell import Shell
from tests.support.stores import *  # noqa: F403

CARE = """\
sop: care
title: 回访
kind: new_customer
entry: {when: {source: [expo2026]}}
steps:
  - {id: hello, by: welcome, text: 您好}
  - {id: coupon, day: 1, at: "10:00", by: mass_send, text: 优惠券}
early_end: {when: {tag: [结果/已下单]}}
"""
BROKEN = """\
sop: care
kind: new_custmer
steps:
  - {id: hello, by: welcome, text: 您好, colour: red}
  - {id: coupon, day: 1, at: 10:00, by: mass_send, text: 优惠券}
"""


@pytest.fixture
def library(store: Store) -> None:
    add(store, Tag, tag_id="et1", group_name="结果", name="已下单")


def write(shell: Shell, name: str, text: str) -> Path:
    file = shell.folder / name
    file.write_text(text, encoding="utf-8")
    return file


def published(store: Store) -> list[tuple]:
    return all_rows(store, SopVersion, "number", "source")


def test_every_fault_of_a_broken_file_has_its_line_and_column_and_nothing_changes(shell: Shell, store: Store) -> None:
    good, broken = write(shell, "good.yaml", CARE), write(shell, "broken.yaml", BROKEN)

    for verb in ("lint", "apply"):
        answer = shell("sop", verb, good, broken, code=1)

        places = [line.split(": ")[0].removeprefix(str(broken)) for line in answer.stderr.splitlines()[:4]]
        assert places == [":1:1", ":2:7", ":4:40", ":5:30"]
        assert 'did you mean new_customer?' in answer.stderr
        assert 'quote the time: "10:00"' in answer.stderr
        assert answer.stderr.splitlines()[4] == f"sopd: 4 faults in {broken}"
    assert published(store) == [] and all_rows(store, Sop) == []


def test_a_file_that_is_not_yaml_or_not_there_is_told_by_name(shell: Shell) -> None:
    torn = write(shell, "torn.yaml", "sop: [care\ntitle: x")

    assert f"{torn}:2:6: " in shell("sop", "lint", torn, code=1).stderr
    assert "nowhere.yaml:1:1: cannot be read: No such file" in shell("sop", "lint", "nowhere.yaml", code=1).stderr


def test_lint_warns_without_refusing_and_needs_no_database(tmp_path: Path) -> None:
    (tmp_path / "sopd.toml").write_text("", encoding="utf-8")
    shell = Shell(tmp_path)
    file = write(shell, "care.yaml", CARE.replace("early_end", "goal: {when: {event: paid}, within: 7d}\nearly_end"))

    answer = shell("sop", "lint", file)

    assert f"{file}:8:7: not run yet: goal" in answer.stdout
    assert answer.stdout.splitlines()[-1] == f"{file}: care has no fault, steps: 2"
    assert not (tmp_path / "sopd.db").exists()


def test_an_unknown_tag_is_a_warning_of_lint_and_a_fault_of_apply(shell: Shell, store: Store, library: None) -> None:
    file = write(shell, "care.yaml", CARE.replace("已下单", "已下但"))

    assert 'warning: tag: there is no tag "结果/已下但"; did you mean 结果/已下单?' in shell("sop", "lint", file).stdout
    answer = shell("sop", "apply", file, code=1)

    assert f"{file}:8:26: tag: there is no tag '结果/已下但'" in answer.stderr
    assert "did you mean 结果/已下单?" in answer.stderr
    assert published(store) == []


def test_apply_publishes_versions_and_says_what_changed(shell: Shell, store: Store, library: None) -> None:
    file = write(shell, "care.yaml", CARE)
    first = shell("sop", "apply", file, "--format", "table", "--as", "mei")
    again = shell("sop", "apply", file, "--format", "table")
    file.write_text(CARE.replace("优惠券", "满减券").replace("day: 1", "day: 2"), encoding="utf-8")

    changes = shell("sop", "diff", file).stdout
    second = shell.objects("sop", "apply", file)

    assert "care: version 1 is published\n  it is a draft; `sopd sop start care` lets customers in" in first.stdout
    assert "version 1 says the same already" in again.stdout
    assert changes == 'care: against version 1\n  step coupon: day: 1 → 2\n  step coupon: text: "优惠券" → "满减券"\n'
    assert second == [
        {"sop": "care", "version": 2, "applied": True, "file": str(file),
         "changes": ["step coupon: day: 1 → 2", 'step coupon: text: "优惠券" → "满减券"']}
    ]  # fmt: skip
    assert [row[0] for row in published(store)] == [1, 2]
    assert all_rows(store, Audit, "who", "verb", "target")[0] == ("mei", "sop apply", "care")


def test_a_definition_may_come_through_a_pipe_and_goes_out_as_it_came(shell: Shell, library: None) -> None:
    shell("sop", "apply", "-", text=CARE)

    assert shell("sop", "show", "care", "--source").stdout == CARE
    assert "nothing would change against version 1" in shell("sop", "diff", write(shell, "care.yaml", CARE)).stdout


def test_diff_of_a_file_nobody_applied(shell: Shell) -> None:
    file = write(shell, "care.yaml", CARE)

    assert "care has not been applied yet" in shell("sop", "diff", file).stdout
    assert 'there is no SOP "care"' in shell("sop", "diff", file, "--version", 2, code=3).stderr


def test_apply_that_needs_the_tag_library_says_so_when_wecom_is_away(shell: Shell, store: Store) -> None:
    answer = shell("sop", "apply", write(shell, "care.yaml", CARE), code=1)

    assert "Traceback" not in answer.stderr and "127.0.0.1" not in answer.stdout
    assert published(store) == []


def test_start_refuses_by_line_what_is_not_run_yet(shell: Shell, store: Store, library: None) -> None:
    file = write(shell, "care.yaml", CARE.replace("early_end", "goal: {when: {event: paid}, within: 7d}\nearly_end"))
    shell("sop", "apply", file)

    answer = shell("sop", "start", "care", code=1)

    assert f"{file}:8:7: goal" in answer.stderr
    assert all_rows(store, Sop, "state") == [("draft",)]


def test_a_life_that_is_not_possible_is_refused_in_a_sentence(shell: Shell, library: None) -> None:
    shell("sop", "apply", write(shell, "care.yaml", CARE))

    assert "care has not been started; there is nothing to pause" in shell("sop", "pause", "care", "-y", code=1).stderr
    assert "did you mean care?" in shell("sop", "start", "cara", code=3).stderr
    shell("sop", "start", "care")
    assert "care is running already" in shell("sop", "start", "care", code=1).stderr


def test_a_dangerous_verb_asks_and_takes_no_for_an_answer(shell: Shell, store: Store, library: None) -> None:
    shell("sop", "apply", write(shell, "care.yaml", CARE))
    shell("sop", "start", "care")

    refused = shell("sop", "stop", "care", code=1, text="n\n")
    unanswered = shell("sop", "stop", "care", code=1)
    assert "care: open runs: 0" in refused.stderr and "nothing was changed" in refused.stderr
    assert "--yes answers the question" in unanswered.stderr
    assert all_rows(store, Sop, "state") == [("running",)]

    shell("sop", "stop", "care", text="y\n")
    assert all_rows(store, Sop, "state") == [("ended",)]


def test_the_graph_is_mermaid_with_everybody_in_it(shell: Shell, library: None) -> None:
    shell("sop", "apply", write(shell, "care.yaml", CARE))

    graph = shell("sop", "graph", "care").stdout

    assert graph.startswith("stateDiagram-v2\n")
    assert "step 1/2 hello (0)" in graph
    assert "第1" in shell("--lang", "zh", "sop", "graph", "care").stdout
