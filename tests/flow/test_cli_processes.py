"""`sopd sandbox` and `sopd run` as processes, with the command line beside them on the same SQLite file."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from sopd.rehearsal.process import free_port

SOPD = [sys.executable, "-m", "sopd"]
WITHIN_S = 60


@contextmanager
def process(folder: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    """A `sopd` that runs until the block ends, and then ends in good order."""
    with (folder / f"{words[0]}.log").open("w") as log:
        running = subprocess.Popen([*SOPD, *words], cwd=folder, stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            yield running
            running.send_signal(signal.SIGTERM)
            assert running.wait(WITHIN_S) == 0
        finally:
            running.kill()
            running.wait()


def call(folder: Path, *words: str, codes: Collection[int] = (0,)) -> str:
    answer = subprocess.run([*SOPD, *words], cwd=folder, capture_output=True, text=True, check=False, timeout=WITHIN_S)
    assert answer.returncode in codes, f"{words}: {answer.returncode}: {answer.stdout}{answer.stderr}"
    return answer.stdout


def until(ask: object, *, folder: Path) -> object:
    """The first answer that is true; every question is a process of its own, so this does not spin."""
    end = time.monotonic() + WITHIN_S
    while time.monotonic() < end:
        if answer := ask():  # type: ignore[operator]
            return answer
    logs = "".join(path.read_text()[-3000:] for path in folder.glob("*.log"))
    raise AssertionError(f"nothing came of it: {logs}")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("SOPD_")]:
        monkeypatch.delenv(name)
    return tmp_path


def test_an_operator_works_beside_the_daemon_and_is_heard_within_a_second_or_so(folder: Path) -> None:
    port = free_port()
    callback = f"http://127.0.0.1:{port}/wecom/callback"

    def connected() -> list[dict[str, object]]:
        said = call(folder, "doctor", "--json", codes=(0, 1))  # 1 while the daemon answers, but is not ready yet
        found = [json.loads(line) for line in said.splitlines()]
        return [each for each in found if each["check"] == "daemon" and each["verdict"] == "ok"]

    def greeted() -> list[dict[str, object]]:
        rows = [json.loads(line) for line in call(folder, "push", "list", "--customer", "wmMei", "--json").splitlines()]
        return [row for row in rows if row["state"] == "sent"]

    with process(folder, "sandbox", "--port", "0", "--customers-per-day", "0", "--callback", callback) as sandbox:
        assert sandbox.stdout is not None
        lines = [sandbox.stdout.readline() for _ in range(8)]
        (folder / "sopd.toml").write_text("".join([*lines, f"[web]\nport = {port}\n"]), encoding="utf-8")
        call(folder, "init")
        url = next(line.split('"')[1] for line in lines if line.startswith("api_base"))
        with process(folder, "run"):
            until(connected, folder=folder)
            call(folder, "doctor")
            call(folder, "sop", "apply", "sops/new-customer-30d.yaml")
            call(folder, "sop", "start", "new-customer-30d", "--as", "mei")
            added = {"member": "alice", "customer": "wmMei", "state": "expo2026", "name": "梅"}
            assert httpx.post(f"{url}/sandbox/people/add", json=added, trust_env=False).status_code == 200

            until(lambda: "wmMei" in call(folder, "customer", "list"), folder=folder)
            until(greeted, folder=folder)
            call(folder, "enrollment", "end", "--sop", "new-customer-30d", "--why", "enough", "--yes", "--as", "mei")
            story = json.loads(call(folder, "enrollment", "show", "1", "--json"))
            call(folder, "sop", "stop", "new-customer-30d", "--yes")

            assert (story["state"], story["ended_by"]) == ("manual_end", "mei")
            assert "already runs sopd" in subprocess.run(
                [*SOPD, "run"], cwd=folder, capture_output=True, text=True, check=False, timeout=WITHIN_S
            ).stderr
