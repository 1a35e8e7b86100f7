"""Figures as Markdown tables: which columns a measure shows, and how numbers are written. It knows no file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Row = Mapping[str, Any]
Cell = Callable[[Row, Sequence[Row]], str]
DATABASES = {"sqlite": "SQLite", "postgres": "PostgreSQL"}
ASKED = {"enter": 0.6, "fire": 0.6, "tags": 0.5}
"""The least ratios asked for."""
OURS = "sopd"


@dataclass(frozen=True)
class Table:
    """One table: its title, the measures it is of, and its columns: first words, then figures."""

    title: str
    names: tuple[str, ...]
    words: Mapping[str, Cell]
    figures: Mapping[str, Cell]

    @property
    def columns(self) -> Mapping[str, Cell]:
        return {**self.words, **self.figures}


def _plain(key: str) -> Cell:
    return lambda row, _: str(row[key])


def _figure(key: str, digits: int = 0) -> Cell:
    return lambda row, _: f"{row[key]:,.{digits}f}"


def _path(name: str | Cell) -> Mapping[str, Cell]:
    """What was measured, and on which database."""
    return {
        "path": (lambda *_: name) if isinstance(name, str) else name,
        "database": lambda row, _: DATABASES[row["database"]],
    }


def _asked(row: Row, _: Sequence[Row]) -> str:
    return f"{ASKED[row['name']]:.1f}"


def _beside_first(key: str) -> Cell:
    """How many times the first one's of the same database."""

    def cell(row: Row, rows: Sequence[Row]) -> str:
        first = next(one for one in rows if one["database"] == row["database"])
        return f"{row[key] / first[key]:.2f}"

    return cell


def _beside_ours(key: str) -> Cell:
    """The figure, and how many times ours it is."""

    def cell(row: Row, rows: Sequence[Row]) -> str:
        ours = next((one[key] for one in rows if one["rival"] == OURS), 0)
        times = f" ({_times(row[key] / ours)})" if ours and row["rival"] != OURS else ""
        return f"{row[key]:,.{0 if row[key] >= 100 else 1}f}{times}"

    return cell


def _times(ratio: float) -> str:
    return f"×{ratio:,.0f}" if ratio >= 10 else f"×{ratio:.2g}"


def _fired(row: Row, rows: Sequence[Row]) -> str:
    """The rate, or that it did not come to an end."""
    rate = _beside_ours("fire_per_s")(row, rows)
    return rate if row["fired_of_due"] >= 1 else f"{rate}, {row['fired_of_due']:.0%} in time"


TABLES = (
    Table(
        "Beside SQL written by hand", ("enter", "fire", "tags"), _path(_plain("name")),
        {
            "batch": _figure("batch"), "engine, a second": _figure("engine"), "by hand, a second": _figure("by_hand"),
            "ratio": _figure("ratio", 2), "asked": _asked,
        },
    ),
    Table(
        "Tag events beside few and beside many SOPs", ("crowd",), _path("tags"),
        {
            "10 SOPs, a second": _figure("few"), "1,000 SOPs, a second": _figure("many"),
            "times slower": _figure("times_slower", 2),
        },
    ),
    Table(
        "A due step among many that wait", ("due",), _path("fire"),
        {
            "waiting": _figure("waiting"), "µs a step": _figure("us_per_step", 1),
            "times the first": _beside_first("us_per_step"),
        },
    ),
    Table(
        "Nothing to do", ("idle",), _path("idle"),
        {
            "waiting": _figure("waiting"), "queries/min": _figure("queries_per_min"),
            "transactions/min": _figure("transactions_per_min"), "% of a core": _figure("cpu_percent", 2),
            "RSS, MB": _figure("rss_mb"), "growth, MB": _figure("growth_mb", 1),
        },
    ),
    Table(
        "A start with a backlog", ("start",), _path("start"),
        {
            "waiting": _figure("waiting"), "due": _figure("due"), "ready, s": _figure("ready_s", 2),
            "all fired, s": _figure("fired_s", 1),
        },
    ),
    Table(
        "Callbacks while steps fire", ("callbacks",), _path(_plain("processes")),
        {
            "sent a second": lambda row, _: f"{row['asked_per_s']:,}" if row["asked_per_s"] else "as answered",
            "accepted a second": _figure("accepted_per_s"), "p50, ms": _figure("p50_ms", 1),
            "p99, ms": _figure("p99_ms", 1), "sender's own p99, ms": _figure("sender_p99_ms", 1),
            "steps fired": _figure("steps_fired"), "still due": _figure("still_due"),
        },
    ),
    Table(
        "Two workers beside one", ("workers",), _path("fire"),
        {
            "one, steps a second": _figure("one"), "two, steps a second": _figure("two"), "ratio": _figure("ratio", 2),
        },
    ),
    Table(
        "The command line", ("help",), {"command": lambda *_: "`sopd --help`"}, {"seconds": _figure("seconds", 3)},
    ),
    Table(
        "The same work on what could be picked instead", ("rivals",), {"on": _plain("rival")},
        {
            "schedule, a second": _beside_ours("schedule_per_s"), "fire, a second": _fired,
            "end by a tag, a second": _beside_ours("tag_per_s"),
            "first step after a start, s": _beside_ours("first_fired_s"), "workers, MB": _beside_ours("worker_mb"),
            "Redis, MB": _figure("redis_mb", 1),
        },
    ),
)  # fmt: skip


def rendered(report: Mapping[str, Any]) -> str:
    """All tables of which there are figures, in order."""
    return "\n".join(_one(table, report) for table in TABLES if any(name in report for name in table.names))


def _one(table: Table, report: Mapping[str, Any]) -> str:
    entries = [report[name] for name in table.names if name in report]
    order = list(DATABASES)
    rows = sorted(
        (row for entry in entries for row in entry["results"]),
        key=lambda row: order.index(row.get("database", order[0])),
    )
    lines = [
        f"### {table.title}",
        "",
        _measured([entry["measured"] for entry in entries]),
        "",
        _line(table.columns),
        "|" + "---|" * len(table.words) + "---:|" * len(table.figures),
        *(_line(cell(row, rows) for cell in table.columns.values()) for row in rows),
        "",
    ]
    return "\n".join(lines)


def _line(cells: Any) -> str:
    return f"| {' | '.join(cells)} |"


def _measured(runs: Sequence[Row]) -> str:
    """When and on what; of several runs each once."""
    told = [
        f"{run['on']}, {run['cores']} cores, load {run['load']} as the run ended, Python {run['python']}"
        + (", small sizes" if run["quick"] else "")
        for run in runs
    ]
    return "; ".join(dict.fromkeys(told)) + "."
