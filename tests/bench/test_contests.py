"""The contests of the bench are fair: what the SQL by hand writes is what the engine writes, row by row."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench import crowd, door, report, workers
from tests.bench.places import Place
from tests.bench.rivals import match
from tests.bench.throughput import CONTESTS, Contest, run
from tests.support.servers import Postgres, Valkey


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


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_callbacks_are_accepted_while_steps_fire(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    server = request.getfixturevalue("postgres") if kind == "postgres" else None
    valkey = request.getfixturevalue("valkey") if kind == "postgres" else None
    sizes = door.Sizes(due=500, rate=100, seconds=1)

    found = list(door.measure(Place(kind, tmp_path, server), valkey, sizes, tmp_path))

    assert [(one.asked_per_s, one.not_accepted) for one in found] == [(100, 0), (0, 0)]
    assert all(one.accepted_per_s > 0 for one in found)


def test_two_workers_share_what_is_due(tmp_path: Path, postgres: Postgres, valkey: Valkey) -> None:
    found = workers.measure(Place("postgres", tmp_path, postgres), valkey, tmp_path, due=3_000, rounds=1)

    assert found.one > 0
    assert found.two > 0


@pytest.mark.parametrize("rival", match.installed())
def test_a_rival_does_the_same_work(rival: str, tmp_path: Path, postgres: Postgres, valkey: Valkey) -> None:
    sizes = match.Sizes(waiting=50, due=30, tagged=10, within_s=120.0, settle_s=0.1)

    found = match.measure(rival, postgres, valkey, tmp_path, sizes)

    assert found.fired_of_due == 1
    assert min(found.schedule_per_s, found.fire_per_s, found.tag_per_s, found.worker_mb) > 0


def test_the_page_of_figures_shows_what_the_kept_figures_say() -> None:
    page = (report.DOCS / "performance.md").read_text(encoding="utf-8")

    assert report.filled(page, report.read()) == page, "make it anew: python -m tests.bench --write-docs"


def test_figures_of_a_new_run_replace_those_of_the_same_database_only(tmp_path: Path) -> None:
    (tmp_path / "performance.md").write_text(f"before\n{report.BEGIN}\n{report.END}\nafter\n", encoding="utf-8")
    old = [{"name": "due", "database": "sqlite", "waiting": 10, "us_per_step": 1.0},
           {"name": "due", "database": "postgres", "waiting": 10, "us_per_step": 2.0}]  # fmt: skip
    report.write(report.of_run(old, quick=True), tmp_path)

    report.write(report.of_run([{**old[1], "us_per_step": 3.0}], quick=False), tmp_path)

    page = (tmp_path / "performance.md").read_text(encoding="utf-8")
    assert "| fire | SQLite | 10 | 1.0 | 1.00 |" in page
    assert "| fire | PostgreSQL | 10 | 3.0 | 1.00 |" in page
    assert page.startswith("before")
    assert page.endswith("after\n")
    assert "<svg" in (tmp_path / "performance.svg").read_text(encoding="utf-8")
