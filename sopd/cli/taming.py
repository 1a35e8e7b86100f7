"""Text that others wrote, made harmless: what steers a terminal is shown instead of obeyed. Light to import."""

from __future__ import annotations

import re

# C0 and C1 controls, and the marks that turn the direction of what follows.
_STEERING = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_TSV = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}


def tame(text: str) -> str:
    """One line that does nothing to a terminal but to be read."""
    return _STEERING.sub("·", text)


def escaped(text: str) -> str:
    """A field of TSV: backslash, tab and line ends as \\\\, \\t, \\n, \\r; other controls as \\xNN or \\uNNNN."""
    told = "".join(_TSV.get(each, each) for each in text)
    return _STEERING.sub(_code, told)


def _code(found: re.Match[str]) -> str:
    number = ord(found[0])
    return f"\\x{number:02x}" if number < 256 else f"\\u{number:04x}"
