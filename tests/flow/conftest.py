"""Flow tests run over SQLite and PostgreSQL."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.stores import *  # noqa: F403


@pytest.fixture(params=("sqlite", "postgres"))
def fresh(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], str]:
    """Empties the store and returns its address, for tests that need a new one again and again."""
    if request.param == "postgres":
        return request.getfixturevalue("emptied_postgres")
    template = request.getfixturevalue("migrated_file")
    return lambda: f"sqlite:///{shutil.copy(template, tmp_path / 'store.db')}"
