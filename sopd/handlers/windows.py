"""Back-off windows of the API's paths, kept in the store so that they hold for every process and outlive each.

The client's port (`sopd.wecom.windows.BackoffWindows`): asked before each call, told when WeCom says 45009.
"""

from __future__ import annotations

from machines.calendar import Instant
from sopd.store import Store


class StoredWindows:
    """Windows shared by all processes on one store. Every method is called outside any transaction."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def blocked_until(self, path: str, now: Instant) -> Instant | None:
        """End of the path's window, or None if it may be used at `now`."""
        with self._store.reading() as tx:
            return tx.value("select until_at from wecom_window where path = ? and until_at > ?", (path, now))

    def last_hit(self, path: str) -> Instant | None:
        """When WeCom last closed the path, whoever had called."""
        with self._store.reading() as tx:
            return tx.value("select hit_at from wecom_window where path = ?", (path,))

    def block(self, path: str, until: Instant, reason: str, now: Instant) -> None:
        """Let the path rest until `until`; never shortens a longer window."""
        with self._store.transaction() as tx:
            tx.run(
                "insert into wecom_window (path, until_at, hits, hit_at, reason) values (?, ?, 1, ?, ?)"
                " on conflict (path) do update set hits = wecom_window.hits + 1, reason = excluded.reason,"
                " hit_at = excluded.hit_at, until_at = case when wecom_window.until_at > excluded.until_at"
                " then wecom_window.until_at else excluded.until_at end",
                (path, until, now, reason),
            )
