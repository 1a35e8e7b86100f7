"""The stage of a rehearsal: what it writes into its folder, and that it can be taken down before it was ever opened."""

from __future__ import annotations

from pathlib import Path

import pytest

from sopd.clock import instant_from_iso
from sopd.rehearsal import Scene, SceneOptions

BEGAN_AT = instant_from_iso("2026-03-02T08:30:00+08:00")


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "kept").mkdir()
    return Scene(SceneOptions(sops=(), began_at=BEGAN_AT, days=1), Path("kept"))


def test_database_of_a_relative_folder_is_in_that_folder(scene: Scene, tmp_path: Path) -> None:
    assert scene.settings.store.url == f"sqlite:///{tmp_path / 'kept' / 'sopd.db'}"
    scene.close()


def test_a_scene_that_was_never_opened_closes(scene: Scene) -> None:
    scene.close()
