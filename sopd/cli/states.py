"""State names as the command line offers them in options; a test holds them against the machines.

Written out here because help and completion must not load the machines.
"""

from __future__ import annotations

SOP = ("draft", "initialising", "running", "paused", "ended")
ENROLLMENT_ENDS = ("normal_end", "early_end", "manual_end", "lost", "stopped", "merged")
PUSH_OPEN = ("due", "waiting", "planned", "requested", "confirmed")
PUSH_FINAL = ("sent", "failed", "skipped", "expired", "cancelled")
DISPATCH = (
    "planned", "sending", "requested", "confirmed", "settled", "failed", "uncertain", "stopping", "cancelling",
    "rereading", "cancelled", "needs_operator", "handing", "unsure", "handed",
)  # fmt: skip
DISPATCH_OVER = ("settled", "failed", "cancelled")
INBOX = ("new", "done", "set_aside")
PRUNED = (
    "inbox", "acts", "jobs", "runs", "tasks", "slots", "places", "signals", "refusals", "claims", "audit"
)  # fmt: skip
