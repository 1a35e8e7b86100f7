"""The settings of one sopd: what there is, what is allowed, and where it comes from.

`load(find_file(None, os.environ), os.environ)` gives the frozen `Settings`; `sopd.bootstrap` hands its sections on.
"""

from __future__ import annotations

from sopd.config.reading import find_file, load
from sopd.config.settings import (
    Broker,
    Company,
    Engine,
    Health,
    Limits,
    Log,
    Quota,
    Reconcile,
    Retention,
    Settings,
    Store,
    Web,
    Wecom,
    all_settings,
    variable_of,
)

__all__ = [
    "Broker", "Company", "Engine", "Health", "Limits", "Log", "Quota", "Reconcile", "Retention", "Settings", "Store",
    "Web", "Wecom", "all_settings", "find_file", "load", "variable_of",
]
