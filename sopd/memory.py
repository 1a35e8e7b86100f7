"""Python's collector of cycles, set for work that comes in pages (CPython `gc`). Called when a process begins.

A page of 500 contacts makes ten thousand small values and hardly a cycle, yet CPython looks through the youngest after
every 700 and through everything now and then, modules and compiled definitions included: a fifth of the CPU of a page.
"""

from __future__ import annotations

import gc

YOUNG = 5_000
"""New containers before the collector looks through them."""


def settle() -> None:
    """What stands now stays for good and is not looked through again; what comes is, less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, 10, 10)
