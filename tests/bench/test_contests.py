"""The contests of the bench are fair: what the SQL by hand writes is what the engine writes, row by row."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench import crowd
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
