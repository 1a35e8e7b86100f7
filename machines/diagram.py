"""A machine as a picture: Mermaid `stateDiagram-v2` text with live counts, for the terminal, README and console.

Drawn from the very table that runs, so it cannot differ from it. Deterministic: the same table and counts give the same
text. States are numbered, because step ids may hold what Mermaid reads as syntax; their names are labels. Nothing is
drawn that does not move (waiting, repeats), and an event that leads from every open state to one end is drawn once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from machines.fsm import Table

OPEN_BOX = "open"
_SYNTAX = re.compile(r"[^\w /().-]")


def mermaid(table: Table, counts: Mapping[str, int] | None = None, labels: Mapping[str, str] | None = None) -> str:
    """Mermaid text of a machine, ending in a newline.

    `counts`: rows per state; they stand behind the name, and a state that is missing in them counts 0.
    `labels`: what to show instead of a state's name (`step 3/5 coupon`).
    """
    ids = {state: f"s{number}" for number, state in enumerate(table.states)}
    finals = tuple(state for state in table.states if _is_final(table, state))
    still_open = tuple(state for state in table.states if state not in finals)
    common = _common_ends(table, still_open)
    arrows = _arrows(table, left_out=common)
    names = {state: _label(state, counts, labels) for state in table.states}

    inner = [f'state "{names[state]}" as {ids[state]}' for state in still_open]
    inner.append(f"[*] --> {ids[table.initial]}")
    inner += _drawn({ends: events for ends, events in arrows.items() if ends[1] in still_open}, ids)
    outer = [f'state "{names[state]}" as {ids[state]}' for state in finals]
    outer += _drawn({ends: events for ends, events in arrows.items() if ends[1] in finals}, ids)
    outer += [f"{OPEN_BOX} --> {ids[end]} : {_escaped(event)}" for event, end in common.items()]
    outer += [f"{ids[state]} --> [*]" for state in finals]
    if common:
        inner = [f"state {OPEN_BOX} {{", *_indented(inner), "}", f"[*] --> {OPEN_BOX}"]
    return "\n".join(["stateDiagram-v2", *_indented([*inner, *outer])]) + "\n"


def _is_final(table: Table, state: str) -> bool:
    return all(row.dest == state for row in table.transitions if row.source == state)


def _common_ends(table: Table, still_open: tuple[str, ...]) -> dict[str, str]:
    """Events that lead from every open state to one and the same end, with that end."""
    common = {}
    for event in table.events:
        rows = [row for row in table.transitions if row.event == event]
        sources, ends = {row.source for row in rows}, {row.dest for row in rows}
        if len(still_open) > 1 and sources == set(still_open) and len(ends) == 1 and not ends & sources:
            common[event] = ends.pop()
    return common


def _arrows(table: Table, left_out: Iterable[str]) -> dict[tuple[str, str], list[str]]:
    """(source, dest) with the events that lead there, in the table's order; without those that stay."""
    arrows: dict[tuple[str, str], list[str]] = {}
    for row in table.transitions:
        if row.source != row.dest and row.event not in left_out:
            events = arrows.setdefault((row.source, row.dest), [])
            if row.event not in events:
                events.append(row.event)
    return arrows


def _drawn(arrows: Mapping[tuple[str, str], list[str]], ids: Mapping[str, str]) -> list[str]:
    return [
        f"{ids[source]} --> {ids[dest]} : {', '.join(_escaped(event) for event in events)}"
        for (source, dest), events in arrows.items()
    ]


def _label(state: str, counts: Mapping[str, int] | None, labels: Mapping[str, str] | None) -> str:
    name = _escaped((labels or {}).get(state, state))
    return name if counts is None else f"{name} ({counts.get(state, 0)})"


def _escaped(text: str) -> str:
    """Text in which nothing is Mermaid's syntax: everything but words, blanks and a few marks as `#code;`."""
    return _SYNTAX.sub(lambda found: f"#{ord(found.group())};", text)


def _indented(lines: Iterable[str]) -> list[str]:
    return [f"  {line}" for line in lines]
