"""What one round is about: who comes and does what, which SOPs run, what goes wrong on the line, and for how long.

Everything hangs on the seed, but for the instants at which attacks hit: those follow the wall clock.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from machines.calendar import DAY_MS, Instant
from machines.sop import tag_names
from sopd.clock import instant_from_iso
from sopd.definitions import parse_sop, read
from sopd.sandbox.config import SandboxConfig
from sopd.sandbox.faults import Fault, Rate
from sopd.sandbox.letters import PostHabits
from sopd.sandbox.people import Plan

BEGAN_AT = instant_from_iso("2026-03-02T08:30:00+08:00")
SOPS = tuple(Path(__file__).parent / "sops" / f"{key}.yaml" for key in ("winback", "care", "newcomers"))
"""Those into which others flow come first."""

RATES = (
    Rate(Fault("errcode", -1), 0.02),
    Rate(Fault("errcode", -1, after=True), 0.01),
    Rate(Fault("errcode", 45033), 0.01),
    Rate(Fault("errcode", 45009), 0.002),
    Rate(Fault("http_502", after=True), 0.01),
    Rate(Fault("drop"), 0.01),
    Rate(Fault("drop", after=True), 0.02),
)
"""On every call, beside the storms: about one in twelve goes wrong, half of these after their effect."""

PEOPLE = Plan(
    members=("alice", "bob", "carol"),
    sources=(("expo2026", 4), ("live", 3), ("", 2), ("internal-test", 1)),
    bought_tag="结果/已下单",
    other_tags=("已购/防晒正装", "阶段/考虑价格", "兴趣/保湿"),
    customer_deletes=0.1,
    returns=0.4,
    handed_over=0.03,
    within_days=8,
    own_sends=0.05,
)

HABITS = PostHabits(lost=0.04, duplicated=0.1, overtaken=0.1)


@dataclass(frozen=True)
class Plot:
    """`plan` is about the people; it ends after `days`.

    Attacks follow each other after `gap_seconds`, until `attacked` days or `attack_seconds` have passed.
    """

    seed: str
    plan: Plan
    attacked: int = 16
    days: int = 36
    began_at: Instant = BEGAN_AT
    gap_seconds: tuple[float, float] = (1.0, 4.0)
    attack_seconds: float = 240.0
    tick_ms: int = 100
    sops: tuple[Path, ...] = SOPS
    rates: tuple[Rate, ...] = RATES
    habits: PostHabits = HABITS
    sandbox: SandboxConfig = field(default_factory=SandboxConfig)

    @property
    def until(self) -> Instant:
        """Where the clock stops."""
        return self.began_at + self.days * DAY_MS

    @property
    def calm_from(self) -> Instant:
        """From here on nothing is attacked any more, so that everything can come to rest."""
        return self.began_at + self.attacked * DAY_MS

    def tag_names(self) -> list[str]:
        """Every tag that the SOPs speak of."""
        return sorted({name for path in self.sops for name in tag_names(parse_sop(read(path)))})
