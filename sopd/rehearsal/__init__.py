"""A rehearsal: the real daemon, the sandbox as WeCom, a clock that skips, and two accounts that must agree (SPEC 14).

`demo` is what `sopd demo` runs; `Scene` is for tests that kill the daemon.
"""

from sopd.rehearsal.demo import DemoOptions, demo
from sopd.rehearsal.scene import Scene, SceneOptions

__all__ = ["DemoOptions", "Scene", "SceneOptions", "demo"]
