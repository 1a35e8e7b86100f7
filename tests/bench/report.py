"""The kept figures: `docs/performance.json`, and what `docs/performance.md` and its plot show of them.

A run replaces the figures of what it measured, so that a part can be measured anew. The page is written from the JSON
between its markers and never by hand; a test holds the two together.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import platform
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tests.bench import plot, tables

DOCS = Path(__file__).parents[2] / "docs"
BEGIN, END = "<!-- figures: begin, written by `make bench ARGS=--write-docs` -->", "<!-- figures: end -->"

Report = Mapping[str, Any]
"""`{name: {"measured": about the run, "results": [figures, ...]}}`."""


def of_run(results: Iterable[Mapping[str, Any]], *, quick: bool) -> Report:
    """What one run found, by name."""
    by_name: dict[str, Any] = {}
    for result in results:
        entry = by_name.setdefault(str(result["name"]), {"measured": _about(quick), "results": []})
        entry["results"].append(dict(result))
    return by_name


def merged(kept: Report, found: Report) -> Report:
    """The kept figures, with those of this run in place of older ones of the same name and database."""
    together = dict(kept)
    for name, entry in found.items():
        databases = {one.get("database") for one in entry["results"]}
        older = [one for one in kept.get(name, {}).get("results", ()) if one.get("database") not in databases]
        together[name] = {"measured": entry["measured"], "results": [*older, *entry["results"]]}
    return together


def write(found: Report, docs: Path = DOCS) -> None:
    """Renew JSON, page and plot."""
    kept = docs / "performance.json"
    together = merged(read(docs), found)
    kept.write_text(json.dumps(together, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    page = docs / "performance.md"
    page.write_text(filled(page.read_text(encoding="utf-8"), together), encoding="utf-8")
    (docs / "performance.svg").write_text(plot.drawn(together), encoding="utf-8")


def read(docs: Path = DOCS) -> Report:
    """The kept figures."""
    kept = docs / "performance.json"
    return json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}


def filled(page: str, report: Report) -> str:
    """The page with these figures between its markers."""
    before, _, rest = page.partition(BEGIN)
    after = rest.partition(END)[2]
    return f"{before}{BEGIN}\n\n{tables.rendered(report)}\n{END}{after}"


def _about(quick: bool) -> dict[str, Any]:
    return {
        "on": dt.datetime.now(dt.UTC).date().isoformat(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        "quick": quick,
    }
