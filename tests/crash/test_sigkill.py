"""The real daemon, killed with SIGKILL again and again under load, against the sandbox's own books (SPEC 15.2)."""

from __future__ import annotations

import random
import time
from dataclasses import replace
from importlib import resources
from pathlib import Path

import pytest
from rich.console import Console

from sopd.rehearsal.accounts import compare, engine_account
from sopd.rehearsal.demo import DemoOptions, is_invited, play, scene_options
from sopd.rehearsal.scene import Scene

KILLS = 8


class Killer:
    """Kills the daemon at instants drawn from a seed, as long as it has kills left."""

    def __init__(self, scene: Scene, seed: int) -> None:
        self.scene = scene
        self.kills = 0
        self._draw = random.Random(seed)
        self._next_s = time.monotonic() + self._draw.uniform(0.2, 1.0)

    def __call__(self) -> None:
        if self.kills < KILLS and time.monotonic() >= self._next_s:
            self.scene.kill_daemon()
            self.kills += 1
            self._next_s = time.monotonic() + self._draw.uniform(0.2, 1.0)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_a_daemon_killed_again_and_again_loses_and_repeats_nothing(
    database: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    with resources.as_file(resources.files("sopd") / "shipped" / "sops") as shipped:
        options = scene_options(DemoOptions(members=3, customers_per_day=12, days=3), shipped)
    url = request.getfixturevalue("pg_database") if database == "postgres" else None
    scene = Scene(replace(options, store_url=url, days=9), tmp_path)
    try:
        scene.open()
        killer = Killer(scene, seed=7)
        play(scene, Console(quiet=True), killer)
        while killer.kills < KILLS:  # a quick machine was through before the last one
            scene.kill_daemon()
            killer.kills += 1
        play(scene, Console(quiet=True))
        assert scene.daemon.stop() == 0, scene.daemon.last_words()

        verdict = compare(scene.world.account(), engine_account(scene.store), is_invited)

        assert verdict.differences == ()
        assert verdict.customers == 36
        assert verdict.deliveries > 60
        assert killer.kills == KILLS
    finally:
        scene.close()
