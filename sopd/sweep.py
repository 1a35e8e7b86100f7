"""The loop of time atoms: flips that are due become news, one bounded page a call. Decides nothing itself."""

from __future__ import annotations

from sopd.handlers import flips
from sopd.handlers.app import App


def run_once(app: App) -> int:
    """Sweep what is due; returns how many flips were looked at."""
    return flips.sweep(app)
