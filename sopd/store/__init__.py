"""The only room that speaks SQL: peewee tables, set-based queries, migrations, on SQLite and PostgreSQL.

Nothing here decides anything: handlers hand in decisions and this package applies them. It never meets `sopd.wecom`.
"""

from .dialect import Dialect, Given
from .engine import Store
from .errors import (
    BackupError,
    BadAddress,
    BadStatement,
    BadValue,
    Conflict,
    Nested,
    NewerSchema,
    NoSchema,
    OlderSchema,
    SecondDaemon,
    StoreBusy,
    StoreError,
    Unavailable,
    Unreachable,
)
from .transaction import Transaction

__all__ = [
    "BackupError",
    "BadAddress",
    "BadStatement",
    "BadValue",
    "Conflict",
    "Dialect",
    "Given",
    "Nested",
    "NewerSchema",
    "NoSchema",
    "OlderSchema",
    "SecondDaemon",
    "Store",
    "StoreBusy",
    "StoreError",
    "Transaction",
    "Unavailable",
    "Unreachable",
]
