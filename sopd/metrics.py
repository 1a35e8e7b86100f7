"""What Prometheus is told: how late the engine is, what it does, and what WeCom refuses.

One registry per process, shown by `sopd.web.health`. Labels are few and bounded: never a customer, a member, a SOP or a
message. Gauges are set by the ticker or when they are asked for; the rest counts where the thing happens.
"""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

REGISTRY = CollectorRegistry(auto_describe=True)

_BATCH_BUCKETS = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_CALL_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

DUE_LAG_SECONDS = Gauge(
    "sopd_due_lag_seconds", "Age of the oldest due row that this loop has not taken yet", ["loop"], registry=REGISTRY
)
BATCH_SECONDS = Histogram(
    "sopd_batch_seconds", "How long a loop worked at a stretch", ["loop"], buckets=_BATCH_BUCKETS, registry=REGISTRY
)
ROWS_HANDLED = Counter("sopd_rows_handled", "Rows a loop has handled", ["loop"], registry=REGISTRY)
LOOP_FAILURES = Counter("sopd_loop_failures", "Times a loop ended with an error", ["loop"], registry=REGISTRY)
QUEUE_DEPTH = Gauge("sopd_queue_depth", "Rows or wake-ups that wait in this queue", ["queue"], registry=REGISTRY)
SET_ASIDE = Gauge("sopd_set_aside", "Poison rows that wait for a person", registry=REGISTRY)
PUSHES = Gauge("sopd_pushes", "Pushes that came to this state so far", ["state"], registry=REGISTRY)
ENROLLMENTS = Gauge(
    "sopd_enrollments", "Enrollments that entered, or came to this end, so far", ["state"], registry=REGISTRY
)
CALLBACKS = Counter("sopd_callbacks", "Callbacks by what became of them", ["outcome"], registry=REGISTRY)
API_REQUESTS = Counter(
    "sopd_api_requests", "Requests to the HTTP API by what they were answered", ["path", "status"], registry=REGISTRY
)
WECOM_SECONDS = Histogram(
    "sopd_wecom_seconds", "How long a WeCom call took", ["path"], buckets=_CALL_BUCKETS, registry=REGISTRY
)
WECOM_ERRORS = Counter(
    "sopd_wecom_errors", "WeCom calls refused or failed; code is WeCom's errcode, or a word for a failed connection",
    ["path", "code"], registry=REGISTRY,
)


def show(gauge: Gauge, counts: Mapping[str, int]) -> None:
    """Set a gauge of one label from counts; a label that is no longer among them disappears."""
    gauge.clear()
    for label, count in counts.items():
        gauge.labels(label).set(count)


def exposition() -> tuple[bytes, str]:
    """(everything in Prometheus' text format, its content type)."""
    return generate_latest(REGISTRY), CONTENT_TYPE_PLAIN_0_0_4
