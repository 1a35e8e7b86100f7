"""Processes that tests start and watch from outside: whether one answers, and its end."""

from __future__ import annotations

import subprocess

import httpx

ENDS_WITHIN_S = 60


def is_ready(port: int) -> bool:
    """Whether /readyz says yes there."""
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=5, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def end(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM, and SIGKILL if that does not help."""
    process.terminate()
    try:
        process.wait(ENDS_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
