"""Where the project's files are, for the tests that read them instead of running them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("machines", "sopd")
_GENERATED = {"__pycache__", "build", "dist", "node_modules"}


def project_files() -> Iterator[Path]:
    """Every file a person wrote: hidden folders (but `.ci`), links and generated folders are left out."""
    for folder, folders, names in os.walk(ROOT):
        folders[:] = sorted(
            name for name in folders
            if name not in _GENERATED and not name.endswith(".egg-info") and (name == ".ci" or name[0] != ".")
        )
        yield from (path for path in (Path(folder) / name for name in sorted(names)) if not path.is_symlink())


def modules() -> Iterator[tuple[str, Path]]:
    """(dotted name, file) of every module of the two packages; a package is named without `__init__`."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            yield ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"), path
