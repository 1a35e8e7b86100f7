"""Walking a whole machine: every pair of state and event, every arrow, every callback and every guard of a `Table`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import fields
from itertools import product
from typing import Any

from machines.fsm import Run, Table

Pair = tuple[str, str]
Arrow = tuple[str, str, str]


def illegal_pairs(table: Table) -> set[Pair]:
    """The (state, event) pairs that are neither a transition nor ignored."""
    moves = {(row.source, row.event) for row in table.transitions}
    return set(product(table.states, table.events)) - moves - table.ignored


def arrows(table: Table) -> set[Arrow]:
    """Every (source, event, dest) of the table."""
    return {(row.source, row.event, row.dest) for row in table.transitions}


def reached(table: Table, contexts: Callable[[str], Iterable[dict[str, Any]]]) -> set[Arrow]:
    """The arrows that firing every event in every state, with every context given for it, really takes."""
    seen = set()
    for state, event in product(table.states, table.events):
        if (state, event) in table.ignored or (state, event) in illegal_pairs(table):
            continue
        for context in contexts(event):
            seen.add((state, event, table.fire(state, event, **context).state))
    return seen


def silent_parts(table: Table, contexts: Callable[[str], Iterable[dict[str, Any]]]) -> set[str]:
    """What of the table never speaks: guards that do not answer both yes and no, callbacks that never add anything."""
    said: dict[str, set[bool]] = {}
    for state, event in product(table.states, table.events):
        rows = [row for row in table.transitions if (row.source, row.event) == (state, event)]
        for context in contexts(event):
            for number, row in enumerate(rows):
                held = True
                for guard in row.guards:
                    answer = guard(Run(state, context))
                    said.setdefault(f"{state}, {event}, row {number}: {guard.__qualname__}", set()).add(answer)
                    held = held and answer
                if held:
                    for callback in row.callbacks:
                        run = Run(state, context)
                        callback(run)
                        name = f"{state}, {event}, row {number}: {callback.__qualname__}"
                        said.setdefault(name, {False}).add(bool(run.effects))
                    break
    return {name for name, answers in said.items() if answers != {True, False}}


def grid(kind: type, **choices: Iterable[Any]) -> list[Any]:
    """Every combination of these field values, as frozen values of `kind`; other fields keep their defaults."""
    assert set(choices) <= {field.name for field in fields(kind)}
    return [kind(**dict(zip(choices, values, strict=True))) for values in product(*choices.values())]
