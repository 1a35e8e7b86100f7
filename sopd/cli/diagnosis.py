"""What a check of `sopd doctor` says: one finding, in the words of whoever reads it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sopd.cli.desk import Desk
from sopd.cli.words import Words

Verdict = Literal["ok", "note", "wrong"]


@dataclass(frozen=True)
class Finding:
    """One line: what was looked at, what was found, and what to do about it (empty if nothing is to do)."""

    check: str
    verdict: Verdict
    what: str
    fix: str = ""


def voice(desk: Desk) -> Words:
    """The words of what is found: for programs English unless --lang says otherwise."""
    return desk.words if desk.output == "table" else desk.column_words
