"""The table of what happens to people inside is backed by tests: each one named there exists."""

from __future__ import annotations

import ast
import re

from tests.meta.sources import ROOT

PAGES = [ROOT / "docs" / "what-happens.md"]
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
MUST_SPEAK_OF = (
    "paused", "resumed", "stopped", "down", "deletes the member", "quota is full", "member stays silent", "too late",
    "clock",
)  # fmt: skip


def test_every_row_names_a_test_that_exists() -> None:
    for page in PAGES:
        rows = [line for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("| ")][1:]
        assert rows
        for row in rows:
            named = NAMED.findall(row.rpartition(" | ")[2])
            assert named, f"{page.name}: no test in {row}"
            for file, name in named:
                tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
                defined = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
                assert name in defined, f"{page.name}: {file} has no {name}"


def test_the_table_leaves_no_known_case_out() -> None:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        missing = [word for word in MUST_SPEAK_OF if word not in text]
        assert not missing, f"{page.name} says nothing of {missing}"
