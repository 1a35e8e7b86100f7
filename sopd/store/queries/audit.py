"""Who did what: one row per operator's command, written in the command's own transaction."""

from __future__ import annotations

from sopd.store.tables import Audit
from sopd.store.transaction import Transaction


def write(tx: Transaction, who: str, verb: str, target: str, detail: str | None = None) -> int:
    """Record a command by its CLI name (`sop pause`, `customer mute`); `detail` is a JSON object. Returns the id."""
    row = {"at": tx.now, "who": who, "verb": verb, "target": target, "detail": detail}
    return int(tx.insert(Audit, [row])[0][0])
