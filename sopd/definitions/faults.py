"""A fault of a definition file, placed where a person can see it, and the error that carries all of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from sopd.errors import SopdError


class Fault(NamedTuple):
    """One thing that is wrong in a file; line and column count from 1, the column in characters."""

    file: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.message}"


class DefinitionFaults(SopdError):
    """A definition cannot be used; `faults` are all that were found, in the order of the file. Nothing was changed."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(sorted(dict.fromkeys(faults), key=lambda fault: (fault.file, fault.line, fault.column)))
        files = ", ".join(dict.fromkeys(fault.file for fault in self.faults))
        super().__init__(f"{len(self.faults)} fault{'' if len(self.faults) == 1 else 's'} in {files}")

    def __str__(self) -> str:
        return "\n".join(str(fault) for fault in self.faults)
