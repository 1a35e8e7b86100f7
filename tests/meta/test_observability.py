"""Alerts, dashboard and their page name only what is measured, and leave nothing out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from sopd.actors import LOOPS
from sopd.wecom.calls import _OUTCOMES
from tests.meta.sources import ROOT
from tests.meta.test_docs import SPAN, calls, fault_of, quoted_lines, table
from tests.support.exposition import names

RULES = ROOT / "config/prometheus/sopd.rules.yml"
TESTS = ROOT / "tests/prometheus/sopd.test.yml"
DASHBOARD = ROOT / "config/grafana/sopd.json"
PAGE = ROOT / "docs/observability.md"

MEASURED = names()
OF_PROMETHEUS = {"up": frozenset({"job", "instance"}), "ALERTS": frozenset({"alertname", "alertstate"})}
ADDED_BY_SCRAPING = {"job", "instance"}
HISTOGRAM = re.compile(r"_(bucket|sum|count)$")
METRIC = re.compile(r"\b(?:sopd|process)_[a-z_]+\b|\bup\b(?=\{)")
SELECTOR = re.compile(r"\b((?:sopd|process)_[a-z_]+|up)\{([^}]*)\}")
GROUPING = re.compile(r"\b(?:by|on|without)\s*\(([^)]*)\)")


def alerts() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"] for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    return [panel for panel in json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"] if panel["type"] != "row"]


def queries() -> Iterator[tuple[str, str]]:
    """(where, expression) of every query that we ship."""
    yield from ((rule["alert"], rule["expr"]) for rule in alerts())
    yield from ((panel["title"], target["expr"]) for panel in panels() for target in panel["targets"])


QUERIES = list(queries())


@pytest.mark.parametrize(("where", "expr"), QUERIES, ids=[where for where, _ in QUERIES])
def test_a_query_names_only_what_is_measured_with_labels_it_has(where: str, expr: str) -> None:
    known = MEASURED | OF_PROMETHEUS
    named = set(METRIC.findall(expr))
    labels = {"le"} | ADDED_BY_SCRAPING | {label for name in named & set(known) for label in known[name]}

    assert named and named <= set(known)
    for name, matchers in SELECTOR.findall(expr):
        assert set(re.findall(r"(\w+)\s*(?:=|!)", matchers)) <= known[name] | ADDED_BY_SCRAPING, name
    for group in GROUPING.findall(expr):
        assert {label.strip() for label in group.split(",")} <= labels, group


def test_states_and_outcomes_in_queries_are_those_that_are_set() -> None:
    """A typing error in a label's value would be an alert that never fires."""
    told = {value for first, *_ in table(PAGE, "outcome", "meaning", "what sopd does") for value in SPAN.findall(first)}
    rows = {row[0]: row[2] for row in rows_of_metrics()}
    known = told | {span for meaning in rows.values() for span in SPAN.findall(meaning)} | {"unknown", "sopd"}
    known |= {"skipped", "failed", "expired", "cancelled"}
    asked = {
        value
        for _, expr in QUERIES
        for _, matchers in SELECTOR.findall(expr)
        for values in re.findall(r"\w+\s*(?:=~|!=|=)\s*\"([^\"]*)\"", matchers)
        for value in values.split("|")
        if not value.startswith("$")
    }

    assert asked <= known


def rows_of_metrics() -> list[list[str]]:
    """Both tables of metrics."""
    text = PAGE.read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if re.match(r"\| `(sopd|process)_", line)]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_page_explains_every_metric_with_its_labels_and_no_other() -> None:
    told = {SPAN.findall(first)[0]: set(SPAN.findall(labels)) for first, labels, _ in rows_of_metrics()}
    beside = {name for row in rows_of_metrics() for name in SPAN.findall(row[2]) if name.startswith("process_")}
    measured: dict[str, set[str]] = {}
    for name, labels in MEASURED.items():
        measured.setdefault(HISTOGRAM.sub("", name), set()).update(labels - {"le"})

    assert set(told) | beside == set(measured)
    assert told == {name: measured[name] for name in told}


def test_every_metric_a_page_names_exists() -> None:
    measured = set(MEASURED) | {HISTOGRAM.sub("", name) for name in MEASURED}
    named = {
        name
        for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
        for span in SPAN.findall(page.read_text(encoding="utf-8"))
        for name in re.findall(r"^sopd_[a-z_]+$", span)
    }

    assert {name for name in named if not name.startswith("sopd_event")} <= measured


def test_page_tells_what_to_do_about_every_alert() -> None:
    told = [(SPAN.findall(name)[0], severity) for name, severity, _ in table(
        PAGE, "alert", "severity", "what it means and what to do")]  # fmt: skip

    assert told == [(rule["alert"], rule["labels"]["severity"]) for rule in alerts()]
    assert {severity for _, severity in told} == {"critical", "warning"}


def test_page_names_every_loop_and_every_outcome_of_a_call() -> None:
    spans = set(SPAN.findall(PAGE.read_text(encoding="utf-8")))
    told = {SPAN.findall(first)[0] for first, *_ in table(PAGE, "outcome", "meaning", "what sopd does")}

    assert {loop.name for loop in LOOPS} <= spans
    assert told == set(_OUTCOMES.values()) | {"ok", "resting", "unreachable", "doubtful"}


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: rule["alert"])
def test_an_alert_says_what_is_wrong_and_what_to_do(rule: dict[str, Any]) -> None:
    said = rule["annotations"]
    commands = calls((span for span in SPAN.findall(said["description"])), "sopd")

    assert len(said["summary"]) > 20 and len(said["description"]) > 60
    assert [fault for words in commands if (fault := fault_of(words))] == []


def test_every_alert_is_tested_to_fire_and_to_be_silent() -> None:
    """What `promtool test rules` is given: one history in which all is well, and for each alert one that it is for."""
    tested = yaml.safe_load(TESTS.read_text(encoding="utf-8"))
    fires = {
        re.findall(r'alertname="(\w+)"', check["expr"])[0]
        for case in tested["tests"] for check in case["promql_expr_test"] if check["exp_samples"]
    }  # fmt: skip
    silent = [case for case in tested["tests"] if not any(check["exp_samples"] for check in case["promql_expr_test"])]

    assert (TESTS.parent / tested["rule_files"][0]).resolve() == RULES
    assert fires == {rule["alert"] for rule in alerts()}
    assert len(silent) == 1


def test_a_panel_says_what_it_shows_and_stands_by_itself() -> None:
    board = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    cells = [
        (column, line)
        for place in (panel["gridPos"] for panel in board["panels"])
        for column in range(place["x"], place["x"] + place["w"])
        for line in range(place["y"], place["y"] + place["h"])
    ]

    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    assert len(cells) == len(set(cells)), "no two lie over each other"
    assert max(column for column, _ in cells) < 24
    assert all(panel["description"] and panel["targets"] for panel in panels())
    assert {panel["datasource"]["uid"] for panel in panels()} == {"${datasource}"}


def test_quoted_commands_of_the_page_are_checked_with_the_others() -> None:
    assert list(calls(quoted_lines(PAGE), "sopd"))
