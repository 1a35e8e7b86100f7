"""The loop of long pieces of work: one batch of one of them a call. Decides nothing itself."""

from __future__ import annotations

from sopd import outside_sends, reconcile
from sopd.handlers import forgetting, initialising, pruning, sop_jobs
from sopd.handlers.app import App


def run_once(app: App) -> int:
    """Lead a resumed, stopped or started SOP on, else read some more of WeCom, forget, prune; returns rows handled."""
    led_on = sop_jobs.run_once(app) or initialising.run_once(app) or reconcile.run_once(app)
    return led_on or outside_sends.run_once(app) or forgetting.run_once(app) or pruning.run_once(app)
