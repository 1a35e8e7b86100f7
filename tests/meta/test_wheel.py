"""The wheel is enough: in a clean environment, without the checkout, it sets up a machine and runs the demo.

What it depends on comes from the environment of the tests, through a path file, so that nothing is fetched; sopd itself
can come from the wheel alone, for an editable install is not seen through such a file.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from tests.meta.sources import ROOT

SOURCES = ("machines", "sopd", "config", "systemd", "setup.cfg", "pyproject.toml", "README.md", "LICENSE")


def call(*words: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """One process, in a folder outside the checkout, without anything of ours or of Python's in its environment."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("SOPD_", "PYTHON"))}
    done = subprocess.run(words, cwd=folder, env=environ, capture_output=True, text=True, timeout=240,
                          check=False)
    assert done.returncode == 0, f"{words}: {done.stdout}\n{done.stderr}"
    return done


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy: building writes into the tree it builds from."""
    copy = tmp_path_factory.mktemp("copy")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, copy / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(ROOT / name, copy / name)
    call(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index",
         "--wheel-dir", copy / "dist", copy, folder=copy)
    (built,) = (copy / "dist").glob("sopd-*.whl")
    return built


@pytest.fixture(scope="module")
def clean(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` of a virtual environment with sopd from the wheel."""
    home = tmp_path_factory.mktemp("clean") / "venv"
    venv.create(home, with_pip=False)
    call(sys.executable, "-m", "pip", "--python", home / "bin/python", "install", "--quiet", "--no-deps", "--no-index",
         wheel, folder=home)
    (site,) = home.glob("lib/python3*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return home / "bin"


def test_program_comes_from_the_wheel_with_every_file_it_ships(clean: Path, tmp_path: Path) -> None:
    told = call(clean / "python", "-c", "import sopd, machines; print(sopd.__file__, machines.__file__)",
                folder=tmp_path).stdout.split()
    (package,) = clean.parent.glob("lib/python3*/site-packages/sopd")

    assert all(Path(place).is_relative_to(clean.parent) for place in told)
    for link in ("shipped", "units"):
        kept = (ROOT / "sopd" / link).resolve()
        files = {path.relative_to(kept) for path in kept.rglob("*")}
        assert {path for path in files if not (package / link / path).exists()} == set()


def test_init_and_a_small_demo_run_from_the_wheel(clean: Path, tmp_path: Path) -> None:
    written = call(clean / "sopd", "init", "site", folder=tmp_path).stdout
    played = call(clean / "sopd", "demo", "--members", "1", "--customers-per-day", "1", "--days", "2", folder=tmp_path)

    assert {"sopd.toml", "sopd.db", "sops"} <= {path.name for path in (tmp_path / "site").iterdir()}
    assert "sopd.toml written" in written
    assert played.stdout


def test_a_machine_is_set_up_from_the_wheel(clean: Path, tmp_path: Path) -> None:
    call(clean / "sopd", "init", "--system", "--root", "machine", "--company", "acme", folder=tmp_path)

    for name in ("sopd.service", "sopd@.service", "sopd-worker@.service", "sopd-worker-acme@.service"):
        unit = (tmp_path / "machine/etc/systemd/system" / name).read_text(encoding="utf-8")
        assert f"ExecStart={clean}/sopd " in unit
    for name in ("sops/winback.yaml", "prometheus/sopd.rules.yml", "grafana/sopd.json"):
        assert (tmp_path / "machine/usr/local/share/sopd" / name).stat().st_size > 0
