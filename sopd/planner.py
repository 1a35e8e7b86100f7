"""The loops that turn moments into pushes and pushes into tasks: one bounded batch a call. Decides nothing itself."""

from __future__ import annotations

from sopd.handlers import firing, planning
from sopd.handlers.app import App


def fire_once(app: App) -> int:
    """Fire steps that are due; returns how many runs were looked at."""
    return firing.fire_due(app)


def plan_once(app: App) -> int:
    """Plan pushes that are due; returns how many were looked at."""
    return planning.plan(app)
