"""Who may import whom: the floor table of ARCHITECTURE 3 and 4 as data, and every import checked against it.

Imports go down, or to the left within one row, so each row below lists its rooms from left to right. A room is a
module, or a whole package with everything in it. A module that is in no row fails: a newcomer gets a place first.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.meta.sources import modules

# Lowest floor first.
FLOORS: tuple[tuple[str, ...], ...] = tuple(
    tuple(row.split())
    for row in (
        "machines",  # the package's own docstring
        "machines.errors machines.reasons machines.facts machines.workdays machines.calendar machines.moments "
        "machines.timetable machines.lateness machines.backoff machines.events machines.effects",
        "machines.rules machines.sop machines.journey machines.fsm",
        "machines.slots machines.nags machines.quota machines.entry machines.enrollment machines.push "
        "machines.dispatch machines.cards machines.lifecycle machines.placement machines.variants",
        "machines.diagram machines.graph machines.forecast",
        "sopd",
        "sopd.errors sopd.commands sopd.clock sopd.config sopd.crypto sopd.log sopd.metrics sopd.notify "
        "sopd.activity sopd.memory sopd.holidays sopd.definitions sopd.incoming",
        "sopd.store sopd.wecom sopd.broker",
        "sopd.handlers",
        "sopd.intake sopd.sweep sopd.planner sopd.relay sopd.lookup sopd.collector sopd.nagger sopd.cards sopd.outbox "
        "sopd.reconcile sopd.outside_sends sopd.signals sopd.jobs",
        "sopd.actors",
        "sopd.web sopd.ticker sopd.web.listening sopd.web.probes sopd.web.callback sopd.web.health "
        "sopd.web.api sopd.web.tasks sopd.web.console",
        "sopd.bootstrap sopd.web.app sopd.web.server",
        "sopd.sandbox",  # stands aside: see SANDBOX_MAY_USE
        "sopd.pace sopd.process sopd.daemon sopd.worker sopd.rehearsal",
        "sopd.cli sopd.__main__",
    )
)
PLACE = {room: (floor, column) for floor, row in enumerate(FLOORS) for column, room in enumerate(row)}

# These never meet, although they share a row.
STRANGERS = {("sopd.wecom", "sopd.store"), ("sopd.broker", "sopd.store"), ("sopd.broker", "sopd.wecom")}
SANDBOX_MAY_USE = set(next(row for row in FLOORS if "sopd.errors" in row)) | {"sopd", "machines.calendar"}
# Of the core it takes the word for an instant and the lengths of time, no arithmetic: its books must stay its own.
SANDBOX_WORDS = re.compile(r"Instant|[A-Z]+_MS")

# What a room may take from outside; `machines` is pure and gets nothing but this and the rest of the standard library.
MACHINES_LIBRARIES = {
    "machines.rules": {"pydantic", "pydantic_core"},
    "machines.sop": {"pydantic", "pydantic_core"},
    "machines.journey": {"pydantic", "pydantic_core"},
    "machines.fsm": {"transitions"},
}
IMPURE = {
    "asyncio", "glob", "http", "io", "logging", "multiprocessing", "os", "pathlib", "random", "secrets", "shutil",
    "signal", "socket", "sqlite3", "subprocess", "tempfile", "threading", "time", "urllib", "uuid",
}
IMPURE_CALLS = {"now", "utcnow", "today", "open", "print", "input"}
# A library that only some rooms may know.
LIBRARY_ROOMS = {
    "peewee": {"sopd.store"},
    "playhouse": {"sopd.store"},
    "psycopg": {"sopd.store"},
    "sqlite3": {"sopd.store"},
    "transitions": {"machines.fsm"},
    "httpx": {"sopd.wecom", "sopd.sandbox", "sopd.bootstrap", "sopd.pace", "sopd.rehearsal", "sopd.cli"},
    "redis": {"sopd.broker"},
    "chinese_calendar": {"sopd.holidays"},
    "prometheus_client": {"sopd.metrics"},
}


def room_of(module: str) -> str | None:
    """The longest room whose name starts the module's name, or None when it has no place in the table."""
    parts = module.split(".")
    for length in range(len(parts), 0, -1):
        room = ".".join(parts[:length])
        if room in PLACE and (length == len(parts) or room not in ("machines", "sopd", "sopd.web")):
            return room
    return None


def may_import(room: str, target: str) -> bool:
    """True if a module of `room` may import one of `target`, both rooms of the table."""
    if room == target:
        return True
    if (room, target) in STRANGERS or (target == "sopd.sandbox" and PLACE[room][0] < PLACE["sopd.daemon"][0]):
        return False
    if room == "sopd.sandbox":
        return target in SANDBOX_MAY_USE
    if room.startswith("machines") and not target.startswith("machines"):
        return False
    (floor, column), (target_floor, target_column) = PLACE[room], PLACE[target]
    return target_floor < floor or (target_floor == floor and target_column < column)


def imports_of(module: str, path: Path) -> Iterator[tuple[int, str]]:
    """(line, dotted target) of every import, late ones and those for type checking too."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                start = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*start, base]) if base else ".".join(start)
            yield from ((node.lineno, _named(base, alias.name)) for alias in node.names)


def _named(base: str, name: str) -> str:
    """`from sopd import clock` names a module, `from sopd.clock import ms_of` a thing inside one."""
    return f"{base}.{name}" if f"{base}.{name}" in ALL_MODULES else base


ALL_MODULES = dict(modules())


def test_every_module_has_a_place_in_the_table() -> None:
    homeless = [str(path) for module, path in ALL_MODULES.items() if room_of(module) is None]

    assert not homeless, f"give these a place in FLOORS (and in docs/architecture.md): {homeless}"


@pytest.mark.parametrize("module", sorted(ALL_MODULES))
def test_imports_go_down_or_left(module: str) -> None:
    path, room = ALL_MODULES[module], room_of(module)
    if room is None:
        pytest.fail(f"{module} has no place in FLOORS")

    wrong = []
    for line, target in imports_of(module, path):
        target_room = room_of(target) if target.split(".")[0] in ("machines", "sopd") else None
        if target_room is not None and not may_import(room, target_room):
            wrong.append(f"{path}:{line}: {room} may not import {target}")

    assert not wrong, "\n".join(wrong)


def test_no_module_needs_itself_by_a_detour() -> None:
    """Inside a room too, and in annotations alone."""
    needs = {
        module: {target for _, target in imports_of(module, path) if target in ALL_MODULES and target != module}
        for module, path in ALL_MODULES.items()
    }
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as error:
        pytest.fail(" is imported by ".join(error.args[1]))


@pytest.mark.parametrize("module", sorted(ALL_MODULES))
def test_libraries_stay_in_their_rooms(module: str) -> None:
    path, room = ALL_MODULES[module], room_of(module)

    wrong = []
    for line, target in imports_of(module, path):
        library = target.split(".")[0]
        allowed = LIBRARY_ROOMS.get(library)
        if allowed is not None and room not in allowed:
            wrong.append(f"{path}:{line}: {library} belongs to {sorted(allowed)}")

    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("module", sorted(name for name in ALL_MODULES if name.startswith("sopd.sandbox")))
def test_sandbox_takes_only_words_from_the_core(module: str) -> None:
    tree = ast.parse(ALL_MODULES[module].read_text(encoding="utf-8"))
    taken = [
        alias.name for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("machines") for alias in node.names
    ]

    assert [name for name in taken if not SANDBOX_WORDS.fullmatch(name)] == []


@pytest.mark.parametrize("module", sorted(name for name in ALL_MODULES if name.startswith("machines")))
def test_machines_are_pure(module: str) -> None:
    path = ALL_MODULES[module]
    libraries = MACHINES_LIBRARIES.get(room_of(module) or module, set())
    known = (set(sys.stdlib_module_names) - IMPURE) | libraries | {"machines"}

    wrong = [
        f"{path}:{line}: machines may not import {target}"
        for line, target in imports_of(module, path) if target.split(".")[0] not in known
    ]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in IMPURE_CALLS:
                wrong.append(f"{path}:{node.lineno}: {called}() reads or writes the world; pass the value in")

    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("room", "target", "allowed"),
    [
        ("machines.push", "machines.rules", True),
        ("machines.rules", "machines.push", False),
        ("machines.rules", "sopd.errors", False),
        ("sopd.handlers", "sopd.store", True),
        ("sopd.handlers", "sopd.relay", False),
        ("sopd.store", "sopd.wecom", False),
        ("sopd.wecom", "sopd.store", False),
        ("sopd.sandbox", "sopd.crypto", True),
        ("sopd.sandbox", "sopd.wecom", False),
        ("sopd.rehearsal", "sopd.sandbox", True),
        ("sopd.wecom", "sopd.sandbox", False),
        ("sopd.web.app", "sopd.bootstrap", True),
    ],
)
def test_the_table_itself(room: str, target: str, allowed: bool) -> None:
    assert may_import(room, target) is allowed
