"""The loop that lets rules see what customers did and said: one page of signals a call (SPEC 10).

Nothing is decided here. Signals come in through `handlers.signals`, whatever face brought them.
"""

from __future__ import annotations

from sopd.handlers import signals
from sopd.handlers.app import App


def run_once(app: App) -> int:
    """Handle one page; returns how many signals were looked at."""
    return signals.digest(app)
