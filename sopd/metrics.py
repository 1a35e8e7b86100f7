"""What Prometheus is told: how late the engine is, what it does, and what WeCom refuses.

One registry per process. Labels are few and bounded: never a customer, a member, a SOP, a step or a message. What one
process does is counted where it happens; what is known of the whole company is read from the database when Prometheus
asks (`sopd.handlers.figures`), so every process shows the same and dashboards take the maximum. docs/observability.md
explains each measurement and what to do about it.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

from sopd import __version__

REGISTRY = CollectorRegistry(auto_describe=True)
ProcessCollector(registry=REGISTRY)  # memory, CPU time, open files and the start of this process

_BATCH_BUCKETS = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_ROWS_BUCKETS = (1, 10, 50, 100, 200, 500, 1000, 2000, 5000)
_CALL_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

# -- this process ------------------------------------------------------------------------------------------------------

BUILD = Gauge("sopd_build_info", "Always 1; the labels say what runs", ["version", "python"], registry=REGISTRY)
BUILD.labels(__version__, platform.python_version()).set(1)
LAST_PROGRESS = Gauge(
    "sopd_last_progress_timestamp_seconds",
    "When this part of the process last got on, by the clock of its machine; a process without the part shows none",
    ["part"], registry=REGISTRY,
)
DUE_LAG_SECONDS = Gauge(
    "sopd_due_lag_seconds", "Age of the oldest due row that this loop has not taken yet", ["loop"], registry=REGISTRY
)
BATCH_SECONDS = Histogram(
    "sopd_batch_seconds", "How long one batch of a loop took", ["loop"], buckets=_BATCH_BUCKETS, registry=REGISTRY
)
BATCH_ROWS = Histogram(
    "sopd_batch_rows", "Rows that one batch of a loop handled", ["loop"], buckets=_ROWS_BUCKETS, registry=REGISTRY
)
ROWS_HANDLED = Counter("sopd_rows_handled", "Rows a loop has handled", ["loop"], registry=REGISTRY)
LOOP_FAILURES = Counter("sopd_loop_failures", "Times a loop ended with an error", ["loop"], registry=REGISTRY)
CALLBACKS = Counter("sopd_callbacks", "Callbacks by what became of them", ["outcome"], registry=REGISTRY)
API_REQUESTS = Counter(
    "sopd_api_requests", "Requests to the HTTP API by what they were answered", ["path", "status"], registry=REGISTRY
)
WECOM_SECONDS = Histogram(
    "sopd_wecom_seconds", "How long a WeCom call took", ["path"], buckets=_CALL_BUCKETS, registry=REGISTRY
)
WECOM_CALLS = Counter(
    "sopd_wecom_calls", "WeCom calls by what came of them", ["path", "outcome"], registry=REGISTRY
)
WECOM_ERRORS = Counter(
    "sopd_wecom_errors",
    "WeCom calls refused or failed; code is a known errcode, unknown, or a word for a failed connection",
    ["path", "code"], registry=REGISTRY,
)

# -- the whole company, read when Prometheus asks ----------------------------------------------------------------------

DATABASE_UP = Gauge("sopd_database_up", "1 if the database answered when these figures were read", registry=REGISTRY)
CLOCK_SKEW_SECONDS = Gauge(
    "sopd_clock_skew_seconds", "How far the clock of this machine is ahead of the database's", registry=REGISTRY
)
QUEUE_DEPTH = Gauge("sopd_queue_depth", "Wake-ups that wait in this queue of the broker", ["queue"], registry=REGISTRY)
BACKLOG_ROWS = Gauge(
    "sopd_backlog_rows", "Rows that nobody has handled yet, counted up to 10000", ["queue"], registry=REGISTRY
)
BACKLOG_OLDEST_SECONDS = Gauge(
    "sopd_backlog_oldest_seconds", "Age of the oldest row that nobody has handled yet", ["queue"], registry=REGISTRY
)
TASKS_IN_DOUBT = Gauge(
    "sopd_tasks_in_doubt", "Tasks whose outcome is being looked up, or needs an operator", ["state"], registry=REGISTRY
)
HELD_RELATIONS = Gauge(
    "sopd_held_relations", "Contacts missing in a full read, held until somebody accepts it", registry=REGISTRY
)
HELD_MEMBERS = Gauge("sopd_held_members", "Members with held contacts", registry=REGISTRY)
SET_ASIDE = Gauge("sopd_set_aside", "Poison rows that wait for a person", ["kind"], registry=REGISTRY)
JOBS = Gauge("sopd_jobs", "Long pieces of work that are not over", ["state"], registry=REGISTRY)
WECOM_BACKOFF_SECONDS = Gauge(
    "sopd_wecom_backoff_seconds", "How long this path may not be called yet; none if it may", ["path"],
    registry=REGISTRY,
)
CALENDAR_YEARS_MISSING = Gauge(
    "sopd_calendar_years_missing", "Years in use whose days off are not known", registry=REGISTRY
)
PUSHES = Gauge(
    "sopd_pushes", "Pushes that came to this state so far, and for what reason", ["state", "reason"], registry=REGISTRY
)
ENROLLMENTS = Gauge(
    "sopd_enrollments", "Enrollments that entered, or came to this end, so far", ["state"], registry=REGISTRY
)
REFUSALS = Gauge("sopd_refusals", "Times nobody was let in, by reason, so far", ["reason"], registry=REGISTRY)

def show(gauge: Gauge, values: Mapping[str, float] | Mapping[tuple[str, ...], float]) -> None:
    """Set a gauge from values by label (or labels, in their order); what is no longer among them disappears."""
    gauge.clear()
    for labels, value in values.items():
        gauge.labels(*([labels] if isinstance(labels, str) else labels)).set(value)


def got_on(part: str) -> None:
    """Note that a part of this process got on: `step` and `tick` of its main thread, `work` of any thread."""
    LAST_PROGRESS.labels(part).set(time.time())


def exposition() -> tuple[bytes, str]:
    """(everything in Prometheus' text format, its content type)."""
    return generate_latest(REGISTRY), CONTENT_TYPE_PLAIN_0_0_4
