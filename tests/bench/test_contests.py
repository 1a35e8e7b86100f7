"""The contests of the bench are fair: what the SQL by hand writes is what the engine writes, row by row."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench import crowd, door
from tests.bench.places import Place
from tests.bench.throughput import CONTESTS, Contest, run


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
@pytest.mark.parametrize("contest", CONTESTS, ids=lambda contest: f"{contest.name}-{contest.batch}")
def test_both_contestants_write_the_same_rows(
    contest: Contest, kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    server = request.getfixturevalue("postgres") if kind == "postgres" else None

    rate = run(Place(kind, tmp_path, server), contest, waiting=200, count=200, rounds=1)

    assert rate.engine > 0
    assert rate.by_hand > 0


def test_a_crowd_of_sops_is_measured_on_both_sides(tmp_path: Path) -> None:
    found = crowd.measure(Place("sqlite", tmp_path, None), count=100, rounds=1)

    assert found.few > 0
    assert found.many > 0


def test_callbacks_are_accepted_while_steps_fire(tmp_path: Path) -> None:
    found = list(door.measure(Place("sqlite", tmp_path, None), door.Sizes(due=500, rate=100, seconds=1), tmp_path))

    assert [(one.asked_per_s, one.not_accepted) for one in found] == [(100, 0), (0, 0)]
    assert all(one.accepted_per_s > 0 for one in found)
    assert all(one.steps_fired + one.still_due > 0 for one in found)
