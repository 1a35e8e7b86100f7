"""What changed between two versions of a definition, as lines that an operator reads before `apply`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from machines.sop import Sop


def diff(old: Sop, new: Sop) -> list[str]:
    """Readable lines, in the order of the definition; empty if both mean the same. Steps are matched by id."""
    before, after = (sop.model_dump(mode="json", exclude_none=True) for sop in (old, new))
    lines: list[str] = []
    for key in dict.fromkeys([*before, *after]):
        if key == "steps":
            lines += _steps(before[key], after[key])
        else:
            lines += _changes(key, before.get(key), after.get(key))
    return lines


def _steps(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> Iterator[str]:
    old = {step["id"]: step for step in before}
    new = {step["id"]: step for step in after}
    kept, order = [step_id for step_id in new if step_id in old], [step_id for step_id in old if step_id in new]
    for step_id, step in old.items():
        if step_id not in new:
            yield f"step {step_id}: removed ({_moment(step)})"
    if kept != order:
        yield f"steps: order {', '.join(order)} → {', '.join(kept)}"
    for step_id, step in new.items():
        if step_id not in old:
            yield f"step {step_id}: added ({_moment(step)})"
            continue
        for key in dict.fromkeys([*old[step_id], *step]):
            yield from _changes(f"step {step_id}: {key}", old[step_id].get(key), step.get(key))


def _moment(step: dict[str, Any]) -> str:
    said = [f"{key} {step[key]}" for key in ("day", "after", "next", "on") if key in step]
    return " ".join([*said, *([step["at"]] if "at" in step else []), f"by {step['by']}"])


def _changes(name: str, before: Any, after: Any) -> Iterator[str]:
    if before == after:
        return
    if isinstance(before, dict) and isinstance(after, dict) and not _is_rule(name):
        for key in dict.fromkeys([*before, *after]):
            yield from _changes(f"{name}.{key}", before.get(key), after.get(key))
    elif _are_names(before) and _are_names(after):
        added, removed = ([n for n in one if n not in other] for one, other in ((after, before), (before, after)))
        changes = [f"+ {item}" for item in added] + [f"- {item}" for item in removed]
        yield f"{name}: {', '.join(changes) or 'other order'}"
    else:
        yield f"{name}: {_shown(before)} → {_shown(after)}"


def _is_rule(name: str) -> bool:
    return name.rpartition(".")[2] == "when" or name.endswith(": only_if")


def _are_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _shown(value: Any) -> str:
    if value is None:
        return "(none)"
    return json.dumps(value, ensure_ascii=False)
