"""Telling systemd how we are: READY=1, WATCHDOG=1, STOPPING=1, STATUS=... The daemon and the worker call it.

The watchdog is to be fed by real progress only: after a tick that succeeded, never by a timer.
"""

from __future__ import annotations

import os
import socket


def sd_notify(message: str) -> bool:
    """Send newline-separated assignments to systemd. False if nobody listens (not started as Type=notify).

    An OSError means that systemd's socket is gone; the caller decides whether that matters.
    """
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return False
    if address[0] == "@":  # an abstract socket
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
        channel.sendto(message.encode(), address)
    return True


def watchdog_seconds() -> float | None:
    """How long systemd waits for a WATCHDOG=1, or None if it does not. Feed it at least twice as often."""
    if os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    microseconds = os.environ.get("WATCHDOG_USEC", "")
    return int(microseconds) / 1_000_000 if microseconds.isdigit() and int(microseconds) else None
