"""A YAML file as plain values, each of which remembers where it stands.

YAML is read strictly: one document, no aliases, anchors, tags or merge keys, no key twice, no value that YAML 1.1 would
silently turn into something else (`10:00` into 600, `yes` into true). What is refused is told by line and column; the
rest is read all the same, so that every fault of a file is shown at once. Callers: the readers of this package.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

import yaml

from sopd.definitions.faults import DefinitionFaults, Fault
from sopd.definitions.scalars import Odd, value_of

MOST_BYTES = 1 << 20
DEEPEST = 40
MOST_NODES = 100_000
CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufffe\uffff]")

Path = tuple[str | int, ...]
"""Keys and list positions from the root of a document."""


@dataclass(frozen=True)
class Document:
    """A file that was read. `spoiled` are the paths whose values were refused already and stand in `faults`."""

    name: str
    text: str
    root: yaml.Node
    data: Any
    faults: tuple[Fault, ...]
    spoiled: frozenset[Path]

    def fault(self, path: Path, message: str) -> Fault:
        """A fault of the value at a path (of the nearest value around it, if there is none)."""
        return Fault(self.name, *position(self, path), message)


@dataclass(frozen=True)
class Spot:
    """Where a path leads: the part of it that exists in the file, the node there, and the key that names it."""

    path: Path
    node: yaml.Node
    key: yaml.Node | None


def read(source: FilePath | str | bytes, name: str | None = None) -> Document:
    """Read one definition from a file (a Path) or from its text. `name` stands in faults; a file's own path by default.

    Raises DefinitionFaults if it cannot be read as YAML at all; lesser faults wait in `Document.faults`.
    """
    shown = name or (str(source) if isinstance(source, FilePath) else "definition")
    text = _text(source, shown)
    _refuse_structure(text, shown)
    root = yaml.compose(text, Loader=yaml.CSafeLoader)
    walk = _Walk(shown)
    data = walk.value(root, ())
    return Document(shown, text, root, data, tuple(walk.faults), frozenset(walk.spoiled))


def position(document: Document, path: Path) -> tuple[int, int]:
    """Line and column, from 1, of the value at a path; of the nearest value around it, if there is none."""
    mark = spot(document, path).node.start_mark
    return mark.line + 1, mark.column + 1


def key_position(document: Document, path: Path) -> tuple[int, int]:
    """Line and column, from 1, of the key that names the value at a path."""
    found = spot(document, path)
    mark = (found.key or found.node).start_mark
    return mark.line + 1, mark.column + 1


def spot(document: Document, path: Path) -> Spot:
    """Follow a path as far as the file knows it; parts that are not in the file are stepped over.

    A number inside a mapping means its n-th pair: some mappings are read as lists of pairs.
    """
    node, key, found = document.root, None, ()
    for part in path:
        step = _step(node, part)
        if step is not None:
            name, key, node = step
            found = (*found, name)
    return Spot(found, node, key)


def _step(node: yaml.Node, part: str | int) -> tuple[str | int, yaml.Node | None, yaml.Node] | None:
    if isinstance(node, yaml.SequenceNode):
        return (part, None, node.value[part]) if isinstance(part, int) and part < len(node.value) else None
    if not isinstance(node, yaml.MappingNode):
        return None
    if isinstance(part, int):
        pairs = node.value[part:part + 1]
    else:
        pairs = [pair for pair in node.value if _name(pair[0]) == part][:1]
    return (_name(pairs[0][0]), *pairs[0]) if pairs else None


def named(path: Path, message: str) -> str:
    """The sentence behind the name of what it is about: the nearest key, or the number of a step."""
    if path[:1] == ("steps",) and len(path) == 2:
        return f"step {int(path[1]) + 1}: {message}"
    key = next((part for part in reversed(path) if isinstance(part, str)), None)
    return message if key is None else f"{key}: {message}"


def _name(key: yaml.Node) -> str:
    return key.value if isinstance(key, yaml.ScalarNode) else ""


def _text(source: FilePath | str | bytes, name: str) -> str:
    if isinstance(source, FilePath):
        try:
            with source.open("rb") as file:
                source = file.read(MOST_BYTES + 1)
        except OSError as error:
            raise _fatal(name, 0, 0, f"cannot be read: {error.strerror or error}") from error
    raw = source if isinstance(source, bytes) else source.encode("utf-8", "surrogatepass")
    if len(raw) > MOST_BYTES:
        raise _fatal(name, 0, 0, f"is larger than {MOST_BYTES // 1024} KiB; a definition holds one SOP or journey")
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise _fatal(name, 0, 0, "is written in UTF-16; save it as UTF-8")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[:error.start].decode("utf-8", "replace").lstrip("\ufeff")
        raise _fatal(name, *_place(before), "is not UTF-8 from here on; save the file as UTF-8") from error
    control = CONTROL.search(text)
    if control:
        code = f"U+{ord(control[0]):04X}"
        raise _fatal(name, *_place(text[:control.start()]), f"holds the control character {code}; take it away")
    return text


def _place(before: str) -> tuple[int, int]:
    return before.count("\n"), len(before) - before.rfind("\n") - 1


def _fatal(name: str, line: int, column: int, message: str) -> DefinitionFaults:
    return DefinitionFaults([Fault(name, line + 1, column + 1, message)])


def _refuse_structure(text: str, name: str) -> None:
    """Raise for all that makes a file unreadable or dangerous to read, before anything is built from it."""
    faults: list[Fault] = []
    try:
        for event, message in _unwanted(yaml.parse(text, Loader=yaml.CSafeLoader)):
            faults.append(Fault(name, event.start_mark.line + 1, event.start_mark.column + 1, message))
    except yaml.MarkedYAMLError as error:
        faults.append(_syntax(text, name, error))
    except yaml.YAMLError as error:
        faults.append(Fault(name, 1, 1, f"is not YAML: {error}".replace("\n", " ")))
    if faults:
        raise DefinitionFaults(faults)


def _unwanted(events: Iterable[yaml.Event]) -> Iterator[tuple[yaml.Event, str]]:
    depth = nodes = documents = 0
    for event in events:
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents == 2:
                yield event, "begins a second document; write one definition per file"
        elif isinstance(event, yaml.AliasEvent):
            yield event, f"*{event.anchor} repeats another value; write it out, aliases are not allowed"
        elif isinstance(event, yaml.NodeEvent):
            nodes += 1
            if event.anchor is not None:
                yield event, f"&{event.anchor} names a value for repetition; take it away, anchors are not allowed"
            if getattr(event, "tag", None) not in (None, "!"):
                yield event, f"{_short(event.tag)} changes the type of a value; take it away, tags are not allowed"
            depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST or nodes > MOST_NODES:
            yield event, ("is nested too deeply" if depth > DEEPEST else "holds too many values") + " for a definition"
            return
    if not documents:
        yield yaml.DocumentStartEvent(_START, _START), "is empty; a definition begins with `sop: its-key`"


def _short(tag: str) -> str:
    return tag.replace("tag:yaml.org,2002:", "!!")


_START = yaml.Mark("", 0, 0, 0, None, None)


def _syntax(text: str, name: str, error: yaml.MarkedYAMLError) -> Fault:
    mark = error.problem_mark or error.context_mark or _START
    if error.problem == _NO_COLON:
        mark = error.context_mark or mark  # YAML notices it a line too late
    lines = text.splitlines()
    line = lines[mark.line] if mark.line < len(lines) else ""
    if "\t" in line[:len(line) - len(line.lstrip())]:
        return Fault(name, mark.line + 1, line.index("\t") + 1, "is indented with a tab; YAML takes blanks only")
    what = _SYNTAX.get(error.problem or "", f"is not YAML: {error.problem}")
    if error.context and error.context_mark is not None and error.context_mark.line != mark.line:
        what += f" ({error.context}, line {error.context_mark.line + 1})"
    return Fault(name, mark.line + 1, mark.column + 1, what)


_NO_COLON = "could not find expected ':'"
_SYNTAX = {
    "mapping values are not allowed in this context":
        "has a colon where none may stand; put a text with `: ` in quotes, or check the indentation",
    "did not find expected key": "is not `key: value` here; check quotes and indentation",
    "did not find expected '-' indicator": "is no list item; begin it with `- ` or check the indentation",
    "did not find expected ',' or ']'": "breaks off a list; add `,` or `]`",
    "did not find expected ',' or '}'": "breaks off a mapping; add `,` or `}`",
    "found unexpected end of stream": "ends inside a quoted text; add the closing quote",
    _NO_COLON: "is a key without a colon; write `key: value`",
    "found character that cannot start any token": "begins with a character that needs quotes around the text",
}


class _Walk:
    """Builds plain values from nodes and collects what is refused on the way."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.faults: list[Fault] = []
        self.spoiled: set[Path] = set()

    def value(self, node: yaml.Node, path: Path) -> Any:
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
        try:
            return value_of(node)
        except Odd as odd:
            self._refuse(node, named(path, str(odd)))
            self.spoiled.add(path)
            return node.value

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        found: dict[str, Any] = {}
        lines: dict[str, int] = {}
        for key, value in node.value:
            name = _name(key)
            if not isinstance(key, yaml.ScalarNode) or not name:
                self._refuse(key, "is no key; a key is one word")
            elif key.tag == "tag:yaml.org,2002:merge":
                self._refuse(key, "<< merges another mapping; write its keys out, merging is not allowed")
            elif name in found:
                self._refuse(key, f"key `{name}` is given twice, first on line {lines[name]}; keep one of both")
            else:
                lines[name] = key.start_mark.line + 1
                found[name] = self.value(value, (*path, name))
        return found

    def _refuse(self, node: yaml.Node, message: str) -> None:
        mark = node.start_mark
        self.faults.append(Fault(self.name, mark.line + 1, mark.column + 1, message))
