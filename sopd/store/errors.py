"""What can go wrong in the store. Raised only by `sopd.store`.

`Unavailable` and its kinds say nothing about the rows at hand: wait and do the same again. `Conflict` and `BadValue`
are about rows. `BadStatement` and `Nested` are faults of this program.
"""

from __future__ import annotations

from ..errors import SopdError


class StoreError(SopdError):
    """Base of everything the store raises."""


class Unavailable(StoreError):
    """The database cannot do it now; no row is to blame. Nothing was committed, unless COMMIT itself broke off."""


class StoreBusy(Unavailable):
    """Somebody else holds what is needed: a lock, the single writer's turn, a connection of the pool."""


class Unreachable(Unavailable):
    """The database does not answer, or its disk does not."""


class NoSchema(Unavailable):
    """The database has no tables of ours."""

    def __init__(self, detail: str) -> None:
        super().__init__(f"the database has not been set up: {detail}", "run `sopd db migrate`")


class OlderSchema(Unavailable):
    """The database is at an older schema than this program."""

    def __init__(self, found: int, known: int) -> None:
        super().__init__(f"the database is at schema {found}, this program needs {known}", "run `sopd db migrate`")
        self.found, self.known = found, known


class NewerSchema(StoreError):
    """The database was migrated by a newer program; older code could destroy what it does not know."""

    def __init__(self, found: int, known: int) -> None:
        super().__init__(
            f"the database is at schema {found}, this program knows {known} at most",
            "run the newer sopd that migrated it, or restore a backup made before that upgrade",
        )
        self.found, self.known = found, known


class SecondDaemon(StoreError):
    """Another daemon holds the lock of this SQLite file."""

    def __init__(self, path: str, pid: int | None) -> None:
        who = "another process" if pid is None else f"process {pid}"
        super().__init__(
            f"{who} already runs sopd on {path}, and a SQLite file has exactly one daemon",
            "stop that one first, or use PostgreSQL for several",
        )
        self.path, self.pid = path, pid


class BackupError(StoreError):
    """A backup cannot be written, is not one of ours, or may not be restored here."""


class Conflict(StoreError):
    """A unique index or another constraint refused a row. `constraint` is the index's name where it is known."""

    def __init__(self, detail: str, constraint: str | None = None) -> None:
        super().__init__(f"the database refused a row: {detail}")
        self.constraint = constraint


class BadValue(StoreError):
    """A value does not fit its column (too large, a NUL character, not a number)."""


class BadStatement(StoreError):
    """A statement the database does not understand: a fault of the program, no row is to blame."""


class Nested(StoreError):
    """A transaction was opened inside another one of the same thread."""

    def __init__(self) -> None:
        super().__init__("a transaction is already open in this thread", "pass its `tx` on instead of opening another")


class BadAddress(StoreError):
    """The database address is not one of ours."""

    def __init__(self, shown: str) -> None:
        super().__init__(
            f"{shown!r} is no database address", "use sqlite:////absolute/path.db or postgresql://user@host/database"
        )
