"""The command line as a process of its own: how soon it answers, its exit codes, what comes out of a pipe."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

SOPD = [sys.executable, "-m", "sopd"]
HELP_WITHIN_S = 0.25
NOUNS = ("sop", "enrollment", "customer", "push", "dispatch", "inbox", "db")


def call(*words: str, folder: Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("SOPD_", "LC_", "LANG"))}
    return subprocess.run(
        [*SOPD, *words], capture_output=True, text=True, cwd=folder, env=environ | (env or {}), check=False, timeout=60
    )


def worked() -> float:
    """Processor seconds of all ended children: what a call costs, however busy the machine is otherwise."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def fastest(*words: str, folder: Path, tries: int = 7) -> float:
    def once() -> float:
        began = worked()
        assert call(*words, folder=folder).returncode == 0
        return worked() - began

    return min(once() for _ in range(tries))


def test_help_is_there_at_once(tmp_path: Path) -> None:
    assert fastest("--help", folder=tmp_path) < HELP_WITHIN_S


def test_completion_of_a_verb_is_there_at_once(tmp_path: Path) -> None:
    environ = {"_SOPD_COMPLETE": "bash_complete", "COMP_WORDS": "sopd sop re", "COMP_CWORD": "2"}

    began = worked()
    answer = call(folder=tmp_path, env=environ)

    assert answer.stdout == "plain,resume\n"
    assert worked() - began < 4 * HELP_WITHIN_S


@pytest.mark.parametrize("heavy", ["sopd.store", "sopd.wecom", "dramatiq", "peewee", "httpx", "pydantic", "rich"])
def test_help_of_every_noun_loads_nothing_of_the_engine(heavy: str, tmp_path: Path) -> None:
    modules = ", ".join(f"sopd.cli.{name}" for name in (*NOUNS, "root", "init", "run", "doctor", "demo", "sandbox"))

    answer = subprocess.run(
        [sys.executable, "-c", f"import sys, {modules}; sys.exit({heavy!r} in sys.modules)"], check=False
    )

    assert answer.returncode == 0


def test_a_list_in_a_pipe_is_tab_separated_with_a_heading(tmp_path: Path) -> None:
    assert call("init", folder=tmp_path).returncode == 0

    answer = call("sop", "list", folder=tmp_path, env={"LANG": "zh_CN.UTF-8"})

    assert answer.returncode == 0 and answer.stderr == ""
    assert answer.stdout.split("\t")[:3] == ["key", "title", "kind"], "scripts must not depend on LANG"


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("sop", "lst"), 2, "Did you mean 'list'?"),
        (("sop", "show"), 2, "Missing argument 'KEY'"),
        (("enrollment", "show", "0"), 2, "0 is not in the range x>=1"),
        (("enrollment", "list", "--since", "yesterday"), 2, "is no moment; write 90m"),
        (("sop", "list"), 1, "the database has not been set up"),
        (("--config", "nowhere.toml", "sop", "list"), 1, "nowhere.toml: cannot be read"),
    ],
)
def test_a_wrong_call_is_told_in_a_line_and_by_its_exit_code(
    words: tuple[str, ...], code: int, told: str, tmp_path: Path
) -> None:
    answer = call(*words, folder=tmp_path)

    assert (answer.returncode, answer.stdout) == (code, "")
    assert told in answer.stderr and "Traceback" not in answer.stderr
    assert list(tmp_path.iterdir()) == [], "a call that fails leaves nothing behind"


def test_a_faulty_setting_is_told_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "sopd.toml").write_text('[company]\nzone = "Asia/Shanghia"\n[stor]\n', encoding="utf-8")

    answer = call("sop", "list", folder=tmp_path)

    assert answer.returncode == 1
    assert "sopd.toml:2: company.zone" in answer.stderr
    assert "sopd.toml:3: unknown section [stor]; did you mean store?" in answer.stderr
