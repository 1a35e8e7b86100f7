"""`sopd demo`: weeks in the life of a company, in a minute or two, ending in two accounts that must agree (SPEC 14)."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.status import Status

from machines.calendar import HOUR_MS, Instant
from sopd.clock import instant_from_iso
from sopd.rehearsal import report
from sopd.rehearsal.accounts import INHERITED, compare, engine_account
from sopd.rehearsal.scene import Scene, SceneOptions
from sopd.sandbox.faults import BAD_DAY
from sopd.sandbox.letters import PostHabits
from sopd.sandbox.people import Plan

BEGAN_AT = instant_from_iso("2026-03-02T08:30:00+08:00")  # a Monday; the seed then reproduces the same people
AFTERMATH_DAYS = 34
"""The programme's last step is on day 30; its task expires a day later, and one more passes for the daily full read."""
SHIPPED = (
    "repurchase", "winback", "sunscreen-care", "product-talk", "weekend-visit", "case-read", "gift-after-30d",
    "new-customer-30d",
)  # fmt: skip
"""Every SOP that is shipped, those that others flow into first."""
LOOK_SECONDS = 0.25
PATIENCE_SECONDS = 90
"""Without any progress of the clock for so long the rehearsal is given up: something hangs."""


@dataclass(frozen=True)
class DemoOptions:
    """How large and how unkind. `folder` keeps everything there; else a temporary one is used and removed."""

    members: int = 4
    customers_per_day: int = 15
    days: int = 20
    seed: str = "sopd"
    faults: bool = True
    folder: Path | None = None


class Stuck(Exception):
    """The clock stood still: what the daemon last said is in the message."""


def demo(options: DemoOptions, console: Console) -> int:
    """Play it; returns the exit code: 0 if both accounts agree customer by customer, else 1."""
    where = nullcontext(str(options.folder)) if options.folder else tempfile.TemporaryDirectory(prefix="sopd-demo-")
    with where as folder, resources.as_file(resources.files("sopd") / "shipped" / "sops") as shipped:
        Path(folder).mkdir(parents=True, exist_ok=True)
        scene = Scene(scene_options(options, shipped), Path(folder))
        began = time.monotonic()
        try:
            scene.open()
            play(scene, console)
            return conclude(scene, console, time.monotonic() - began)
        except (Stuck, KeyboardInterrupt) as stop:
            console.print(f"[bold red]Stopped:[/] {stop or 'by you'}")
            return 1
        finally:
            scene.close()


def scene_options(options: DemoOptions, shipped: Path) -> SceneOptions:
    """The demo's scene: several members, additions over `days`, and all the SOPs of the folder `shipped`."""
    plan = Plan(
        members=("alice", "bob", "carol", "david", "erin", "frank", "grace", "henry")[: options.members],
        customers_per_day=options.customers_per_day,
        days=options.days,
        sources=(("expo2026", 4), ("live", 3), ("", 2), ("internal-test", 1)),
        bought_tag="结果/已下单",
        other_tags=("已购/防晒正装", "结果/已复购", "阶段/考虑价格", "售后/处理中", "兴趣/保湿"),
        handed_over=0.03,
    )
    return SceneOptions(
        sops=tuple(shipped / f"{key}.yaml" for key in SHIPPED),
        began_at=BEGAN_AT,
        days=options.days + AFTERMATH_DAYS,
        plan=plan,
        habits=PostHabits(lost=0.01, duplicated=0.03, overtaken=0.03) if options.faults else PostHabits(),
        rates=BAD_DAY if options.faults else (),
        seed=options.seed,
    )


def play(scene: Scene, console: Console, each_look: Callable[[], None] = lambda: None) -> None:
    """Watch until the clock has run to its end; `each_look` may interfere (kill, restart). Raises Stuck."""
    zone = scene.settings.company.zone
    line = report.progress_line(scene, zone)
    shown_day: Instant = 0
    with console.status(line) if console.is_terminal else nullcontext() as status:
        moved_at, last = time.monotonic(), scene.now
        while not scene.finished:
            time.sleep(LOOK_SECONDS)
            each_look()
            if scene.now != last:
                moved_at, last = time.monotonic(), scene.now
            elif time.monotonic() - moved_at > PATIENCE_SECONDS or not scene.daemon.is_running:
                raise Stuck(f"the clock stands at {last}; the daemon says: {scene.daemon.last_words()}")
            line = report.progress_line(scene, zone)
            if isinstance(status, Status):
                status.update(line)
            elif scene.now - shown_day >= 24 * HOUR_MS:
                shown_day = scene.now
                console.print(line, highlight=False)
    console.print(line, highlight=False)


def is_invited(add: Mapping[str, Any]) -> bool:
    """Whom the shipped programme is for: everybody but our own tests, and nobody who was handed over by a colleague."""
    return add["state"] != "internal-test" and add["add_way"] != INHERITED


def conclude(scene: Scene, console: Console, seconds: float, kills: int = 0) -> int:
    """Stop the daemon, compare the accounts, show the report; returns the exit code."""
    code = scene.daemon.stop()
    verdict = compare(scene.world.account(), engine_account(scene.store), is_invited)
    report.show(report.gather(scene, verdict, seconds, kills), console)
    if code != 0:
        console.print(f"[bold red]The daemon ended with code {code}[/]: {scene.daemon.last_words()}")
    return 1 if verdict.differences or code != 0 else 0
