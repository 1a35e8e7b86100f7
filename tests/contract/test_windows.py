"""Back-off windows of WeCom's paths in the store: they hold for every process and outlive each (WeCom 9)."""

from __future__ import annotations

from machines.calendar import HOUR_MS, MINUTE_MS
from sopd.handlers.windows import StoredWindows
from sopd.store import Store
from tests.support.factories import T0


def test_a_window_holds_for_every_process_until_its_end(store: Store) -> None:
    StoredWindows(store).block("/p", T0 + MINUTE_MS, "called too often", T0)
    other = StoredWindows(store)

    assert other.blocked_until("/p", T0 + MINUTE_MS - 1) == T0 + MINUTE_MS
    assert other.blocked_until("/p", T0 + MINUTE_MS) is None
    assert other.blocked_until("/q", T0) is None


def test_the_last_hit_is_remembered_beyond_the_window_and_a_window_is_never_shortened(store: Store) -> None:
    windows = StoredWindows(store)
    assert windows.last_hit("/p") is None

    windows.block("/p", T0 + HOUR_MS, "called too often", T0)
    windows.block("/p", T0 + 2 * MINUTE_MS, "called too often", T0 + MINUTE_MS)

    assert StoredWindows(store).last_hit("/p") == T0 + MINUTE_MS
    assert windows.blocked_until("/p", T0 + MINUTE_MS) == T0 + HOUR_MS
