"""What Prometheus reads."""

from __future__ import annotations

import re
from pathlib import Path

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.parser import text_string_to_metric_families

import sopd
from sopd import metrics


def samples() -> dict[str, float]:
    text, _ = metrics.exposition()
    families = text_string_to_metric_families(text.decode())
    return {
        f"{sample.name}{sorted(sample.labels.values())}": sample.value
        for family in families for sample in family.samples
    }


def test_every_measurement_is_named_after_us_and_explained() -> None:
    families = list(text_string_to_metric_families(metrics.exposition()[0].decode()))

    assert len(families) >= 10
    assert all(family.name.startswith("sopd_") and family.documentation for family in families)


def test_state_that_is_gone_disappears() -> None:
    metrics.show(metrics.PUSHES, {"sent": 3, "waiting": 1})
    metrics.show(metrics.PUSHES, {"sent": 4})

    shown = samples()
    assert shown["sopd_pushes['sent']"] == 4
    assert "sopd_pushes['waiting']" not in shown


def test_work_is_counted_and_timed() -> None:
    before = samples().get("sopd_rows_handled_total['plan']", 0.0)

    metrics.ROWS_HANDLED.labels("plan").inc(200)
    metrics.BATCH_SECONDS.labels("plan").observe(0.04)

    shown = samples()
    assert shown["sopd_rows_handled_total['plan']"] == before + 200
    assert shown["sopd_batch_seconds_bucket['0.05', 'plan']"] >= 1


def test_type_of_the_answer_is_prometheus_text() -> None:
    assert metrics.exposition()[1].startswith("text/plain; version=0.0.4")


def test_nothing_is_measured_that_nobody_sets() -> None:
    """A metric without a caller would show zero for ever, which reads as good news."""
    package = Path(sopd.__file__).parent
    code = "\n".join(file.read_text(encoding="utf-8") for file in package.rglob("*.py") if file.name != "metrics.py")
    names = [name for name, value in vars(metrics).items() if isinstance(value, Counter | Gauge | Histogram)]

    assert len(names) >= 10
    assert [name for name in names if not re.search(rf"\b{name}\b", code)] == []
