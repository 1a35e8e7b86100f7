"""`python -m tests.chaos`: rounds of attack until the minutes are over, then a table, a JSON report, an exit code."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
import traceback
from dataclasses import replace
from pathlib import Path

from tests.chaos import reporting
from tests.chaos.backends import running_backends
from tests.chaos.plot import PEOPLE, Plot
from tests.chaos.rounds import Played, Stuck, play


def main(words: list[str]) -> int:
    """Play; 0 if nothing differed, 1 if something did, 2 if a round hung or broke off."""
    asked = _asked(words)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that nothing it started outlives it
    folder = Path(asked.folder or tempfile.mkdtemp(prefix="sopd-chaos-"))
    folder.mkdir(parents=True, exist_ok=True)
    print(f"chaos for {asked.minutes:g} minutes, seed {asked.seed}; logs and report in {folder}", flush=True)
    began, played, stuck = time.monotonic(), [], ""
    with running_backends() as backends:
        while not played or time.monotonic() - began < asked.minutes * 60:
            seed = f"{asked.seed}/{len(played) + 1}"
            place = folder / f"round-{len(played) + 1}"
            place.mkdir(exist_ok=True)
            try:
                one = play(
                    Plot(seed, replace(PEOPLE, days=asked.days, customers_per_day=asked.customers)), backends, place,
                    lambda line, seed=seed: print(f"  round {seed}  {line}", flush=True),
                )  # fmt: skip
            except Stuck as error:
                stuck = f"round {seed}: {error}"
                break
            except Exception:  # an edge: the rounds before it are worth their report
                stuck = f"round {seed} broke off: {traceback.format_exc()}"
                break
            played.append(one)
            print(reporting.line(one), flush=True)
    return _conclude(played, stuck, folder, time.monotonic() - began)


def _conclude(played: list[Played], stuck: str, folder: Path, seconds: float) -> int:
    (folder / "report.json").write_text(reporting.as_json(played, stuck, seconds), encoding="utf-8")
    print(reporting.table(played, seconds))
    print(f"report: {folder / 'report.json'}")
    if stuck:
        print(f"A round hung or broke off.\n{stuck}")
        return 2
    return 1 if any(one.differences for one in played) else 0


def _asked(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30, help="begin no round after so many (default 30)")
    parser.add_argument("--seed", default="1", help="people, faults and attacks follow from it (default 1)")
    parser.add_argument("--customers", type=int, default=14, help="a day, in each round (default 14)")
    parser.add_argument("--days", type=int, default=5, help="on which customers come (default 5)")
    parser.add_argument("--folder", help="where settings, logs and report.json are kept (default: a temporary one)")
    return parser.parse_args(words)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
