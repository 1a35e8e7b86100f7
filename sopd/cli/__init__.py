"""The command line: noun then verb, one face of the engine among others (SPEC 12).

A command parses, asks the store or makes one command of `sopd.commands`, and prints. It decides nothing and writes
nothing itself: handlers do. Modules of verbs are loaded when they are called, and load the store, the broker and
WeCom inside, so that help and completion are there at once.
"""

from __future__ import annotations


def main() -> None:
    """The console script `sopd`. Ends the process with one of the documented exit codes."""
    import sys

    from sopd.cli.root import root

    for stream in (sys.stdout, sys.stderr):  # a locale that has no Chinese, or no check mark, must not end a command
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    root(prog_name="sopd")
