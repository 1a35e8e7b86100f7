"""What Prometheus reads: explained, named alike, with few labels, and set by somebody."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.parser import text_string_to_metric_families

import sopd
from sopd import metrics
from tests.support.exposition import MEASUREMENTS

BOUNDED = {
    "version", "python", "part", "loop", "outcome", "path", "status", "code", "queue", "state", "kind", "reason", "le",
}  # fmt: skip


def samples() -> dict[str, float]:
    text, _ = metrics.exposition()
    families = text_string_to_metric_families(text.decode())
    return {
        f"{sample.name}{sorted(sample.labels.values())}": sample.value
        for family in families for sample in family.samples
    }


def test_every_measurement_is_named_after_us_or_the_process_and_explained() -> None:
    families = list(text_string_to_metric_families(metrics.exposition()[0].decode()))

    assert len(families) >= 20
    assert all(family.name.startswith(("sopd_", "process_")) and family.documentation for family in families)


def test_no_label_can_hold_a_person_or_a_message() -> None:
    assert {label for measured in MEASUREMENTS for label in measured._labelnames} <= BOUNDED


def test_state_that_is_gone_disappears() -> None:
    metrics.show(metrics.PUSHES, {("sent", ""): 3, ("skipped", "late"): 1})
    metrics.show(metrics.PUSHES, {("sent", ""): 4})

    shown = samples()
    assert shown["sopd_pushes['', 'sent']"] == 4
    assert "sopd_pushes['late', 'skipped']" not in shown


def test_a_part_that_gets_on_says_when() -> None:
    metrics.got_on("tick")

    assert samples()["sopd_last_progress_timestamp_seconds['tick']"] > samples()["process_start_time_seconds[]"]


def test_the_running_version_is_told() -> None:
    assert any(key.startswith("sopd_build_info[") and sopd.__version__ in key for key in samples())


def test_type_of_the_answer_is_prometheus_text() -> None:
    assert metrics.exposition()[1].startswith("text/plain; version=0.0.4")


def test_nothing_is_measured_that_nobody_sets() -> None:
    """A metric without a caller would show zero for ever, which reads as good news."""
    package = Path(sopd.__file__).parent
    code = "\n".join(file.read_text(encoding="utf-8") for file in package.rglob("*.py"))
    names = [name for name, value in vars(metrics).items() if value in MEASUREMENTS]

    assert len(names) >= 20
    assert [name for name in names if not re.search(rf"\b{name}\b[,)]|\b{name}\.", code)] == []


@pytest.mark.parametrize("measured", MEASUREMENTS, ids=lambda measured: measured._name)
def test_sums_are_counters_and_levels_are_gauges(measured: Counter | Gauge | Histogram) -> None:
    name = measured.describe()[0].name
    assert isinstance(measured, Counter) or not name.endswith("_total")
