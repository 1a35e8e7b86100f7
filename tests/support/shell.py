"""The command line as a test calls it: in this process, against a store of the test, with settings of its own."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from sopd.cli.root import root
from tests.support.logs import own_logging

__all__ = ["Shell", "shell"]

# WeCom at an address where nobody listens: no test talks to the real one.
SETTINGS = """
[store]
url = "{url}"
[wecom]
api_base = "http://127.0.0.1:1"
"""


@dataclass
class Shell:
    """Calls `sopd` with the settings file in `folder`, which is also where it is called."""

    folder: Path

    def __call__(self, *words: object, code: int | None = 0, text: str | None = None) -> Result:
        """Call it and expect this exit code (None: any); `text` is what is typed."""
        with own_logging():
            result = CliRunner().invoke(root, [*self._settings(), *map(str, words)], input=text)
        assert code is None or result.exit_code == code, f"{result.exit_code}: {result.output} {result.exception!r}"
        return result

    def rows(self, *words: object) -> list[dict[str, str]]:
        """What a list prints in a pipe, by heading."""
        head, *lines = self(*words).stdout.splitlines()
        names = head.split("\t")
        return [dict(zip(names, line.split("\t"), strict=True)) for line in lines]

    def objects(self, *words: object) -> list[dict[str, Any]]:
        """What is printed with --json."""
        return [json.loads(line) for line in self(*words, "--json").stdout.splitlines()]

    def _settings(self) -> list[str]:
        return ["--config", str(self.folder / "sopd.toml")]


@pytest.fixture
def shell(store_url: str, tmp_path: Path) -> Shell:
    """The command line on the test's store."""
    (tmp_path / "sopd.toml").write_text(SETTINGS.format(url=store_url), encoding="utf-8")
    return Shell(tmp_path)
