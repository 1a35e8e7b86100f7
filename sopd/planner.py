"""The loops that turn moments into pushes and pushes into tasks, and lead runs on that nobody took over in time.

One bounded batch a call. Decides nothing itself.
"""

from __future__ import annotations

from sopd.handlers import firing, handovers, planning
from sopd.handlers.app import App


def fire_once(app: App) -> int:
    """Fire steps that are due; returns how many runs were looked at."""
    return firing.fire_due(app)


def plan_once(app: App) -> int:
    """Plan pushes that are due; returns how many were looked at."""
    return planning.plan(app)


def hand_over_once(app: App) -> int:
    """Lead on the runs of relations that were handed over to nobody; returns how many relations were looked at."""
    return handovers.close(app)
