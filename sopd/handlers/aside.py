"""Poison rows, once their cause is gone: everything that was set aside gets another try (SPEC 15.3)."""

from __future__ import annotations

import json

from sopd.commands import RetrySetAside
from sopd.handlers.app import App
from sopd.store.queries import aside as queries
from sopd.store.queries import audit


def retry(app: App, command: RetrySetAside) -> dict[str, int]:
    """Make all of them due now; returns how many of each kind. What fails again is set aside again, with its reason.

    Callbacks are not among them: `inbox.replay` hands those in.
    """
    with app.store.transaction() as tx:
        due = queries.put_back(tx)
        if due:
            audit.write(tx, command.who, "db retry", "set aside", json.dumps(due))
    return due
