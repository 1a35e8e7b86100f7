"""`make bench`: how fast the engine is beside hand-written SQL and beside others, and what waiting costs.

Prints the tables and writes JSON; `--write-docs` puts both, with a plot, into docs/.

It asserts nothing about times: machines differ, and so do hours. Compare ratios, and figures of one run.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import structlog

from tests.bench import crowd, door, profiling, report, tables, throughput, workers
from tests.bench.places import DURABLE, Place, places
from tests.bench.rivals import match
from tests.bench.standing import Sizes, Standing
from tests.support.servers import running_postgres, running_valkey

KINDS = ("sqlite", "postgres")
CONTESTS = tuple(dict.fromkeys(contest.name for contest in throughput.CONTESTS))
STANDING = ("due", "idle", "start")
ALL = (*CONTESTS, "crowd", *STANDING, "callbacks", "workers", "help", "rivals")
QUICK = Sizes(waiting=(1_000, 10_000), due=2_000, rounds=1, backlog=10_000, watch_s=5.0)
HELP_ROUNDS = 7


@dataclass(frozen=True)
class HelpTime:
    """`sopd --help` from process start to exit, median."""

    name: str
    seconds: float


def main() -> None:
    """Measure what was asked for."""
    asked = _arguments()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    kinds = KINDS if asked.database == "both" else (asked.database,)
    results: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="sopd-bench-") as folder, places(kinds, Path(folder)) as grounds:
        for result in _measure(asked, grounds, Path(folder)):
            results.append(asdict(result))
            print(_line(results[-1]), flush=True)
    found = report.of_run(results, quick=asked.quick)
    print(f"\n{tables.rendered(found)}")
    asked.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    print(f"written to {asked.json}")
    if asked.write_docs:
        report.write(found)
        print(f"written to {report.DOCS / 'performance.md'}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes, one round: does it run at all?")
    parser.add_argument("--database", choices=[*KINDS, "both"], default="both")
    parser.add_argument("--only", nargs="+", choices=ALL, default=ALL, metavar="NAME", help=f"of {', '.join(ALL)}")
    parser.add_argument("--json", type=Path, default=Path("bench.json"), help="where the figures go")
    parser.add_argument("--rounds", type=int, default=5, help="of each contest; the median counts")
    parser.add_argument("--count", type=int, default=20_000, help="subjects a turn")
    parser.add_argument("--write-docs", action="store_true", help="put what was measured into docs/performance.*")
    parser.add_argument("--profile", action="store_true", help="show where the engine's time goes in the contests")
    return parser.parse_args()


def _measure(asked: argparse.Namespace, grounds: tuple[Place, ...], folder: Path) -> Iterator[Any]:
    yield from _contests(asked, grounds)
    wanted = frozenset(asked.only) & set(STANDING)
    for place in grounds if wanted else ():
        yield from Standing(place, QUICK if asked.quick else Sizes(), folder, wanted).measure()
    yield from _processes(asked, grounds, folder)
    if "help" in asked.only:
        yield _help_time()
    if "rivals" in asked.only:
        yield from _rivals(match.QUICK if asked.quick else match.Sizes(), folder)


def _contests(asked: argparse.Namespace, grounds: tuple[Place, ...]) -> Iterator[Any]:
    waiting, count, rounds = (2_000, 1_000, 1) if asked.quick else (100_000, asked.count, asked.rounds)
    for place in grounds:
        for contest in throughput.CONTESTS:
            if contest.name not in asked.only:
                continue
            if asked.profile:
                profiling.show(place, contest, waiting=waiting, count=count)
            else:
                yield throughput.run(place, contest, waiting=waiting, count=count, rounds=rounds)
    for place in grounds if "crowd" in asked.only else ():
        yield crowd.measure(place, count=count, rounds=rounds)


def _processes(asked: argparse.Namespace, grounds: tuple[Place, ...], folder: Path) -> Iterator[Any]:
    if not {"callbacks", "workers"} & set(asked.only):
        return
    with running_valkey() as valkey:
        for place in grounds if "callbacks" in asked.only else ():
            sizes = door.QUICK if asked.quick else door.Sizes()
            yield from door.measure(place, None if place.kind == "sqlite" else valkey, sizes, folder)
        for place in grounds if "workers" in asked.only else ():
            due, rounds = (5_000, 1) if asked.quick else (50_000, 3)
            if place.kind == "postgres":
                yield workers.measure(place, valkey, folder, due=due, rounds=rounds)


def _rivals(sizes: match.Sizes, folder: Path) -> Iterator[match.Match]:
    present = match.installed()
    for name in match.RIVALS:
        if name not in present:
            print(f"rivals  {name} is not installed: `pip install .[bench]`")
    with running_postgres(DURABLE) as postgres, running_valkey() as valkey:
        for name in present:
            yield match.measure(name, postgres, valkey, folder, sizes)


def _help_time() -> HelpTime:
    seconds = []
    for _ in range(HELP_ROUNDS):
        begun = time.perf_counter()
        subprocess.run([sys.executable, "-m", "sopd", "--help"], check=True, stdout=subprocess.DEVNULL)
        seconds.append(time.perf_counter() - begun)
    return HelpTime("help", statistics.median(seconds))


def _line(result: dict[str, Any]) -> str:
    """What one measure found, as it goes on; figures that differ by kind carry their own names."""
    parts = [f"{result['name']:<9}", f"{result.get('database', ''):<9}"]
    for key, value in result.items():
        if key in ("name", "database", "setup"):
            continue
        if isinstance(value, str):
            parts.append(value)
        else:
            shown = f"{value:,.0f}" if isinstance(value, int) or value >= 100 else f"{value:,.2f}"
            parts.append(f"{key.replace('_', ' ')} {shown:>9}")
    return "  ".join(parts)


if __name__ == "__main__":
    main()
