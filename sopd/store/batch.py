"""A failing batch is halved until the poison row stands alone and is set aside (ARCHITECTURE 5, SPEC 15.3).

Called by whatever works through rows in batches. One bad row never stops the others; a database that is away stops
them all, because no row is to blame for that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import structlog

from ..errors import SopdError
from .errors import BadValue, Conflict, StoreError
from .tables import SetAside
from .transaction import Instant, Transaction

R = TypeVar("R")
T = TypeVar("T")

REASON_CHARS = 300

log = structlog.get_logger("sopd.store")


@dataclass
class Halved(Generic[T, R]):
    """What became of a batch: the results of the parts that went through, and the rows set aside."""

    results: list[R] = field(default_factory=list)
    aside: list[T] = field(default_factory=list)


def in_halves(
    rows: Sequence[T], work: Callable[[Sequence[T]], R], set_aside: Callable[[T, str], object]
) -> Halved[T, R]:
    """Do `work(rows)`; if rows are to blame for its failure, do it by halves, down to the one row that fails alone.

    `work` opens its own transaction and must have no effect when it raises. `set_aside(row, reason)` opens its own too
    and must take the row out of the due work, or it comes back at once.
    """
    outcome: Halved[T, R] = Halved()
    parts = [rows] if rows else []
    while parts:
        part = parts.pop()
        try:
            outcome.results.append(_once_more_if_met(part, work))
        except Exception as error:  # whatever a row can make fail; what no row can is raised again
            if not is_poison(error):
                raise
            if len(part) > 1:
                middle = len(part) // 2
                parts += [part[middle:], part[:middle]]
                continue
            log.warning("row set aside", exc_info=error)
            set_aside(part[0], reason_of(error))
            outcome.aside.append(part[0])
    return outcome


def is_poison(error: Exception) -> bool:
    """Whether a row may be to blame: not for a database that is away, and not for a faulty statement."""
    return not isinstance(error, StoreError) or isinstance(error, (Conflict, BadValue))


def reason_of(error: Exception) -> str:
    """The error as one line for people; a bug says of what kind it is."""
    text = str(error) if isinstance(error, SopdError) else f"{type(error).__name__}: {error}"
    return " ".join(text.split())[:REASON_CHARS]


def _once_more_if_met(part: Sequence[T], work: Callable[[Sequence[T]], R]) -> R:
    """A lone row refused by a unique index may have met another writer: what that one wrote is to be seen now."""
    try:
        return work(part)
    except Conflict:
        if len(part) > 1:
            raise
        return work(part)


def put_aside(tx: Transaction, kind: str, row_key: str, reason: str, due_at: Instant | None = None) -> None:
    """List a row as set aside; `kind` is its table, `due_at` what its due column held. The caller empties that."""
    put_each_aside(tx, kind, [(row_key, reason)], due_at)


def put_each_aside(
    tx: Transaction, kind: str, rows: Iterable[tuple[str, str]], due_at: Instant | None = None
) -> None:
    """As `put_aside`, for several (row key, reason), each row once."""
    tx.insert(
        SetAside,
        [{"kind": kind, "row_key": key, "at": tx.now, "reason": reason, "due_at": due_at} for key, reason in rows],
        returning=(),
        on_conflict="(kind, row_key) do update set at = excluded.at, reason = excluded.reason,"
        " due_at = coalesce(excluded.due_at, set_aside.due_at)",
    )


def take_back(tx: Transaction, kind: str, row_keys: Sequence[str]) -> list[tuple[str, Instant | None]]:
    """Take rows off the list: (key, what its due column held) of those on it, for the caller to put back."""
    given = tx.table({"row_key": "text"}, [(key,) for key in row_keys])
    return tx.rows(
        f"delete from set_aside where kind = ? and row_key in (select row_key from {given.sql} g)"
        " returning row_key, due_at",
        (kind, *given.params),
    )
