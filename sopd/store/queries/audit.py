"""Who did what: one row per operator's command, written in the command's own transaction."""

from __future__ import annotations

from collections.abc import Iterable

from sopd.store.tables import Audit
from sopd.store.transaction import Transaction


def write(tx: Transaction, who: str, verb: str, target: str, detail: str | None = None) -> int:
    """Record a command by its CLI name (`sop pause`, `customer mute`); `detail` is a JSON object. Returns the id."""
    row = {"at": tx.now, "who": who, "verb": verb, "target": target, "detail": detail}
    return int(tx.insert(Audit, [row])[0][0])


def write_each(tx: Transaction, who: str, verb: str, targets: Iterable[str]) -> None:
    """Record a command that was given for several things at once: a row for each."""
    rows = [{"at": tx.now, "who": who, "verb": verb, "target": target} for target in targets]
    tx.insert(Audit, rows, returning=())
