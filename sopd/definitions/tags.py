"""Tag names of a definition, bound to the tag ids of the company's library when a definition is applied (D25)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import NamedTuple

from machines.sop import Problem, Sop, tags_of


@dataclass(frozen=True)
class TagLibrary:
    """The company's tags as last synced: ids by `组/名` and by bare name."""

    by_full_name: Mapping[str, tuple[str, ...]]
    by_name: Mapping[str, tuple[str, ...]]
    full_names: Mapping[str, str]

    @classmethod
    def of(cls, rows: Iterable[tuple[str, str, str]]) -> TagLibrary:
        """A library from rows of (tag id, group name, tag name), deleted ones left out."""
        full: dict[str, tuple[str, ...]] = {}
        bare: dict[str, tuple[str, ...]] = {}
        names: dict[str, str] = {}
        for tag_id, group, name in rows:
            names[tag_id] = f"{group}/{name}"
            full[names[tag_id]] = (*full.get(names[tag_id], ()), tag_id)
            bare[name] = (*bare.get(name, ()), tag_id)
        return cls(full, bare, names)

    def find(self, name: str) -> tuple[str, ...]:
        """The ids of the tags a name may mean: `组/名` first, then a bare name; several if it is not unique."""
        return self.by_full_name.get(name) or self.by_name.get(name, ())


class Binding(NamedTuple):
    """Tag ids by the names in a definition, and a problem for each place whose name means no tag, or several."""

    tag_ids: dict[str, str]
    problems: tuple[Problem, ...]


def bind(sop: Sop, library: TagLibrary) -> Binding:
    """Bind every tag name of a definition; with problems it must not be applied."""
    tag_ids: dict[str, str] = {}
    problems: list[Problem] = []
    for path, name in tags_of(sop):
        found = library.find(name)
        if len(found) == 1:
            tag_ids[name] = found[0]
        else:
            problems.append(Problem(path, _unknown(name, library) if not found else _several(name, found, library)))
    return Binding(tag_ids, tuple(problems))


def _unknown(name: str, library: TagLibrary) -> str:
    near = get_close_matches(name, [*library.by_full_name, *library.by_name], n=1, cutoff=0.6)
    guess = f"did you mean {near[0]}? " if near else ""
    return f'there is no tag "{name}"; {guess}make it in WeCom first, or write the name of one as 组/名'


def _several(name: str, found: tuple[str, ...], library: TagLibrary) -> str:
    meant = ", ".join(library.full_names[tag_id] for tag_id in found)
    return f'"{name}" may be any of {meant}; write its group too, as 组/名'
