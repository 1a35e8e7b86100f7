"""A published definition in words: when a step goes out, what a rule asks, what an end writes.

Works on the JSON of a version, so that nothing has to be compiled for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from sopd.cli.words import Words

LONGEST_TEXT = 40


def moment(step: Mapping[str, Any], words: Words) -> str:
    """`day 3 at 10:10`, `after 2h`, `next monday at 09:00`, `on 2026-12-24 at 10:00`, `at once`."""
    at = str(step.get("at") or "")[:5]
    if step.get("day") is not None:
        return words.say("day {day} at {at}", day=step["day"], at=at)
    if step.get("after") is not None:
        return words.say("after {after}", after=words.duration(step["after"]))
    if step.get("next") is not None:
        return words.say("next {weekday} at {at}", weekday=words.say(step["next"]), at=at)
    if step.get("on") is not None:
        return words.say("on {on} at {at}", on=step["on"], at=at)
    return words.say("at once")


def text(step: Mapping[str, Any]) -> str:
    """The beginning of what a step says, on one line, with its attachments counted."""
    said = " ".join(str(step.get("text") or "").split())
    short = said if len(said) <= LONGEST_TEXT else f"{said[: LONGEST_TEXT - 1]}…"
    attached = len(step.get("attachments") or ())
    return f"{short} +{attached}" if attached else short


def rule(written: Any) -> str:
    """A rule as it is written in a definition, on one line."""
    if written is None:
        return ""
    short = _short(written)
    return str(
        yaml.safe_dump(short, default_flow_style=True, allow_unicode=True, width=10_000, sort_keys=False)
    ).strip()


def _short(written: Any) -> Any:
    """Without keys that say nothing; `source` as its short form if only channels are asked for."""
    if isinstance(written, list):
        return [_short(each) for each in written]
    if not isinstance(written, Mapping):
        return written
    kept = {key: _short(value) for key, value in written.items() if value is not None}
    source = kept.get("source")
    if isinstance(source, dict) and list(source) == ["state"]:
        kept["source"] = source["state"]
    return kept


def end(written: Mapping[str, Any] | None) -> str:
    """What an end writes: `+结果/已复购 -阶段/考虑价格 → winback`."""
    if not written:
        return ""
    parts = [f"+{name}" for name in written.get("add_tags") or ()]
    parts += [f"-{name}" for name in written.get("remove_tags") or ()]
    parts += [f"{name}={plain(value)}" for name, value in (written.get("set") or {}).items()]
    if written.get("flow_to"):
        parts.append(f"→ {written['flow_to']}")
    return " ".join(parts)


def plain(value: Any) -> str:
    """A value of an attribute as a definition writes it: `true`, not Python's `True`."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def anchor(written: Any, words: Words) -> str | None:
    """What the days of a nurture SOP count from, unless that is the entry."""
    if isinstance(written, Mapping):
        return words.say("the date in attribute {name}", name=written["attribute"])
    said = {"added": "the adding of the member who acts", "event": "the event that let them in"}.get(written)
    return words.say(said) if said else None


def members(written: Any, words: Words) -> str:
    """Who takes part."""
    if written in (None, "all"):
        return words.say("all members")
    return ", ".join(written)


def place(state: str, steps: tuple[str, ...]) -> str:
    """`3/5` for the third of five steps; empty for a state that is no step."""
    return f"{steps.index(state) + 1}/{len(steps)}" if state in steps else ""
