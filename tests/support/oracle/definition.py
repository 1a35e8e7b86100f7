"""A SOP as the oracle reads it from the operator's file: plain fields, defaults of D1, rules left as YAML has them.

The file is taken to be right; faults are the business of other tests. What rules mean is in `rules`.
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
class Writes:
    """What an end or an answer writes: tags on the owner's relation, attributes of the customer."""

    adds: tuple[str, ...] = ()
    removes: tuple[str, ...] = ()
    sets: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True)
class End:
    """What an end does beside closing the run; `flow_to`: the SOP the customer goes on to."""

    writes: Writes = Writes()
    flow_to: str | None = None


@dataclass(frozen=True)
class OnReply:
    """`keywords`: (word, what it writes); `always`: what any answer writes."""

    keywords: tuple[tuple[str, Writes], ...]
    always: Writes | None


@dataclass(frozen=True)
class Step:
    """One step. Of `day` and `at`, `after` (ms), `next_weekday` and `at`, `on` and `at`: one; a welcome has none.

    `waits`: how long (ms) the next step waits for an answer at most; None: not at all."""

    id: str
    index: int
    by: str
    text: str
    day: int | None
    after: int | None
    next_weekday: int | None
    on: dt.date | None
    at: dt.time | None
    only_if: Any
    waits: int | None
    on_reply: OnReply | None

    @property
    def is_welcome(self) -> bool:
        return self.by == "welcome"


@dataclass(frozen=True)
class Plan:
    """One SOP. Durations in ms; `late`: skip, next_day, ms; `grace`: same_day, none, ms; `quota_full`: days, skip;
    `reenter`: never, after_end, ms; `anchor`: entry, added, event, or ("attribute", name)."""

    key: str
    kind: str
    priority: int
    members: tuple[str, ...] | None
    owner: str
    entry: Any
    reenter: str | int
    anchor: str | tuple[str, str]
    is_stepwise: bool
    is_timed: bool
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
    early_end: End
    normal_end: End
    once_per: str

    @property
    def is_for_new(self) -> bool:
        return self.kind == "new_customer"


def read(text: str) -> Plan:
    """The SOP of a definition file; company and SOP's quiet hours united (SPEC 5)."""
    tree = yaml.safe_load(text)
    batch, entry = tree.get("batch") or {}, tree.get("entry") or {}
    members = tree.get("members", "all")
    full, anchor = tree.get("quota_full", {"defer": "3d"}), tree.get("anchor", "entry")
    reenter = entry.get("reenter", "never")
    return Plan(
        key=tree["sop"],
        kind=tree["kind"],
        priority=tree.get("priority", 50),
        members=None if members == "all" else tuple(members),
        owner=tree.get("owner", "first_added"),
        entry=entry.get("when"),
        reenter=reenter if isinstance(reenter, str) else duration(reenter["after"]),
        anchor=anchor if isinstance(anchor, str) else ("attribute", anchor["attribute"]),
        is_stepwise=tree.get("pace") == "stepwise",
        is_timed=tree.get("strategy") == "timed",
        steps=tuple(_step(index, step) for index, step in enumerate(tree["steps"])),
        size=batch.get("size", 200),
        every=duration(batch.get("every", "30m")),
        late=_within(tree.get("late_at_entry", "skip")),
        grace=_within(tree.get("outage_grace", "same_day")),
        quota_full=full if isinstance(full, str) else duration(full["defer"]) // DAY,
        calendar=tree.get("calendar", "every_day"),
        off_day=tree.get("off_day", "next"),
        quiet=(COMPANY_QUIET, *_windows(tree.get("quiet", []))),
        early=(tree.get("early_end") or {}).get("when"),
        early_end=_end(tree.get("early_end") or {}),
        normal_end=_end(tree.get("normal_end") or {}),
        once_per=tree.get("once_per", "customer"),
    )


def duration(text: str) -> int:
    """`30m` in milliseconds."""
    number, unit = re.fullmatch(r"(\d+)([smhd])", text).groups()
    return int(number) * _UNITS[unit]


def _step(index: int, step: dict[str, Any]) -> Step:
    on = step.get("on", step.get(True))  # YAML reads the bare word as a truth
    return Step(
        id=step["id"],
        index=index,
        by=step["by"],
        text=step.get("text", ""),
        day=step.get("day"),
        after=duration(step["after"]) if "after" in step else None,
        next_weekday=_WEEKDAYS.index(step["next"]) if "next" in step else None,
        on=dt.date.fromisoformat(on) if isinstance(on, str) else on,
        at=dt.time.fromisoformat(step["at"]) if "at" in step else None,
        only_if=step.get("only_if"),
        waits=duration(step["at_most"]) if "wait" in step else None,
        on_reply=_on_reply(step["on_reply"]) if "on_reply" in step else None,
    )


def _on_reply(tree: dict[str, Any]) -> OnReply:
    words = (tree.get("keywords") or {}).items()
    return OnReply(
        tuple((word, _writes(written)) for word, written in words), _writes(tree["any"]) if "any" in tree else None
    )


def _end(tree: dict[str, Any]) -> End:
    return End(_writes(tree), tree.get("flow_to"))


def _writes(tree: dict[str, Any]) -> Writes:
    return Writes(
        tuple(names(tree.get("add_tags", ()))),
        tuple(names(tree.get("remove_tags", ()))),
        tuple((tree.get("set") or {}).items()),
    )


def _within(value: Any) -> str | int:
    return duration(value["within"]) if isinstance(value, dict) else value


def _windows(value: Any) -> list[Window]:
    pairs = [text.split("-") for text in names(value)]
    return [(dt.time.fromisoformat(start), dt.time.fromisoformat(end)) for start, end in pairs]


def names(value: Any) -> list[Any]:
    """One name or a list of them, as a list."""
    return list(value) if isinstance(value, list | tuple) else [value]
