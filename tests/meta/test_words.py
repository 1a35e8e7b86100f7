"""Names say what a thing is, nothing unfinished is left, and no file leads to a package registry's host."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.meta.sources import ROOT, modules, project_files

VAGUE = {
    "util", "utils", "common", "helper", "helpers", "manager", "managers",
    "service", "services", "model", "models", "base", "misc",
}
# Put together here so that this file does not contain what it forbids.
HOSTS = re.compile("|".join((r"pypi\." "org", r"pythonhosted\." "org", r"npmjs\." "org", r"deb\.debian\." "org")))
UNFINISHED = re.compile(r"\b(" "TO" "DO|FIX" "ME|X" "XX" r")\b")
TEXTS = {".py", ".md", ".cfg", ".toml", ".yaml", ".yml", ".lock", ".sql", ".service", ".json", ".txt", ".sh", ""}
FILES = [path for path in project_files() if path.suffix in TEXTS]


@pytest.mark.parametrize("module", [name for name, _ in modules()])
def test_module_name_says_what_it_holds(module: str) -> None:
    assert not VAGUE & set(module.split("."))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_file_is_finished_and_names_no_registry_host(path: Path) -> None:
    text = path.read_text(encoding="utf-8", errors="replace")

    found = [match.group() for pattern in (HOSTS, UNFINISHED) for match in pattern.finditer(text)]

    assert not found, f"{path}: {found}"
