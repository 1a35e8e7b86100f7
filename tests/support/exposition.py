"""Everything that Prometheus can ever be shown, each measurement with some label: for the tests of what is named where.

`python -m tests.support.exposition` prints it, for `promtool check metrics`.
"""

from __future__ import annotations

import sys

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.parser import text_string_to_metric_families

from sopd import metrics

Measurement = Counter | Gauge | Histogram
MEASUREMENTS: list[Measurement] = [
    value for value in vars(metrics).values() if isinstance(value, Counter | Gauge | Histogram)
]


def full() -> bytes:
    """The exposition in which nothing is missing; those with labels show nothing until they are used."""
    for measured in MEASUREMENTS:
        if measured._labelnames and not measured._metrics:
            measured.labels(*("example" for _ in measured._labelnames))
    return metrics.exposition()[0]


def names() -> dict[str, frozenset[str]]:
    """Every series that a query may name, with its labels."""
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(full().decode()):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return {name: frozenset(labels) for name, labels in found.items() if not name.endswith("_created")}


if __name__ == "__main__":
    sys.stdout.buffer.write(full())
