"""Short files: one of more than 400 lines says in its head why it is one file."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.meta.sources import modules

LIMIT = 400
HEAD = 30


@pytest.mark.parametrize("path", [path for _, path in modules()], ids=str)
def test_file_is_short_or_says_why_not(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    if len(lines) <= LIMIT:
        return

    reasons = [line.partition("# Long because:")[2].strip() for line in lines[:HEAD] if "# Long because:" in line]

    assert any(reasons), f"{path} has {len(lines)} lines; split it, or write `# Long because: ...` in its head"
