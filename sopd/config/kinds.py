"""What the value of a setting may be: how it is read from TOML and from plain text, and what is allowed.

Used by `settings` (which names each setting's kind) and `reading`. Kinds know no files and no environment.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError


@dataclass(frozen=True, slots=True)
class Kind:
    """One sort of value. `native` is its type in TOML; `convert` makes the value or raises ValueError.

    What `hides` is never repeated in an error.
    """

    allowed: str
    native: type[str] | type[int]
    convert: Callable[[Any], Any]
    hides: bool = False

    def from_toml(self, value: object) -> Any:
        """The value of a setting written in a file. Raises ValueError saying what is allowed."""
        if not isinstance(value, self.native) or isinstance(value, bool):
            raise self._refusal(value)
        return self._converted(value)

    def from_text(self, text: str) -> Any:
        """The value of a setting given as text, from the environment or a credential."""
        if self.native is not int:
            return self._converted(text)
        if not re.fullmatch(r"[0-9]+", text):
            raise self._refusal(text)
        return self._converted(int(text))

    def _converted(self, value: object) -> Any:
        try:
            return self.convert(value)
        except ValueError as refused:
            raise self._refusal(value, str(refused)) from None

    def _refusal(self, value: object, reason: str = "") -> ValueError:
        shown = "the value" if self.hides else repr(value)
        return ValueError(f"{shown} is not {self.allowed}" + (f" ({reason})" if reason else ""))


def number(low: int, high: int, meaning: str = "a number") -> Kind:
    """A whole number from `low` to `high`."""

    def convert(value: int) -> int:
        if not low <= value <= high:
            raise ValueError
        return value

    return Kind(f"{meaning} from {low} to {high}", int, convert)


def choice(*values: str) -> Kind:
    """One of a few words."""

    def convert(value: str) -> str:
        if value not in values:
            raise ValueError
        return value

    return Kind(f"one of {', '.join(values)}", str, convert)


def pattern(regex: str, meaning: str, *, hides: bool = False) -> Kind:
    """Text of a fixed shape; empty means not set."""

    def convert(value: str) -> str:
        if value and not re.fullmatch(regex, value):
            raise ValueError
        return value

    return Kind(f"{meaning}, or empty", str, convert, hides)


def path() -> Kind:
    """A file; a relative one counts from the folder of the settings file. Empty means none."""
    return Kind("a path, or empty", str, lambda value: Path(value) if value else None)


def clock_time() -> Kind:
    """A local time of day, HH:MM."""

    def convert(value: str) -> dt.time:
        if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", value):
            raise ValueError
        return dt.time.fromisoformat(value)

    return Kind('a time of day like "21:00"', str, convert)


def zone() -> Kind:
    """The name of an IANA time zone."""

    def convert(value: str) -> str:
        try:
            return ZoneInfo(value).key
        except (ZoneInfoNotFoundError, OSError):  # OSError: the name of a folder of zones, like "America"
            raise ValueError from None

    return Kind('a time zone like "Asia/Shanghai"', str, convert)


def url(allowed: str, *starts: str) -> Kind:
    """An address that starts with one of `starts`. It may hold a password, so its error never repeats it."""

    def convert(value: str) -> str:
        if not any(value.startswith(start) and (len(value) > len(start) or start == "memory://") for start in starts):
            raise ValueError
        return value

    return Kind(allowed, str, convert, hides=True)


def web_base() -> Kind:
    """The root of an HTTP API: https, or http on this machine only, because secrets travel over it."""

    def convert(value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.username:
            raise ValueError
        if parts.scheme == "http" and not is_loopback(value):
            raise ValueError("secrets would travel in the clear")
        return value.rstrip("/")

    return Kind("an https address, or an http address of this machine", str, convert)


def is_loopback(address: str) -> bool:
    """True if a URL leads to this very machine (127.0.0.0/8, ::1, localhost)."""
    host = urlsplit(address).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
