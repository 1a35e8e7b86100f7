"""Production mode: what it needs, what its processes answer, and how they leave."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
import pytest

from sopd.rehearsal.process import free_port
from tests.support.fleet import Fleet
from tests.support.systemd import managing

RUNNING = ["worker", "run --role ticker", "run --role web", "run --workers 0", "run"]


@pytest.fixture
def fleet(tmp_path: Path, pg_database: str, redis_url: str) -> Iterator[Fleet]:
    made = Fleet(tmp_path, pg_database, redis_url)
    yield made
    made.stop()


@pytest.mark.parametrize("words", ["worker", "run --role ticker", "run --role web", "run --workers 0"])
def test_parts_alone_are_refused_without_production_mode(words: str, tmp_path: Path) -> None:
    config = tmp_path / "sopd.toml"
    config.write_text("")

    refused = subprocess.run(
        [sys.executable, "-m", "sopd", "--config", str(config), *words.split()],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert refused.returncode == 1
    assert refused.stderr.splitlines() == [
        f"sopd: `sopd {words}` needs production mode: PostgreSQL and Redis, shared by every process",
        "  store.url: a SQLite file has exactly one daemon; set it to postgresql://USER@HOST/NAME",
        "  broker.url: memory:// wakes nobody outside this process; set it to redis://HOST:PORT/DATABASE",
        "  or let one process do everything: `sopd run`",
    ]


def test_a_part_has_no_workers_of_its_own(fleet: Fleet) -> None:
    refused = fleet.call("run", "--role", "web", "--workers", "2")

    assert refused.returncode == 1
    assert "role web has no workers" in refused.stderr


@pytest.mark.parametrize("words", RUNNING)
def test_every_process_answers_probes_feeds_the_watchdog_and_leaves_in_good_order(
    words: str, fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with managing(tmp_path, monkeypatch) as systemd:
        process = fleet.start(words)
        systemd.hear(3)

        answers = {path: httpx.get(process.url + path, trust_env=False) for path in ("/healthz", "/readyz", "/metrics")}
        assert {path: answer.status_code for path, answer in answers.items()} == dict.fromkeys(answers, 200)
        assert answers["/readyz"].text == "ready"
        assert re.search(r"^sopd_queue_depth\{queue=\"work\"\} \d", answers["/metrics"].text, re.MULTILINE)
        assert httpx.get(process.url + "/nothing", trust_env=False).status_code == 404

        begun = time.monotonic()
        assert process.stop() == 0, process.last_words()
        assert time.monotonic() - begun < 15
        systemd.hear_stopping()

    assert systemd.heard[0].startswith("READY=1\nSTATUS=")
    assert set(systemd.heard[1:-1]) == {"WATCHDOG=1"}


def test_a_stop_that_hangs_in_a_statement_is_cut_off_at_its_deadline(
    tmp_path: Path, pg_database: str, redis_url: str
) -> None:
    fleet = Fleet(tmp_path, pg_database, redis_url, "[engine]\nstop_within_seconds = 2\n")
    process = fleet.start("run --role ticker")
    with psycopg.connect(pg_database) as other:
        other.execute("lock table enrollment in access exclusive mode")
        while not other.execute("select 1 from pg_locks where not granted").fetchall():  # until a look waits for it
            other.execute("select pg_sleep(0.1)")
        begun = time.monotonic()

        assert process.stop() == 0
        assert 2 < time.monotonic() - begun < 20
    assert "work was left unfinished" in process.last_words()


def test_a_taken_port_of_the_probes_is_one_clear_error(fleet: Fleet) -> None:
    port = free_port()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()

        refused = fleet.call("worker", environ={"SOPD_HEALTH_PORT": str(port)})

    assert refused.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}" in refused.stderr
    assert "health.port" in refused.stderr
