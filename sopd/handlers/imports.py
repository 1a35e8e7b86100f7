"""The audit of what was brought by hand or from a file: written once it is all in (SPEC 8: who and why are kept)."""

from __future__ import annotations

import json
from collections.abc import Mapping

from sopd.handlers.app import App
from sopd.store.queries import audit


def record(app: App, who: str, verb: str, target: str, counts: Mapping[str, object]) -> None:
    """Note who brought what: the verb of the command line, the file or the customer, and what came of it."""
    with app.store.transaction() as tx:
        audit.write(tx, who, verb, target, json.dumps(counts, ensure_ascii=False))
