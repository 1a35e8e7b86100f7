"""A SOP as the oracle reads it from the operator's file: plain fields, defaults of D1, rules left as YAML has them.

Only what a new-customer SOP may say. The file is taken to be right; faults are the business of other tests.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import Any

import yaml

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

_UNITS = {"s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY}
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

Window = tuple[dt.time, dt.time]
COMPANY_QUIET: Window = (dt.time(21), dt.time(8))


@dataclass(frozen=True)
class Step:
    """One step. Of `day` and `at`, `after` (ms), `next_weekday` and `at`: one; a welcome has none."""

    id: str
    index: int
    by: str
    text: str
    day: int | None
    after: int | None
    next_weekday: int | None
    at: dt.time | None
    only_if: Any

    @property
    def is_welcome(self) -> bool:
        return self.by == "welcome"


@dataclass(frozen=True)
class Plan:
    """One SOP. Durations in ms; `late`: skip, next_day, ms; `grace`: same_day, none, ms; `quota_full`: days, skip."""

    key: str
    priority: int
    members: tuple[str, ...] | None
    entry: Any
    steps: tuple[Step, ...]
    size: int
    every: int
    late: str | int
    grace: str | int
    quota_full: str | int
    calendar: str
    off_day: str
    quiet: tuple[Window, ...]
    early: Any
    early_adds: tuple[str, ...]
    early_removes: tuple[str, ...]
    normal_adds: tuple[str, ...]
    normal_removes: tuple[str, ...]
    once_per: str


def read(text: str) -> Plan:
    """The SOP of a definition file; company and SOP's quiet hours united (SPEC 5)."""
    tree = yaml.safe_load(text)
    early, normal = tree.get("early_end") or {}, tree.get("normal_end") or {}
    batch = tree.get("batch") or {}
    members = tree.get("members", "all")
    full = tree.get("quota_full", {"defer": "3d"})
    return Plan(
        key=tree["sop"],
        priority=tree.get("priority", 50),
        members=None if members == "all" else tuple(members),
        entry=(tree.get("entry") or {}).get("when"),
        steps=tuple(_step(index, step) for index, step in enumerate(tree["steps"])),
        size=batch.get("size", 200),
        every=duration(batch.get("every", "30m")),
        late=_within(tree.get("late_at_entry", "skip")),
        grace=_within(tree.get("outage_grace", "same_day")),
        quota_full=full if isinstance(full, str) else duration(full["defer"]) // DAY,
        calendar=tree.get("calendar", "every_day"),
        off_day=tree.get("off_day", "next"),
        quiet=(COMPANY_QUIET, *_windows(tree.get("quiet", []))),
        early=early.get("when"),
        early_adds=tuple(early.get("add_tags", ())),
        early_removes=tuple(early.get("remove_tags", ())),
        normal_adds=tuple(normal.get("add_tags", ())),
        normal_removes=tuple(normal.get("remove_tags", ())),
        once_per=tree.get("once_per", "customer"),
    )


def duration(text: str) -> int:
    """`30m` in milliseconds."""
    number, unit = re.fullmatch(r"(\d+)([smhd])", text).groups()
    return int(number) * _UNITS[unit]


def _step(index: int, step: dict[str, Any]) -> Step:
    return Step(
        id=step["id"],
        index=index,
        by=step["by"],
        text=step.get("text", ""),
        day=step.get("day"),
        after=duration(step["after"]) if "after" in step else None,
        next_weekday=_WEEKDAYS.index(step["next"]) if "next" in step else None,
        at=dt.time.fromisoformat(step["at"]) if "at" in step else None,
        only_if=step.get("only_if"),
    )


def _within(value: Any) -> str | int:
    return duration(value["within"]) if isinstance(value, dict) else value


def _windows(value: Any) -> list[Window]:
    texts = [value] if isinstance(value, str) else value
    pairs = [text.split("-") for text in texts]
    return [(dt.time.fromisoformat(start), dt.time.fromisoformat(end)) for start, end in pairs]


@dataclass(frozen=True)
class About:
    """What a rule of a new-customer SOP may look at: the own relation, as it stands (SPEC 8)."""

    tags: frozenset[str]
    source: str
    member: str
    lost: bool = False


def holds(rule: Any, about: About) -> bool:
    """Whether a rule is true; no rule is always true."""
    if rule is None:
        return True
    ((word, value),) = rule.items()
    return {
        "all": lambda: all(holds(part, about) for part in value),
        "any": lambda: any(holds(part, about) for part in value),
        "not": lambda: not holds(value, about),
        "tag": lambda: bool(about.tags & set(_names(value))),
        "source": lambda: about.source in _names(value),
        "member": lambda: about.member in _names(value),
        "lost": lambda: about.lost == value,
    }[word]()


def _names(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)
