"""Exactly one daemon per SQLite file: a lock on `<file>.lock` that the kernel drops with the process.

Held by the daemon for its life and by migrations and restores while they run. On PostgreSQL any number of daemons is
fine and nothing is locked. The lock is never taken for ordinary transactions: the CLI works beside a daemon.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .engine import Store
from .errors import SecondDaemon, Unreachable
from .sqlite import Sqlite

_held: dict[Path, int] = {}  # how often this process holds it: a daemon migrates under its own lock
_guard = threading.Lock()


@contextmanager
def hold(store: Store) -> Iterator[None]:
    """Be the one daemon of this store inside the block; raise `SecondDaemon` with the other's process id."""
    if not isinstance(store.dialect, Sqlite):
        yield
        return
    path = store.dialect.path.resolve()
    with _guard:
        handle = None if path in _held else _locked(path)
        _held[path] = _held.get(path, 0) + 1
    try:
        yield
    finally:
        with _guard:
            _held[path] -= 1
            if not _held[path]:
                del _held[path]
        if handle is not None:
            os.close(handle)


def _locked(path: Path) -> int:
    """An open file that carries the lock. The file stays: deleting it would let two processes lock two files."""
    lock = Path(f"{path}.lock")
    try:
        handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise Unreachable(f"cannot write {lock}: {error.strerror}", "check the folder and its permissions") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        pid = os.pread(handle, 32, 0).decode("ascii", "replace").strip()
        os.close(handle)
        raise SecondDaemon(str(path), int(pid) if pid.isdigit() else None) from error
    os.ftruncate(handle, 0)
    os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
    return handle
