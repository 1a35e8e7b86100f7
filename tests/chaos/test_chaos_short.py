"""A short round of chaos: the whole attack of `make chaos`, on few customers (SPEC 15.2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.chaos.backends import running_backends
from tests.chaos.plot import PEOPLE, Plot
from tests.chaos.rounds import play

SOP = Path(__file__).parent / "sops" / "short.yaml"
SHORT = Plot(
    "short",
    replace(PEOPLE, days=1, customers_per_day=6, second_member=0.0, customer_deletes=0.0, within_days=2),
    attacked=5,
    days=9,
    gap_seconds=(0.2, 1.0),
    attack_seconds=12,
    sops=(SOP,),
)


@pytest.mark.timeout(600)
def test_three_hosts_under_attack_lose_and_repeat_nothing(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    with running_backends() as backends:
        played = play(SHORT, backends, tmp_path, lambda line: None)

    assert played.differences == ()
    assert played.judgement.customers == 6
    assert played.judgement.deliveries > 3
    assert sum(played.attacks.values()) >= 2
    attacks = ", ".join(f"{count} x {name}" for name, count in sorted(played.attacks.items()))
    record_property("note", f"chaos, short: {attacks}")
